"""The log-normal likelihood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from skvae._core.checks import check_choice
from skvae._core.flat import Shape
from skvae._core.math import LOG_2PI
from skvae.likelihoods._base import Response
from skvae.likelihoods._cells import Array, Arrays, CellLikelihood, Slopes, Tensors
from skvae.likelihoods._counts import MOST, logged_view
from skvae.tables import ColumnRanges, Moments, View


class LogNormal(CellLikelihood):
    """log x is normal: p(x|z) = prod_j N(log x_j; m_j, s_j^2) / x_j, m = decoder(z).

    Domain: numbers above 0, whose errors are relative. Link: log of the median. The mean is
    exp(m + s^2 / 2). Targets are x over its geometric mean, so that no unit matters, and the
    encoder is shown log x: the start is PCA of the logarithms, or their factor analysis.

    Parameters
    ----------
    noise : {"shared", "feature"}, default="shared"
        One variance s^2 of the logarithms for all features, or one for each.

    References
    ----------
    .. [1] Limpert, Stahel and Abbt (2001), "Log-normal distributions across the sciences: keys and
       clues", BioScience 51.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skvae import VariationalAutoencoder
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, likelihood="log_normal", max_iter=0).fit(X)
    >>> jacobian = np.log(X).sum(axis=1).mean()
    >>> bool(np.isclose(vae.score(X), PCA(2).fit(np.log(X)).score(np.log(X)) - jacobian, atol=1e-4))
    True
    """

    has_domain = True
    link = "log"

    def __init__(self, noise: str = "shared") -> None:
        self.noise = noise

    def check(self, columns: ColumnRanges) -> None:
        """Raise ValueError if X is not above 0."""
        j = columns.first_outside(0.0, ends=False)
        if j is not None:
            raise ValueError(
                f"LogNormal takes numbers above 0. Got {columns.minimum[j]:g} in "
                f"{columns.name(j)}. Add a constant to it, or choose likelihood='gaussian'."
            )

    def parameter_shapes(self, n_targets: int) -> list[Shape]:
        """One log-variance, before its soft bound, or one for each feature."""
        check_choice(self, "noise", ("shared", "feature"))
        return [(1,) if self.noise == "shared" else (n_targets,)]

    def view(self, moments: Moments, inputs: Moments) -> View:
        """X over its geometric mean; the encoder sees its logarithm, standardised."""
        return replace(logged_view(moments, inputs, self.link), scale=np.exp(inputs.mean))

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Give the mean of the logarithms, with residuals as they are."""
        ones = np.ones_like(inputs.mean)
        natural = inputs.mean - np.log(view.scale)
        return Response(natural=natural, spread=ones, gain=ones, noise=self.noise)

    def constant(self, target: Tensor) -> Tensor:
        """Minus log x, the Jacobian of the logarithm, and minus log(2 pi) / 2."""
        return -target.log() - 0.5 * LOG_2PI

    def log_prob_of_each(self, raw: Tensor, target: Tensor, logs: Tensors) -> Tensor:
        """Normal log-density of log x."""
        gap = target.log() - raw[0]
        return -0.5 * (gap.square() * (-logs[0]).exp() + logs[0])

    def slopes(self, raw: Array, target: Array, logs: Arrays) -> Slopes:
        """With r = log x - m: d/dm = r / s^2, d/d log s^2 = (r^2 / s^2 - 1) / 2."""
        gap = np.log(target) - raw[0]
        whitened = gap * np.exp(-logs[0])
        square = gap * whitened
        return -0.5 * (square + logs[0]), [whitened], [0.5 * (square - 1.0)]

    def mean_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """exp(m + s^2 / 2)."""
        return (raw[0] + 0.5 * logs[0].exp()).clamp_max(MOST).exp()

    def variance_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """(exp(s^2) - 1) exp(2 m + s^2)."""
        variance = logs[0].exp()
        return -(-variance).expm1() * (2.0 * (raw[0] + variance)).clamp_max(MOST).exp()

    def sample_of_each(self, raw: Array, logs: Arrays, rng: np.random.Generator) -> Array:
        """Draw the logarithm."""
        noise = rng.standard_normal(raw[0].shape).astype(raw.dtype)
        return np.exp((raw[0] + noise * np.exp(0.5 * logs[0])).clip(-MOST, MOST))
