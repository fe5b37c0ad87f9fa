"""Normal scores: what makes a number of any distribution a normal one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

# A piece of the distribution function has at least so many rows, and there are at most so many.
_ROWS_PER_PIECE = 20
_MOST_PIECES = 200


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Piecewise linear function from a column's values to their normal scores.

    Attributes
    ----------
    values, scores : ndarray of shape (n_knots,)
        Both ascending; beyond the ends the function goes on as in the last piece.
    """

    values: np.ndarray
    scores: np.ndarray

    @property
    def slopes(self) -> np.ndarray:
        """Slope of each piece."""
        return np.diff(self.scores) / np.diff(self.values)

    def there(self, values: np.ndarray) -> np.ndarray:
        """Scores of values."""
        piece = self._piece(self.values, values)
        return self.scores[piece] + (values - self.values[piece]) * self.slopes[piece]

    def back(self, scores: np.ndarray) -> np.ndarray:
        """Values of scores."""
        piece = self._piece(self.scores, scores)
        return self.values[piece] + (scores - self.scores[piece]) / self.slopes[piece]

    def log_slope(self, scores: np.ndarray) -> np.ndarray:
        """Log of d score / d value, at scores."""
        return np.log(self.slopes)[self._piece(self.scores, scores)]

    @staticmethod
    def _piece(knots: np.ndarray, places: np.ndarray) -> np.ndarray:
        return np.searchsorted(knots, places, side="right").clip(1, len(knots) - 1) - 1


def read_scores(values: np.ndarray) -> Scores:
    """Read off the normal scores Phi^-1(F(x)), with F by mid-ranks, at some quantiles.

    Where all values are the same, they are their own scores.
    """
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) < 2:
        return Scores(values=levels[0] + np.array([0.0, 1.0]), scores=np.array([0.0, 1.0]))
    share = (np.cumsum(counts) - 0.5 * counts) / len(values)
    n_pieces = int(np.clip(len(values) // _ROWS_PER_PIECE, 1, _MOST_PIECES))
    wanted = np.linspace(0.0, 1.0, n_pieces + 1)
    kept = np.unique(np.r_[0, np.searchsorted(share[:-1], wanted[1:-1]), len(levels) - 1])
    return Scores(values=levels[kept].astype(np.float64), scores=ndtri(share[kept]))
