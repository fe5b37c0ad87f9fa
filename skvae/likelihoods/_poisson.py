"""The Poisson likelihood."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skvae.likelihoods._base import Response
from skvae.likelihoods._cells import Array, Arrays, Slopes, Tensors
from skvae.likelihoods._counts import LEAST_MEAN, MOST, CountLikelihood, drawn_counts
from skvae.tables import Moments, View


class Poisson(CountLikelihood):
    """p(x|z) = prod_j r_j^x_j exp(-r_j) / x_j!, r = exp(decoder(z)).

    Domain: whole numbers from 0. Link: log.

    Parameters
    ----------
    library_size : bool, default=False
        Whether a row's total, its library size n, says nothing of its latents. Rates are then
        ``r = n / n0 exp(decoder(z))`` with n0 the mean row's total, the encoder is shown
        log(1 + x n0 / n), and what is decoded or drawn is a row of the total n0.

    References
    ----------
    .. [1] McCullagh and Nelder (1989), "Generalized linear models", chapter 6.
    .. [2] Chiquet, Mariadassou and Robin (2018), "Variational inference for probabilistic Poisson
       PCA", Annals of Applied Statistics 12.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VariationalAutoencoder(8, likelihood="poisson", max_iter=0).fit(X)
    >>> counts = vae.sample(100, random_state=0)
    >>> bool((counts >= 0).all()), bool((counts == counts.round()).all())
    (True, True)
    """

    def __init__(self, library_size: bool = False) -> None:
        self.library_size = library_size

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Log of the mean m, and the noise of log(1 + x) around it, sqrt(m) / (1 + m)."""
        mean = np.maximum(moments.mean, LEAST_MEAN)
        natural, root = np.log(mean), np.sqrt(mean)
        return Response(natural=natural, spread=root / (1.0 + mean), gain=1.0 / root, noise="unit")

    def constant(self, target: Tensor) -> Tensor:
        """Minus the log of x!, cell by cell."""
        return -torch.lgamma(target + 1.0)

    def log_prob_of_each(self, raw: Tensor, target: Tensor, logs: Tensors) -> Tensor:
        """x log r - r."""
        log_rate = raw[0].clamp_max(MOST)
        return target * log_rate - log_rate.exp()

    def slopes(self, raw: Array, target: Array, logs: Arrays) -> Slopes:
        """d log p / d log r = x - r, and nothing beyond the bound."""
        log_rate = np.minimum(raw[0], MOST)
        rate = np.exp(log_rate)
        return target * log_rate - rate, [(target - rate) * (raw[0] <= MOST)], []

    def mean_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """Rate r."""
        return raw[0].clamp_max(MOST).exp()

    def variance_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """Rate r, the mean."""
        return self.mean_of_each(raw, logs)

    def sample_of_each(self, raw: Array, logs: Arrays, rng: np.random.Generator) -> Array:
        """Draw counts."""
        rate = np.exp(raw[0].clip(max=MOST).astype(np.float64))
        return drawn_counts(rate, rng).astype(raw.dtype)
