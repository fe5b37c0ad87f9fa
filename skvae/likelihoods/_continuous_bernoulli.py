"""The continuous Bernoulli likelihood."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skvae.likelihoods._base import Response
from skvae.likelihoods._cells import Array, Arrays, CellLikelihood, Slopes, Tensors
from skvae.tables import ColumnRanges, Moments, View

# Below this the closed forms are differences of nearly equal numbers, and their series, to the term
# of t^8, are exact to 1e-12.
_SERIES = 0.5

# A mean keeps this distance from 0 and 1 at the start, where its logit is some 1000.
_MEAN_MARGIN = 1e-3
_BISECTIONS = 60


class ContinuousBernoulli(CellLikelihood):
    """p(x|z) = prod_j C(q_j) q_j^x_j (1 - q_j)^(1 - x_j), q = sigmoid(decoder(z)).

    Domain: [0, 1], with its ends, for intensities such as grey pixels, of which the Bernoulli's
    cross-entropy is no density. Link: logit of q, which is not the mean. With t = logit q,

        log p = sum_j [x_j t_j - A(t_j)],  A(t) = log((exp(t) - 1) / t),

    of mean A'(t) and variance A''(t). Near t = 0 a series stands for A.

    References
    ----------
    .. [1] Loaiza-Ganem and Cunningham (2019), "The continuous Bernoulli: fixing a pervasive error
       in variational autoencoders", NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, likelihood="continuous_bernoulli", max_iter=0)
    >>> images = vae.fit(X / 16).sample(3, random_state=0)
    >>> bool(images.min() >= 0), bool(images.max() <= 1)
    (True, True)
    """

    has_domain = True

    def check(self, columns: ColumnRanges) -> None:
        """Raise ValueError if X leaves [0, 1]."""
        j = columns.first_outside(0.0, 1.0)
        if j is not None:
            value = columns.minimum[j] if columns.minimum[j] < 0.0 else columns.maximum[j]
            raise ValueError(
                f"ContinuousBernoulli takes numbers from 0 to 1. Got {value:g} in "
                f"{columns.name(j)}. Scale X, with MinMaxScaler(clip=True) for instance."
            )

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Logit whose mean is the column's; residuals over the column's standard deviation.

        The logit of a mean near 0 is -1 / mean, whose slope would carry it far beyond 1. So its
        change per mean is taken over three deviations, towards one half.
        """
        mean = moments.mean.clip(_MEAN_MARGIN, 1.0 - _MEAN_MARGIN)
        natural = _logit_of_mean(mean)
        variance = _variance(torch.from_numpy(natural)).numpy()
        std = np.sqrt(np.where(moments.variance > 0, moments.variance, variance))
        way = (0.5 - mean).clip(-3.0 * std, 3.0 * std)
        way = np.where(np.abs(way) > _MEAN_MARGIN, way, _MEAN_MARGIN)
        return Response(
            natural=natural,
            spread=std,
            gain=std * (_logit_of_mean(mean + way) - natural) / way,
            noise="feature",
            least_noise=(variance / std**2).clip(0.5, 1.0),  # latents leave at least half
        )

    def log_prob_of_each(self, raw: Tensor, target: Tensor, logs: Tensors) -> Tensor:
        """x t - A(t); its closed form is max(t, 0) + log(1 - exp(-|t|)) - log |t|."""
        t = raw[0]
        near = t.abs() < _SERIES
        size = torch.where(near, 1.0, t.abs())
        closed = t.clamp_min(0.0) + (-(-size).expm1()).log() - size.log()
        return target * t - torch.where(near, _series(torch.where(near, t, 0.0)), closed)

    def slopes(self, raw: Array, target: Array, logs: Arrays) -> Slopes:
        """d log p / d t = x - A'(t)."""
        t = torch.from_numpy(raw)
        with torch.no_grad():
            cells = self.log_prob_of_each(t, torch.from_numpy(target), [])
            return cells.numpy(), [target - _mean(t[0]).numpy()], []

    def mean_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """A'(t)."""
        return _mean(raw[0])

    def variance_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """A''(t)."""
        return _variance(raw[0])

    def sample_of_each(self, raw: Array, logs: Arrays, rng: np.random.Generator) -> Array:
        """Invert the distribution function: log(1 + u (exp(t) - 1)) / t, mirrored if t > 0."""
        size = np.maximum(np.abs(raw[0]).astype(np.float64), 1e-8)  # below this it is uniform
        low = np.log1p(rng.random(size.shape) * np.expm1(-size)) / -size
        return np.where(raw[0] > 0.0, 1.0 - low, low).clip(0.0, 1.0).astype(raw.dtype)


def _series(t: Tensor) -> Tensor:
    """A(t) near 0."""
    s = t * t
    return 0.5 * t + s * (1 / 24 + s * (-1 / 2880 + s * (1 / 181440 - s / 9676800)))


def _mean(t: Tensor) -> Tensor:
    """A'(t), for t < 0 with s = -t 1 / s - 1 / (exp(s) - 1), mirrored if t > 0; or the series'."""
    near = t.abs() < _SERIES
    small, large = torch.where(near, t, 0.0), torch.where(near, 1.0, t.abs())
    s = small * small
    series = 0.5 + small * (1 / 12 + s * (-1 / 720 + s * (1 / 30240 - s / 1209600)))
    low = 1.0 / large + (-large).exp() / (-large).expm1()
    return torch.where(near, series, torch.where(t > 0.0, 1.0 - low, low))


def _variance(t: Tensor) -> Tensor:
    """A''(t) = 1 / t^2 - 1 / (2 sinh(t / 2))^2; near 0 the curvature of the series."""
    near = t.abs() < _SERIES
    small, large = torch.where(near, t, 0.0), torch.where(near, 1.0, t.abs())
    s = small * small
    series = 1 / 12 + s * (-1 / 240 + s * (1 / 6048 - s / 172800))
    return torch.where(near, series, large**-2 - (-large).exp() / (-large).expm1() ** 2)


def _logit_of_mean(mean: np.ndarray) -> np.ndarray:
    """Solve A'(t) = mean by bisection: A' rises, and is some 1 - 1 / t far out."""
    low, high = np.full_like(mean, -2.0 / _MEAN_MARGIN), np.full_like(mean, 2.0 / _MEAN_MARGIN)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        above = _mean(torch.from_numpy(middle)).numpy() > mean
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return 0.5 * (low + high)
