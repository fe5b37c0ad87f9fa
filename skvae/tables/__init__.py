"""Tables: how rows of X become what a step sees, and come back."""

from skvae.tables._blocks import (
    ColumnRanges,
    Moments,
    blocks,
    pick,
    weighted_moments,
)
from skvae.tables._rows import Batch, Rows, convert, shuffled
from skvae.tables._view import Link, View, shown

__all__ = [
    "Batch",
    "ColumnRanges",
    "Link",
    "Moments",
    "Rows",
    "View",
    "blocks",
    "convert",
    "pick",
    "shown",
    "shuffled",
    "weighted_moments",
]
