"""The PCA start: probabilistic PCA, solved and written into the networks.

Probabilistic PCA (Tipping and Bishop 1999) has, for covariance eigenpairs (l_j, u_j) and noise s2,
the decoder W = U (L - s2)^(1/2), the posterior mean L^-1 (L - s2)^(1/2) U'(x - mean) and the
posterior variance s2 / l_j. That posterior is diagonal, so a model with a linear path holds all of
it exactly, and its bound is its evidence. Under another likelihood the same solution is taken of
the working residuals: one Fisher-scoring step from the feature means.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from scipy.linalg import LinAlgError, cholesky, eigh, lapack
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.utils.extmath import svd_flip
from torch import Tensor

from skvae._core.arrays import as_tensor
from skvae._sklearn.compat import infer_dimension
from skvae.likelihoods import Likelihood, WorkingResponse
from skvae.model._model import Model
from skvae.tables import Moments, blocks, weighted_moments

# Above this many features the covariance is not formed, unless all of its spectrum is asked for.
_DENSE_FEATURES = 1000

# Least noise, over the mean variance: below, float32 residuals are rounding.
_NOISE_FLOOR = 1e-12

# Ratio of the features' spreads from which on small eigenvalues need an accuracy of their own.
_GRADED = 1e5


# PCA explains more variance than the share that is asked for, never just as much. A share that is a
# sum of published ratios has passed through float32 parameters, and may be off by their rounding.
_SHARE_TOLERANCE = 2 * float(np.finfo(np.float32).eps)


class Spectrum(NamedTuple):
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
        Number of rows, or the total weight where that is larger.
    n_directions : int
        min(n_samples, n_features): what PCA counts its discarded eigenvalues by.
    rest : float or None
        Sum of the eigenvalues beyond these, where it is known better than by the difference.
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
        return self._replace(
            eigenvalues=self.eigenvalues / square,
            total_variance=self.total_variance / square,
            rest=None if self.rest is None else self.rest / square,
        )

    def discarded(self, n_kept: int) -> float:
        """Sum of all eigenvalues but the first ``n_kept``."""
        if self.rest is not None:
            return float(self.eigenvalues[n_kept:].sum()) + self.rest
        return max(self.total_variance - self.eigenvalues[:n_kept].sum(), 0.0)


def principal_spectrum(
    X: Any,
    weight: np.ndarray | None,
    moments: Moments,
    shift: np.ndarray,
    factor: np.ndarray,
    n_components: int | None,
) -> Spectrum:
    """Find the leading principal axes of ``(X - shift) * factor``.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        The rows.
    weight : ndarray of shape (n_samples,) or None
        Row weights; integers count as repeated rows.
    moments : Moments
        Of X under these weights.
    shift, factor : ndarray of shape (n_features,)
        What whitens the residuals.
    n_components : int or None
        Number of eigenpairs, or None for all.

    Returns
    -------
    spectrum : Spectrum
    """
    n_samples, n_features = X.shape
    # Weights that add up to less than the number of rows are relative, not counts: the divisor
    # then is that of equal weights. Both agree where they meet.
    count = max(moments.total_weight, float(n_samples))
    divisor = moments.total_weight * (count - 1.0) / count
    n_directions = min(round(count), n_features)
    root_weight = np.ones(n_samples) if weight is None else np.sqrt(weight)
    total = float((moments.variance * factor**2).sum() * moments.total_weight / divisor)
    few = None if n_components is None else min(n_components, n_directions)
    is_graded = False
    if total == 0.0:
        values, vectors = np.zeros(0), np.zeros((n_features, 0))
    elif n_features <= _DENSE_FEATURES or (few is None and n_features <= n_samples):
        values, vectors, is_graded = _by_covariance(X, root_weight, shift, factor)
    elif not sparse.issparse(X) and (few is None or n_samples <= _DENSE_FEATURES):
        values, vectors = _by_gram(X, root_weight, shift, factor)
    else:
        few = min(few or n_directions, min(X.shape) - 1)
        values, vectors = _by_lanczos(X, root_weight, shift, factor, few)
    values = values / divisor
    rounding = 0.0 if is_graded else max(X.shape) * np.finfo(np.float64).eps
    kept = values > rounding * max(values.max(initial=0.0), 1e-300)
    order = np.argsort(-values[kept], kind="stable")[:few]
    vectors = vectors[:, kept][:, order]
    if len(order):
        # svd_flip works in place: the second argument must not be a view of the first.
        vectors = svd_flip(vectors, vectors.T.copy(), u_based_decision=True)[0]
    # Lanczos leaves the rest unseen: unless it met the end, the rank is what the shape allows.
    rank = int(kept.sum())
    if len(values) < n_directions and kept.all():
        rank = min(round(count) - 1, n_features)
    rest = float(np.sort(values)[: -len(order)].sum()) if is_graded else None
    return Spectrum(values[kept][order], vectors, rank, total, count, n_directions, rest)


def _whitened(X: Any, root_weight: np.ndarray, shift: np.ndarray, factor: np.ndarray) -> Any:
    for rows, block in blocks(X):
        yield rows, (block - shift) * factor * root_weight[rows, None]


def _by_covariance(
    X: Any, root_weight: np.ndarray, shift: np.ndarray, factor: np.ndarray
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Eigenpairs, and whether the small ones are as accurate as the large ones."""
    scatter = sum(r.T @ r for _, r in _whitened(X, root_weight, shift, factor))
    pairs = _graded_eigenpairs(scatter)
    return (*eigh(scatter), False) if pairs is None else (*pairs, True)


