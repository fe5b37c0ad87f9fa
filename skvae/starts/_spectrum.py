"""The spectrum that the PCA start is made of: principal axes of whitened residuals."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgError, cholesky, eigh, lapack
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.utils.extmath import svd_flip

from skvae._sklearn.compat import infer_dimension
from skvae.tables import Moments, blocks, of_rows

# Above this many features the covariance is not formed, unless all of its spectrum is asked for.
DENSE_FEATURES = 1000

# Ratio of the features' spreads above which small eigenvalues need an accuracy of their own.
_GRADED = 1e5


# PCA explains more variance than the share that is asked for, never just as much. A share that is a
# sum of published ratios has passed through float32 parameters, and may be off by their rounding.
_SHARE_TOLERANCE = 2 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """Leading eigenpairs of the covariance of whitened residuals, as PCA counts them.

    Attributes
    ----------
    eigenvalues : ndarray of shape (m,)
        In descending order; only those above rounding.
    vectors : ndarray of shape (n_features, m)
        Eigenvectors, with the signs of ``sklearn.utils.extmath.svd_flip``.
    rank : int
        Number of eigenvalues above rounding, seen or not.
    total_variance : float
        Sum of all eigenvalues.
    n_samples : float
        Number of rows, or the total weight if that is larger.
    n_directions : int
        min(n_samples, n_features): what PCA counts its discarded eigenvalues by.
    rest : float or None
        Sum of the eigenvalues beyond these, if it is known better than by the difference.
    """

    eigenvalues: np.ndarray
    vectors: np.ndarray
    rank: int
    total_variance: float
    n_samples: float
    n_directions: int
    rest: float | None = None

    def over(self, factor: float) -> Spectrum:
        """Give the spectrum of residuals divided by ``factor``."""
        square = factor**2
        return replace(
            self,
            eigenvalues=self.eigenvalues / square,
            total_variance=self.total_variance / square,
            rest=None if self.rest is None else self.rest / square,
        )

    def discarded(self, n_kept: int) -> float:
        """Sum of all eigenvalues but the first ``n_kept``."""
        if self.rest is not None:
            return float(self.eigenvalues[n_kept:].sum()) + self.rest
        return max(self.total_variance - self.eigenvalues[:n_kept].sum(), 0.0)


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """Whitened residuals ``(X - mean) * factor`` of a table's rows.

    Attributes
    ----------
    X : ndarray, Derived or CSR matrix of shape (n_samples, n_features)
        The rows.
    weight : ndarray of shape (n_samples,) or None
        Row weights; integers count as repeated rows.
    moments : Moments
        Of X under these weights.
    factor : ndarray of shape (n_features,)
        What whitens a residual.
    """

    X: Any
    weight: np.ndarray | None
    moments: Moments
    factor: np.ndarray

    @property
    def divisor(self) -> float:
        """What the scatter is divided by for PCA's covariance.

        For relative weights it is that of equal weights; at the border both are the same.
        """
        count = self.moments.count
        return self.moments.total_weight * (count - 1.0) / count

    @property
    def variance(self) -> np.ndarray:
        """Variance of each column, as PCA counts it."""
        return self.moments.variance * self.factor**2 * (self.moments.total_weight / self.divisor)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the residuals times the roots of their weights, as dense blocks of rows."""
        for rows, block in blocks(self.X):
            root = np.sqrt(of_rows(self.weight, rows))[:, None]
            yield rows, (block - self.moments.mean) * self.factor * root

    @cached_property
    def scatter(self) -> np.ndarray:
        """Weighted sum of the residuals' products, shape (n_features, n_features)."""
        return sum(r.T @ r for _, r in self.blocks())


def principal_spectrum(residuals: Residuals, n_components: int | None) -> Spectrum:
    """Find the leading principal axes of whitened residuals.

    Parameters
    ----------
    residuals : Residuals
        Of the rows.
    n_components : int or None
        Number of eigenpairs, or None for all.

    Returns
    -------
    spectrum : Spectrum
    """
    X, moments, divisor = residuals.X, residuals.moments, residuals.divisor
    n_samples, n_features = X.shape
    count = moments.count
    n_directions = min(round(count), n_features)
    total = float((moments.variance * residuals.factor**2).sum() * moments.total_weight / divisor)
    n_wanted = None if n_components is None else min(n_components, n_directions)
    is_graded = False
    if total == 0.0:
        values, vectors = np.zeros(0), np.zeros((n_features, 0))
    elif n_features <= DENSE_FEATURES or (n_wanted is None and n_features <= n_samples):
        values, vectors, is_graded = _by_covariance(residuals)
    elif not sparse.issparse(X) and (n_wanted is None or n_samples <= DENSE_FEATURES):
        values, vectors = _by_gram(residuals)
    else:
        n_wanted = min(n_wanted or n_directions, min(X.shape) - 1)
        values, vectors = _by_lanczos(residuals, n_wanted)
    values = values / divisor
    rounding = 0.0 if is_graded else max(X.shape) * np.finfo(np.float64).eps
    is_counted = values > rounding * max(values.max(initial=0.0), 1e-300)
    order = np.argsort(-values[is_counted], kind="stable")[:n_wanted]
    vectors = signed(vectors[:, is_counted][:, order])
    # Lanczos leaves other eigenvalues unseen: if all seen count, the rank is what the shape allows.
    rank = int(is_counted.sum())
    if len(values) < n_directions and is_counted.all():
        rank = min(round(count) - 1, n_features)
    rest = float(np.sort(values)[: -len(order)].sum()) if is_graded else None
    return Spectrum(
        eigenvalues=values[is_counted][order],
        vectors=vectors,
        rank=rank,
        total_variance=total,
        n_samples=count,
        n_directions=n_directions,
        rest=rest,
    )


