"""What a likelihood is: the last step from the decoder's raw output to p(x|z).

Every likelihood works on *targets*, ``u = (x - shift) / scale``. Its ``view`` states shift and
scale per column, and what the encoder is shown; the log-density in X's units follows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from skvae._core.flat import Pullback, Shape
from skvae._sklearn.compat import BaseEstimator
from skvae.tables import Coding, ColumnRanges, Link, Moments, View

# Group of the columns whose noise is 1.
FIXED_NOISE = -1


class Width(NamedTuple):
    """Columns of the decoder's raw output.

    Attributes
    ----------
    location : int
        Those that the linear path reaches; they come first.
    extra : int
        All others, such as log-variances per cell, or logits of an excess of zeros.
    """

    location: int
    extra: int = 0


@dataclass(frozen=True, kw_only=True)
class Response:
    """What the linear start is taken of: whitened residuals of the intercept-only model.

    The start is the PCA of ``(input - mean) / spread``, and the decoder's location is
    ``natural + gain * (W z)``. For a canonical link this is one Fisher-scoring step from the means
    (McCullagh and Nelder 1989, section 2.5), and ``gain`` is one over ``spread``.

    Attributes
    ----------
    natural : ndarray of shape (location,)
        Location of the intercept-only model: the decoder's bias.
    spread : ndarray of shape (n_inputs,)
        What the inputs' residuals are divided by.
    gain : ndarray of shape (location,)
        Change of the location per whitened residual.
    noise : {"unit", "shared", "feature"} or ndarray of int of shape (n_inputs,)
        Variance of the residuals' noise: 1, as the likelihood fixes it; one number that PCA
        estimates; or one for each column, by factor analysis. An array mixes them: columns of the
        same number share a noise, and those of ``FIXED_NOISE`` have 1.
    least_noise : ndarray of shape (n_inputs,) or None
        What the likelihood holds the noise of each column to be at least, if it is by feature.
    extra : ndarray of shape (extra,) or None
        Other columns of the intercept-only model's raw output, if they are not 0.
    """

    natural: np.ndarray
    spread: np.ndarray
    gain: np.ndarray
    noise: str | np.ndarray
    least_noise: np.ndarray | None = None
    extra: np.ndarray | None = None

    @property
    def noise_groups(self) -> np.ndarray:
        """``noise`` as an array."""
        n = len(self.spread)
        if isinstance(self.noise, str):
            kinds = {"unit": np.full(n, FIXED_NOISE), "shared": np.zeros(n, int)}
            return kinds.get(self.noise, np.arange(n))
        return self.noise

    def has_noise(self, kind: str) -> bool:
        """Whether all columns have a noise of this kind."""
        return isinstance(self.noise, str) and self.noise == kind


class Likelihood(BaseEstimator, ABC):
    """Base of the likelihoods.

    One whose cells are independent is easier to write on ``CellLikelihood``.

    Shapes: ``raw`` is (draws, rows, sum of ``width``), ``target`` and ``observed`` are
    (rows, n_targets). ``observed`` is 1 where a cell counts and 0 where it is missing, None if all
    count. ``parameters`` are those shared by all rows.
    """

    #: Whether the domain is less than all real numbers, so that ``check`` is called.
    has_domain = False

    #: Whether X is in [0, 1] and the raw output its logit.
    of_probabilities = False

    #: How a column of a table becomes numbers.
    coding = Coding()

    #: What the encoder is shown of X, of all columns or as a tuple of one per column: "identity" is
    #: the targets, "log" suits numbers above 0, "log1p" counts, "log1p_per_library" those with the
    #: row's total as offset.
    link: Link = "identity"

    #: Whether the moments that ``response`` is given have the share of zeros.
    counts_zeros = False

    #: Whether a latent of the linear start has to raise the bound: residuals are so far from normal
    #: that what it explains of their variance may be worth less than its KL.
    screens_latents = False

    #: Whether ``log_prob_vjp`` is stated, so that the step may be written out.
    is_written = False

    @property
    def chosen(self) -> Any:
        """What users see of it."""
        return self

    def for_levels(self, counts: Sequence[np.ndarray]) -> Likelihood:
        """Give the likelihood of coded columns, by the number of rows at each level of each."""
        return self

    def group_sizes(self, n_targets: int) -> tuple[int, ...] | None:
        """Numbers of adjacent targets that are one cell together; None if each is one."""
        return None

    def check(self, columns: ColumnRanges) -> None:
        """Raise ValueError if X is outside the domain; it is called if ``has_domain``."""

    def width(self, n_targets: int) -> Width:
        """Columns of the decoder's output."""
        return Width(n_targets)

    def parameter_shapes(self, n_targets: int) -> list[Shape]:
        """Shapes of the parameters shared by all rows."""
        return []

    def view(self, moments: Moments, inputs: Moments) -> View:
        """Units of targets and inputs, given the moments of X and of what the link makes of it."""
        return View(
            mean=moments.mean,
            total_variance=moments.total_variance,
            shift=np.zeros_like(moments.mean),
            scale=np.ones_like(moments.mean),
            link=self.link,
            input_shift=inputs.mean if inputs.mean.any() else None,
        )

    @abstractmethod
    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Response of the intercept-only model, in the view's units."""

    def location_variance(self, variance: np.ndarray, response: Response) -> np.ndarray:
        """Variance of the location, where the start's linear latents give it this variance.

        For a link that is not linear it is another one, so that the variance of E[x|z] stays the
        same.
        """
        return variance

    def recentred(self, natural: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """Location of the intercept, to which the start's latents add this variance.

        For a link that is not linear it is another one, so that the mean of x stays the same.
        """
        return natural

    def start_noise(
        self,
        parameters: Sequence[Tensor],
        extra_bias: Tensor,
        noise_variance: np.ndarray,
        response: Response,
    ) -> None:
        """Set the noise of the whitened residuals to this variance.

        Either the shared parameters hold it, or the decoder's bias of the ``extra`` columns, of
        shape (extra,). The variance has the shape (1,) if the response's noise is shared, and
        (n_inputs,) otherwise.
        """

    def constant(self, target: Tensor) -> Tensor | None:
        """Part of each cell's log-density that no parameter moves, or None if there is none.

        ``log_prob`` leaves it out, so that it is taken once per fit and not in every step.
        """
        return None

    @abstractmethod
    def log_prob(
        self, raw: Tensor, target: Tensor, observed: Tensor | None, parameters: Sequence[Tensor]
    ) -> Tensor:
        """Log-density of the observed cells less their ``constant``, shape (draws, rows)."""

    def log_prob_vjp(
        self,
        raw: np.ndarray,
        target: np.ndarray,
        observed: np.ndarray | None,
        parameters: Sequence[np.ndarray],
        grads: Sequence[np.ndarray],
    ) -> tuple[np.ndarray, Pullback]:
        """``log_prob`` of arrays and its pullback, from (draws, rows) to the gradient of ``raw``.

        The pullback writes the gradients of the shared parameters to ``grads``. It is stated if
        ``is_written``.
        """
        raise TypeError(f"{type(self).__name__} has no pullback: its step is composed.")

    @abstractmethod
    def mean(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """E[u|z], shape (..., n_targets)."""

    @abstractmethod
    def variance(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Var[u|z], broadcastable to (..., n_targets)."""

    @abstractmethod
    def sample(
        self, raw: np.ndarray, parameters: Sequence[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Draw u given z, shape (..., n_targets)."""


def log_constant(likelihood: Likelihood, target: Tensor, observed: Tensor | None) -> Any:
    """Sum of the ``constant`` over the observed cells, shape (rows,), or the number 0."""
    cells = likelihood.constant(target)
    if cells is None:
        return 0.0
    return (cells if observed is None else cells * observed).sum(-1)
