"""What the likelihoods of counts have in common."""

from __future__ import annotations

import numpy as np

from skvae._core.checks import check_choice
from skvae._core.flat import Shape
from skvae.likelihoods._cells import CellLikelihood
from skvae.tables import PER_LIBRARY, ColumnRanges, Moments, View

# Least mean of a column at the start: the log of a column of zeros stays finite.
LEAST_MEAN = 1e-3

# Largest log of a rate: beyond this its exponential is not finite in float32.
MOST = 80.0

# Largest rate that NumPy draws a Poisson's count of.
_MOST_DRAWN = 1e18


class CountLikelihood(CellLikelihood):
    """Base of the likelihoods of whole numbers from 0, with the log of a rate as location.

    The encoder is shown log(1 + x), because a network that is linear in counts sends a large one
    beyond all bounds through the exponential.
    """

    has_domain = True

    #: Whether the log of the row's total is an offset of the log rates.
    library_size: bool

    @property
    def link(self) -> str:  # type: ignore[override]
        """What the encoder is shown: log(1 + x), of x itself or over the library size."""
        return PER_LIBRARY if self.library_size else "log1p"

    def check(self, columns: ColumnRanges) -> None:
        """Raise ValueError if X is negative or not whole."""
        wrong = (columns.minimum < 0) | ~columns.is_whole
        if wrong.any():
            j = int(wrong.argmax())
            value = columns.minimum[j] if columns.minimum[j] < 0 else columns.fraction(j)
            raise ValueError(
                f"{type(self).__name__} takes counts: whole numbers from 0. Got {value:g} in "
                f"{columns.name(j)}. Round it, or choose likelihood='gaussian'."
            )

    def parameter_shapes(self, n_targets: int) -> list[Shape]:
        """No parameters are shared."""
        check_choice(self, "library_size", (False, True))
        return []

    def view(self, moments: Moments, inputs: Moments) -> View:
        """X is its own target; the encoder sees log(1 + x) standardised."""
        return logged_view(moments, inputs, self.link)

    def recentred(self, natural: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """E[exp(b + y)] = exp(b + v / 2) for a normal y of variance v."""
        return natural - 0.5 * variance


def drawn_counts(rate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw counts around rates."""
    return rng.poisson(rate.clip(max=_MOST_DRAWN))


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
