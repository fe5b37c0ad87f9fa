"""The zero-inflated negative binomial likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from skvae._core.math import logistic
from skvae.likelihoods._base import Response
from skvae.likelihoods._cells import Array, Arrays, Slopes, Tensors
from skvae.likelihoods._counts import LEAST_MEAN, MOST
from skvae.likelihoods._negative_binomial import LEAST_DISPERSION, DispersedCounts, dispersion
from skvae.tables import Moments, View

# The start's excess of zeros lies between these, and is found in so many rounds.
_LEAST_EXCESS, _MOST_EXCESS = 0.01, 0.95
_ROUNDS = 50


class ZeroInflatedNegativeBinomial(DispersedCounts):
    """Counts of a negative binomial, but with the probability q_j none is counted.

    Domain: whole numbers from 0. Link: log of the rate r, logit of q; the decoder gives both for
    each cell. With NB the negative binomial of mean r_j and dispersion a_j,

        log p = sum_j log((1 - q_j) NB(x_j) + q_j [x_j = 0]),

    of mean (1 - q_j) r_j. A feature's q starts at the excess of zeros that its column shows beside
    a negative binomial of its mean and variance.

    Parameters
    ----------
    library_size : bool, default=False
        Whether the rates are in proportion to the row's total of counts, as for ``Poisson``.

    References
    ----------
    .. [1] Greene (1994), "Accounting for excess zeros and sample selection in Poisson and negative
       binomial regression models", NYU working paper EC-94-10.
    .. [2] Lopez, Regier, Cole, Jordan and Yosef (2018), "Deep generative modeling for single-cell
       transcriptomics", Nature Methods 15.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.likelihoods import ZeroInflatedNegativeBinomial
    >>> rng = np.random.default_rng(0)
    >>> X = rng.poisson(20.0, (500, 4)) * (rng.random((500, 4)) < 0.7)
    >>> vae = VariationalAutoencoder(1, likelihood=ZeroInflatedNegativeBinomial(), max_iter=0)
    >>> share = (vae.fit(X).sample(2000, random_state=0) == 0).mean()
    >>> bool(abs(share - 0.3) < 0.03)
    True
    """

    n_per_cell = 2
    counts_zeros = True

    def __init__(self, library_size: bool = False) -> None:
        self.library_size = library_size

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Negative binomial's, of the variances that are left without the excess of zeros.

        Of y = log(1 + x) that excess adds q (1 - q) L^2 to (1 - q) times the variance of counted
        cells, whose mean is L. A latent moves the mean of y by 1 - q times what it moves L.
        """
        mean = np.maximum(moments.mean, LEAST_MEAN)
        square = np.maximum(moments.variance, mean) / mean**2
        q = _excess(mean, square, moments.zeros)
        rate, counted = mean / (1.0 - q), (1.0 - q) * square - q
        counted = np.maximum(counted, 1.0 / rate)  # their variance over r^2
        by_zeros = q / (1.0 - q) * inputs.mean**2
        variance = np.maximum(inputs.variance - by_zeros, 0.1 * inputs.variance) / (1.0 - q)
        variance = np.where(variance > 0, variance, 1.0)
        return Response(
            natural=np.log(rate),
            spread=np.sqrt(variance),
            gain=np.sqrt(counted) / (1.0 - q),
            noise="feature",
            least_noise=by_zeros / variance + 1.0 - q,  # all but what columns share
            extra=np.log(q / (1.0 - q)),
        )

    def start_scale(self, noise_variance: Array, response: Response) -> Array:
        """Give the dispersion by the variance of counted cells less what latents explain of it."""
        square, most = _counted(response)
        explained = response.gain**2 * (response.least_noise - noise_variance)
        return dispersion(square - np.minimum(explained, most), response)

    def location_variance(self, variance: np.ndarray, response: Response) -> np.ndarray:
        """Negative binomial's, of at most half of what varies beside a Poisson's.

        The zeros of two columns agree by chance, and would be read as a latent of counts.
        """
        return super().location_variance(np.minimum(variance, _counted(response)[1]), response)

    def log_prob_of_each(self, raw: Tensor, target: Tensor, logs: Tensors) -> Tensor:
        """Log-mass of each cell."""
        counted = logsigmoid(-raw[1]) + super().log_prob_of_each(raw, target, logs)
        return torch.where(target > 0, counted, torch.logaddexp(logsigmoid(raw[1]), counted))

    def slopes(self, raw: Array, target: Array, logs: Arrays) -> Slopes:
        """With w = P(counted | x): the negative binomial's times w, and by the logit 1 - w - q."""
        cells, by_rate, by_log = super().slopes(raw, target, logs)
        counted = cells - np.logaddexp(0.0, raw[1])
        cells = np.where(target > 0, counted, np.logaddexp(-np.logaddexp(0.0, -raw[1]), counted))
        w = np.exp(counted - cells)
        slopes = [*(w * slope for slope in by_rate), 1.0 - w - logistic(raw[1])]
        return cells, slopes, [w * slope for slope in by_log]

    def mean_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """(1 - q) r."""
        return torch.sigmoid(-raw[1]) * super().mean_of_each(raw, logs)

    def variance_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """(1 - q) (r + a r^2) + q (1 - q) r^2."""
        square = (2.0 * raw[0]).clamp_max(MOST).exp()
        between = torch.sigmoid(raw[1]) * square
        return torch.sigmoid(-raw[1]) * (super().variance_of_each(raw, logs) + between)

    def sample_of_each(self, raw: Array, logs: Arrays, rng: np.random.Generator) -> Array:
        """Draw counts, and leave some out."""
        return super().sample_of_each(raw, logs, rng) * (
            rng.random(raw[0].shape) > logistic(raw[1])
        )


def _counted(response: Response) -> tuple[np.ndarray, np.ndarray]:
    """Variance of counted cells over r^2, and how much of it the start's latents may explain."""
    square = (response.gain * logistic(-np.asarray(response.extra))) ** 2
    return square, 0.5 * (square - np.exp(-response.natural)).clip(min=0.0)


def _excess(mean: np.ndarray, square: np.ndarray, zeros: Any) -> np.ndarray:
    """Excess of zeros q with which a column has its mean, variance and share of zeros.

    Parameters
    ----------
    mean, square : ndarray of shape (n_targets,)
        Mean m, and the variance over m^2.
    zeros : ndarray of shape (n_targets,)
        Share of cells that are 0.
    """
    q = np.full_like(mean, _LEAST_EXCESS)
    for _ in range(_ROUNDS):
        rate = mean / (1.0 - q)
        a = ((1.0 - q) * square - q - 1.0 / rate).clip(min=LEAST_DISPERSION)
        expected = (1.0 + a * rate) ** (-1.0 / a)
        q = ((zeros - expected) / (1.0 - expected)).clip(_LEAST_EXCESS, _MOST_EXCESS)
    return q
