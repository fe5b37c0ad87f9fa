"""Factor analysis of rows with gaps: the start where cells are missing.

Given a row's observed residuals r_o, latents have the precision M = I + W_o' psi_o^-1 W_o and the
mean M^-1 W_o' psi_o^-1 r_o. With their expectations, every column's mean, loadings and noise are
those of a regression on the latents over the rows that have the column (Dempster, Laird and Rubin
1977; Tipping and Bishop 1999, appendix B). Afterwards the latents are given zero mean and unit
covariance by their own moments (Liu, Rubin and Wu 1998), which saves most of the rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import cholesky, eigh
from sklearn.utils.extmath import randomized_svd

from skvae._sklearn.rows import on_arrays
from skvae.likelihoods import Response
from skvae.starts._factors import shrunk_noise
from skvae.starts._spectrum import Residuals, Spectrum, signed
from skvae.tables import Gaps, Moments, View, blocks, has_gaps, patterns

# Most rows that are read, evenly spread, and most multiply-adds of all rounds.
_ROWS = 1_000, 10_000
_ROUNDS, _COST = (50, 1000), 3e9

# Rounds end where they raise a row's log-likelihood by less than this many nats per column.
_TOLERANCE = 1e-6

# Largest step of a log of a noise.
_MOST_LOG = 2.0

# Least noise, over the variance of the column: rows with gaps are given no double precision.
_LEAST_NOISE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Factors:
    """r = mean + W z + noise, of whitened residuals r.

    Attributes
    ----------
    mean, noise : ndarray of shape (n_columns,)
        Mean, and variance of the noise; a column that does not vary has a noise of 1.
    loadings : ndarray of shape (n_columns, m)
        W.
    variance : ndarray of shape (n_columns,)
        Of each column, by the model.
    """

    mean: np.ndarray
    noise: np.ndarray
    loadings: np.ndarray
    variance: np.ndarray

    def axes(self, unit: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Axes of the loadings over a unit, (n_columns, m), and their squared sizes."""
        over = self.loadings / np.reshape(unit, (-1, 1))
        vectors, sizes, _ = np.linalg.svd(over, full_matrices=False)
        return signed(vectors), np.square(sizes)


def factors_of(residuals: Residuals, response: Response, n_components: int) -> Factors:
    """Factors of residuals with gaps, with noises as the likelihood has them."""
    groups = None if response.has_noise("shared") else response.noise_groups
    return factor_incomplete(residuals, groups, n_components, response.least_noise)


def factored_spectrum(factors: Factors, count: float, whole: bool = False) -> Spectrum:
    """Spectrum of the covariance that factors give the residuals of so many rows.

    It has an eigenpair for each factor, exact if all columns share one noise; or with ``whole``
    all.
    """
    d = len(factors.mean)
    noise = np.where(factors.variance > 0, factors.noise, 0.0)
    n_directions, rest = min(round(count), d), 0.0
    if whole:
        values, vectors = eigh(factors.loadings @ factors.loadings.T + np.diag(noise))
        values, vectors = values[::-1][:n_directions], vectors[:, ::-1][:, :n_directions]
    else:
        vectors, sizes = factors.axes(1.0)
        values = sizes + np.square(vectors).T @ noise
        rest = max(n_directions - len(values), 0) * float(noise.mean())
    return Spectrum(
        eigenvalues=values,
        vectors=signed(vectors),
        rank=min(int((factors.variance > 0).sum()), n_directions),
        total_variance=float(factors.variance.sum()),
        n_samples=count,
        n_directions=n_directions,
        rest=rest,
    )


@dataclass(kw_only=True)
class _Sums:
    """What no round changes: rows sorted by their gaps, and sums over them."""

    rows: np.ndarray  # (n, d), 0 at gaps
    weight: np.ndarray  # (n,)
    pattern: np.ndarray  # (n,), index of each row's gaps
    observed: np.ndarray  # (n_patterns, d)

    def __post_init__(self) -> None:
        self.first = np.flatnonzero(np.diff(self.pattern, prepend=-1))
        self.of_patterns = np.add.reduceat(self.weight, self.first)
        self.count = self.of_patterns @ self.observed
        self.squares = self.weight @ np.square(self.rows)
        self.weighted = self.rows * self.weight[:, None]

    def by_column(self, of_rows: np.ndarray) -> np.ndarray:
        """Weighted sums of something of rows, (n, m), over the rows that have a column, (d, m)."""
        return self.observed.T @ np.add.reduceat(of_rows * self.weight[:, None], self.first)


