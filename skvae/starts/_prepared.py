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
from scipy.linalg import eigh

from skvae.likelihoods import Likelihood, Response
from skvae.starts._factors import eigenpairs, noise_by_column
from skvae.starts._incomplete import Factors, factor_incomplete
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
    blocks,
    has_gaps,
    library_sizes,
    never_seen,
    per_library,
    share_of_zeros,
    shown,
    weighted_moments,
)

# Least noise relative to the mean variance: below it float32 residuals are rounding.
NOISE_FLOOR = 1e-12

# A latent is started if its variance is above the noise by more than this share.
_RAISED = 1e-6


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
    n_started = int((values[:n_started] > noise_variance * (1.0 + _RAISED)).sum())
    return Principal(
        vectors=spectrum.vectors[:, :n_started],
        eigenvalues=values[:n_started],
        noise_variance=noise_variance,
        noise=np.array([noise_variance]),
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
            factors = factors_of(self.residuals, response, n_started)
        if response.has_noise("shared"):
            spectrum = (
                self.spectrum
                if factors is None
                else factored_spectrum(factors, self.residuals.moments.count)
            )
            principal = probabilistic_pca(spectrum, n_started, None)
            return replace(principal, mean=None if factors is None else factors.mean)
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
        n_counted = int((values > 1.0 + _RAISED).sum())
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
            mean=None if factors is None else factors.mean,
        )

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
        mean = None if self.factors is None else self.factors.mean
        return replace(principal, noise=noise.clip(min=NOISE_FLOOR), mean=mean)

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
    cells = X
    X, weight, of_cells = _per_library(X, weight, likelihood.link, moments)
    if likelihood.counts_zeros:
        of_cells = replace(of_cells, zeros=share_of_zeros(X, weight))
    inputs = shown(X, likelihood.link)
    of_inputs = of_cells if inputs is X else weighted_moments(inputs, weight)
    view = likelihood.view(moments, of_inputs)
    response = likelihood.response(view, of_cells, of_inputs)
    wanted = int(n_components) if isinstance(n_components, numbers.Integral) else None
    factor = 1.0 / (view.input_unit * response.spread)
    residuals = Residuals(X=inputs, weight=weight, moments=of_inputs, factor=factor)
    factors = None
    if has_gaps(cells):
        if never_seen(cells).all():
            raise ValueError(
                f"All cells of the {cells.shape[0]} rows to fit are missing. Pass rows with cells."
            )
        factors = factors_of(residuals, response, wanted or len(factor))
        spectrum = factored_spectrum(factors, of_inputs.count, whole=wanted is None)
    else:
        spectrum = principal_spectrum(residuals, wanted)
    k = resolve_n_components(n_components, spectrum)
    if factors is not None and wanted is None:
        factors = factors_of(residuals, response, k)
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
        view=_with_gaps(view, cells, of_inputs, likelihood.has_domain),
        response=response,
        spectrum=spectrum,
        residuals=residuals,
        n_components=k,
        needs_double=needs_double,
        factors=factors,
    )


def factors_of(residuals: Residuals, response: Response, n_components: int) -> Factors:
    """Factors of residuals with gaps, with noises as the likelihood has them."""
    groups = None if response.has_noise("shared") else response.noise_groups
    return factor_incomplete(residuals, groups, n_components, response.least_noise)


def _with_gaps(
    view: View,
    X: Any,
    of_inputs: Moments,
    has_domain: bool,
) -> View:
    """Give a view for rows with gaps, which stand at the mean until the start says more."""
    is_target = np.broadcast_to(np.equal(view.link, "identity"), view.n_columns)
    mean = np.where(is_target, (of_inputs.mean - view.shift) / view.scale, of_inputs.mean)
    share, filler = _shares(X, 0.5 if has_domain else 0.0)
    columns = np.flatnonzero((share > 0) & (share < 1))
    gaps = Gaps(
        columns=columns,
        unseen=share == 0,
        filler=filler,
        center=mean,
        unit=np.ones(view.n_columns),
        loadings=np.zeros((view.n_columns, 0)),
    )
    if not len(columns):
        return replace(view, gaps=gaps)
    share = share[columns]
    shift = np.zeros(view.n_columns) if view.input_shift is None else view.input_shift
    scale = np.ones(view.n_columns) if view.input_scale is None else view.input_scale
    return replace(
        view,
        input_shift=np.hstack([shift, share]),
        input_scale=np.hstack([scale, 1.0 / np.sqrt(share * (1.0 - share))]),
        gaps=gaps,
    )


def _shares(X: Any, unseen: float) -> tuple[np.ndarray, np.ndarray]:
    """Share of rows that have a cell of each column, and one such cell of each."""
    if not has_gaps(X):
        return np.ones(X.shape[1]), next(blocks(X[:1]))[1][0]
    count, filler = np.zeros(X.shape[1]), np.full(X.shape[1], np.nan)
    for _, block in blocks(X):
        there = ~np.isnan(block)
        count += there.sum(0)
        first = block[there.argmax(0), np.arange(X.shape[1])]
        filler = np.where(np.isnan(filler), first, filler)
    return count / X.shape[0], np.where(np.isnan(filler), unseen, filler)


def factored_spectrum(factors: Factors, count: float, whole: bool = False) -> Spectrum:
    """Spectrum of the covariance that factors give the residuals of so many rows.

    It has an eigenpair for each factor, exact if all columns share one noise; or with ``whole``
    all.
    """
    d = len(factors.mean)
    noise = np.where(factors.variance > 0, factors.noise, 0.0)
    n_directions, rest = min(round(count), d), 0.0
    if whole:
        values, vectors = eigh(factors.loadings @ factors.loadings.T + np.diag(noise))
        values, vectors = values[::-1][:n_directions], vectors[:, ::-1][:, :n_directions]
    else:
        vectors, sizes = factors.axes(1.0)
        values = sizes + np.square(vectors).T @ noise
        rest = max(n_directions - len(values), 0) * float(noise.mean())
    return Spectrum(
        eigenvalues=values,
        vectors=signed(vectors),
        rank=min(int((factors.variance > 0).sum()), n_directions),
        total_variance=float(factors.variance.sum()),
        n_samples=count,
        n_directions=n_directions,
        rest=rest,
    )


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
