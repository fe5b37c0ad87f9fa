"""Rows as a graph reads them: what ``tables`` does with arrays, in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae.onnx._operators import cholesky, find, solve_lower
from skvae.tables import PER_LIBRARY, Batch, Column, Gaps, Table, View

_LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "log": torch.log,
    "log1p": torch.log1p,
    PER_LIBRARY: torch.log1p,
}


def constant(array: Any) -> Tensor:
    """Numbers of a fit as a float64 tensor of its own."""
    return torch.from_numpy(np.array(array, dtype=np.float64))


def read_batch(view: View, X: Tensor, dtype: torch.dtype, with_gaps: bool) -> Batch:
    """Give rows as training sees them: ``tables.convert``.

    Parameters
    ----------
    view : View
        Units of the fit.
    X : Tensor of shape (rows, n_columns)
        Numbers, float64, NaN where a cell is missing.
    dtype : torch.dtype
        Of the batch.
    with_gaps : bool
        Whether cells may be missing.

    Returns
    -------
    batch : Batch
        Without weights.
    """
    gaps, observed = view.gaps, None
    shift, scale = constant(view.shift), constant(view.scale)
    offset, inputs = _inputs(view, X)
    parts: dict[str, Any] = {"target": (X - shift) / scale}
    if gaps is not None and with_gaps:
        observed = ~X.isnan() & torch.tensor(~gaps.unseen)
        filler = (constant(gaps.filler) - shift) / scale
        inputs, factor = _fill(gaps, inputs, observed)
        parts = {"target": torch.where(observed, parts["target"], filler), "observed": observed}
        parts |= {} if factor is None else {"factor": factor}
    if gaps is not None and view.n_masks:
        masks = torch.ones_like(X) if observed is None else observed
        inputs = torch.cat([inputs, masks[:, torch.tensor(gaps.columns)].to(X)], 1)
    parts |= {"inputs": inputs} | ({} if offset is None else {"offset": offset})
    return Batch(**{name: part.to(dtype) for name, part in parts.items()})


def _inputs(view: View, X: Tensor) -> tuple[Tensor | None, Tensor]:
    """Offset of the rows, and what the encoder is shown of their columns: ``View.inputs``."""
    targets = (X - constant(view.shift)) / constant(view.scale)
    counted = np.broadcast_to(np.equal(view.link, PER_LIBRARY), view.n_columns)
    offset = None
    if counted.any():
        ones, least = constant(counted), torch.tensor(0.5).double()
        total = (X.nan_to_num() * ones).sum(1, keepdim=True)
        expected = ((~X.isnan()).double() * ones * constant(view.mean)).sum(1, keepdim=True)
        size = torch.maximum(total, least) / torch.maximum(expected, least)
        X = torch.where(torch.tensor(counted), X / size, X)
        offset = size.log() * constant(np.atleast_1d(np.equal(view.link, PER_LIBRARY)))
    for name, link in _LINKS.items():
        columns = np.broadcast_to(np.equal(view.link, name), view.n_columns)
        if columns.any():
            targets = torch.where(torch.tensor(columns), link(X), targets)
    return offset, targets


def _fill(gaps: Gaps, inputs: Tensor, observed: Tensor) -> tuple[Tensor, Tensor | None]:
    """Fill rows with their conditional expectation: ``Gaps.fill``.

    The latents are taken in the reverse order. If M = C C' in that order, then M^-1 = C'^-1 C^-1,
    and C'^-1, an upper triangle, is the lower triangle that is wanted with the order reversed
    again. So one triangle is inverted for the mean and for the factor.
    """
    loadings = constant(gaps.loadings[:, ::-1].copy())  # (d, k)
    center, unit = constant(gaps.center), constant(gaps.unit)
    eye = torch.eye(loadings.shape[1], dtype=torch.float64)
    residual = torch.where(observed, (inputs - center) / unit, 0.0)
    seen = loadings.t() * observed[:, None, :]  # (rows, k, d)
    inverse = solve_lower(cholesky(seen @ loadings + eye), eye)
    mean = inverse.mT @ (inverse @ (seen @ residual[..., None]))
    expected = center + unit * (mean.squeeze(-1) @ loadings.t())
    filled = torch.where(observed, inputs, expected)
    if not gaps.of_latents:
        return filled, None
    std = constant(np.sqrt(1.0 + np.square(gaps.loadings.astype(np.float64)).sum(0)))
    if gaps.n_factor == len(eye):
        precision = torch.diagonal(seen @ loadings + eye, dim1=1, dim2=2)
        return filled, std / precision.flip(-1).sqrt()
    return filled, inverse.mT.flip(-1, -2) * std


def log_jacobian(
    view: View, table: Table | None, numbers: Tensor, observed: Tensor | None
) -> Tensor:
    """What a log-density of targets is more than that of the table's, (1,) or (rows,)."""
    logs = constant(np.log(view.scale))
    shift = logs.sum()[None] if observed is None else observed.double() @ logs
    if table is None or not table.has_scores:
        return shift
    for place, column in zip(table.places, table.columns, strict=True):
        if column.scores is not None:
            own = numbers[:, place.start]
            piece = _piece(constant(column.scores.scores), own)
            slope = constant(np.log(column.scores.slopes))[piece]
            there = 1.0 if observed is None else observed[:, place.start].double()
            shift = shift - slope * there
    return shift