def signed(vectors: np.ndarray) -> np.ndarray:
    """Give eigenvectors the signs of ``sklearn.utils.extmath.svd_flip``."""
    if vectors.shape[1] == 0:
        return vectors
    # It works in place: the second argument must not be a view of the first.
    return svd_flip(vectors, vectors.T.copy(), u_based_decision=True)[0]


def _by_covariance(residuals: Residuals) -> tuple[np.ndarray, np.ndarray, bool]:
    """Eigenpairs, and whether the small ones are as accurate as the large ones."""
    scatter = residuals.scatter
    pairs = _graded_eigenpairs(scatter)
    return (*eigh(scatter), False) if pairs is None else (*pairs, True)


def _graded_eigenpairs(scatter: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Eigenpairs of a scatter matrix whose features differ by orders of magnitude.

    ``eigh`` is accurate to the largest eigenvalue's rounding, in which the features in small units
    drown. With D the features' norms and C = LL' their correlations, the singular values of L'D are
    the roots of the eigenvalues, and one-sided Jacobi rotations find each to its own rounding
    (Demmel and Veselic 1992). None if the features are of one order, or C is singular.
    """
    norms = np.sqrt(np.diag(scatter))
    if norms.min() == 0.0 or norms.max() < _GRADED * norms.min():
        return None
    try:
        lower = cholesky(scatter / np.outer(norms, norms), lower=True)
    except LinAlgError:
        return None
    if np.diag(lower).min() ** 2 < len(scatter) * np.finfo(np.float64).eps:
        return None
    # joba=0: the columns may be of any scale; jobu=3: no left vectors.
    singular, _, vectors, work, _, info = lapack.dgejsv(lower.T * norms, joba=0, jobu=3, jobp=0)
    return None if info else (np.square(singular * (work[0] / work[1])), vectors)


def _by_gram(residuals: Residuals) -> tuple[np.ndarray, np.ndarray]:
    residual = np.vstack([r for _, r in residuals.blocks()])
    values, rows = eigh(residual @ residual.T)
    vectors = residual.T @ rows
    norms = np.linalg.norm(vectors, axis=0)
    return values, vectors / np.where(norms > 0, norms, 1.0)


def _by_lanczos(residuals: Residuals, n_pairs: int) -> tuple[np.ndarray, np.ndarray]:
    X, shift, factor = residuals.X, residuals.moments.mean, residuals.factor
    n_features = X.shape[1]
    weight = residuals.weight

    def scatter_times(v: np.ndarray) -> np.ndarray:
        v = factor * v.ravel()
        if sparse.issparse(X):  # centred without touching the zeros
            score = of_rows(weight, slice(0, X.shape[0])) * (X @ v - shift @ v)
            return factor * (X.T @ score - shift * score.sum())
        return factor * sum(
            (block - shift).T @ (of_rows(weight, rows) * ((block - shift) @ v))
            for rows, block in blocks(X)
        )

    operator = LinearOperator((n_features, n_features), matvec=scatter_times, dtype=np.float64)
    v0 = np.random.RandomState(0).uniform(-1.0, 1.0, n_features)
    return eigsh(operator, n_pairs, v0=v0)


def resolve_n_components(n_components: Any, spectrum: Spectrum) -> int:
    """Give the number of latents for any value that PCA takes, and for ints above it."""
    if n_components is None:
        return spectrum.n_directions
    if n_components == "mle":
        values = np.zeros(spectrum.n_directions)
        values[: len(spectrum.eigenvalues)] = spectrum.eigenvalues
        return max(1, infer_dimension(values, round(spectrum.n_samples)))
    if isinstance(n_components, numbers.Integral):
        return int(n_components)
    ratio = np.cumsum(spectrum.eigenvalues / max(spectrum.total_variance, 1e-300))
    share = n_components * (1.0 + _SHARE_TOLERANCE)
    n_reached = int(np.searchsorted(ratio, share, side="right"))
    return max(1, min(n_reached + 1, len(ratio)))
