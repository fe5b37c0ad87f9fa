"""Columns of frames and arrays alike: where cells are missing, and some columns of all."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from skvae.tables._raw import library_of, read_raw_table
from skvae.tables._write import write_columns


def missing_cells(X: Any) -> np.ndarray:
    """Say which cells of a frame or an array are missing, (n_samples, n_features)."""
    if library_of(X) is None and X.dtype.kind == "f":
        return np.isnan(X)
    return np.column_stack([column.is_missing for column in read_raw_table(X).columns])


def as_missing(X: Any, value: Any) -> Any:
    """Give rows with gaps where a frame or an array has a value that stands for them."""
    library = library_of(X)
    if library == "pandas":
        return X.mask(X == value)
    if library == "polars":
        polars = importlib.import_module(library)
        same = [
            polars.Series([cell == value for cell in X[name]], dtype=polars.Boolean)
            for name in X.columns
        ]
        each = zip(X.columns, same, strict=True)
        return X.with_columns(
            [polars.when(own).then(None).otherwise(X[name]).alias(name) for name, own in each]
        )
    array = np.asarray(X)
    if array.dtype.kind in "iufb":
        return np.where(array == value, np.nan, array)
    cells = array.astype(object)
    cells[array == value] = None
    return cells


def take_columns(X: Any, columns: np.ndarray | Sequence[Any]) -> Any:
    """Give some columns of an array or a frame: by a mask, or a frame's by their names."""
    library = library_of(X)
    if library is None:
        return X[:, columns]
    if isinstance(columns, np.ndarray) and columns.dtype == bool:
        return X.iloc[:, columns] if library == "pandas" else X[:, np.flatnonzero(columns).tolist()]
    return X[list(columns)]


def join_columns(X: Any, further: Any, names: Sequence[str] | None = None) -> Any:
    """Put further columns, of an array by their names or of such a frame, beside those of X."""
    library = library_of(X)
    if library is None:
        return np.hstack([X, further])
    module = importlib.import_module(library)
    if library == "polars":
        if names is not None:
            further = module.DataFrame(dict(zip(names, further.T, strict=True)))
        return module.concat([X, further], how="horizontal")
    if names is not None:
        further = module.DataFrame(further, columns=list(names), index=X.index)
    return module.concat([X, further], axis=1)


def as_rows_of(X: Any, cells: np.ndarray) -> Any:
    """Give an array with a row and a column for each of X as a frame, where X is one."""
    library = library_of(X)
    if library is None:
        return cells
    frame = write_columns(list(cells.T), list(X.columns), library)
    if library == "pandas":
        frame.index = X.index
    return frame
