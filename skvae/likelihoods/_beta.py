"""The beta likelihood."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import gammaln, psi
from torch import Tensor

from skvae._core.flat import Shape
from skvae._core.math import logistic
from skvae.likelihoods._base import Response
from skvae.likelihoods._cells import Array, Arrays, CellLikelihood, Slopes, Tensors
from skvae.tables import ColumnRanges, Moments, View

# A mean keeps this distance from 0 and 1 at the start; the logit of any mean is bounded, and so is
# the log of the precision, so that neither parameter of the distribution underflows.
_MEAN_MARGIN = 1e-3
_MOST_LOGIT = 15.0
_LOG_PRECISION = -6.0, 14.0


class Beta(CellLikelihood):
    """p(x|z) = prod_j Beta(x_j; m_j f_j, (1 - m_j) f_j), m = sigmoid(decoder(z)).

    Domain: (0, 1), for shares and rates. Link: logit of the mean m. With a = m f and b = (1 - m) f,

        log p = sum_j [log Gamma(f_j) - log Gamma(a_j) - log Gamma(b_j)
                       + (a_j - 1) log x_j + (b_j - 1) log(1 - x_j)].

    Each feature has a precision f_j, learned beside the networks; its variance is
    m (1 - m) / (1 + f).

    References
    ----------
    .. [1] Ferrari and Cribari-Neto (2004), "Beta regression for modelling rates and proportions",
       Journal of Applied Statistics 31, equations 4 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import VariationalAutoencoder
    >>> X = np.random.default_rng(0).beta(4.0, 2.0, (300, 3))
    >>> vae = VariationalAutoencoder(1, likelihood="beta", max_iter=0).fit(X)
    >>> shares = vae.sample(100, random_state=0)
    >>> bool(shares.min() > 0), bool(shares.max() < 1)
    (True, True)
    """

    has_domain = True

    def check(self, columns: ColumnRanges) -> None:
        """Raise ValueError if X is not above 0 and below 1."""
        j = columns.first_outside(0.0, 1.0, ends=False)
        if j is not None:
            value = columns.minimum[j] if columns.minimum[j] <= 0.0 else columns.maximum[j]
            raise ValueError(
                f"Beta takes numbers above 0 and below 1. Got {value:g} in {columns.name(j)}. "
                f"Scale X, or choose ContinuousBernoulli, which takes 0 and 1, too."
            )

    def parameter_shapes(self, n_targets: int) -> list[Shape]:
        """Log of each feature's precision, before its soft bound."""
        return [(n_targets,)]

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Logit of the mean m, whose slope is 1 / (m (1 - m)), of columns in units of their own."""
        mean, std = moments.mean.clip(_MEAN_MARGIN, 1.0 - _MEAN_MARGIN), np.sqrt(moments.variance)
        std = np.where(std > 0, std, _MEAN_MARGIN)
        return Response(
            natural=np.log(mean) - np.log1p(-mean),
            spread=std,
            gain=std / (mean * (1.0 - mean)),
            noise="feature",
            least_noise=np.full_like(mean, 0.5),  # an axis along one column would be of no noise
        )

    def start_scale(self, noise_variance: Array, response: Response) -> Array:
        """Give the precision m (1 - m) / V - 1, V being the noise over the gain's square."""
        m = logistic(response.natural)
        precision = 1.0 / (noise_variance * response.gain**2 * m * (1.0 - m)) - 1.0
        return precision.clip(*np.exp(_LOG_PRECISION))

    def constant(self, target: Tensor) -> Tensor:
        """Minus log x and log(1 - x), cell by cell."""
        return -_inside(target).log() - (-_inside(target)).log1p()

    def log_prob_of_each(self, raw: Tensor, target: Tensor, logs: Tensors) -> Tensor:
        """Log-density of each cell; the gammas' logs in float64, because they nearly cancel."""
        logit, x = raw[0].clamp(-_MOST_LOGIT, _MOST_LOGIT), _inside(target)
        f = logs[0].clamp(*_LOG_PRECISION).exp()
        a, b = f * torch.sigmoid(logit), f * torch.sigmoid(-logit)
        normaliser = (a + b).double().lgamma() - a.double().lgamma() - b.double().lgamma()
        return normaliser.to(a) + a * x.log() + b * (-x).log1p()

    def slopes(self, raw: Array, target: Array, logs: Arrays) -> Slopes:
        """Slopes by the two parameters, carried to logit and log precision.

        d/da = log x - psi(a) + psi(f), and d a / d logit = f m (1 - m) = -d b / d logit.
        """
        logit, log = raw[0].clip(-_MOST_LOGIT, _MOST_LOGIT), logs[0].clip(*_LOG_PRECISION)
        x = _inside(torch.from_numpy(target)).numpy()
        f, m, rest = np.exp(log), logistic(logit), logistic(-logit)
        a, b, kind = f * m, f * rest, raw.dtype
        log_x, log_rest = np.log(x), np.log1p(-x)
        wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
        whole = wide_a + wide_b
        normaliser = (gammaln(whole) - gammaln(wide_a) - gammaln(wide_b)).astype(kind)
        by_a = log_x + (psi(whole) - psi(wide_a)).astype(kind)
        by_b = log_rest + (psi(whole) - psi(wide_b)).astype(kind)
        by_logit = f * m * rest * (by_a - by_b) * (np.abs(raw[0]) <= _MOST_LOGIT)
        by_log = (a * by_a + b * by_b) * (log == logs[0])
        return normaliser + a * log_x + b * log_rest, [by_logit], [by_log]

    def mean_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """m."""
        return torch.sigmoid(raw[0].clamp(-_MOST_LOGIT, _MOST_LOGIT))

    def variance_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """m (1 - m) / (1 + f)."""
        m = self.mean_of_each(raw, logs)
        return m * (1.0 - m) / (1.0 + logs[0].clamp(*_LOG_PRECISION).exp())

    def sample_of_each(self, raw: Array, logs: Arrays, rng: np.random.Generator) -> Array:
        """Draw shares."""
        logit = raw[0].clip(-_MOST_LOGIT, _MOST_LOGIT).astype(np.float64)
        f = np.exp(logs[0].clip(*_LOG_PRECISION).astype(np.float64))
        drawn = rng.beta(f * logistic(logit), f * logistic(-logit)).astype(raw.dtype)
        return _inside(torch.from_numpy(drawn)).numpy()


def _inside(shares: Tensor) -> Tensor:
    """Shares that rounding has taken to 0 or 1, at the nearest number between."""
    limits = torch.finfo(shares.dtype)
    return shares.clamp(limits.tiny, 1.0 - 0.5 * limits.eps)
