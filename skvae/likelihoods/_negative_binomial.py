"""The negative binomial likelihood."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from scipy.special import gammaln, psi
from torch import Tensor
from torch.nn.functional import logsigmoid

from skvae._core.flat import Shape
from skvae._core.math import logistic
from skvae.likelihoods._base import Response
from skvae.likelihoods._cells import Array, Arrays, Slopes, Tensors
from skvae.likelihoods._counts import LEAST_MEAN, MOST, CountLikelihood, drawn_counts
from skvae.tables import Moments, View

# Least dispersion at the start, and the log of the least of all: with a variance of r (1 + 1e-6 r)
# it is a Poisson, and the logs of the gammas still differ by more than float64's rounding.
LEAST_DISPERSION = 1e-3
_LEAST_LOG = -14.0


class DispersedCounts(CountLikelihood):
    """Base of the likelihoods of counts with a dispersion per feature: a negative binomial's."""

    @abstractmethod
    def __init__(self, library_size: bool = False) -> None: ...

    def parameter_shapes(self, n_targets: int) -> list[Shape]:
        """Log of each feature's dispersion, before its soft bound."""
        return [*super().parameter_shapes(n_targets), (n_targets,)]

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Log of the mean m; a standard deviation of log(1 + x) stands for V^(1/2) of x."""
        mean = np.maximum(moments.mean, LEAST_MEAN)
        root, std = np.sqrt(np.maximum(moments.variance, mean)), np.sqrt(inputs.variance)
        return Response(
            natural=np.log(mean),
            spread=np.where(std > 0, std, 1.0),
            gain=root / mean,
            noise="feature",
            least_noise=mean / root**2,  # a Poisson's
        )

    def location_variance(self, variance: np.ndarray, response: Response) -> np.ndarray:
        """If r is log-normal around m, a variance v of r is one of log(1 + v / m^2) of log r."""
        return np.log1p(variance)

    def start_scale(self, noise_variance: Array, response: Response) -> Array:
        """Give the dispersion by the noise's part of V, noise times gain^2 being V / m^2."""
        return dispersion(noise_variance * response.gain**2, response)

    def log_prob_of_each(self, raw: Tensor, target: Tensor, logs: Tensors) -> Tensor:
        """Log-mass of each cell; the gammas' logs in float64, because their difference is small."""
        log = logs[0].clamp_min(_LEAST_LOG)
        size, log_odds = (-log).exp(), raw[0].clamp_max(MOST) + log
        s, x = size.double(), target.double()
        normaliser = torch.lgamma(x + s) - torch.lgamma(s) - torch.lgamma(x + 1.0)
        by_rate = target * logsigmoid(log_odds) + size * logsigmoid(-log_odds)
        return normaliser.to(by_rate) + by_rate

    def slopes(self, raw: Array, target: Array, logs: Arrays) -> Slopes:
        """With p = a r / (1 + a r): d/d log r = x (1 - p) - s p, and by log a through s, too."""
        log, kind = np.maximum(logs[0], _LEAST_LOG), raw.dtype
        size, log_odds = np.exp(-log), np.minimum(raw[0], MOST) + log
        log_q = -np.logaddexp(0.0, log_odds)
        p = logistic(log_odds)
        s, x = size.astype(np.float64), target.astype(np.float64)
        normaliser = (gammaln(x + s) - gammaln(s) - gammaln(x + 1.0)).astype(kind)
        cells = normaliser + target * (log_q + log_odds) + size * log_q
        by_rate = target * (1.0 - p) - size * p
        by_size = (psi(x + s) - psi(s)).astype(kind) + log_q
        by_log = (by_rate - size * by_size) * (logs[0] >= _LEAST_LOG)
        return cells, [by_rate * (raw[0] <= MOST)], [by_log]

    def mean_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """Rate r."""
        return raw[0].clamp_max(MOST).exp()

    def variance_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """r + a r^2."""
        square = (2.0 * raw[0] + logs[0].clamp_min(_LEAST_LOG)).clamp_max(MOST).exp()
        return raw[0].clamp_max(MOST).exp() + square

    def sample_of_each(self, raw: Array, logs: Arrays, rng: np.random.Generator) -> Array:
        """Draw counts around rates that a gamma distribution has spread."""
        size = np.exp(-np.maximum(logs[0].astype(np.float64), _LEAST_LOG))
        rate = np.exp(raw[0].clip(max=MOST).astype(np.float64))
        return drawn_counts(rate * rng.gamma(size, 1.0 / size, rate.shape), rng).astype(raw.dtype)


def dispersion(square: Array, response: Response) -> Array:
    """Give a = (V - r) / r^2, ``square`` being V / r^2."""
    return np.maximum(square - np.exp(-response.natural), LEAST_DISPERSION)


class NegativeBinomial(DispersedCounts):
    """Counts of mean r_j and variance r_j + a_j r_j^2, r = exp(decoder(z)).

    Domain: whole numbers from 0. Link: log. Counts that vary more than a Poisson's: a gamma
    distribution around the rate, integrated out. With s = 1 / a,

        log p = sum_j [log Gamma(x_j + s_j) - log Gamma(s_j) - log x_j!
                       + x_j log(a_j r_j) - (x_j + s_j) log(1 + a_j r_j)].

    Each feature has a dispersion a_j, learned beside the networks.

    Parameters
    ----------
    library_size : bool, default=False
        Whether the rates are in proportion to the row's total of counts, as for ``Poisson``.

    References
    ----------
    .. [1] Hilbe (2011), "Negative binomial regression", chapter 8: the form NB2.
    .. [2] Lopez, Regier, Cole, Jordan and Yosef (2018), "Deep generative modeling for single-cell
       transcriptomics", Nature Methods 15.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VariationalAutoencoder(8, likelihood="negative_binomial", max_iter=0).fit(X)
    >>> poisson = VariationalAutoencoder(8, likelihood="poisson", max_iter=0).fit(X)
    >>> bool(vae.score(X) > poisson.score(X))
    True
    """

    def __init__(self, library_size: bool = False) -> None:
        self.library_size = library_size
