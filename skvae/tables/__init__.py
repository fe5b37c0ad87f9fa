"""Tables: how rows of X become what a step sees, and come back."""

from skvae.tables._blocks import (
    ColumnRanges,
    Moments,
    blocks,
    pick,
    share_of_zeros,
    weighted_moments,
)
from skvae.tables._levels import Coding
from skvae.tables._rows import Batch, Rows, convert, shuffled
from skvae.tables._source import Raw, Source, read_source
from skvae.tables._table import Column, Table, read_column
from skvae.tables._view import PER_LIBRARY, Link, View, library_sizes, per_library, shown
from skvae.tables._write import write_columns

__all__ = [
    "PER_LIBRARY",
    "Batch",
    "Coding",
    "Column",
    "ColumnRanges",
    "Link",
    "Moments",
    "Raw",
    "Rows",
    "Source",
    "Table",
    "View",
    "blocks",
    "convert",
    "library_sizes",
    "per_library",
    "pick",
    "read_column",
    "read_source",
    "share_of_zeros",
    "shown",
    "shuffled",
    "weighted_moments",
    "write_columns",
]
