"""Tables: how rows of X become what a step sees, and come back."""

from skvae.tables._blocks import (
    ColumnRanges,
    Moments,
    blocks,
    by_blocks,
    has_gaps,
    most_held,
    never_seen,
    of_rows,
    pick,
    share_of_zeros,
    weighted_moments,
)
from skvae.tables._frames import as_missing, as_rows_of, join_columns, missing_cells, take_columns
from skvae.tables._gaps import Gaps, patterns
from skvae.tables._levels import Coding
from skvae.tables._missingness import Missingness, read_missingness
from skvae.tables._raw import Raw, RawTable, given_cells, library_of, read_raw_table
from skvae.tables._rows import Batch, Rows, convert, refilled, shuffled
from skvae.tables._table import Column, Table, plain_table, read_column
from skvae.tables._view import PER_LIBRARY, Link, View, library_sizes, per_library, shown
from skvae.tables._write import write_columns

__all__ = [
    "PER_LIBRARY",
    "Batch",
    "Coding",
    "Column",
    "ColumnRanges",
    "Gaps",
    "Link",
    "Missingness",
    "Moments",
    "Raw",
    "RawTable",
    "Rows",
    "Table",
    "View",
    "as_missing",
    "as_rows_of",
    "blocks",
    "by_blocks",
    "convert",
    "given_cells",
    "has_gaps",
    "join_columns",
    "library_of",
    "library_sizes",
    "missing_cells",
    "most_held",
    "never_seen",
    "of_rows",
    "patterns",
    "per_library",
    "pick",
    "plain_table",
    "read_column",
    "read_missingness",
    "read_raw_table",
    "refilled",
    "share_of_zeros",
    "shown",
    "shuffled",
    "take_columns",
    "weighted_moments",
    "write_columns",
]
