"""The ordinal likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from skvae._core.checks import check_choice
from skvae._core.flat import Pullback, Shape
from skvae._core.math import logistic, soft_bound, soft_bound_inverse, soft_bound_vjp
from skvae.likelihoods._base import Likelihood, Response
from skvae.tables import Coding, ColumnRanges, Moments, View

# Thresholds below the first level and above the last: beyond them nothing is left.
_END = 1e30

# Least share of a level at the start: its thresholds stay apart.
_LEAST_SHARE = 1e-6

# Largest distance of two thresholds whose exponential float32 holds.
_FAR = 80.0


class Ordinal(Likelihood):
    """P(x_j <= c | z) = sigmoid(t_jc - decoder(z)_j), with thresholds t that all rows share.

    Domain: levels with an order, such as grades; in a table a column is read as the level's place,
    from 0. Link: cumulative logit. One number moves a row along all levels, where ``Categorical``
    has one for each.

    Parameters
    ----------
    handle_unknown : {"missing", "error"}, default="missing"
        What a level is that comes later than at fit: a missing cell, or an error.
    shares : tuple of tuple of float, default=None
        Share of the rows at each level of each column, from which the thresholds start, for an X
        that holds places already. By default they are read from the table.

    References
    ----------
    .. [1] McCullagh (1980), "Regression models for ordinal data", JRSS B 42, eq. 2.5.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, likelihood="ordinal", max_iter=0).fit(X[:, 2:6])
    >>> np.unique(vae.sample(100, random_state=0)).max()
    np.float64(16.0)
    """

    has_domain = True
    is_written = True

    def __init__(
        self,
        *,
        handle_unknown: str = "missing",
        shares: tuple[tuple[float, ...], ...] | None = None,
    ) -> None:
        self.handle_unknown = handle_unknown
        self.shares = shares

    @property
    def coding(self) -> Coding:  # type: ignore[override]
        """Levels become their places."""
        if self.shares is not None:
            return Coding()
        check_choice(self, "handle_unknown", ("missing", "error"))
        return Coding("codes", handle_unknown=self.handle_unknown)

    def for_levels(self, counts: Sequence[np.ndarray]) -> Likelihood:
        """Give the likelihood of places."""
        shares = tuple(tuple((count / count.sum()).tolist()) for count in counts)
        return type(self)(**{**self.get_params(deep=False), "shares": shares})

    def _n_levels(self, n_targets: int) -> np.ndarray:
        sizes = np.array([len(levels) for levels in self.shares or ()])
        if len(sizes) != n_targets:
            raise ValueError(
                f"shares of Ordinal must hold one tuple for each of the {n_targets} columns of X. "
                f"Got {len(sizes)}."
            )
        return sizes

    def check(self, columns: ColumnRanges) -> None:
        """Raise ValueError if a place is none."""
        last = self._n_levels(len(columns.minimum)) - 1
        wrong = (columns.minimum < 0) | (columns.maximum > last) | ~columns.is_whole
        if wrong.any():
            j = int(wrong.argmax())
            raise ValueError(
                f"likelihood=Ordinal(shares=...) takes places of levels: whole numbers from 0, up "
                f"to {last[j]} in {columns.name(j)}. Got values from {columns.minimum[j]:g} to "
                f"{columns.maximum[j]:g}. Give the levels themselves, with likelihood='ordinal'."
            )

    def parameter_shapes(self, n_targets: int) -> list[Shape]:
        """First threshold, then the logs of the distances, padded to the most levels."""
        return [self._is_within(n_targets).shape]

    def view(self, moments: Moments, inputs: Moments) -> View:
        """Places are the targets; the encoder is shown them standardised."""
        std = np.sqrt(moments.variance)
        inverse = np.divide(1.0, std, out=np.zeros_like(std), where=std > 0)
        return View(
            mean=moments.mean,
            total_variance=moments.times(inverse).total_variance,
            shift=np.zeros_like(std),
            scale=np.ones_like(std),
            input_shift=moments.mean,
            input_scale=inverse,
            unit=inverse,
        )

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Residuals over their deviation, and a location that moves the mean place as much."""
        variance = moments.variance
        spread = np.sqrt(np.where(variance > 0, variance, 1.0))
        density = logistic(self._thresholds) * logistic(-self._thresholds)
        slope = density.sum(1)
        return Response(
            natural=np.zeros_like(spread),
            spread=spread,
            gain=np.divide(spread, slope, out=np.ones_like(spread), where=slope > 0),
            noise="unit",
        )

    @property
    def _thresholds(self) -> np.ndarray:
        """Thresholds of the intercept-only model, those beyond a column's levels at the end."""
        assert self.shares is not None
        most = max(map(len, self.shares))
        thresholds = np.full((len(self.shares), max(most - 1, 1)), _END)
        for row, levels in zip(thresholds, self.shares, strict=True):
            share = np.maximum(levels, _LEAST_SHARE)
            below = np.cumsum(share / share.sum())[:-1]
            row[: len(below)] = np.log(below) - np.log1p(-below)
        return thresholds

    def start_noise(
        self,
        parameters: Sequence[Tensor],
        extra_bias: Tensor,
        noise_variance: np.ndarray,
        response: Response,
    ) -> None:
        """Set the thresholds; the noise of the logistic is what it is."""
        thresholds = self._thresholds
        gaps = np.diff(thresholds, axis=1).clip(_LEAST_SHARE, _FAR)
        with torch.no_grad():
            parameters[0][:, :1] = torch.from_numpy(thresholds[:, :1])
            parameters[0][:, 1:] = soft_bound_inverse(torch.from_numpy(gaps).log())

    def _is_within(self, n_targets: int) -> np.ndarray:
        """Which thresholds part two levels of their column, (n_targets, most levels - 1)."""
        sizes = self._n_levels(n_targets)[:, None]
        return np.arange(max(int(sizes.max()) - 1, 1)) < sizes - 1

    def _ordered(self, parameter: Tensor) -> tuple[Tensor, Tensor]:
        """Thresholds in ascending order, and the distances to the ones before them."""
        distances = soft_bound(parameter[:, 1:]).exp()
        thresholds = torch.cat([parameter[:, :1], distances], 1).cumsum(1)
        is_within = torch.from_numpy(self._is_within(len(parameter))).to(parameter.device)
        return (
            thresholds.masked_fill(~is_within, _END),
            distances.masked_fill(~is_within[:, 1:], _END),
        )

    def log_prob(
        self, raw: Tensor, target: Tensor, observed: Tensor | None, parameters: Sequence[Tensor]
    ) -> Tensor:
        """Log-probability of the observed cells, shape (draws, rows).

        With u and l the thresholds above and below less the location, sigmoid(u) - sigmoid(l) is
        sigmoid(u) sigmoid(-l) (1 - exp(l - u)), of which no difference is left to cancel.
        """
        thresholds, distances = self._ordered(parameters[0])
        column = torch.arange(target.shape[-1], device=target.device)
        upper, lower, width = (
            ends[column, target.long()] for ends in _levels(thresholds, distances, torch)
        )
        cells = F.logsigmoid(upper - raw) + F.logsigmoid(raw - lower) + (-(-width).expm1()).log()
        return (cells if observed is None else cells * observed).sum(-1)

    def log_prob_vjp(
        self,
        raw: np.ndarray,
        target: np.ndarray,
        observed: np.ndarray | None,
        parameters: Sequence[np.ndarray],
        grads: Sequence[np.ndarray],
    ) -> tuple[np.ndarray, Pullback]:
        """``log_prob`` of arrays and its pullback.

        d log p / d location = sigmoid(l) - sigmoid(-u); d log p / d distance is
        1 / (exp(distance) - 1) beside what moves the thresholds.
        """
        parameter, n_targets = parameters[0], target.shape[-1]
        is_within = self._is_within(n_targets)
        logs, pull_bound = soft_bound_vjp(parameter[:, 1:])
        distances = np.exp(logs)
        thresholds = np.cumsum(np.concatenate([parameter[:, :1], distances], 1), 1)
        thresholds[~is_within] = _END
        ends = _levels(thresholds, np.where(is_within[:, 1:], distances, _END), np)
        n_levels = ends[0].shape[1]
        place = target.astype(np.intp) + n_levels * np.arange(n_targets)
        upper, lower, width = (array.ravel()[place] for array in ends)
        above, below = upper - raw, raw - lower
        cells = _log_logistic(above) + _log_logistic(below)
        cells += np.log(-np.expm1(-width))
        if observed is not None:
            cells *= observed

        def pull(d: np.ndarray) -> np.ndarray:
            share = d[..., None] if observed is None else d[..., None] * observed
            by_upper, by_lower = logistic(-above) * share, logistic(-below) * share

            def summed(values: np.ndarray) -> np.ndarray:
                total = np.broadcast_to(values, raw.shape).sum(0).ravel()
                sums = np.bincount(place.ravel(), total, n_targets * n_levels)
                return sums.reshape(n_targets, n_levels)

            of_width = summed(share) / np.expm1(ends[2].clip(max=_FAR))
            of_thresholds = summed(by_upper)[:, :-1] - summed(by_lower)[:, 1:]
            of_steps = np.where(is_within, of_thresholds, 0.0)[:, ::-1].cumsum(1)[:, ::-1]
            of_steps[:, 1:] += np.where(is_within[:, 1:], of_width[:, 1:-1], 0.0)
            grads[0][:, :1] = of_steps[:, :1]
            grads[0][:, 1:] = pull_bound((of_steps[:, 1:] * distances).astype(raw.dtype))
            return by_lower - by_upper

        return np.add.reduce(cells, -1), pull

    def _above(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """P(x_j > c | z) of each threshold, (..., n_targets, most levels - 1)."""
        return torch.sigmoid(raw[..., None] - self._ordered(parameters[0])[0])

    def mean(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Expected place: the sum of P(x > c)."""
        return self._above(raw, parameters).sum(-1)

    def variance(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """By E[x^2], the sum of (2 c + 1) P(x > c)."""
        above = self._above(raw, parameters)
        odd = 2.0 * torch.arange(above.shape[-1]).to(above) + 1.0
        return above @ odd - above.sum(-1).square()

    def sample(
        self, raw: np.ndarray, parameters: Sequence[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Draw places: the number of thresholds below a logistic draw around the location."""
        thresholds = self._ordered(torch.from_numpy(parameters[0]))[0].numpy()
        drawn = raw + rng.logistic(size=raw.shape)
        return (drawn[..., None] > thresholds).sum(-1).astype(raw.dtype)


def _levels(thresholds: Any, distances: Any, library: Any) -> tuple[Any, Any, Any]:
    """Threshold above, threshold below and their distance for each level of each column."""
    end = library.full_like(thresholds[:, :1], _END)
    return (
        library.concatenate([thresholds, end], 1),
        library.concatenate([-end, thresholds], 1),
        library.concatenate([end, distances, end], 1),
    )


def _log_logistic(x: np.ndarray) -> np.ndarray:
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))
