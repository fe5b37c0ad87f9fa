"""All that a model starts from: units, the likelihood's response, probabilistic PCA of the rows.

Probabilistic PCA (Tipping and Bishop 1999) has, for covariance eigenpairs (l_j, u_j) and noise s2,
the decoder W = U (L - s2)^(1/2), the posterior mean L^-1 (L - s2)^(1/2) U'(x - mean) and the
posterior variance s2 / l_j. That posterior is diagonal, so a model with a linear path holds all of
it exactly, and its bound is its evidence. Under another likelihood the same solution is taken of
the residuals that it whitens.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skvae.likelihoods import Likelihood, Response
from skvae.starts._factors import eigenpairs, noise_by_column
from skvae.starts._incomplete import (
    Factors,
    factored_spectrum,
    factors_of,
    observed_shares,
    view_with_gaps,
)
from skvae.starts._probabilistic import NOISE_FLOOR, RAISED, Principal, probabilistic_pca
from skvae.starts._spectrum import (
    Residuals,
    Spectrum,
    principal_spectrum,
    resolve_n_components,
    signed,
)
from skvae.tables import (
    PER_LIBRARY,
    Gaps,
    Link,
    Moments,
    View,
    library_sizes,
    per_library,
    share_of_zeros,
    shown,
    weighted_moments,
)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """All that a model starts from.

    Attributes
    ----------
    view : View
        Units of targets and inputs.
    response : Response
        Of the intercept-only model.
    spectrum : Spectrum
        Of the whitened residuals.
    residuals : Residuals
        What the spectrum is of.
    n_components : int
        Number of latents.
    needs_double : bool
        Whether the noise is below what float32 tells apart beside the largest features.
    factors : Factors or None
        Of the residuals, if there are gaps.
    """

    view: View
    response: Response
    spectrum: Spectrum
    residuals: Residuals
    n_components: int
    needs_double: bool
    factors: Factors | None = None

    def principal(self, n_started: int | None = None) -> Principal:
        """Solve for the leading ``n_started`` latents, by default for all."""
        n_started = self.n_components if n_started is None else n_started
        response, factors = self.response, self.factors
        if factors is not None and n_started < self.n_components:
            return self._factored(n_started).principal()
        if response.has_noise("shared"):
            return replace(probabilistic_pca(self.spectrum, n_started, None), mean=self.mean)
        if factors is None and response.has_noise("unit"):
            principal = probabilistic_pca(self.spectrum, n_started, 1.0)
            return replace(principal, noise=np.ones(len(response.spread)))
        n_started = min(n_started, self.spectrum.rank)
        if factors is None:
            noise = noise_by_column(
                self.residuals, response.noise_groups, n_started, response.least_noise
            )
            unit = np.sqrt(noise)
            values, vectors = eigenpairs(self.residuals, unit, n_started)
        else:
            noise, unit = factors.noise, np.sqrt(factors.noise)
            vectors, sizes = factors.axes(unit)
            values = sizes + 1.0
        n_counted = int((values > 1.0 + RAISED).sum())
        if response.least_noise is not None:
            # Columns that share nothing have eigenvalues up to here (Marchenko and Pastur 1967).
            edge = (1.0 + np.sqrt(len(noise) / self.residuals.moments.count)) ** 2
            n_counted = int((values > edge).sum())
            vectors, values = vectors[:, :n_counted], values[:n_counted]
            explained = noise * (np.square(vectors) @ (values - 1.0).clip(min=0.0))
            left = np.where(self.residuals.variance > 0, self.residuals.variance - explained, 1.0)
            noise = np.where(response.least_noise > 0, left, noise)
        return Principal(
            vectors=signed(vectors[:, :n_counted]),
            eigenvalues=values[:n_counted],
            noise_variance=1.0,
            noise=noise,
            unit=unit,
            mean=self.mean,
        )

    @property
    def mean(self) -> np.ndarray | None:
        """Mean of the residuals, if there are gaps and it is not 0."""
        return None if self.factors is None else self.factors.mean

    def _factored(self, n_components: int) -> Prepared:
        """Give the same with factors of fewer latents."""
        factors = factors_of(self.residuals, self.response, n_components)
        spectrum = factored_spectrum(factors, self.residuals.moments.count)
        return replace(self, factors=factors, spectrum=spectrum, n_components=n_components)

    def points(self, n_started: int | None = None) -> Principal:
        """PCA of the residuals for a posterior that is a point, with the error that is left."""
        n_started = self.n_components if n_started is None else n_started
        fixed = 1.0 if self.response.has_noise("unit") else None
        principal = probabilistic_pca(self.spectrum, n_started, fixed)
        m, n_inputs = len(principal.eigenvalues), len(self.response.spread)
        if self.response.has_noise("shared"):
            # What is discarded, over all features: the mean squared error of PCA's points.
            n_left = max(self.spectrum.n_directions - m, 1) / n_inputs
            noise = np.array([principal.noise_variance * n_left])
        else:
            explained = np.square(principal.vectors) @ principal.eigenvalues
            total = self.residuals.variance if self.factors is None else self.factors.variance
            noise = total - explained
        return replace(principal, noise=noise.clip(min=NOISE_FLOOR), mean=self.mean)

    def gaps(self, start: Principal, n_components: int, of_latents: bool) -> Gaps:
        """What fills gaps, by the linear model of the start.

        ``of_latents`` says whether its latents are the model's.
        """
        gaps, spread = self.view.gaps, self.response.spread
        assert gaps is not None
        noise = np.sqrt(start.noise_variance)
        loadings = np.zeros((len(spread), n_components))
        signal = np.sqrt(start.eigenvalues - start.noise_variance)
        loadings[:, : len(signal)] = start.vectors * (signal / noise)
        return replace(
            gaps,
            center=gaps.center if start.mean is None else gaps.center + start.mean * spread,
            unit=spread * noise * (1.0 if start.unit is None else start.unit),
            loadings=loadings,
            of_latents=of_latents,
        )


def prepare(
    X: Any, weight: np.ndarray | None, likelihood: Likelihood, n_components: Any
) -> Prepared:
    """Take the moments of X and solve for the PCA start.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows in X's units.
    weight : ndarray of shape (n_samples,) or None
        Row weights, all positive.
    likelihood : Likelihood
        States the view and the response.
    n_components : int, float, None or "mle"
        As in PCA.
    """
    moments = weighted_moments(X, weight)
    if n_components == "mle" and moments.count < X.shape[1]:
        raise ValueError(
            "n_components='mle' needs at least as many rows as features. "
            f"Got {round(moments.count)} rows and {X.shape[1]} features."
        )
    share, filler = observed_shares(X, 0.5 if likelihood.has_domain else 0.0)
    if not share.any():
        raise ValueError(
            f"All cells of the {X.shape[0]} rows to fit are missing. Pass rows with observed cells."
        )
    X, weight, of_cells = _per_library(X, weight, likelihood.link, moments)
    if likelihood.counts_zeros:
        of_cells = replace(of_cells, zeros=share_of_zeros(X, weight))
    inputs = shown(X, likelihood.link)
    of_inputs = of_cells if inputs is X else weighted_moments(inputs, weight)
    view = likelihood.view(moments, of_inputs)
    response = likelihood.response(view, of_cells, of_inputs)
    factor = 1.0 / (view.input_unit * response.spread)
    residuals = Residuals(X=inputs, weight=weight, moments=of_inputs, factor=factor)
    spectrum, k, factors = _solve(residuals, response, n_components, bool((share < 1).any()))
    needs_double = False
    if response.has_noise("shared") and spectrum.total_variance > 0.0 and factors is None:
        needs_double = probabilistic_pca(spectrum, k, None).noise_variance <= NOISE_FLOOR
    if needs_double and view.affine is not None:
        # Units half way between the largest features and the noise keep both within bounds.
        noise = spectrum.discarded(k) / max(spectrum.n_directions - k, 1)
        unit = max(noise, NOISE_FLOOR**2) ** 0.25
        view, spectrum = view.over(unit), spectrum.over(unit)
        residuals = replace(residuals, factor=factor / unit)
        response = likelihood.response(view, of_cells, of_inputs)
    return Prepared(
        view=view_with_gaps(view, of_inputs, share, filler),
        response=response,
        spectrum=spectrum,
        residuals=residuals,
        n_components=k,
        needs_double=needs_double,
        factors=factors,
    )


def _solve(
    residuals: Residuals, response: Response, n_components: Any, is_incomplete: bool
) -> tuple[Spectrum, int, Factors | None]:
    """Spectrum of residuals, the number of latents, and their factors if there are gaps."""
    wanted = int(n_components) if isinstance(n_components, numbers.Integral) else None
    if not is_incomplete:
        spectrum = principal_spectrum(residuals, wanted)
        return spectrum, resolve_n_components(n_components, spectrum), None
    factors = factors_of(residuals, response, wanted or len(residuals.factor))
    spectrum = factored_spectrum(factors, residuals.moments.count, whole=wanted is None)
    k = resolve_n_components(n_components, spectrum)
    return spectrum, k, factors if wanted else factors_of(residuals, response, k)


def _per_library(
    X: Any, weight: np.ndarray | None, link: Link, moments: Moments
) -> tuple[Any, np.ndarray | None, Moments]:
    """Rows with counts over their library sizes, where a link asks for it, and their moments."""
    sizes = library_sizes(X, link, moments.mean)
    if sizes is None:
        return X, weight, moments
    if link == PER_LIBRARY:
        # A count over its row's size varies by its mean over that size, so a row weighs as much as
        # its size: the mean is the most likely rate of a Poisson with this offset.
        weight = sizes[:, 0] if weight is None else weight * sizes[:, 0]
    cells = per_library(X, link, moments.mean)
    return cells, weight, weighted_moments(cells, weight)


def prepare_stream(
    X: Any, weight: np.ndarray | None, likelihood: Likelihood, n_components: Any
) -> Prepared:
    """Prepare from the first rows of a stream, whose units all later rows will have.

    A feature that is constant so far may vary later: it enters in the table's own units.

    Raises
    ------
    ValueError
        If no feature varies, so that there are no units to take.
    """
    prepared = prepare(X, weight, likelihood, n_components)
    scale = prepared.view.input_scale
    if scale is None or scale.all():
        return prepared
    if not scale.any():
        raise ValueError(
            f"No feature varies over the {X.shape[0]} rows of the first call of partial_fit, from "
            f"which the units of all later ones are taken. Call it with rows that differ first."
        )
    view = replace(prepared.view, input_scale=np.where(scale > 0, scale, 1.0))
    return replace(prepared, view=view)
