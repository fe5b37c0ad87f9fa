"""Measures of a latent space: what its latents carry, and how far a likelihood can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import mutual_info_score
from sklearn.utils import check_consistent_length, check_random_state, check_scalar
from torch import Tensor

from skvae._core.checks import shown
from skvae._core.math import log_mean_exp
from skvae._core.process import isolated
from skvae._sklearn.rows import check_values
from skvae.estimators._base import BaseAutoencoder
from skvae.inference import ACTIVE_VARIANCE
from skvae.objectives import Draws
from skvae.posteriors import Posterior
from skvae.regularizers import aggregate_density

__all__ = [
    "BoundTerms",
    "LogLikelihood",
    "active_units",
    "bound_terms",
    "log_likelihood",
    "mutual_information_gap",
]

# Most cells in an array of draws by rows by latents.
_PAIR_CELLS = 2**22


@isolated
def active_units(
    estimator: BaseAutoencoder, X: Any, *, threshold: float = ACTIVE_VARIANCE
) -> np.ndarray:
    """Say which latents carry something of X: those whose posterior mean varies [1]_.

    Parameters
    ----------
    estimator : VariationalAutoencoder
        A fitted one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    threshold : float, default=0.01
        Variance over the rows that an active latent's posterior mean exceeds; the prior's variance
        is 1.

    Returns
    -------
    active : ndarray of bool of shape (n_components,)
        Whether each latent is active.

    References
    ----------
    .. [1] Burda, Grosse and Salakhutdinov (2016), "Importance weighted autoencoders", section 5.2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.metrics import active_units
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, max_iter=0).fit(X)
    >>> active_units(vae, X).tolist()
    [True, True]
    """
    mean, _ = estimator._fitted.encode(estimator._check_rows(X))
    return mean.var(axis=0) > threshold


class LogLikelihood(NamedTuple):
    """Estimates of log p(x) for rows.

    Attributes
    ----------
    estimate : ndarray of shape (n_samples,)
        Log of the mean importance weight, in nats: a lower bound in expectation.
    standard_error : ndarray of shape (n_samples,)
        Standard error of the estimate, from the spread of the weights; an upper estimate, because
        the draws are quasi-random.
    effective_sample_size : ndarray of shape (n_samples,)
        (sum w)^2 / sum w^2, from 1 to the number of draws. Near 1 a single draw decides, and the
        estimate is too low.
    """

    estimate: np.ndarray
    standard_error: np.ndarray
    effective_sample_size: np.ndarray


@isolated
def log_likelihood(estimator: BaseAutoencoder, X: Any, *, n_draws: int = 5000) -> LogLikelihood:
    """Estimate log p(x) by importance sampling, and say how far to trust the estimate [1]_.

    Parameters
    ----------
    estimator : VariationalAutoencoder
        A fitted one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    n_draws : int, default=5000
        Draws per row; the default is usual in the literature.

    Returns
    -------
    likelihood : LogLikelihood
        The estimates, their standard errors and effective sample sizes.

    Raises
    ------
    ValueError
        If the posterior is a point.

    References
    ----------
    .. [1] Owen (2013), "Monte Carlo theory, methods and examples", section 9.3.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.metrics import log_likelihood
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, max_iter=0).fit(X)
    >>> result = log_likelihood(vae, X, n_draws=100)
    >>> bool(result.standard_error.max() < 1e-6)  # the start's posterior is exact
    True
    """

    def read(log_weights: Tensor) -> Tensor:
        log_mean = log_mean_exp(log_weights)
        relative = (log_weights - log_mean).exp()
        mean_square = relative.square().mean(0)
        error = ((mean_square - 1.0).clamp_min(0.0) / len(log_weights)).sqrt()
        return torch.stack([log_mean, error, len(log_weights) / mean_square], 1)

    check_scalar(n_draws, "n_draws", Integral, min_val=1)
    X = estimator._check_rows(X)
    return LogLikelihood(*estimator._fitted.read_log_weights(X, n_draws, read).T)


class BoundTerms(NamedTuple):
    """The evidence lower bound in four terms, means over rows in nats.

    Attributes
    ----------
    reconstruction : float
        E_q[log p(x|z)], in X's units.
    mutual_information : float
        I(x; z) under q, at most log(n_samples).
    total_correlation : float
        KL(q(z) || prod_j q(z_j)): how far latents depend on each other over the rows.
    dimension_wise_kl : float
        The rest of KL(q(z) || p(z)): if the prior's latents are independent,
        sum_j KL(q(z_j) || p(z_j)).
    """

    reconstruction: float
    mutual_information: float
    total_correlation: float
    dimension_wise_kl: float

    @property
    def bound(self) -> float:
        """The bound: the first term less the others."""
        return (
            self.reconstruction
            - self.mutual_information
            - self.total_correlation
            - self.dimension_wise_kl
        )


@isolated
def bound_terms(estimator: BaseAutoencoder, X: Any, *, random_state: Any = 0) -> BoundTerms:
    """Split the evidence lower bound into terms, with one draw of each row's posterior [1]_ [2]_.

    The aggregate posterior q(z) is the mixture of all rows' posteriors, so the cost grows with
    the square of the number of rows: a few thousand are enough.

    Parameters
    ----------
    estimator : VariationalAutoencoder
        A fitted one, whose posterior is the diagonal normal.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    random_state : int, RandomState instance or None, default=0
        Seeds the draws.

    Returns
    -------
    terms : BoundTerms
        The four terms.

    Raises
    ------
    ValueError
        If the posterior's latents are not independent and normal.

    References
    ----------
    .. [1] Hoffman and Johnson (2016), "ELBO surgery", NeurIPS workshop.
    .. [2] Chen, Li, Grosse and Duvenaud (2018), "Isolating sources of disentanglement in
       variational autoencoders", NeurIPS, eq. 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.metrics import bound_terms
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, max_iter=0).fit(X)
    >>> terms = bound_terms(vae, X)
    >>> bool(0 < terms.mutual_information <= np.log(len(X)))
    True
    """
    X = estimator._check_rows(X)
    _check_factorises(estimator._fitted.architecture.posterior)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    shape = (1, X.shape[0], estimator.n_components_)
    generator = torch.Generator().manual_seed(seed)
    eps = torch.randn(shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        return _terms_of(estimator._fitted.draws(X, eps))


def _check_factorises(posterior: Posterior) -> None:
    if not posterior.factorises:
        raise ValueError(
            f"The terms of the bound need independent normal latents given a row. Got the "
            f"posterior {shown(posterior)}. Fit with posterior='diagonal_normal'."
        )


def _terms_of(passes: Sequence[Draws]) -> BoundTerms:
    """Average the terms over all rows, by one draw of each."""
    z = torch.cat([draws.z[0] for draws in passes])  # (n_samples, n_components)
    each = [draws.q for draws in passes]
    if len({type(q) for q in each}) > 1:  # some blocks of rows have gaps
        each = [
            q.stretched(torch.ones_like(q.mean).diag_embed()) if q.marginals is q else q
            for q in each
        ]
    q = type(each[0])(*map(torch.cat, zip(*each, strict=True)))
    log_p = torch.cat([draws.log_p[0] for draws in passes])
    share = torch.full_like(log_p, 1.0 / len(z))
    step = max(1, _PAIR_CELLS // z.numel())
    densities = [aggregate_density(q, part, share) for part in z.split(step)]
    joint = torch.cat([density.joint for density in densities])
    marginal = torch.cat([density.marginal for density in densities]).sum(1)
    return BoundTerms(
        reconstruction=float(log_p.mean()),
        mutual_information=float((q.log_prob(z) - joint).mean()),
        total_correlation=float((joint - marginal).mean()),
        dimension_wise_kl=float((marginal - passes[0].prior.log_prob(z)).mean()),
    )


def mutual_information_gap(Z: Any, factors: Any, *, n_bins: int = 20) -> float:
    """Measure how far each factor is in one latent alone: the mean of (I1 - I2) / H [1]_.

    I1 and I2 are the mutual information of a factor with the two latents that know most about it,
    and H is its entropy; the mean is over factors. Latents are cut into bins of one width [2]_.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Latents, at least two, as ``encode`` or ``transform`` gives them.
    factors : array-like of shape (n_samples, n_factors)
        Known discrete factors of the rows; one that does not vary is left out.
    n_bins : int, default=20
        Number of bins per latent.

    Returns
    -------
    gap : float
        From 0 to 1.

    Raises
    ------
    ValueError
        If there is a single latent, or no factor varies.

    References
    ----------
    .. [1] Chen, Li, Grosse and Duvenaud (2018), "Isolating sources of disentanglement in
       variational autoencoders", NeurIPS, eq. 6.
    .. [2] Locatello et al. (2019), "Challenging common assumptions in the unsupervised learning of
       disentangled representations", ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae.metrics import mutual_information_gap
    >>> factors = np.indices((4, 4)).reshape(2, -1).T
    >>> round(mutual_information_gap(factors, factors), 6)
    1.0
    >>> round(mutual_information_gap(factors @ [[1, 1], [1, -1]], factors), 6)
    0.0
    """
    Z = check_values(Z, "Z", ensure_min_features=2)
    factors = check_values(factors, "factors", dtype=None)
    check_consistent_length(Z, factors)
    codes = [np.digitize(z, np.histogram_bin_edges(z, n_bins)[1:-1]) for z in Z.T]
    gaps = [_gap(factor, codes) for factor in factors.T if len(np.unique(factor)) > 1]
    if not gaps:
        raise ValueError("No column of factors varies: there is nothing to tell apart.")
    return float(np.mean(gaps))


def _gap(factor: np.ndarray, codes: Sequence[np.ndarray]) -> float:
    *_, second, first = sorted(mutual_info_score(factor, code) for code in codes)
    return float((first - second) / mutual_info_score(factor, factor))
