"""Tables: how rows of X become what a step sees, and come back."""

from skvae.tables._blocks import (
    ColumnRanges,
    Moments,
    blocks,
    pick,
    weighted_moments,
)
from skvae.tables._rows import Batch, Rows, convert, shuffled
from skvae.tables._source import Raw, Source, library_of, read_source
from skvae.tables._table import Coding, Column, Table, read_column
from skvae.tables._write import write_columns
from skvae.tables._view import Link, View, shown

__all__ = [
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
    "library_of",
    "pick",
    "read_column",
    "read_source",
    "shown",
    "shuffled",
    "weighted_moments",
    "write_columns",
]
