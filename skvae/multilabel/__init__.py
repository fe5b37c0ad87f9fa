"""The multi-label classifier."""
