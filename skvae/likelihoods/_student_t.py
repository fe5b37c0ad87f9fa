"""Student's t likelihood."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from skvae._core.checks import check_number
from skvae._core.flat import Shape
from skvae.likelihoods._base import Response
from skvae.likelihoods._cells import Array, Arrays, Slopes, Tensors
from skvae.likelihoods._location import LocationLikelihood


class StudentT(LocationLikelihood):
    """p(x|z) = prod_j t_v(x_j; m_j, s), m = decoder(z): a Gaussian with heavier tails.

    Domain: real numbers. Link: identity. A distant cell moves the model less than under the
    Gaussian. With r = x - m and v degrees of freedom, up to a constant

        log p = - sum_j [log s + (v + 1) / 2 log(1 + r_j^2 / (v s^2))],

    with one scale s, learned beside the networks.

    Parameters
    ----------
    df : float, default=4.0
        Degrees of freedom v, above 2 so that there is a variance.

    References
    ----------
    .. [1] Lange, Little and Taylor (1989), "Robust statistical modeling using the t distribution",
       JASA 84.
    .. [2] Mattei and Frellsen (2019), "MIWAE", ICML, section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skvae import VariationalAutoencoder
    >>> X, _ = load_wine(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, likelihood="student_t", max_iter=5, random_state=0)
    >>> vae.fit(X).transform(X).shape
    (178, 2)
    """

    def __init__(self, df: float = 4.0) -> None:
        self.df = df

    def parameter_shapes(self, n_targets: int) -> list[Shape]:
        """Log of s^2, before its soft bound."""
        check_number(self, "df", above=2)
        return super().parameter_shapes(n_targets)

    def start_scale(self, noise_variance: Array, response: Response) -> Array:
        """Give the variance times (v - 2) / v, so that the t has that variance."""
        return noise_variance * ((self.df - 2.0) / self.df)

    def constant(self, target: Tensor) -> Tensor:
        """log Gamma((v + 1) / 2) - log Gamma(v / 2) - log(v pi) / 2."""
        gammas = math.lgamma(0.5 * (self.df + 1)) - math.lgamma(0.5 * self.df)
        return torch.full_like(target, gammas - 0.5 * math.log(self.df * math.pi))

    def log_prob_of_each(self, raw: Tensor, target: Tensor, logs: Tensors) -> Tensor:
        """Log-density of each cell."""
        distance = (target - raw[0]).square() * (-logs[0]).exp() / self.df
        return -0.5 * logs[0] - 0.5 * (self.df + 1) * torch.log1p(distance)

    def slopes(self, raw: Array, target: Array, logs: Arrays) -> Slopes:
        """With w = (v + 1) / (v s^2 + r^2): d/dm = w r, d/d log s^2 = (w r^2 - 1) / 2."""
        v, r, square = self.df, target - raw[0], np.exp(logs[0])
        slope = (v + 1) * r / (v * square + r * r)
        cells = -0.5 * logs[0] - 0.5 * (v + 1) * np.log1p(r * r / (v * square))
        return cells, [slope], [0.5 * (slope * r - 1.0)]

    def variance_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """s^2 v / (v - 2), shape (1,)."""
        return logs[0].exp() * (self.df / (self.df - 2.0))

    def sample_of_each(self, raw: Array, logs: Arrays, rng: np.random.Generator) -> Array:
        """Add t-distributed noise to the mean."""
        noise = rng.standard_t(self.df, raw[0].shape).astype(raw.dtype)
        return raw[0] + noise * np.exp(0.5 * logs[0])
