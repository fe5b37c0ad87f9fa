"""The Poisson likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from skvae._core.checks import check_choice
from skvae._core.flat import Shape
from skvae.likelihoods._base import Response
from skvae.likelihoods._cells import CellLikelihood, Slopes
from skvae.tables import PER_LIBRARY, ColumnRanges, Moments, View

# Least mean of a column at the start: the log of a column of zeros stays finite.
_LEAST_MEAN = 1e-3

# Largest log of a rate: beyond this its exponential is not finite in float32.
_MOST = 80.0


class Poisson(CellLikelihood):
    """p(x|z) = prod_j r_j^x_j exp(-r_j) / x_j!, r = exp(decoder(z)).

    Domain: whole numbers from 0. Link: log. The encoder is shown log(1 + x), because a network
    that is linear in counts sends a large one beyond all bounds through the exponential.

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

    has_domain = True

    def __init__(self, library_size: bool = False) -> None:
        self.library_size = library_size

    @property
    def link(self) -> str:  # type: ignore[override]
        """What the encoder is shown: log(1 + x), of x itself or over the library size."""
        return PER_LIBRARY if self.library_size else "log1p"

    def parameter_shapes(self, n_targets: int) -> list[Shape]:
        """No parameters are shared."""
        check_choice(self, "library_size", (False, True))
        return []

    def check(self, columns: ColumnRanges) -> None:
        """Raise ValueError if X is negative or not whole."""
        wrong = (columns.minimum < 0) | ~columns.is_whole
        if wrong.any():
            j = int(wrong.argmax())
            what = f"{columns.minimum[j]:g}" if columns.minimum[j] < 0 else "fractions"
            raise ValueError(
                f"likelihood='poisson' takes counts: whole numbers from 0. Got {what} in "
                f"{columns.name(j)}. Round it, or choose likelihood='gaussian'."
            )

    def view(self, moments: Moments, inputs: Moments) -> View:
        """X is its own target; the encoder sees log(1 + x) standardised."""
        return logged_view(moments, inputs, self.link)

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Log of the mean m, and the noise of log(1 + x) around it, sqrt(m) / (1 + m)."""
        mean = np.maximum(moments.mean, _LEAST_MEAN)
        return Response(
            natural=np.log(mean),
            spread=np.sqrt(mean) / (1.0 + mean),
            gain=1.0 / np.sqrt(mean),
            noise="unit",
        )

    def recentred(self, natural: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """E[exp(b + y)] = exp(b + v / 2) for a normal y of variance v."""
        return natural - 0.5 * variance

    def constant(self, target: Tensor) -> Tensor:
        """Minus the log of x!, cell by cell."""
        return -torch.lgamma(target + 1.0)

    def log_prob_of_each(self, raw: Tensor, target: Tensor, logs: Sequence[Tensor]) -> Tensor:
        """x log r - r."""
        log_rate = raw[0].clamp_max(_MOST)
        return target * log_rate - log_rate.exp()

    def slopes(self, raw: np.ndarray, target: np.ndarray, logs: Sequence[np.ndarray]) -> Slopes:
        """d log p / d log r = x - r, and nothing beyond the bound."""
        log_rate = np.minimum(raw[0], _MOST)
        rate = np.exp(log_rate)
        return target * log_rate - rate, [(target - rate) * (raw[0] <= _MOST)], []

    def mean_of_each(self, raw: Tensor, logs: Sequence[Tensor]) -> Tensor:
        """Rate r."""
        return raw[0].clamp_max(_MOST).exp()

    def variance_of_each(self, raw: Tensor, logs: Sequence[Tensor]) -> Tensor:
        """Rate r, the mean."""
        return self.mean_of_each(raw, logs)

    def sample_of_each(
        self, raw: np.ndarray, logs: Sequence[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Draw counts."""
        rate = np.exp(raw[0].clip(max=_MOST).astype(np.float64))
        return rng.poisson(rate.clip(max=1e18)).astype(raw.dtype)


def logged_view(moments: Moments, inputs: Moments, link: str = "log1p") -> View:
    """Cells as they are for the likelihood; for the encoder their logarithms, standardised."""
    std = np.sqrt(inputs.variance)
    return View(
        mean=moments.mean,
        total_variance=moments.total_variance,
        shift=np.zeros_like(moments.mean),
        scale=np.ones_like(moments.mean),
        link=link,
        input_shift=inputs.mean,
        input_scale=np.divide(1.0, std, out=np.zeros_like(std), where=std > 0),
    )
