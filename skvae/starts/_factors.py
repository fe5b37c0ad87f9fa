"""Factor analysis of whitened residuals: the start where columns differ in their noise.

For noises psi the residuals over psi^(1/2) are whitened once more, and their eigenpairs (l, u) give
the loadings W = psi^(1/2) U (L - 1)^(1/2), which are the most likely ones for this psi. What W
leaves of each column's variance is the next psi (Joreskog 1967; Bishop 2006, section 12.2.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import eigh

from skvae.starts._spectrum import DENSE_FEATURES, covariance, principal_spectrum
from skvae.tables import Moments

# A noise is shrunk as if some more rows had been seen, whose noise is a fiftieth of the column's
# variance: a loading that explains all of a column (Heywood 1931) would have no end of likelihood.
_PRIOR_ROWS, _PRIOR_SHARE = 5.0, 0.02

# Rounds end where no noise moves by more than this share; the eigenpairs of all rounds together are
# held to some seconds.
_TOLERANCE = 1e-3
_MOST_ROUNDS, _COST = 200, 2e10
_LANCZOS_ROUNDS = 4


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """Whitened residuals of a table's rows.

    Attributes
    ----------
    X : ndarray, Derived or CSR matrix of shape (n_samples, n_inputs)
        What the encoder is shown.
    weight : ndarray of shape (n_samples,) or None
        Row weights.
    moments : Moments
        Of X.
    factor : ndarray of shape (n_inputs,)
        What whitens a residual.
    """

    X: Any
    weight: np.ndarray | None
    moments: Moments
    factor: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """Variance of each column, with PCA's n - 1."""
        count = self.moments.count
        return self.moments.variance * self.factor**2 * (count / (count - 1.0))

    @cached_property
    def _covariance(self) -> np.ndarray:
        return covariance(self.X, self.weight, self.moments, self.factor)

    def eigenpairs(self, unit: np.ndarray, n_pairs: int) -> tuple[np.ndarray, np.ndarray]:
        """Leading eigenpairs of the residuals over ``unit``, in descending order."""
        n = len(unit)
        if n_pairs == 0:
            return np.zeros(0), np.zeros((n, 0))
        if n > DENSE_FEATURES:
            spectrum = principal_spectrum(
                self.X, self.weight, self.moments, self.factor / unit, n_pairs
            )
            return spectrum.eigenvalues, spectrum.vectors
        scaled = self._covariance / np.outer(unit, unit)
        values, vectors = eigh(scaled, subset_by_index=[n - n_pairs, n - 1])
        return values[::-1], vectors[:, ::-1]


def noise_by_column(residuals: Residuals, groups: np.ndarray, n_components: int) -> np.ndarray:
    """Noise variance of each column, beside the most likely loadings of some latents.

    Parameters
    ----------
    residuals : Residuals
        What is factored.
    groups : ndarray of int of shape (n_inputs,)
        Columns of the same number share a noise; that of -1 is 1.
    n_components : int
        Number of latents.

    Returns
    -------
    noise : ndarray of shape (n_inputs,)
    """
    variance, n_rows, n = residuals.variance, residuals.moments.count, len(groups)
    free = groups >= 0
    if not free.any():
        return np.ones(n)
    _, group = np.unique(groups, return_inverse=True)
    size = np.bincount(group)

    def shared(values: np.ndarray) -> np.ndarray:
        return (np.bincount(group, values) / size)[group]

    prior = _PRIOR_SHARE * shared(variance)

    def of_left(left: np.ndarray) -> np.ndarray:
        noise = (n_rows * shared(left.clip(min=0.0)) + _PRIOR_ROWS * prior) / (n_rows + _PRIOR_ROWS)
        return np.where(free & (noise > 0), noise, 1.0)

    n_pairs = min(n_components, n - 1)
    if n_pairs < 1:
        return of_left(variance)
    dense = n <= DENSE_FEATURES
    n_rounds = int(np.clip(_COST / n**3, 10, _MOST_ROUNDS)) if dense else _LANCZOS_ROUNDS
    noise = of_left(0.5 * variance)
    for _ in range(n_rounds):
        values, vectors = residuals.eigenpairs(np.sqrt(noise), n_pairs)
        explained = noise * (np.square(vectors) @ (values - 1.0).clip(min=0.0))
        before, noise = noise, of_left(variance - explained)
        if np.abs(noise - before).max() <= _TOLERANCE * noise.min():
            break
    return noise