def _graded_eigenpairs(scatter: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Eigenpairs of a scatter matrix whose features differ by orders of magnitude.

    ``eigh`` is accurate to the largest eigenvalue's rounding, in which the features in small units
    drown. With D the features' norms and C = LL' their correlations, the singular values of L'D are
    the roots of the eigenvalues, and one-sided Jacobi rotations find each to its own rounding
    (Demmel and Veselic 1992). None where the features are of one order, or C is singular.
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


def _by_gram(
    X: Any, root_weight: np.ndarray, shift: np.ndarray, factor: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    residual = np.vstack([r for _, r in _whitened(X, root_weight, shift, factor)])
    values, rows = eigh(residual @ residual.T)
    vectors = residual.T @ rows
    norms = np.linalg.norm(vectors, axis=0)
    return values, vectors / np.where(norms > 0, norms, 1.0)


def _by_lanczos(
    X: Any, root_weight: np.ndarray, shift: np.ndarray, factor: np.ndarray, few: int
) -> tuple[np.ndarray, np.ndarray]:
    n_features = X.shape[1]
    weight = root_weight**2

    def scatter_times(v: np.ndarray) -> np.ndarray:
        v = factor * v.ravel()
        if sparse.issparse(X):  # centred without touching the zeros
            score = weight * (X @ v - shift @ v)
            return factor * (X.T @ score - shift * score.sum())
        return factor * sum(
            (block - shift).T @ (weight[rows] * ((block - shift) @ v)) for rows, block in blocks(X)
        )

    operator = LinearOperator((n_features, n_features), matvec=scatter_times, dtype=np.float64)
    v0 = np.random.RandomState(0).uniform(-1.0, 1.0, n_features)
    return eigsh(operator, few, v0=v0)


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


class PrincipalStart(NamedTuple):
    """Probabilistic PCA of the working residuals, ready to be written into a model.

    Attributes
    ----------
    vectors : ndarray of shape (n_features, m)
        Axes of the started latents.
    eigenvalues : ndarray of shape (m,)
        Their variances, above the noise.
    noise_variance : float
        Noise s2, in working units.
    """

    vectors: np.ndarray
    eigenvalues: np.ndarray
    noise_variance: float


def principal_start(
    spectrum: Spectrum, n_components: int, noise_variance: float | None
) -> PrincipalStart:
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
        Noise where the likelihood fixes it.
    """
    values, rank = spectrum.eigenvalues, spectrum.rank
    n_started = min(n_components, rank)
    if noise_variance is None:
        n_kept = min(n_components, max(rank - 1, 0))
        noise_variance = spectrum.discarded(n_kept) / max(spectrum.n_directions - n_kept, 1)
        if n_components >= rank:
            noise_variance *= 0.5
        noise_variance = max(noise_variance, _NOISE_FLOOR)
    n_started = int((values[:n_started] > noise_variance * (1.0 + 1e-6)).sum())
    return PrincipalStart(spectrum.vectors[:, :n_started], values[:n_started], noise_variance)


class Units(NamedTuple):
    """Constants of a fit: working units, and what the encoder sees.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        Weighted mean of X.
    total_variance : float
        Sum of X's variances, with PCA's n - 1.
    shift : ndarray of shape (n_features,)
        Working units are (x - shift) / scale.
    scale : float
        See ``shift``.
    input_shift, input_scale : ndarray of shape (n_features,) or None
        Of the encoder, on working units.
    """

    mean: np.ndarray
    total_variance: float
    shift: np.ndarray
    scale: float
    input_shift: np.ndarray | None
    input_scale: np.ndarray | None


class Prepared(NamedTuple):
    """All that a model starts from: units, the likelihood's response, the PCA solution.

    Where ``needs_double``, the noise is below what float32 tells apart beside the largest features.
    """

    units: Units
    response: WorkingResponse
    spectrum: Spectrum
    n_components: int
    needs_double: bool = False

    def start(self, n_started: int | None = None) -> PrincipalStart:
        """Solve for the leading ``n_started`` latents, by default for all."""
        n_started = self.n_components if n_started is None else n_started
        return principal_start(self.spectrum, n_started, self.response.noise_variance)


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
        States the working units and the working response.
    n_components : int, float, None or "mle"
        As in PCA.
    """
    moments = weighted_moments(X, weight)
    count = max(moments.total_weight, float(X.shape[0]))
    if n_components == "mle" and count < X.shape[1]:
        raise ValueError(
            "n_components='mle' needs at least as many rows as features. "
            f"Got {round(count)} rows and {X.shape[1]} features."
        )
    shift, scale = likelihood.working_units(moments.mean, moments.variance)
    mean = (moments.mean - shift) / scale
    response = likelihood.working_response(mean)
    wanted = int(n_components) if isinstance(n_components, numbers.Integral) else None
    centre, factor = moments.mean, 1.0 / (scale * response.root)
    spectrum = principal_spectrum(X, weight, moments, centre, factor, wanted)
    k = resolve_n_components(n_components, spectrum)
    needs_double = False
    if response.noise_variance is None and spectrum.total_variance > 0.0:
        noise = principal_start(spectrum, k, None).noise_variance
        needs_double = noise <= _NOISE_FLOOR
    if needs_double:
        # Units half way between the largest features and the noise keep both within bounds.
        left = spectrum.discarded(k) / max(spectrum.n_directions - k, 1)
        shrunk = max(left, _NOISE_FLOOR**2) ** 0.25
        scale, mean, spectrum = scale * shrunk, mean / shrunk, spectrum.over(shrunk)
        response = likelihood.working_response(mean)
    units = Units(
        mean=moments.mean,
        total_variance=float(moments.variance.sum() * count / (count - 1.0)),
        shift=shift,
        scale=scale,
        input_shift=mean if mean.any() else None,
        input_scale=likelihood.input_scale(np.sqrt(moments.variance) / scale),
    )
    return Prepared(units, response, spectrum, k, needs_double)


def prepare_stream(
    X: Any, weight: np.ndarray | None, likelihood: Likelihood, n_components: Any
) -> Prepared:
    """Prepare for the first rows of a stream, whose units later rows have to do with.

    A feature that is constant so far may vary later: it enters in the table's own units.

    Raises
    ------
    ValueError
        If no feature varies, so that there are no units to take.
    """
    prepared = prepare(X, weight, likelihood, n_components)
    scale = prepared.units.input_scale
    if scale is None or scale.all():
        return prepared
    if not scale.any():
        raise ValueError(
            f"No feature varies over the {X.shape[0]} rows of the first call of partial_fit, from "
            f"which the units of all later ones are taken. Call it with rows that differ first."
        )
    units = prepared.units._replace(input_scale=np.where(scale > 0, scale, 1.0))
    return prepared._replace(units=units)


def write_start(
    model: Model,
    prepared: Prepared,
    start: PrincipalStart | None,
    draw_rows: Callable[[int, torch.Generator], Tensor],
    seed: int,
) -> None:
    """Set every parameter of ``model``.

    Parameters
    ----------
    model : Model
        The networks.
    prepared : Prepared
        Its working response gives the decoder's bias and what whitens the residuals.
    start : PrincipalStart or None
        What the linear paths start as, with the nonlinear ones silent; None for the usual random
        start: drawn networks, linear paths of zero where there are any, noise of the data's own
        variance.
    draw_rows : callable
        Gives training rows in working units, for a prior that starts with some.
    seed : int
        Of the draws.
    """
    natural, root, _ = prepared.response
    generator = torch.Generator().manual_seed(seed)
    encoder, decoder = model.encoder, model.decoder
    for network in (encoder, decoder):
        network.start(generator, zero_output=start is not None)
    model.posterior.start(model.of_posterior.params, model.n_components, generator)
    model.prior.start(
        model.of_prior.params, model.n_components, lambda n: draw_rows(n, generator), generator
    )
    with torch.no_grad():
        decoder.output_bias[: len(natural)] = as_tensor(natural)
        if start is None:
            model.likelihood.start_parameters(model.shared.params, 1.0)
            return
        m, noise = len(start.eigenvalues), start.noise_variance
        if model.posterior.has_density:
            model.likelihood.start_parameters(model.shared.params, noise)
        else:
            # What is discarded, over all features: the mean squared error of PCA's points. And
            # these are PCA's own, where a posterior's means are shrunk by its noise.
            left = max(prepared.spectrum.n_directions - m, 1) / len(natural)
            model.likelihood.start_parameters(model.shared.params, max(noise * left, _NOISE_FLOOR))
            noise = 0.0
        signal = np.sqrt(start.eigenvalues - noise)
        axes = as_tensor
        along = (start.vectors * signal / start.eigenvalues).T / root
        scale = prepared.units.input_scale
        if scale is not None:  # a constant feature, of scale 0, has no part in any axis
            along = np.divide(along, scale, out=np.zeros_like(along), where=scale > 0)
        encoder.linear[:m] = axes(along)
        decoder.linear[:, :m] = axes(start.vectors * signal / root[:, None])
        log_variance = torch.zeros(model.n_components, dtype=torch.float64)
        log_variance[:m] = as_tensor(np.log(start.noise_variance / start.eigenvalues))
        encoder.output_bias.copy_(
            model.posterior.raw_output(torch.zeros_like(log_variance), log_variance)
        )


def set_inputs(model: Model, units: Units) -> None:
    """Give the encoder its constants."""
    like = model.flat.values
    for name in ("shift", "scale"):
        value = getattr(units, f"input_{name}")
        setattr(model.encoder, name, None if value is None else as_tensor(value).to(like))
