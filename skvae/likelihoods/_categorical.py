"""The categorical likelihood."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_scalar
from torch import Tensor

from skvae._core.checks import check_choice
from skvae._core.flat import Pullback
from skvae.likelihoods._base import Likelihood, Response
from skvae.tables import Coding, ColumnRanges, Moments, View

# Logits within this bound have exponentials whose sums float32 holds.
_MODERATE = 60.0


class Categorical(Likelihood):
    """p(x|z) = prod_j softmax(decoder(z)_j)[x_j], one logit for each level of a column.

    Domain: categories, such as strings; in a table each column is read as indicators, ones and
    zeros, one for each level. Link: softmax.

    The start is multiple correspondence analysis: the indicators' residuals over the root of their
    shares, (x - p) / sqrt(p), are at once its columns and the residuals that the Fisher information
    of the softmax whitens, because diag(1 / p) is an inverse of diag(p) - p p' on them.

    Parameters
    ----------
    min_frequency : int, default=None
        Levels with fewer rows than this number are pooled, and drawn by their frequency when rows
        are generated. A single such level stays as it is.
    max_categories : int, default=None
        Largest number of levels, those pooled counting as one; by default there is no bound.
    handle_unknown : {"missing", "error"}, default="missing"
        What a level is that comes later than at fit: a missing cell, or an error. Where levels are
        pooled, it counts as one of them.
    n_levels : tuple of int, default=None
        Number of levels of each column, for an X that holds indicators already. By default they are
        read from the table.

    References
    ----------
    .. [1] Greenacre (2017), "Correspondence analysis in practice", chapter 18.
    .. [2] Pages (2015), "Multiple factor analysis by example using R", chapter 3.

    Examples
    --------
    >>> import pandas as pd
    >>> from skvae import VariationalAutoencoder
    >>> frame = pd.DataFrame({"sea": ["calm", "rough"] * 20, "sky": ["clear", "dark"] * 20})
    >>> vae = VariationalAutoencoder(1, likelihood="categorical", max_iter=0).fit(frame)
    >>> vae.inverse_transform(vae.transform(frame[:2]))
         sea    sky
    0   calm  clear
    1  rough   dark
    """

    has_domain = True
    is_written = True
    screens_latents = True

    def __init__(
        self,
        *,
        min_frequency: int | None = None,
        max_categories: int | None = None,
        handle_unknown: str = "missing",
        n_levels: tuple[int, ...] | None = None,
    ) -> None:
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.handle_unknown = handle_unknown
        self.n_levels = n_levels

    @property
    def coding(self) -> Coding:  # type: ignore[override]
        """Columns of levels become indicators."""
        if self.n_levels is not None:
            return Coding()
        for name in ("min_frequency", "max_categories"):
            value = getattr(self, name)
            if value is not None:
                check_scalar(value, name, Integral, min_val=1)
        check_choice(self, "handle_unknown", ("missing", "error"))
        return Coding("indicators", self.min_frequency, self.max_categories, self.handle_unknown)

    def for_levels(self, counts: Sequence[np.ndarray]) -> Likelihood:
        """Give the likelihood of indicators."""
        params = {**self.get_params(deep=False), "n_levels": tuple(len(c) for c in counts)}
        return type(self)(**params)

    def group_sizes(self, n_targets: int) -> tuple[int, ...]:
        """Indicators of a column are one cell."""
        sizes = self.n_levels or ()
        if sum(sizes) != n_targets:
            raise ValueError(
                f"n_levels of Categorical must add up to the {n_targets} columns of X, one for "
                f"each level. Got {self.n_levels}."
            )
        return sizes

    def check(self, columns: ColumnRanges) -> None:
        """Raise ValueError if an indicator is neither 0 nor 1."""
        wrong = (columns.minimum < 0) | (columns.maximum > 1) | ~columns.is_whole
        if wrong.any():
            j = int(wrong.argmax())
            raise ValueError(
                f"likelihood=Categorical(n_levels={self.n_levels}) takes ones and zeros, one column"
                f" for each level. Got values from {columns.minimum[j]:g} to "
                f"{columns.maximum[j]:g} in {columns.name(j)}. Give the levels themselves, in a "
                f"DataFrame, with likelihood='categorical', or encode them with OneHotEncoder."
            )

    def view(self, moments: Moments, inputs: Moments) -> View:
        """Indicators are the targets; the encoder is shown (x - p) / sqrt(p)."""
        p = moments.mean
        inverse = np.divide(1.0, np.sqrt(p), out=np.zeros_like(p), where=p > 0)
        return View(
            mean=p,
            total_variance=moments.times(inverse).total_variance,
            shift=np.zeros_like(p),
            scale=np.ones_like(p),
            input_shift=p,
            input_scale=inverse,
            unit=inverse,
        )

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Log of the shares p; residuals over sqrt(p)."""
        self.group_sizes(len(moments.mean))
        p = moments.mean.clip(min=0.5 / moments.count)
        root = np.sqrt(p)
        return Response(natural=np.log(p), spread=root, gain=1.0 / root, noise="unit")

    def location_variance(self, variance: np.ndarray, response: Response) -> np.ndarray:
        """Take exp(logit) as log-normal around p, as a negative binomial's rate."""
        return np.log1p(variance)

    def recentred(self, natural: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """E[exp(b + y)] = exp(b + v / 2) for a normal y of variance v."""
        return natural - 0.5 * variance

    def log_prob(
        self, raw: Tensor, target: Tensor, observed: Tensor | None, parameters: Sequence[Tensor]
    ) -> Tensor:
        """Log-probability of the observed cells, shape (draws, rows)."""
        sizes = self.group_sizes(target.shape[-1])
        logs = torch.stack([part.logsumexp(-1) for part in raw.split(list(sizes), -1)], -1)
        if observed is None:
            return (target * raw).sum(-1) - logs.sum(-1)
        return (target * observed * raw).sum(-1) - (logs * observed[:, _starts(sizes)]).sum(-1)

    def log_prob_vjp(
        self,
        raw: np.ndarray,
        target: np.ndarray,
        observed: np.ndarray | None,
        parameters: Sequence[np.ndarray],
        grads: Sequence[np.ndarray],
    ) -> tuple[np.ndarray, Pullback]:
        """``log_prob`` of arrays and its pullback: d log p / d logit = x - p."""
        sizes = self.group_sizes(target.shape[-1])
        p, logs = _softmax(raw, sizes)
        if observed is not None:
            target, p = target * observed, p * observed
            logs *= observed[:, _starts(sizes)]
        log_p = np.vecdot(raw, target) - np.add.reduce(logs, -1)

        def pull(d: np.ndarray) -> np.ndarray:
            residual = np.subtract(target, p, out=p)
            residual *= d[..., None]
            return residual

        return log_p, pull

    def mean(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Probability of each level."""
        sizes = self.group_sizes(raw.shape[-1])
        return torch.cat([part.softmax(-1) for part in raw.split(list(sizes), -1)], -1)

    def variance(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """p (1 - p) of each indicator."""
        p = self.mean(raw, parameters)
        return p * (1.0 - p)

    def sample(
        self, raw: np.ndarray, parameters: Sequence[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Draw a level of each column: the largest logit plus a Gumbel draw."""
        keys, drawn, start = raw + rng.gumbel(size=raw.shape), np.zeros_like(raw), 0
        for size in self.group_sizes(raw.shape[-1]):
            best = keys[..., start : start + size].argmax(-1)[..., None] + start
            np.put_along_axis(drawn, best, 1.0, -1)
            start += size
        return drawn


def _starts(sizes: Sequence[int]) -> np.ndarray:
    return np.cumsum([0, *sizes[:-1]])


@functools.lru_cache(maxsize=64)
def _membership(sizes: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """Ones where a column is of a group, (n_columns, n_groups): sums by a product are fastest."""
    return np.repeat(np.eye(len(sizes), dtype=kind), sizes, 0)


def _softmax(raw: np.ndarray, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Softmax of each group of columns, and the log of its normaliser, (..., n_groups)."""
    most: Any = 0.0
    if not max(-raw.min(initial=0.0), raw.max(initial=0.0)) < _MODERATE:
        most = np.maximum.reduceat(raw, _starts(sizes), -1)
        raw = raw - np.repeat(most, sizes, -1)
    powers = np.exp(raw)
    total = powers @ _membership(sizes, raw.dtype)
    powers *= np.repeat(1.0 / total, sizes, -1)
    return powers, np.log(total) + most
