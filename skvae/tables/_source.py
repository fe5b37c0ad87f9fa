"""Columns of a table as a user has it: a pandas or polars frame, or an array."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from scipy import sparse

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
        Numbers are float64, and so are dates, in days since 1970; levels are objects.
    values : ndarray of shape (n_samples,)
        The cells.
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


@dataclass(frozen=True, kw_only=True)
class Source:
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

    def take(self, rows: np.ndarray) -> Source:
        """Give the rows of a mask."""
        columns = [replace(column, values=column.values[rows]) for column in self.columns]
        return replace(self, columns=columns, n_samples=int(np.count_nonzero(rows)))


def library_of(X: Any) -> str | None:
    """Name the library of a frame; None if X is none."""
    library = type(X).__module__.partition(".")[0]
    return library if library in ("pandas", "polars") and hasattr(X, "columns") else None


def read_source(X: Any) -> Source:
    """Read a table.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_samples, n_features)
        Numbers have to be finite, and no cell may be missing.

    Raises
    ------
    ValueError
        If a column has cells that are missing, infinite, or of several types.
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
        names = [f"x{j}" for j in range(X.shape[1])]
        is_numeric = X.dtype.kind in "iuf"
        library = "array" if is_numeric else "objects"
        read = [
            _number(name, X[:, j].astype(np.float64), X.dtype.name)
            if is_numeric
            else _read_cells(name, X[:, j].tolist())
            for j, name in enumerate(names)
        ]
    return Source(library=library, names=names, columns=read, n_samples=X.shape[0])


def _read_pandas(series: Any, name: str) -> Raw:
    dtype = getattr(series.dtype, "subtype", series.dtype)  # of a sparse column
    _refuse_missing(name, series.isna())
    if hasattr(dtype, "categories"):
        values = series.astype(object).tolist()
        levels = np.array(dtype.categories.tolist(), dtype=object)
        return _read_objects(name, values, "category", levels, bool(dtype.ordered))
    if dtype.kind == "M":
        utc = series if getattr(dtype, "tz", None) is None else series.dt.tz_convert(None)
        return _dates(name, utc.to_numpy("datetime64[us]"), str(dtype))
    if dtype.kind in "iuf":
        return _number(name, series.to_numpy(dtype=np.float64), str(dtype))
    if dtype.kind not in "bOUT":
        _refuse_type(name, str(dtype))
    return _read_objects(name, series.astype(object).tolist(), str(dtype))


def _read_polars(series: Any, name: str) -> Raw:
    import polars  # a frame of its own is at hand

    dtype = str(series.dtype)
    _refuse_missing(name, series.is_null().to_numpy())
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
    if dtype not in ("String", "Utf8", "Boolean"):
        _refuse_type(name, dtype)
    return _read_objects(name, series.to_list(), dtype)


def _refuse_type(name: str, dtype: str) -> NoReturn:
    raise ValueError(
        f"Column {name!r} is of type {dtype}, which is neither a number, a category nor a date. "
        f"Drop it, or turn it into columns of such types."
    )


def _read_cells(name: str, values: list[Any]) -> Raw:
    _refuse_missing(name, [_is_missing(value) for value in values])
    return _read_objects(name, values, "object")


def _is_missing(value: Any) -> bool:
    # None, NaN, NaT and pandas' NA, which alone answers neither yes nor no.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def _refuse_missing(name: str, is_missing: Any) -> None:
    missing = np.flatnonzero(np.asarray(is_missing))
    if len(missing):
        raise ValueError(
            f"Column {name!r} has {len(missing)} missing cells, NaN or None, the first in row "
            f"{missing[0]}. Drop these rows, or fill them with SimpleImputer."
        )


def _number(name: str, values: np.ndarray, dtype: str) -> Raw:
    _refuse_missing(name, np.isnan(values))
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise ValueError(
            f"Column {name!r} holds infinity, first in row {infinite[0]}. Replace it by a number."
        )
    if "int" in dtype.lower() and np.abs(values).max(initial=0.0) > _MOST_EXACT:
        raise ValueError(
            f"Column {name!r} holds integers beyond 2^53, which float64 does not tell apart. "
            f"Subtract a constant, or make them categories with astype(str)."
        )
    return Raw(name=name, kind="number", values=values, dtype=dtype)


def _dates(name: str, values: np.ndarray, dtype: str) -> Raw:
    _refuse_missing(name, np.isnat(values))
    days = values.astype(np.int64) / TICKS
    return Raw(name=name, kind="date", values=days, dtype=dtype)


def _read_objects(
    name: str,
    values: list[Any],
    dtype: str,
    categories: np.ndarray | None = None,
    is_ordered: bool = False,
) -> Raw:
    """Read levels, or the numbers that an array of objects holds."""
    types = set(map(type, values))
    are_numbers = all(issubclass(kind, numbers.Real | np.bool_) for kind in types)
    are_flags = all(issubclass(kind, bool | np.bool_) for kind in types)
    if are_numbers and not are_flags and categories is None:
        return _number(name, np.array(values, dtype=np.float64), dtype)
    if not (are_numbers or all(issubclass(kind, str) for kind in types)):
        found = ", ".join(sorted(kind.__name__ for kind in types))
        raise ValueError(
            f"Column {name!r} holds values of type {found}, where a column of categories holds "
            f"strings, numbers or booleans only. Convert it with astype(str), or dates with "
            f"pandas.to_datetime."
        )
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return Raw(
        name=name,
        kind="level",
        values=array,
        dtype=dtype,
        categories=categories,
        is_ordered=is_ordered,
    )
