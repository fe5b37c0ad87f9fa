"""The Laplace likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from skvae._core.flat import Shape
from skvae._core.math import soft_bound_inverse
from skvae.likelihoods._base import Response
from skvae.likelihoods._cells import CellLikelihood, Slopes
from skvae.likelihoods._gaussian import centred_response, centred_view
from skvae.tables import Moments, View

_LOG_2 = math.log(2.0)


class Laplace(CellLikelihood):
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

    def parameter_shapes(self, n_targets: int) -> list[Shape]:
        """Log of each feature's scale b, before its soft bound."""
        return [(n_targets,)]

    def view(self, moments: Moments, inputs: Moments) -> View:
        """Centred X over each column's own standard deviation."""
        return centred_view(moments, by_column=True)

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Give the mean itself, with residuals as they are: factor analysis."""
        return centred_response(view, moments, by_column=True)

    def start_noise(
        self,
        parameters: Sequence[Tensor],
        extra_bias: Tensor,
        noise_variance: np.ndarray,
        response: Response,
    ) -> None:
        """Set b to the root of half the variance."""
        log_scale = 0.5 * torch.from_numpy(0.5 * noise_variance).log()
        with torch.no_grad():
            parameters[0].copy_(soft_bound_inverse(log_scale))

    def log_prob_of_each(self, raw: Tensor, target: Tensor, logs: Sequence[Tensor]) -> Tensor:
        """Log-density of each cell."""
        return -(target - raw[0]).abs() * (-logs[0]).exp() - logs[0] - _LOG_2

    def slopes(self, raw: np.ndarray, target: np.ndarray, logs: Sequence[np.ndarray]) -> Slopes:
        """With r = x - m: d/dm = sign(r) / b, d/d log b = |r| / b - 1."""
        residual = (target - raw[0]) * np.exp(-logs[0])
        size = np.abs(residual)
        return -size - logs[0] - _LOG_2, [np.sign(residual) * np.exp(-logs[0])], [size - 1.0]

    def mean_of_each(self, raw: Tensor, logs: Sequence[Tensor]) -> Tensor:
        """Give the raw output itself."""
        return raw[0]

    def variance_of_each(self, raw: Tensor, logs: Sequence[Tensor]) -> Tensor:
        """2 b^2, shape (n_targets,)."""
        return 2.0 * (2.0 * logs[0]).exp()

    def sample_of_each(
        self, raw: np.ndarray, logs: Sequence[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Add Laplace noise to the median."""
        return raw[0] + np.exp(logs[0]) * rng.laplace(size=raw[0].shape).astype(raw.dtype)
