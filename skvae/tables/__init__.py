"""Tables: how rows of X become what a step sees, and come back."""

from skvae.tables._blocks import (
    ColumnRanges,
    Moments,
    blocks,
    pick,
    share_of_zeros,
    weighted_moments,
)
from skvae.tables._rows import Batch, Rows, convert, shuffled
from skvae.tables._view import PER_LIBRARY, Link, View, library_sizes, per_library, shown

__all__ = [
    "PER_LIBRARY",
    "Batch",
    "ColumnRanges",
    "Link",
    "Moments",
    "Rows",
    "View",
    "blocks",
    "convert",
    "library_sizes",
    "per_library",
    "pick",
    "share_of_zeros",
    "shown",
    "shuffled",
    "weighted_moments",
]
