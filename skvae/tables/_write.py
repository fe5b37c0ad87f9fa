"""Columns of cells as a frame of the library, or an array, that they were read from."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.tables._raw import TICKS

if TYPE_CHECKING:
    from skvae.tables._table import Column

# Types of polars that need others, or numbers, to be whole; their columns had no cells.
_NESTED = ("Array", "Decimal", "List", "Struct")


def write_table(
    cells: Sequence[np.ndarray],
    columns: Sequence[Column],
    names: Sequence[Any],
    library: str,
    dtype: np.dtype,
) -> Any:
    """Give a table.

    Parameters
    ----------
    cells : list of ndarray of shape (n_samples,)
        Of each column; NaN or None where they are missing.
    columns : list of Column
        What they were at fit.
    names : list
        Their names.
    library : {"pandas", "polars", "array", "objects"}
        What to make.
    dtype : dtype
        Of an array.
    """
    if library == "array":
        return np.column_stack(cells).astype(dtype)
    if library == "objects":
        return np.column_stack([_as_objects(values) for values in cells])
    module = importlib.import_module(library)
    write = _pandas_series if library == "pandas" else _polars_series
    series = [
        values if _is_new(values, column) else write(module, values, column)
        for values, column in zip(cells, columns, strict=True)
    ]
    return write_columns(series, names, library)


def write_columns(columns: Sequence[Any], names: Sequence[Any], library: str) -> Any:
    """Give columns, arrays or of the library's own type, as a frame.

    Cells that are NaN or None are missing, in the library's own way.
    """
    module = importlib.import_module(library)
    # Strings of NumPy are not the libraries'.
    are_strings = [isinstance(c, np.ndarray) and c.dtype.kind in "OU" for c in columns]
    read = [c.tolist() if s else c for c, s in zip(columns, are_strings, strict=True)]
    if library == "polars":
        return module.DataFrame(dict(zip(map(str, names), read, strict=True)), nan_to_null=True)
    frame = module.DataFrame(dict(enumerate(read)))
    frame.columns = list(names)
    return frame


def as_dates(days: np.ndarray) -> np.ndarray:
    """Give days since 1970 as NumPy's dates, NaT where they are missing."""
    is_missing = np.isnan(days)
    ticks = np.round(np.where(is_missing, 0.0, days) * TICKS).astype("int64")
    return np.where(is_missing, np.datetime64("NaT", "us"), ticks.astype("datetime64[us]"))


def plain(values: np.ndarray, column: Column) -> np.ndarray:
    """Give cells of a column in the type that any library takes them."""
    if column.kind == "date":
        return as_dates(values)
    if not _are_integers(values, column):
        return values
    is_known = ~np.isnan(values)
    if is_known.all():
        return values.astype(np.int64)
    cells = np.full(len(values), None, dtype=object)
    cells[is_known] = values[is_known].astype(np.int64)
    return cells


def _are_integers(values: np.ndarray, column: Column) -> bool:
    """Say whether a column held integers at fit, of a type that holds these values, too."""
    found = re.match(r"(u?)int(\d+)", column.dtype.lower())
    if column.kind != "number" or not found:
        return False
    n_bits = int(found[2]) - (not found[1])
    low, high = (0.0 if found[1] else -(2.0**n_bits)), 2.0**n_bits
    known = values[~np.isnan(values)]
    return bool(((known == np.round(known)) & (known >= low) & (known < high)).all())


def _is_new(values: np.ndarray, column: Column) -> bool:
    """Say whether there are cells of a column that had none at fit: their type is their own."""
    return column.kind == "missing" and set(values) != {None}


def _as_objects(values: np.ndarray) -> np.ndarray:
    cells = values.astype(object)
    cells[values != values] = None  # NaN
    return cells


def _with_new(levels: np.ndarray, cells: np.ndarray) -> list[Any]:
    """Declared levels, and after them those of cells that are not among them."""
    order = dict.fromkeys([*levels.tolist(), *cells.tolist()])
    order.pop(None, None)
    return list(order)


def _pandas_series(pandas: Any, values: np.ndarray, column: Column) -> Any:
    if column.kind == "date":
        series = pandas.Series(as_dates(values))
        is_zoned = "," in column.dtype
        return (series.dt.tz_localize("UTC") if is_zoned else series).astype(column.dtype)
    if column.dtype == "category":
        assert column.categories is not None
        levels = _with_new(column.categories, values)
        cells = pandas.Categorical(values.tolist(), levels, ordered=column.is_ordered)
        return pandas.Series(cells)
    series = pandas.Series(values, dtype=float if column.kind == "number" else object)
    dtype = pandas.api.types.pandas_dtype(column.dtype)
    # What the type cannot hold is of the type that pandas makes of it.
    has_gap = isinstance(dtype, np.dtype) and dtype.kind in "iub" and series.isna().any()
    is_number = column.kind == "number"
    is_beyond = is_number and dtype.kind in "iu" and not _are_integers(values, column)
    return series if has_gap or is_beyond else series.astype(dtype)


def _polars_series(polars: Any, values: np.ndarray, column: Column) -> Any:
    name, _, options = column.dtype.partition("(")
    if name in ("Date", "Datetime"):
        series = polars.Series(as_dates(values.astype(np.float64)))
        if name == "Date":
            return series.cast(polars.Date)
        unit = re.search("time_unit='(..)'", options)
        zone = re.search("time_zone='(.+)'", options)
        if zone:
            series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone[1])
        return series.dt.cast_time_unit(unit[1] if unit else "us")
    if name == "Enum":
        assert column.categories is not None
        levels = _with_new(column.categories, values)
        return polars.Series(values.tolist(), dtype=polars.Enum(levels))
    if column.kind != "number":
        series = polars.Series(values.tolist())
        return series if name in _NESTED else series.cast(getattr(polars, name))
    series = polars.Series(values, nan_to_null=True)
    is_beyond = "Int" in name and not _are_integers(values, column)
    return series if is_beyond else series.cast(getattr(polars, name))