def factor_incomplete(
    residuals: Residuals,
    groups: np.ndarray | None,
    n_components: int,
    least: np.ndarray | None = None,
) -> Factors:
    """Find the most likely factors of residuals with gaps.

    Parameters
    ----------
    residuals : Residuals
        With NaN at gaps.
    groups : ndarray of int of shape (n_columns,) or None
        As in ``noise_by_column``; None if all columns share one noise, as in probabilistic PCA.
    n_components : int
        Number of latents; at most one fewer than there are columns.
    least : ndarray of shape (n_columns,) or None
        Least noise of each column, if one is known.

    Returns
    -------
    factors : Factors
    """
    # PCA's one noise is of all columns.
    varies = np.full(len(residuals.factor), True) if groups is None else residuals.variance > 0
    d, k = len(varies), max(min(n_components, int(varies.sum()) - 1), 0)
    sums = _read(residuals, varies, k)
    of_group = np.zeros(len(sums.count), int) if groups is None else groups[varies]
    of_least = None if least is None else least[varies]
    variance = sums.squares / sums.count.clip(min=1.0)

    def noise_of(left: np.ndarray) -> np.ndarray:
        if groups is None:
            noise = np.full_like(left, sums.count @ left / sums.count.sum())
        else:
            noise = shrunk_noise(left, variance, sums.count, of_group, of_least)
        return np.maximum(noise, _LEAST_NOISE * (variance.mean() if groups is None else variance))

    mean, loadings, noise = _iterated(sums, k, noise_of)

    def whole(values: np.ndarray, rest: float) -> np.ndarray:
        full = np.full((d, *values.shape[1:]), rest)
        full[varies] = values
        return full

    return Factors(
        mean=whole(mean, 0.0),
        noise=whole(noise, 1.0),
        loadings=whole(loadings, 0.0),
        variance=whole(np.square(loadings).sum(1) + noise, 0.0),
    )


def _read(residuals: Residuals, varies: np.ndarray, k: int) -> _Sums:
    """Read rows, as many as the rounds have time for."""
    n, d = residuals.X.shape[0], int(varies.sum())
    most = int(np.clip(_COST / (_ROUNDS[0] * max(d, 1) * (k + 1) ** 2), *_ROWS))
    index = np.linspace(0, n - 1, min(n, most)).astype(np.intp)
    block = residuals.X[index]
    block = block.toarray() if sparse.issparse(block) else np.asarray(block, np.float64)
    rows = ((block - residuals.moments.mean) * residuals.factor)[:, varies]
    observed = ~np.isnan(rows)
    first, pattern = patterns(observed)
    order = np.argsort(pattern, kind="stable")
    own = residuals.weight
    weight = np.ones(len(index)) if own is None else own[index][order]
    return _Sums(
        rows=np.where(observed, rows, 0.0)[order],
        weight=weight * (residuals.moments.count / residuals.moments.total_weight),
        pattern=pattern[order],
        observed=observed[first].astype(np.float64),
    )