def _piece(knots: Tensor, places: Tensor) -> Tensor:
    return find(knots, places, right=True).clamp(1, len(knots) - 1) - 1


def _bend(places: Tensor, knots: np.ndarray, values: np.ndarray) -> Tensor:
    """Piecewise linear function by its values at knots: ``Scores.there`` and ``back``."""
    piece = _piece(constant(knots), places)
    slopes = constant(np.diff(values) / np.diff(knots))
    return constant(values)[piece] + (places - constant(knots)[piece]) * slopes[piece]


def encode_column(column: Column, cells: Tensor) -> Tensor:
    """Numbers of a column, (rows, width): ``Column.encode``.

    Parameters
    ----------
    column : Column
        As it was at fit.
    cells : Tensor of shape (rows,)
        Float64, NaN where they are missing; of strings the places of their levels.

    Returns
    -------
    numbers : Tensor of shape (rows, width)
        Float64.
    """
    if column.levels is None:
        scores = column.scores
        values = cells if scores is None else _bend(cells, scores.values, scores.scores)
        return values[:, None]
    place = cells if has_strings(column) else _places(column, cells)
    if column.coding == "codes":
        return place[:, None]
    indicators = (place[:, None] == torch.arange(column.width)).double()
    return torch.where(place.isnan()[:, None], torch.nan, indicators)


def has_strings(column: Column) -> bool:
    """Whether the cells of a column are strings."""
    return (
        column.kind == "level"
        and column.levels is not None
        and column.levels.values.dtype.kind in "OU"
    )


def unknown_place(column: Column) -> float:
    """Where a level goes that fit did not see."""
    assert column.levels is not None
    return column.levels.n_places - 1.0 if column.levels.is_pooled else np.nan


def _places(column: Column, cells: Tensor) -> Tensor:
    """Places of the levels of numbers or flags: ``Levels.find``."""
    levels = column.levels
    assert levels is not None
    values, places = constant(levels.values), constant(levels.places)
    if column.kind != "level":
        place = places[find(0.5 * (values[1:] + values[:-1]), cells)]
    else:
        is_level = cells[:, None] == values
        place = (is_level.double() * places).sum(1)
        place = torch.where(is_level.any(1), place, unknown_place(column))
    return torch.where(cells.isnan(), torch.nan, place)


def decode_column(column: Column, numbers: Tensor) -> Tensor:
    """Cells of numbers (rows, width), shape (rows,): ``Column.decode``.

    Of strings it gives the places of their levels, int64.
    """
    levels = column.levels
    if levels is None:
        values = numbers[:, 0]
        if column.scores is not None:
            values = _bend(values, column.scores.scores, column.scores.values)
        if column.step:
            values = (values / column.step).round() * column.step
        return values.clamp(column.minimum, column.maximum)
    if column.coding == "indicators":
        place = numbers.argmax(1)
    else:
        place = numbers[:, 0].round().clamp(0, levels.n_places - 1).long()
    return place if has_strings(column) else constant(levels_by_place(column))[place]


def levels_by_place(column: Column) -> np.ndarray:
    """Give the level that a place is decoded to."""
    assert column.levels is not None
    return column.levels.give(np.arange(column.levels.n_places), None)
