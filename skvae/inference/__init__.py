"""Inference with a fitted model."""
