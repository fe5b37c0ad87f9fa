"""Scalar functions that more than one component needs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from skvae._core.process import default_float32, one_thread

LOG_2PI = math.log(2.0 * math.pi)

#: Log-variances live in (-40, 40): a standard deviation from 2e-9 to 5e8 in working units.
LOG_VARIANCE_BOUND = 40.0


def soft_bound(raw: Tensor) -> Tensor:
    """Bound a raw log-variance to (-40, 40) by ``40 tanh(raw / 40)``: the identity near 0."""
    return torch.tanh(raw / LOG_VARIANCE_BOUND) * LOG_VARIANCE_BOUND


def soft_bound_vjp(raw: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Return ``soft_bound(raw)`` and its pullback."""
    t = raw * (1.0 / LOG_VARIANCE_BOUND)
    np.tanh(t, out=t)

    def pull(d: np.ndarray) -> np.ndarray:
        return d - d * t * t

    return t * LOG_VARIANCE_BOUND, pull


def logistic(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """1 / (1 + exp(-x)) computed with the hyperbolic tangent, which does not overflow."""
    y = np.multiply(x, 0.5, out=out)
    np.tanh(y, out=y)
    y *= 0.5
    y += 0.5
    return y


# Products of 2^6 numbers of at least 1/2 are far from float32's least.
_MOST_HALVINGS = 6

# Columns whose logarithms cost less than a product of their halves.
_FEW_COLUMNS = 64


def sum_log(x: np.ndarray) -> np.ndarray:
    """Sum of log x over the last axis, for x in [1/2, 1]: that of few products of many numbers.

    A logarithm costs twenty times a product.
    """
    for _ in range(_MOST_HALVINGS):
        n_columns = x.shape[-1]
        if n_columns <= _FEW_COLUMNS:
            break
        half = -(-n_columns // 2)
        product = x[..., :half].copy()
        product[..., : n_columns - half] *= x[..., half:]
        x = product
    return np.add.reduce(np.log(x), -1)


def soft_bound_inverse(log_variance: Tensor) -> Tensor:
    """Raw value whose soft bound is ``log_variance``, clipped at 0.99 of the bound."""
    ratio = (log_variance / LOG_VARIANCE_BOUND).clamp(-0.99, 0.99)
    return torch.atanh(ratio) * LOG_VARIANCE_BOUND


def log_mean_exp(values: Tensor) -> Tensor:
    """Log of the mean of exp(values) over the first axis."""
    return torch.logsumexp(values, 0) - math.log(len(values))


# Most numbers of a set of draws that is kept for the next call: 512 KiB.
_KEPT_DRAWS = 2**16


def normal_draws(n_draws: int, n_dims: int, seed: int) -> Tensor:
    """Quasi-random standard normal draws from a scrambled Sobol sequence.

    Parameters
    ----------
    n_draws, n_dims : int
        Shape of the result.
    seed : int
        Seed of the scrambling, so that equal arguments give equal draws.

    Returns
    -------
    draws : Tensor of shape (n_draws, n_dims), float64, on the CPU
    """
    if n_draws * n_dims > _KEPT_DRAWS:
        return _normal_draws(n_draws, n_dims, seed)
    return _kept_normal_draws(n_draws, n_dims, seed).clone()


def _normal_draws(n_draws: int, n_dims: int, seed: int) -> Tensor:
    if n_dims > torch.quasirandom.SobolEngine.MAXDIM:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(n_draws, n_dims, generator=generator, dtype=torch.float64)
    # Scrambling takes all of torch's threads, which no fork survives.
    with one_thread(), default_float32():
        engine = torch.quasirandom.SobolEngine(n_dims, scramble=True, seed=seed)
        uniform = engine.draw(n_draws, dtype=torch.float64)
        # The sequence has 30 bits: half a step in from the ends keeps the quantiles finite.
        return torch.special.ndtri(uniform.clamp(2.0**-31, 1.0 - 2.0**-31))


# Scrambling a sequence takes a quarter of the time of a row's likelihood.
_kept_normal_draws = functools.lru_cache(maxsize=8)(_normal_draws)


def weighted_quantile(values: np.ndarray, q: float, weight: np.ndarray) -> float:
    """Interpolate a quantile of weighted values; with equal weights it is NumPy's."""
    order = np.argsort(values)
    place = np.cumsum(weight[order]) - weight[order]
    return float(np.interp(q * place[-1], place, values[order]))
