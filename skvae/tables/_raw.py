"""Columns of a table as a user has it: a pandas or polars frame, or an array."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from scipy import sparse

from skvae._core.arrays import default_names

#: Microseconds of a day.
TICKS = 86_400 * 10**6

# Largest integer up to which float64 holds all.
_MOST_EXACT = 2.0**53


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A column as it is read.

    Attributes
    ----------
    name : str
        As in messages.
    kind : {"number", "level", "date"}
        Numbers are float64, and so are dates, in days since 1970; levels are objects. A column
        without any cell is one of numbers, whatever its type.
    values : ndarray of shape (n_samples,)
        The cells; where they are missing, NaN, or None among levels.
    dtype : str
        The library's name of the column's type.
    categories : ndarray or None
        All levels that the type declares, in their order.
    is_ordered : bool
        Whether the type declares that the order means something.
    """

    name: str
    kind: str
    values: np.ndarray
    dtype: str
    categories: np.ndarray | None = None
    is_ordered: bool = False

    @property
    def is_missing(self) -> np.ndarray:
        """Whether each cell is missing, (n_samples,)."""
        if self.kind == "level":
            return self.values == None  # noqa: E711
        return np.isnan(self.values)

    def known(self) -> Raw:
        """Give the cells that are not missing."""
        return replace(self, values=self.values[~self.is_missing])


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """A table as it is read.

    Attributes
    ----------
    library : {"pandas", "polars", "array", "objects"}
        What it came in; an array of objects may hold strings.
    names : list
        Names of the columns, of any type.
    columns : list of Raw
        The columns.
    n_samples : int
        Number of rows.
    """

    library: str
    names: list[Any]
    columns: list[Raw]
    n_samples: int

    def take(self, rows: np.ndarray) -> RawTable:
        """Give the rows of a mask, or at an index."""
        columns = [replace(column, values=column.values[rows]) for column in self.columns]
        n_samples = np.count_nonzero(rows) if rows.dtype == bool else len(rows)
        return replace(self, columns=columns, n_samples=int(n_samples))

    def aligned(self, names: list[Any]) -> RawTable:
        """Give the columns of these names, without a cell where there are none.

        Raises
        ------
        ValueError
            If there are others.
        """
        _refuse_names(self.names, names)
        own = dict(zip(self.names, self.columns, strict=True))
        empty = np.full(self.n_samples, np.nan)
        columns = [
            own.get(name, Raw(name=str(name), kind="number", values=empty, dtype="float64"))
            for name in names
        ]
        return replace(self, names=names, columns=columns)

    @property
    def numbers(self) -> np.ndarray:
        """Cells of columns that all are numbers, (n_samples, n_columns).

        Raises
        ------
        ValueError
            If one is not.
        """
        for column in self.columns:
            if column.kind != "number":
                raise ValueError(
                    f"Column {column.name!r} of given holds {column.kind}s, such as "
                    f"{column.known().values[0]!r}, where that of fit held numbers. Give a number."
                )
        return np.column_stack([column.values for column in self.columns])


def _refuse_names(found: Iterable[Any], names: Sequence[Any]) -> None:
    wrong = [name for name in found if name not in names]
    if wrong:
        some = ", ".join(repr(name) for name in names[:20])
        raise ValueError(
            f"given names {wrong[0]!r}, which is no column of fit. Those are {some}"
            f"{', ...' if len(names) > 20 else ''}."
        )


def given_cells(
    given: Mapping[Any, Any], names: Sequence[Any], kinds: Sequence[str] | None
) -> RawTable:
    """Read cells by the names of their columns as a table of one row.

    Parameters
    ----------
    given : mapping
        Cells by name.
    names : sequence
        All columns.
    kinds : sequence of {"number", "level", "date", "missing"} or None
        What each holds; None if all hold numbers.

    Raises
    ------
    ValueError
        If there is no such column, or its cell is of another kind.
    """
    _refuse_names(given, names)
    columns = []
    for j, name in enumerate(names):
        value, kind = given.get(name), "number" if kinds is None else kinds[j]
        cell = np.array([None], dtype=object)
        cell[0] = None if _is_missing(value) else value
        columns.append(_given_cell(str(name), cell, kind))
    return RawTable(library="objects", names=list(names), columns=columns, n_samples=1)


def _given_cell(name: str, cell: np.ndarray, kind: str) -> Raw:
    if cell[0] is None:
        return Raw(name=name, kind="number", values=np.array([np.nan]), dtype="float64")
    if kind == "level":
        return Raw(name=name, kind="level", values=cell, dtype="object")
    try:
        if kind == "date":
            return _dates(name, cell.astype("datetime64[us]"), "object")
        if kind == "number":
            return _number(name, cell.astype(np.float64), "object")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"given has {cell[0]!r} for column {name!r}, which held {kind}s at fit. Give a {kind}."
        ) from error
    return _read_objects(name, cell.tolist(), "object")


def library_of(X: Any) -> str | None:
    """Name the library of a frame; None if X is none."""
    library = type(X).__module__.partition(".")[0]
    return library if library in ("pandas", "polars") and hasattr(X, "columns") else None