def _iterated(
    sums: _Sums, k: int, noise_of: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, loadings and noise by rounds of expectation and maximisation.

    Every two rounds are followed by a step along their differences, scheme S3 of Varadhan and
    Roland (2008), which is taken back where it lowers the likelihood.
    """
    n, d = sums.rows.shape
    variance = sums.squares / sums.count.clip(min=1.0)
    loadings = np.zeros((d, k))
    if k == 0:
        return np.zeros(d), loadings, noise_of(variance)
    rows, m = sums.rows * np.sqrt(sums.weight)[:, None], min(k, n)
    with on_arrays():
        _, sizes, axes = randomized_svd(rows, m, random_state=0)
    seen = sums.weight.sum() * sums.observed.mean()
    loadings[:, :m] = axes.T * (sizes / np.sqrt(seen))

    def split(point: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        mean, flat, logs = np.split(point, [d, d + d * k])
        return mean, flat.reshape(d, k), np.exp(logs)

    def advance(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, mean, loadings, left = _round(sums, *split(point))
        return value, np.concatenate([mean, loadings.ravel(), np.log(noise_of(left))])

    point = np.concatenate([np.zeros(d), loadings.ravel(), np.log(noise_of(0.5 * variance))])
    value, one = advance(point)
    n_rounds = min(max(int(_COST / (n * d * (k + 1) ** 2)), _ROUNDS[0]), _ROUNDS[1])
    for _ in range(n_rounds // 3):
        _, two = advance(one)
        step, bend = one - point, two - 2.0 * one + point
        lengths = float(np.linalg.norm(step)), float(np.linalg.norm(bend))
        length = max(lengths[0] / max(lengths[1], 1e-300), 1.0)
        far = point + 2.0 * length * step + length**2 * bend
        far[-d:] = far[-d:].clip(point[-d:] - _MOST_LOG, point[-d:] + _MOST_LOG)
        reached, after = advance(far)
        if not reached > value:
            far = two
            reached, after = advance(far)
        gain, value, point, one = reached - value, reached, far, after
        if abs(gain) < _TOLERANCE * d:
            break
    return split(one)


def _round(
    sums: _Sums, mean: np.ndarray, loadings: np.ndarray, noise: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Log-likelihood of a row up to a constant, the next mean and loadings, and what they leave."""
    n, (d, k), total = len(sums.rows), loadings.shape, sums.weight.sum()
    scaled = loadings / noise[:, None]
    outer = (scaled[:, :, None] * loadings[:, None, :]).reshape(d, k * k)
    precision = (sums.observed @ outer).reshape(-1, k, k) + np.eye(k)
    covariance = np.linalg.inv(precision)
    residual = sums.rows - sums.observed[sums.pattern] * mean
    along = residual @ scaled
    latents = (covariance[sums.pattern] @ along[..., None])[..., 0]
    distance = np.square(residual) @ (1.0 / noise) - np.vecdot(along, latents)
    volume = np.linalg.slogdet(precision)[1] + sums.observed @ np.log(noise)
    value = -0.5 * (sums.weight @ distance + sums.of_patterns @ volume) / total
    # Regressions of each column on the latents and a one.
    seen = np.hstack([latents, np.ones((n, 1))])
    squares = sums.by_column((seen[:, :, None] * seen[:, None, :]).reshape(n, -1))
    squares = squares.reshape(d, k + 1, k + 1) + 1e-9 * np.eye(k + 1)
    spread = covariance.reshape(-1, k * k) * sums.of_patterns[:, None]
    squares[:, :k, :k] += (sums.observed.T @ spread).reshape(d, k, k)
    products = sums.weighted.T @ seen
    both = np.linalg.solve(squares, products[..., None])[..., 0]
    left = (sums.squares - np.vecdot(both, products)).clip(min=0.0) / sums.count.clip(min=1.0)
    # Latents of mean zero and covariance one.
    center = sums.weight @ latents / total
    scatter = latents.T @ (latents * sums.weight[:, None]) + spread.sum(0).reshape(k, k)
    lower = cholesky(scatter / total - np.outer(center, center), lower=True)
    return value, both[:, k] + both[:, :k] @ center, both[:, :k] @ lower, left


def view_with_gaps(view: View, of_inputs: Moments, share: np.ndarray, filler: np.ndarray) -> View:
    """Give a view for rows with gaps, which stand at the mean until the start says more.

    ``share`` and ``filler`` are those of ``observed_shares``.
    """
    is_target = np.broadcast_to(np.equal(view.link, "identity"), view.n_columns)
    mean = np.where(is_target, (of_inputs.mean - view.shift) / view.scale, of_inputs.mean)
    columns = np.flatnonzero((share > 0) & (share < 1))
    gaps = Gaps(
        columns=columns,
        unseen=share == 0,
        filler=filler,
        center=mean,
        unit=np.ones(view.n_columns),
        loadings=np.zeros((view.n_columns, 0)),
    )
    if not len(columns):
        return replace(view, gaps=gaps)
    share = share[columns]
    shift = np.zeros(view.n_columns) if view.input_shift is None else view.input_shift
    scale = np.ones(view.n_columns) if view.input_scale is None else view.input_scale
    return replace(
        view,
        input_shift=np.hstack([shift, share]),
        input_scale=np.hstack([scale, 1.0 / np.sqrt(share * (1.0 - share))]),
        gaps=gaps,
    )


def observed_shares(X: Any, unseen: float) -> tuple[np.ndarray, np.ndarray]:
    """Share of rows that have a cell of each column, and one such cell, or ``unseen``, of each."""
    if not has_gaps(X):
        return np.ones(X.shape[1]), next(blocks(X[:1]))[1][0]
    count, filler = np.zeros(X.shape[1]), np.full(X.shape[1], np.nan)
    for _, block in blocks(X):
        there = ~np.isnan(block)
        count += there.sum(0)
        first = block[there.argmax(0), np.arange(X.shape[1])]
        filler = np.where(np.isnan(filler), first, filler)
    return count / X.shape[0], np.where(np.isnan(filler), unseen, filler)
