"""Starts: what the networks are before the first step."""
