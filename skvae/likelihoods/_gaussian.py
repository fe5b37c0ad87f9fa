"""The Gaussian likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from skvae._core.checks import check_choice
from skvae._core.flat import Pullback, Shape
from skvae._core.math import LOG_2PI, soft_bound, soft_bound_inverse, soft_bound_vjp
from skvae.likelihoods._base import Likelihood, Response, Width
from skvae.tables import Moments, View


class Gaussian(Likelihood):
    """p(x|z) = N(decoder(z), noise), with a noise variance learned beside the networks.

    Domain: real numbers. Link: identity.
    log p = -1/2 sum_j [(x_j - m_j)^2 / s_j^2 + log(2 pi s_j^2)].

    Parameters
    ----------
    noise : {"shared", "feature", "row"}, default="shared"
        One noise variance for all features, as in probabilistic PCA, or one for each, as in factor
        analysis, or one for each cell of a row, which the decoder predicts beside the mean and
        which starts at factor analysis. Learning it, rather than fixing it, balances reconstruction
        and KL as the data ask for (Rybkin et al. 2021).

    References
    ----------
    .. [1] Tipping and Bishop (1999), "Probabilistic principal component analysis", JRSS B 61.
    .. [2] Rybkin, Daniilidis and Levine (2021), "Simple and effective VAE training with calibrated
       decoders", ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.likelihoods import Gaussian
    >>> X, _ = load_wine(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, likelihood=Gaussian(noise="feature"), max_iter=0).fit(X)
    >>> vae.noise_variance_.shape
    (13,)
    """

    is_written = True

    def __init__(self, noise: str = "shared") -> None:
        self.noise = noise

    def width(self, n_targets: int) -> Width:
        """Means, and log-variances before their soft bound if they are predicted."""
        return Width(n_targets, n_targets if self.noise == "row" else 0)

    def parameter_shapes(self, n_features: int) -> list[Shape]:
        """One log-variance, before its soft bound, or one for each feature, or none."""
        check_choice(self, "noise", ("shared", "feature", "row"))
        shapes: dict[str, list[Shape]] = {"shared": [(1,)], "feature": [(n_features,)], "row": []}
        return shapes[self.noise]

    def view(self, moments: Moments, inputs: Moments) -> View:
        """Centred X over its root mean variance, or over each column's own if the noise is so."""
        return centred_view(moments, by_column=self.noise != "shared")

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Give the mean itself, with residuals as they are: PCA, or factor analysis."""
        return centred_response(view, moments, by_column=self.noise != "shared")

    def start_noise(
        self,
        parameters: Sequence[Tensor],
        extra_bias: Tensor,
        noise_variance: np.ndarray,
        response: Response,
    ) -> None:
        """Set the log-variances to that of ``noise_variance``."""
        with torch.no_grad():
            noise = extra_bias if self.noise == "row" else parameters[0]
            noise.copy_(soft_bound_inverse(torch.from_numpy(noise_variance).log()))

    def _read(self, raw: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Means, and log-variances that broadcast to them."""
        if self.noise != "row":
            return raw, soft_bound(parameters[0])
        mean, noise = raw.chunk(2, -1)
        return mean, soft_bound(noise)

    def log_prob(
        self, raw: Tensor, target: Tensor, observed: Tensor | None, parameters: Sequence[Tensor]
    ) -> Tensor:
        """Log-density of the observed cells, shape (draws, rows)."""
        mean, log_variance = self._read(raw, parameters)
        cells = (target - mean).square() * (-log_variance).exp() + (log_variance + LOG_2PI)
        if observed is not None:
            cells = cells * observed
        return -0.5 * cells.sum(-1)

    def log_prob_vjp(
        self,
        raw: np.ndarray,
        target: np.ndarray,
        observed: np.ndarray | None,
        parameters: Sequence[np.ndarray],
        grads: Sequence[np.ndarray],
    ) -> tuple[np.ndarray, Pullback]:
        """``log_prob`` and its pullback.

        With r = x - m: d log p / d m = r / s^2 and d log p / d log s^2 = (r^2 / s^2 - 1) / 2 for
        each observed cell; the latter is summed over what shares the noise.
        """
        if self.noise == "row":
            return _predicted_vjp(raw, target, observed)
        log_variance, pull_noise = soft_bound_vjp(parameters[0])
        n_features = target.shape[-1]
        residual = target - raw
        if observed is not None:
            residual *= observed
        whitened = residual * np.exp(-log_variance)  # r / s^2
        distance = np.vecdot(residual, whitened)
        normaliser = log_variance + LOG_2PI
        if observed is None:
            total = normaliser.sum() * (n_features / len(normaliser))
        else:
            total = observed @ np.resize(normaliser, n_features)
        log_p = -0.5 * (distance + total)

        def pull(d: np.ndarray) -> np.ndarray:
            if self.noise == "feature":
                count = d.sum() if observed is None else d.sum(0) @ observed
                squares = np.multiply(residual, whitened, out=residual)
                d_noise = d.reshape(-1) @ squares.reshape(-1, n_features) - count
            else:
                n_observed = n_features if observed is None else observed.sum(1)
                d_noise = np.vdot(d, distance - n_observed)
            grads[0][:] = pull_noise(0.5 * d_noise)
            return np.multiply(whitened, d[..., None], out=whitened)

        return log_p, pull

    def mean(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Give the location itself."""
        return self._read(raw, parameters)[0]

    def variance(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Noise variance, shape (1,) or (n_features,), or that of ``mean``."""
        return self._read(raw, parameters)[1].exp()

    def sample(
        self, raw: np.ndarray, parameters: Sequence[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Add normal noise to the mean."""
        mean, raw_noise = np.split(raw, 2, -1) if self.noise == "row" else (raw, parameters[0])
        noise = rng.standard_normal(mean.shape).astype(raw.dtype)
        return mean + noise * np.exp(0.5 * soft_bound_vjp(raw_noise)[0])


def _predicted_vjp(
    raw: np.ndarray, target: np.ndarray, observed: np.ndarray | None
) -> tuple[np.ndarray, Pullback]:
    """Gaussian log-density and its pullback where the second half of ``raw`` is the noise."""
    mean, raw_noise = np.split(raw, 2, -1)
    log_variance, pull_noise = soft_bound_vjp(raw_noise)
    residual = target - mean
    whitened = residual * np.exp(-log_variance)
    squares = residual * whitened
    cells = -0.5 * (squares + log_variance + LOG_2PI)
    slopes = np.concatenate([whitened, pull_noise(0.5 * (squares - 1.0))], -1)
    if observed is not None:
        cells *= observed
        slopes *= np.tile(observed, 2)
    return np.add.reduce(cells, -1), lambda d: slopes * d[..., None]


def centred_response(view: View, moments: Moments, by_column: bool = False) -> Response:
    """The mean itself, with residuals as they are: PCA, or factor analysis if by column."""
    ones = np.ones_like(moments.mean)
    natural = (moments.mean - view.shift) / view.scale
    noise = "feature" if by_column else "shared"
    return Response(natural=natural, spread=ones, gain=ones, noise=noise)


def centred_view(moments: Moments, by_column: bool = False) -> View:
    """Centred X over one scalar, its root mean variance, or over each column's own.

    One scalar, so that PCA of the targets is PCA of X; by column, so that no unit matters. The
    encoder's nonlinear path sees unit variances, and nothing of a constant feature.
    """
    std = np.sqrt(moments.variance)
    if by_column:
        scale = np.where(std > 0, std, 1.0)
    else:
        scale = np.full_like(std, float(np.sqrt(moments.variance.mean())) or 1.0)
    std = std / scale
    return View(
        mean=moments.mean,
        total_variance=moments.total_variance,
        shift=moments.mean,
        scale=scale,
        input_scale=np.divide(1.0, std, out=np.zeros_like(std), where=std > 0),
    )
