"""The Laplace likelihood."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from skvae.likelihoods._base import Response
from skvae.likelihoods._cells import Array, Arrays, Slopes, Tensors
from skvae.likelihoods._location import LocationLikelihood

_LOG_2 = math.log(2.0)


class Laplace(LocationLikelihood):
    """p(x|z) = prod_j exp(-|x_j - m_j| / b_j) / (2 b_j), m = decoder(z).

    Domain: real numbers. Link: identity. The location is a median, and a distant cell moves it no
    more than a near one: least absolute deviations, with a scale b_j per feature that is learned
    beside the networks. The variance is 2 b^2.

    References
    ----------
    .. [1] Bloomfield and Steiger (1983), "Least absolute deviations", chapter 1.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skvae import VariationalAutoencoder
    >>> X, _ = load_wine(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, likelihood="laplace", max_iter=0).fit(X)
    >>> vae.noise_variance_.shape
    (13,)
    """

    by_feature = True

    def start_scale(self, noise_variance: Array, response: Response) -> Array:
        """Give b, the root of half the variance."""
        return np.sqrt(0.5 * noise_variance)

    def log_prob_of_each(self, raw: Tensor, target: Tensor, logs: Tensors) -> Tensor:
        """Log-density of each cell."""
        return -(target - raw[0]).abs() * (-logs[0]).exp() - logs[0] - _LOG_2

    def slopes(self, raw: Array, target: Array, logs: Arrays) -> Slopes:
        """With r = x - m: d/dm = sign(r) / b, d/d log b = |r| / b - 1."""
        residual = (target - raw[0]) * np.exp(-logs[0])
        size = np.abs(residual)
        return -size - logs[0] - _LOG_2, [np.sign(residual) * np.exp(-logs[0])], [size - 1.0]

    def variance_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """2 b^2, shape (n_targets,)."""
        return 2.0 * (2.0 * logs[0]).exp()

    def sample_of_each(self, raw: Array, logs: Arrays, rng: np.random.Generator) -> Array:
        """Add Laplace noise to the median."""
        return raw[0] + np.exp(logs[0]) * rng.laplace(size=raw[0].shape).astype(raw.dtype)
