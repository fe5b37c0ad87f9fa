"""What goes into a graph and comes out of it: arrays, or the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae.inference import Fitted
from skvae.onnx._rows import (
    decode_column,
    encode_column,
    has_strings,
    levels_by_place,
    unknown_place,
)
from skvae.tables import Column


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or an output.

    Attributes
    ----------
    name : str
        Its name.
    dtype : torch.dtype
        Of what torch sees of it.
    width : int or None
        Its columns; None for a single one, of shape (rows,).
    places : mapping of str to float or None
        What takes the place of strings of an input; NaN is a missing cell.
    unknown : float
        What takes the place of any other string.
    strings : sequence of str or None
        What an output's places are, if they stand for strings.
    kept : str or None
        Input whose cells an output of strings keeps, unless they are missing.
    """

    name: str
    dtype: torch.dtype
    width: int | None = None
    places: Mapping[str, float] | None = None
    unknown: float = np.nan
    strings: Sequence[str] | None = None
    kept: str | None = None

    def example(self) -> Tensor:
        """Give what an input may be, of two rows."""
        return torch.zeros((2,) if self.width is None else (2, self.width), dtype=self.dtype)


class ArrayRows:
    """Rows that come as one array X, float32.

    Parameters
    ----------
    fitted : Fitted
        A model whose table, if it has one, was an array.
    """

    def __init__(self, fitted: Fitted) -> None:
        self.table = fitted.table
        self.dtype = torch.float32 if fitted.table is None else torch.float64
        self.width = fitted.view.n_columns if fitted.table is None else len(fitted.table.columns)
        self.inputs = [Port(name="X", dtype=torch.float32, width=self.width)]

    def read(self, tensors: Sequence[Tensor]) -> Tensor:
        """Numbers that the model takes, (rows, n_numbers), float64."""
        (X,) = tensors
        if self.table is None:
            return X.double()
        cells = X.double().unbind(1)
        return encoded(self.table.columns, cells, self.table.places)

    def outputs(self, name: str, fills: bool) -> list[Port]:
        """Give what rows are given out as; ``fills`` says whether known cells stay."""
        return [Port(name=name, dtype=torch.float32, width=self.width)]

    def write(self, numbers: Tensor, given: Sequence[Tensor] | None) -> tuple[Tensor, ...]:
        """Give numbers out, with the known cells of ``given``."""
        rows = numbers
        if self.table is not None:
            cells = decoded(self.table.columns, numbers, self.table.places)
            nothing = torch.full_like(numbers[:, 0], torch.nan)
            rows = torch.stack([nothing if cell is None else cell for cell in cells], 1)
        if given is not None:
            rows = torch.where(given[0].isnan(), rows, given[0].double())
        return (rows.float(),)


class ColumnRows:
    """Rows that come as the columns of a table, by name.

    Numbers, dates and booleans are float64, NaN where they are missing: dates as days since 1970,
    booleans as 0 and 1. Strings are strings, empty where they are missing. A column without a cell
    at fit is none.

    Parameters
    ----------
    fitted : Fitted
        A model of a table.

    Raises
    ------
    ValueError
        If a column takes no unknown levels.
    """

    def __init__(self, fitted: Fitted) -> None:
        table = fitted.table
        assert table is not None
        self.table, self.dtype = table, torch.float64
        self.columns = [(i, c) for i, c in enumerate(table.columns) if c.kind != "missing"]
        self.inputs = [_input(str(table.names[i]), column) for i, column in self.columns]

    def read(self, tensors: Sequence[Tensor]) -> Tensor:
        """Numbers that the model takes, (rows, n_numbers), float64."""
        cells: list[Any] = [torch.full_like(tensors[0], torch.nan)] * len(self.table.columns)
        for (i, _), tensor in zip(self.columns, tensors, strict=True):
            cells[i] = tensor
        return encoded(self.table.columns, cells, self.table.places)

    def outputs(self, name: str, fills: bool) -> list[Port]:
        """Give what rows are given out as; ``fills`` says whether known cells stay."""
        return [
            Port(
                name=f"{name}.{port.name}",
                dtype=torch.float64 if port.places is None else torch.int64,
                strings=None if port.places is None else levels_by_place(column).tolist(),
                kept=port.name if fills and port.places is not None else None,
            )
            for port, (_, column) in zip(self.inputs, self.columns, strict=True)
        ]

    def write(self, numbers: Tensor, given: Sequence[Tensor] | None) -> tuple[Tensor, ...]:
        """Give numbers out, with the known cells of ``given``; of strings their places."""
        all_cells = decoded(self.table.columns, numbers, self.table.places)
        cells = [cell for cell in all_cells if cell is not None]
        if given is None:
            return tuple(cells)
        return tuple(
            torch.where(own.isnan(), cell, own) if port.places is None else cell
            for port, cell, own in zip(self.inputs, cells, given, strict=True)
        )


def _input(name: str, column: Column) -> Port:
    levels = column.levels
    if levels is not None and levels.handle_unknown == "error" and not levels.is_pooled:
        raise ValueError(
            f"Column {name!r} has handle_unknown='error', and a graph can raise no error. Fit with "
            f"Categorical(handle_unknown='missing'), or pool rare levels, to export the model."
        )
    if not has_strings(column):
        return Port(name=name, dtype=torch.float64)
    assert levels is not None
    places = dict(zip(levels.values.tolist(), levels.places.tolist(), strict=True))
    return Port(
        name=name,
        dtype=torch.float64,
        places={"": np.nan} | {level: float(place) for level, place in places.items()},
        unknown=unknown_place(column),
    )


def encoded(columns: Sequence[Column], cells: Sequence[Tensor], places: Sequence[slice]) -> Tensor:
    """Numbers of a table's columns: ``Table.encode``."""
    numbers = [
        cell[:, None].expand(-1, column.width) * torch.nan
        if column.kind == "missing"
        else encode_column(column, cell)
        for column, cell in zip(columns, cells, strict=True)
    ]
    order = np.argsort([place.start for place in places])
    return torch.cat([numbers[i] for i in order], 1)


def decoded(
    columns: Sequence[Column], numbers: Tensor, places: Sequence[slice]
) -> list[Tensor | None]:
    """Cells of numbers: ``Table.decode``; None of a column that had no cells at fit."""
    return [
        None if column.kind == "missing" else decode_column(column, numbers[:, place])
        for column, place in zip(columns, places, strict=True)
    ]


def rows_of(fitted: Fitted) -> ArrayRows | ColumnRows:
    """Give how rows come to a model."""
    is_array = fitted.table is None or fitted.table.library == "array"
    return ArrayRows(fitted) if is_array else ColumnRows(fitted)
