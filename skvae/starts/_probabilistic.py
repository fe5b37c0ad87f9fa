"""Probabilistic PCA of a spectrum."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skvae.starts._spectrum import Spectrum

# Least noise relative to the mean variance: below it float32 residuals are rounding.
NOISE_FLOOR = 1e-12

# A latent is started if its variance is above the noise by more than this share.
RAISED = 1e-6


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Probabilistic PCA of whitened residuals over a unit, ready to be written into a model.

    Attributes
    ----------
    vectors : ndarray of shape (n_inputs, m)
        Axes of the started latents.
    eigenvalues : ndarray of shape (m,)
        Their variances, above the noise.
    noise_variance : float
        Noise s2, in units of the residuals.
    unit : ndarray of shape (n_inputs,) or None
        What the residuals are divided by, so that s2 is the noise of each; None for 1.
    noise : ndarray of shape (1,) or (n_inputs,)
        Noise variance of the residuals themselves: what the likelihood starts from.
    mean : ndarray of shape (n_inputs,) or None
        Mean of the residuals, if that is not 0: with gaps the observed cells' is not the rows'.
    """

    vectors: np.ndarray
    eigenvalues: np.ndarray
    noise_variance: float
    noise: np.ndarray
    unit: np.ndarray | None = None
    mean: np.ndarray | None = None

    def of(self, kept: list[int]) -> Principal:
        """Some of the latents; what the others explained is noise, unless that is fixed."""
        rest = np.setdiff1d(np.arange(len(self.eigenvalues)), kept)
        left = np.square(self.vectors[:, rest]) @ (self.eigenvalues[rest] - self.noise_variance)
        noise = self.noise + left * (1.0 if self.unit is None else self.noise)
        vectors, eigenvalues = self.vectors[:, kept], self.eigenvalues[kept]
        return replace(self, vectors=vectors, eigenvalues=eigenvalues, noise=noise)


def probabilistic_pca(
    spectrum: Spectrum, n_components: int, noise_variance: float | None
) -> Principal:
    """Solve probabilistic PCA for ``n_components`` latents.

    The noise is the mean of the discarded eigenvalues, PCA's ``noise_variance_``. Where nothing is
    discarded, any noise below the least eigenvalue gives the same covariance: half of that mean
    for one latent fewer is taken, and every latent still equals PCA's.

    Parameters
    ----------
    spectrum : Spectrum
        Of the whitened residuals.
    n_components : int
        Number of latents; those beyond the rank start at the prior.
    noise_variance : float or None
        Noise, if the likelihood fixes it.
    """
    values, rank = spectrum.eigenvalues, spectrum.rank
    n_started = min(n_components, rank)
    if noise_variance is None:
        n_kept = min(n_components, max(rank - 1, 0))
        noise_variance = spectrum.discarded(n_kept) / max(spectrum.n_directions - n_kept, 1)
        if n_components >= rank:
            noise_variance *= 0.5
        noise_variance = max(noise_variance, NOISE_FLOOR)
    n_started = int((values[:n_started] > noise_variance * (1.0 + RAISED)).sum())
    return Principal(
        vectors=spectrum.vectors[:, :n_started],
        eigenvalues=values[:n_started],
        noise_variance=noise_variance,
        noise=np.array([noise_variance]),
    )