def read_raw_table(X: Any) -> RawTable:
    """Read a table.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_samples, n_features)
        Cells that are NaN, None, NaT, pandas' NA or polars' null are missing, in columns of any
        type.

    Raises
    ------
    ValueError
        If a column has cells that are infinite, or of several types.
    """
    library = library_of(X)
    if library == "pandas":
        names = list(X.columns)
        read = [_read_pandas(X.iloc[:, j], str(name)) for j, name in enumerate(names)]
    elif library == "polars":
        names = list(X.columns)
        read = [_read_polars(X.to_series(j), name) for j, name in enumerate(names)]
    else:
        X = X.toarray() if sparse.issparse(X) else np.asarray(X)
        names = default_names(X.shape[1])
        is_numeric = X.dtype.kind in "iuf"
        library = "array" if is_numeric else "objects"
        read = [
            _number(name, X[:, j].astype(np.float64), X.dtype.name)
            if is_numeric
            else _read_objects(name, X[:, j].tolist(), "object")
            for j, name in enumerate(names)
        ]
    return RawTable(library=library, names=names, columns=read, n_samples=X.shape[0])


def _read_pandas(series: Any, name: str) -> Raw:
    dtype = getattr(series.dtype, "subtype", series.dtype)  # of a sparse column
    if hasattr(dtype, "categories"):
        values = series.astype(object).tolist()
        levels = np.array(dtype.categories.tolist(), dtype=object)
        return _read_objects(name, values, "category", levels, bool(dtype.ordered))
    if dtype.kind == "M":
        utc = series if getattr(dtype, "tz", None) is None else series.dt.tz_convert(None)
        return _dates(name, utc.to_numpy("datetime64[us]"), str(dtype))
    if dtype.kind in "iuf":
        return _number(name, series.to_numpy(dtype=np.float64, na_value=np.nan), str(dtype))
    if dtype.kind not in "bOUT" and not series.isna().all():
        _refuse_type(name, str(dtype))
    return _read_objects(name, series.astype(object).tolist(), str(dtype))


def _read_polars(series: Any, name: str) -> Raw:
    import polars  # a frame of its own is at hand

    dtype = str(series.dtype)
    if series.dtype.is_numeric() and not dtype.startswith("Decimal"):
        return _number(name, series.cast(polars.Float64).to_numpy(), dtype)
    if dtype == "Date" or dtype.startswith("Datetime"):
        ticks = series.cast(polars.Datetime("us")).to_numpy()
        return _dates(name, ticks.astype("datetime64[us]"), dtype)
    if dtype.startswith("Enum"):
        levels = np.asarray(series.dtype.categories.to_list())
        return _read_objects(name, series.cast(polars.String).to_list(), "Enum", levels, True)
    if dtype.startswith("Categorical"):
        return _read_objects(name, series.cast(polars.String).to_list(), "Categorical")
    if dtype not in ("String", "Utf8", "Boolean") and series.null_count() < len(series):
        _refuse_type(name, dtype)
    return _read_objects(name, series.to_list(), dtype)


def _refuse_type(name: str, dtype: str) -> NoReturn:
    raise ValueError(
        f"Column {name!r} is of type {dtype}, which is neither a number, a category nor a date. "
        f"Drop it, or turn it into columns of such types."
    )


def _is_missing(value: Any) -> bool:
    # NaN and NumPy's NaT differ from themselves.
    return type(value).__name__ in ("NoneType", "NAType", "NaTType") or (
        isinstance(value, float | np.generic) and bool(value != value)
    )


def _number(name: str, values: np.ndarray, dtype: str) -> Raw:
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise ValueError(
            f"Column {name!r} holds infinity, first in row {infinite[0]}. Replace it by a number."
        )
    if "int" in dtype.lower() and (np.abs(values) > _MOST_EXACT).any():
        raise ValueError(
            f"Column {name!r} holds integers beyond 2^53, which float64 does not tell apart. "
            f"Subtract a constant, or make them categories with astype(str)."
        )
    return Raw(name=name, kind="number", values=values, dtype=dtype)


def _dates(name: str, values: np.ndarray, dtype: str) -> Raw:
    is_missing = np.isnat(values)
    days = np.where(is_missing, np.nan, values.astype(np.int64) / TICKS)
    return Raw(name=name, kind="number" if is_missing.all() else "date", values=days, dtype=dtype)


def _read_objects(
    name: str,
    values: list[Any],
    dtype: str,
    categories: np.ndarray | None = None,
    is_ordered: bool = False,
) -> Raw:
    """Read levels, or the numbers that an array of objects holds."""
    is_missing = np.array([_is_missing(value) for value in values], dtype=bool)
    known = [value for value, gap in zip(values, is_missing, strict=True) if not gap]
    types = set(map(type, known))
    are_numbers = all(issubclass(kind, numbers.Real | np.bool_) for kind in types)
    are_flags = all(issubclass(kind, bool | np.bool_) for kind in types)
    if not known or (are_numbers and not are_flags and categories is None):
        cells = np.full(len(values), np.nan)
        cells[~is_missing] = known
        column = _number(name, cells, dtype)
        return replace(column, categories=categories, is_ordered=is_ordered)
    if not (are_numbers or all(issubclass(kind, str) for kind in types)):
        found = ", ".join(sorted(kind.__name__ for kind in types))
        raise ValueError(
            f"Column {name!r} holds values of type {found}, where a column of categories holds "
            f"strings, numbers or booleans only. Convert it with astype(str), or dates with "
            f"pandas.to_datetime."
        )
    array = np.full(len(values), None, dtype=object)
    array[~is_missing] = np.array(known, dtype=object)
    return Raw(
        name=name,
        kind="level",
        values=array,
        dtype=dtype,
        categories=categories,
        is_ordered=is_ordered,
    )
