"""Files of Arrow's formats: Parquet, and Feather, its own."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skvae._core.checks import shown
from skvae._core.sources import Source

# Types of columns that float32 holds without loss; of others the table is float64.
_SINGLE = ("float", "halffloat", "int8", "uint8", "int16", "uint16", "bool")


class _Files(Source):
    """Files of one schema, each of groups of rows that are read as a whole.

    Parameters
    ----------
    path : str, Path or sequence of these
        A file; several; or a folder, whose files are taken in the order of their names.
    columns : sequence of str, default=None
        Columns to take, by default all.
    """

    # What a file's name ends with, in a folder.
    _suffixes: tuple[str, ...]

    def __init__(self, path: Any, columns: Sequence[str] | None = None) -> None:
        self.path, self.columns = path, columns
        self.files = self._found(path)
        groups: list[tuple[int, int]] = []  # of a file, and in it
        sizes: list[int] = []
        for number, file in enumerate(self.files):
            schema, own = self._open(file)
            if number == 0:
                self.feature_names, self.dtype = self._columns_of(schema)
            missing = set(self.feature_names or ()) - set(schema.names)
            if missing:
                raise ValueError(
                    f"The file {str(file)!r} has no column {sorted(missing)[0]!r}, which the first "
                    f"one has. Give files of the same columns."
                )
            groups += [(number, group) for group in range(len(own))]
            sizes += own
        self.groups = groups
        self.edges = np.append(0, np.cumsum(sizes)).astype(np.intp)
        names = self.feature_names or ()
        self.shape = int(self.edges[-1]), len(names)
        if not all(self.shape):
            raise ValueError(
                f"path must lead to rows and columns. Got {self.shape[0]} rows and "
                f"{self.shape[1]} columns in {shown(str(path))}."
            )

    def _found(self, path: Any) -> list[Path]:
        if isinstance(path, str | os.PathLike):
            path = Path(path)
            if not path.is_dir():
                return [path]
            found = sorted(p for p in path.rglob("*") if p.suffix in self._suffixes)
        else:
            found = [Path(p) for p in path]
        if not found:
            raise ValueError(
                f"path holds no file {' or '.join(self._suffixes)}. Got {shown(str(path))}."
            )
        return found

    def _columns_of(self, schema: Any) -> tuple[list[str], np.dtype]:
        """Names of the columns that are taken, and the type that holds them all."""
        names = list(schema.names if self.columns is None else self.columns)
        kinds = set()
        for name in names:
            if name not in schema.names:
                raise ValueError(
                    f"columns names {name!r}, which is no column. There are "
                    f"{', '.join(map(repr, schema.names[:20]))}."
                )
            kind = str(schema.field(name).type)
            if not (kind.startswith(("int", "uint", "decimal")) or kind in (*_SINGLE, "double")):
                numbers = [n for n in schema.names if n != name][:3]
                raise ValueError(
                    f"Column {name!r} is of type {kind}, where a source holds numbers. Leave it "
                    f"out, with columns={numbers!r} for instance, or encode it."
                )
            kinds.add(kind)
        return names, np.dtype(np.float32 if kinds <= set(_SINGLE) else np.float64)

    @abstractmethod
    def _open(self, file: Path) -> tuple[Any, list[int]]:
        """Schema of a file, and the number of rows of each of its groups."""

    @abstractmethod
    def _group(self, file: Path, group: int) -> Any:
        """One group of rows, with the columns that are taken, as Arrow's table."""

    def read(self, start: int, stop: int) -> np.ndarray:
        """Give rows from ``start`` up to ``stop``; a null is a missing cell, NaN."""
        rows = np.empty((stop - start, self.shape[1]), self.dtype)
        first, last = np.searchsorted(self.edges, [start, stop - 1], side="right") - 1
        for number in range(first, last + 1):
            file, group = self.groups[number]
            begin = int(self.edges[number])
            since, until = max(start - begin, 0), min(stop, int(self.edges[number + 1])) - begin
            part = rows[begin + since - start : begin + until - start]
            table = self._group(self.files[file], group).slice(since, until - since)
            for j, column in enumerate(_arrays(table, self.feature_names or ())):
                part[:, j] = column
        return rows


def _arrays(table: Any, names: Iterable[str]) -> Iterable[np.ndarray]:
    """Columns of a table as arrays of numbers."""
    for name in names:
        column = table.column(name)
        kind = str(column.type)
        if kind == "bool" or kind.startswith("decimal"):
            column = column.cast("int8" if kind == "bool" else "float64")
        yield column.to_numpy()


def _require_pyarrow(name: str) -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{name} needs pyarrow. Install it, with pip install 'skvae[parquet]' for instance."
        ) from error


class Parquet(_Files):
    """Files in Parquet's format, read by row groups. It needs pyarrow, the extra ``parquet``.

    A row group is read as a whole, so memory holds one at least, and training shuffles the rows of
    as many as fit in 256 MiB. Groups of 8 to 32 MiB are good: with 100 columns of float32 write
    them by ``row_group_size=50_000``.

    Parameters
    ----------
    path : str, Path or sequence of these
        A file; several; or a folder, whose files ".parquet" and ".pq" are taken in the order of
        their names, with those of folders in it.
    columns : sequence of str, default=None
        Columns to take, by default all. They hold numbers or booleans; a null is a missing cell.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If there are no rows, no such columns, or columns of other types.
    """

    _suffixes = (".parquet", ".pq")

    def __init__(self, path: Any, columns: Sequence[str] | None = None) -> None:
        _require_pyarrow("Parquet")
        super().__init__(path, columns)

    def _open(self, file: Path) -> tuple[Any, list[int]]:
        from pyarrow import parquet

        with parquet.ParquetFile(file) as opened:
            footer = opened.metadata
            sizes = [footer.row_group(g).num_rows for g in range(footer.num_row_groups)]
            return opened.schema_arrow, sizes

    def _group(self, file: Path, group: int) -> Any:
        from pyarrow import parquet

        with parquet.ParquetFile(file) as opened:
            return opened.read_row_group(group, columns=self.feature_names)


class Feather(_Files):
    """Files in Arrow's own format, as pandas' ``to_feather`` writes them, by record batches.

    It needs pyarrow, the extra ``parquet``.

    Parameters
    ----------
    path : str, Path or sequence of these
        A file; several; or a folder, whose files ".feather" and ".arrow" are taken in the order of
        their names, with those of folders in it.
    columns : sequence of str, default=None
        Columns to take, by default all. They hold numbers or booleans; a null is a missing cell.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If there are no rows, no such columns, or columns of other types.
    """

    _suffixes = (".feather", ".arrow")

    def __init__(self, path: Any, columns: Sequence[str] | None = None) -> None:
        _require_pyarrow("Feather")
        super().__init__(path, columns)

    def _open(self, file: Path) -> tuple[Any, list[int]]:
        import pyarrow

        with pyarrow.memory_map(str(file)) as mapped, pyarrow.ipc.open_file(mapped) as opened:
            sizes = [opened.get_batch(i).num_rows for i in range(opened.num_record_batches)]
            return opened.schema, sizes

    def _group(self, file: Path, group: int) -> Any:
        import pyarrow

        with pyarrow.memory_map(str(file)) as mapped, pyarrow.ipc.open_file(mapped) as opened:
            batch = opened.get_batch(group).select(self.feature_names)
            return pyarrow.Table.from_batches([batch])
