"""Factor analysis of whitened residuals: the start where columns differ in their noise.

For noises psi the residuals over psi^(1/2) are whitened once more, and their eigenpairs (l, u) give
the loadings W = psi^(1/2) U (L - 1)^(1/2), which are the most likely ones for this psi. What W
leaves of each column's variance is the next psi (Joreskog 1967; Bishop 2006, section 12.2.4).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.linalg import eigh

from skvae.likelihoods import FIXED_NOISE
from skvae.starts._spectrum import DENSE_FEATURES, Residuals, principal_spectrum

# A noise is shrunk as if some more rows had been seen, whose noise is a fiftieth of the column's
# variance: a loading that explains all of a column (Heywood 1931) would have no end of likelihood.
_PRIOR_ROWS, _PRIOR_SHARE = 5.0, 0.02

# Rounds end where no noise moves by more than this share; the eigenpairs of all rounds together are
# held to some seconds.
_TOLERANCE = 1e-3
_MOST_ROUNDS, _COST = 200, 2e10
_LANCZOS_ROUNDS = 4


def eigenpairs(
    residuals: Residuals, unit: np.ndarray, n_pairs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Leading eigenpairs of the residuals over ``unit``, in descending order."""
    n = len(unit)
    if n_pairs == 0:
        return np.zeros(0), np.zeros((n, 0))
    if n > DENSE_FEATURES:
        over = replace(residuals, factor=residuals.factor / unit)
        spectrum = principal_spectrum(over, n_pairs)
        return spectrum.eigenvalues, spectrum.vectors
    scaled = residuals.scatter / residuals.divisor / np.outer(unit, unit)
    values, vectors = eigh(scaled, subset_by_index=[n - n_pairs, n - 1])
    return values[::-1], vectors[:, ::-1]


def shrunk_noise(
    left: np.ndarray,
    variance: np.ndarray,
    n_rows: np.ndarray | float,
    groups: np.ndarray,
    least: np.ndarray | None,
) -> np.ndarray:
    """Noise of each column, for what latents leave of its variance over some number of rows."""
    is_fixed, varies = groups == FIXED_NOISE, variance > 0
    _, group = np.unique(groups, return_inverse=True)
    sizes = np.bincount(group, varies)
    prior = _PRIOR_ROWS * _PRIOR_SHARE * variance
    noise = (n_rows * left.clip(min=0.0) + prior) / (n_rows + _PRIOR_ROWS)
    if len(sizes) < len(noise):  # columns that share a noise have their mean, as in PCA
        noise = (np.bincount(group, np.where(varies, noise, 0.0)) / sizes.clip(min=1.0))[group]
    noise = np.where(varies & ~is_fixed, noise, 1.0)
    return noise if least is None else np.maximum(noise, least)


def noise_by_column(
    residuals: Residuals, groups: np.ndarray, n_components: int, least: np.ndarray | None = None
) -> np.ndarray:
    """Noise variance of each column, beside the most likely loadings of some latents.

    Parameters
    ----------
    residuals : Residuals
        What is factored.
    groups : ndarray of int of shape (n_inputs,)
        Columns of the same number share a noise, and those of ``FIXED_NOISE`` have 1.
    n_components : int
        Number of latents.
    least : ndarray of shape (n_inputs,) or None
        Least noise of each column, if one is known.

    Returns
    -------
    noise : ndarray of shape (n_inputs,)
        A column that does not vary has a noise of 1.
    """
    variance, n_rows, n = residuals.variance, residuals.moments.count, len(residuals.factor)

    def shrunk(left: np.ndarray) -> np.ndarray:
        return shrunk_noise(left, variance, n_rows, groups, least)

    n_pairs = min(n_components, n - 1)
    if n_pairs < 1:
        return shrunk(variance)
    dense = n <= DENSE_FEATURES
    n_rounds = int(np.clip(_COST / n**3, 10, _MOST_ROUNDS)) if dense else _LANCZOS_ROUNDS
    noise = shrunk(0.5 * variance)
    for _ in range(n_rounds):
        values, vectors = eigenpairs(residuals, np.sqrt(noise), n_pairs)
        explained = noise * (np.square(vectors) @ (values - 1.0).clip(min=0.0))
        before, noise = noise, shrunk(variance - explained)
        if np.abs(noise - before).max() <= _TOLERANCE * noise.min():
            break
    return noise
