"""A likelihood at raw output as a fit would give it, and quadrature over one of its cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae.likelihoods import Likelihood, log_constant
from skvae.starts import Prepared, prepare
from skvae.tables import ColumnRanges

# Rows of a case, and cells of which sums and integrals are taken.
_ROWS = 6
_CELLS = 8

# Half the range and number of steps of the double-exponential rule.
_RANGE, _STEPS = 6.0, 9600


@dataclass(frozen=True, kw_only=True)
class Case:
    """A likelihood with targets of X and raw output not far from them, in float64.

    Attributes
    ----------
    likelihood : Likelihood
        What is checked.
    prepared : Prepared
        Units and response by all rows of X.
    raw : Tensor of shape (draws, rows, n_raw)
        Raw output of a decoder.
    target : Tensor of shape (rows, n_targets)
        Some rows of X in the view's units.
    parameters : list of Tensor
        Shared by all rows.
    observed : Tensor of shape (rows, n_targets) or None
        Which cells count.
    """

    likelihood: Likelihood
    prepared: Prepared
    raw: Tensor
    target: Tensor
    parameters: Sequence[Tensor]
    observed: Tensor | None = None

    @property
    def n_targets(self) -> int:
        """Number of the likelihood's columns."""
        return self.target.shape[1]

    def with_mask(self) -> Case:
        """Leave out a random half of the cells."""
        drawn = np.random.default_rng(5).random(tuple(self.target.shape)) < 0.5
        return replace(self, observed=by_cell(self.likelihood, torch.from_numpy(drawn)))

    def refuses(self, column: int, value: float) -> bool:
        """Whether ``check`` refuses this value of a column."""
        row = self.prepared.view.back(self.target[0].numpy())
        row[column] = value
        return self.likelihood.has_domain and refusal(self.likelihood, row, None) is not None

    def support(self, column: int) -> str:
        """Tell what a cell may be by what ``check`` refuses."""
        if self.likelihood.of_probabilities:
            return "binary"
        below, between, above = (self.refuses(column, value) for value in (-1.0, 0.5, 2.0))
        if between:
            return "binary" if above else "counts"
        return ("unit interval" if above else "positive") if below else "real"

    def group(self, column: int) -> range:
        """Columns of a column's cell."""
        groups = groups_of(self.likelihood, self.n_targets)
        return next(group for group in groups if column in group)

    def cells(self) -> list[int]:
        """Columns of which sums and integrals are taken: all, or a few spread evenly."""
        n = self.n_targets
        return np.unique(np.linspace(0, n - 1, min(n, _CELLS)).astype(int)).tolist()

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the first row's cells that the likelihood states, in X's units."""
        raw, view = self.raw[0, 0], self.prepared.view
        mean = self.likelihood.mean(raw, self.parameters)
        variance = self.likelihood.variance(raw, self.parameters).expand(mean.shape)
        return view.back(mean.numpy()), variance.numpy() * view.scale**2

    def log_density(self, column: int, values: np.ndarray) -> np.ndarray:
        """Log-density in X's units of one cell of the first row at these values of a column."""
        target = self.target[:1].repeat(len(values), 1)
        view = self.prepared.view
        units = (values - view.shift[column]) / view.scale[column]
        target[:, column] = torch.from_numpy(units)
        observed = torch.zeros_like(target)
        observed[:, self.group(column)] = 1.0
        raw = self.raw[:1, :1].expand(1, len(values), -1)
        log_p = self.likelihood.log_prob(raw, target, observed, self.parameters)[0]
        log_p = log_p + log_constant(self.likelihood, target, observed)
        return log_p.numpy() - math.log(view.scale[column])


def groups_of(likelihood: Likelihood, n_targets: int) -> list[range]:
    """Columns of each cell: one, or several such as the indicators of a category."""
    sizes = likelihood.group_sizes(n_targets) or (1,) * n_targets
    ends = np.cumsum(sizes).tolist()
    return [range(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def by_cell(likelihood: Likelihood, drawn: Tensor) -> Tensor:
    """Mask of whole cells: of each, what was drawn for its first column."""
    first = [group[0] for group in groups_of(likelihood, drawn.shape[1]) for _ in group]
    return drawn[:, first].double()


@torch.no_grad()
def make_case(likelihood: Likelihood, X: Any, n_draws: int = 2) -> Case:
    """Take rows of X, and raw output around the intercept-only model with the start's noise."""
    X = np.asarray(X, dtype=np.float64)
    if X.ndim != 2 or len(X) < _ROWS:
        raise ValueError(f"X must be a table of at least {_ROWS} rows. Got the shape {X.shape}.")
    prepared = prepare(X, None, likelihood, 1)
    rng = np.random.default_rng(0)
    response, view = prepared.response, prepared.view
    width = likelihood.width(view.n_targets)
    parameters = [torch.zeros(s, dtype=torch.float64) for s in _shapes(likelihood, view.n_targets)]
    bias = torch.zeros(width.extra, dtype=torch.float64)
    likelihood.start_noise(parameters, bias, prepared.principal().noise, response)
    # Off the start, so that shared parameters and cells differ from each other.
    for parameter in parameters:
        parameter += 0.1 * torch.from_numpy(rng.standard_normal(tuple(parameter.shape)))
    shape = (n_draws, _ROWS)
    step = 0.5 * np.minimum(response.gain, 1.0)
    location = response.natural + step * rng.standard_normal((*shape, width.location))
    extra = bias.numpy() + 0.3 * rng.standard_normal((*shape, width.extra))
    return Case(
        likelihood=likelihood,
        prepared=prepared,
        raw=torch.from_numpy(np.concatenate([location, extra], -1)),
        target=torch.from_numpy(view.targets(X[rng.permutation(len(X))[:_ROWS]])),
        parameters=parameters,
    )


def _shapes(likelihood: Likelihood, n_targets: int) -> list[tuple[int, ...]]:
    return [tuple(shape) for shape in likelihood.parameter_shapes(n_targets)]


def refusal(likelihood: Likelihood, values: np.ndarray, names: Sequence[str] | None) -> str | None:
    """Say what ``check`` says of a row of these values, or None where it lets them pass."""
    try:
        likelihood.check(ColumnRanges(values[None], names))
    except ValueError as error:
        return str(error)
    return None


def nodes(kind: str, mean: float, std: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of a cell, and the weights by which sums over them are sums or integrals.

    A density is integrated by the trapezoid rule after x = mean + std sinh(pi / 2 sinh t), which
    reaches 1e137 standard deviations, so that tails of any power end (Takahasi and Mori 1974). Of
    positive numbers it is the logarithm, of shares the logit, that is taken so.
    """
    if kind == "binary":
        return np.array([0.0, 1.0]), np.ones(2)
    if kind == "counts":
        values = np.arange(math.ceil(mean + 40.0 * std) + 100.0)
        return values, np.ones_like(values)
    t = np.linspace(-_RANGE, _RANGE, _STEPS + 1)
    s, weight = 0.5 * math.pi * np.sinh(t), 0.5 * math.pi * np.cosh(t) * (t[1] - t[0])
    if kind == "real":
        return mean + std * np.sinh(s), std * np.cosh(s) * weight
    if kind == "positive":
        share = min(std / mean, 1.0)
        kept = np.abs(s) < 150.0
        values = mean * np.exp(share * s[kept])
        return values, values * share * weight[kept]
    kept = np.abs(s) < 30.0
    values = 1.0 / (1.0 + np.exp(-s[kept]))
    return values, values * (1.0 - values) * weight[kept]
