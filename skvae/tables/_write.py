"""Columns of cells as a frame of the library, or an array, that they were read from."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.tables._source import TICKS

if TYPE_CHECKING:
    from skvae.tables._table import Column


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
        Of each column.
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
        return np.column_stack([values.astype(object) for values in cells])
    module = importlib.import_module(library)
    write = _pandas_series if library == "pandas" else _polars_series
    series = [write(module, values, column) for values, column in zip(cells, columns, strict=True)]
    return write_columns(series, names, library)


def write_columns(columns: Sequence[Any], names: Sequence[Any], library: str) -> Any:
    """Give columns, arrays or of the library's own type, as a frame."""
    module = importlib.import_module(library)
    # Strings of NumPy are not the libraries'.
    are_strings = [isinstance(c, np.ndarray) and c.dtype.kind in "OU" for c in columns]
    read = [c.tolist() if s else c for c, s in zip(columns, are_strings, strict=True)]
    if library == "polars":
        return module.DataFrame(dict(zip(map(str, names), read, strict=True)))
    frame = module.DataFrame(dict(enumerate(read)))
    frame.columns = list(names)
    return frame


def as_dates(days: np.ndarray) -> np.ndarray:
    """Give days since 1970 as NumPy's dates."""
    return np.round(days * TICKS).astype("int64").astype("datetime64[us]")


def _pandas_series(pandas: Any, values: np.ndarray, column: Column) -> Any:
    if column.kind == "date":
        series = pandas.Series(as_dates(values))
        is_zoned = "," in column.dtype
        return (series.dt.tz_localize("UTC") if is_zoned else series).astype(column.dtype)
    if column.dtype == "category":
        assert column.categories is not None
        levels = column.categories.tolist()
        cells = pandas.Categorical(values.tolist(), levels, ordered=column.is_ordered)
        return pandas.Series(cells)
    return pandas.Series(values.tolist() if column.kind == "level" else values).astype(column.dtype)


def _polars_series(polars: Any, values: np.ndarray, column: Column) -> Any:
    name, _, options = column.dtype.partition("(")
    if column.kind == "date":
        series = polars.Series(as_dates(values))
        if name == "Date":
            return series.cast(polars.Date)
        unit = re.search("time_unit='(..)'", options)
        zone = re.search("time_zone='(.+)'", options)
        if zone:
            series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone[1])
        return series.dt.cast_time_unit(unit[1] if unit else "us")
    if name == "Enum":
        assert column.categories is not None
        return polars.Series(values.tolist(), dtype=polars.Enum(column.categories.tolist()))
    cells = values.tolist() if column.kind == "level" else values
    return polars.Series(cells).cast(getattr(polars, name))
