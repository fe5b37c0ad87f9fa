"""Tables: how rows of X become what a step sees."""

from skvae.tables._rows import Batch, Moments, Rows, blocks, pick, shuffled, weighted_moments

__all__ = ["Batch", "Moments", "Rows", "blocks", "pick", "shuffled", "weighted_moments"]
