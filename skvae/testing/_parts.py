"""The laws of priors, posteriors, regularisers and objectives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import multivariate_normal
from sklearn.base import clone
from torch import Tensor

from skvae._core.arrays import as_tensor
from skvae.estimators import VariationalAutoencoder
from skvae.model import Model
from skvae.objectives import Objective
from skvae.posteriors import Posterior
from skvae.priors import Prior
from skvae.regularizers import Regularizer
from skvae.tables import Batch
from skvae.testing._claims import claim, claim_close, claim_same_mean, few_epochs

_DRAWS, _ROWS = 2**14, 40

# Passes over which an objective is averaged.
_PASSES = 200


def _model(n_components: int, max_iter: int = 3, **components: Any) -> tuple[Model, Batch]:
    """A small model in float64, a few epochs from its start, and rows."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 3)) @ rng.standard_normal((3, 5))
    X = X + 0.3 * rng.standard_normal(X.shape)
    with few_epochs():
        fitted = (
            VariationalAutoencoder(
                n_components,
                max_iter=max_iter,
                early_stopping=False,
                random_state=0,
                **{"hidden_layer_sizes": (8,), **components},
            )
            .fit(X)
            ._fitted
        )
    model = Model(fitted.architecture, torch.float64, "cpu", torch.Generator())
    model.flat.load(as_tensor(fitted.parameters))
    model.see(fitted.view)
    return model, fitted.batch(model, X[:_ROWS])


def _normal(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _claim_finite_gradient(model: Model, value: Tensor, what: str, remedy: str) -> None:
    model.flat.grads.zero_()
    value.sum().backward()
    claim(
        bool(torch.isfinite(value).all()) and bool(torch.isfinite(model.flat.grads).all()),
        f"{what} or its gradient is not finite. {remedy}",
    )


@torch.no_grad()
def _claim_draws_follow(
    log_prob: Callable[[Tensor], Tensor], z: Tensor, what: str, remedy: str
) -> None:
    """Raise AssertionError unless draws z, (n, k), are from the density, and it is normalised.

    For densities p and q and a bounded h, E_p[h q / (p + q)] = E_q[h p / (p + q)]: both are the
    integral of h p q / (p + q). With q a normal of z's moments every term is bounded by that of h,
    so that means have a normal law whatever the tails are.
    """
    mean, k = z.mean(0), z.shape[1]
    root = torch.linalg.cholesky(1.5 * torch.cov(z.T).reshape(k, k))
    rule = multivariate_normal(mean.numpy(), (root @ root.T).numpy())
    y = mean + _normal(len(z), k, seed=2) @ root.T
    directions, offsets = _normal(k, 8, seed=3), _normal(8, seed=4)

    def terms(latents: Tensor, sign: float) -> np.ndarray:
        log_q = torch.from_numpy(np.atleast_1d(rule.logpdf(latents.numpy())))
        share = torch.sigmoid(sign * (log_q - log_prob(latents)))
        seen = torch.linalg.solve_triangular(root, (latents - mean).T, upper=False).T @ directions
        h = torch.sigmoid(2.0 * torch.cat([seen + offsets, seen.square() - 1.0], 1))
        return (share[:, None] * h).numpy()

    claim_same_mean(terms(z, 1.0), terms(y, -1.0), what, remedy)


def check_prior(prior: Prior, *, n_components: int = 2) -> None:
    """Check that a prior's draws follow its density, which integrates to one.

    And that shapes and types are right, draws repeat by their seed, and gradients are finite; all a
    few epochs from its start, in float64. The seed is fixed; by it the check raises with a chance
    of some one in a million though its law holds.

    Parameters
    ----------
    prior : Prior
        An object of a class of your own, with its parameters.
    n_components : int, default=2
        Number of latents.

    Raises
    ------
    AssertionError
        If a law does not hold. The message says which, by which numbers, and what to do.

    Examples
    --------
    >>> from skvae.priors import MixtureOfGaussians
    >>> from skvae.testing import check_prior
    >>> check_prior(MixtureOfGaussians(3))
    """
    name, k = type(prior).__name__, n_components
    model, _ = _model(k, prior=clone(prior))
    density = model.prior_density()
    with torch.no_grad():
        z, again = (density.sample(_DRAWS, torch.Generator().manual_seed(0)) for _ in range(2))
    claim(
        z.shape == (_DRAWS, k) and z.dtype == torch.float64,
        f"{name}'s sample gives {tuple(z.shape)} of {z.dtype}, but should give {(_DRAWS, k)} of "
        f"the model's type, that of surroundings.like.",
    )
    claim(torch.equal(z, again), f"{name}'s sample draws from elsewhere than its generator.")
    some = z[:30].reshape(5, 6, k).clone().requires_grad_()
    log_p = density.log_prob(some)
    claim(
        log_p.shape == (5, 6),
        f"{name}'s log_prob gives {tuple(log_p.shape)} for {tuple(some.shape)}, but should give "
        f"one number per latent vector, (5, 6).",
    )
    _claim_finite_gradient(model, log_p, f"{name}'s log_prob", "Bound what it divides by.")
    _claim_draws_follow(
        model.prior_density().log_prob,
        z,
        f"{name}'s draws do not follow its density",
        "State the normaliser in log_prob, and draw from the same density.",
    )


def check_posterior(posterior: Posterior, *, n_components: int = 2) -> None:
    """Check that a posterior's draws follow its density, which integrates to one.

    And that ``raw_output`` is the inverse of reading the moments, on which the PCA start relies;
    that ``mean`` and ``variance`` are about those of the draws; that ``detached`` leads nowhere,
    and gradients are finite. In float64, with fixed seeds; by them the check raises with a chance
    of some one in a million though its laws hold.

    Parameters
    ----------
    posterior : Posterior
        An object of a class of your own, with its parameters.
    n_components : int, default=2
        Number of latents.

    Raises
    ------
    AssertionError
        If a law does not hold. The message says which, by which numbers, and what to do.

    Examples
    --------
    >>> from skvae.posteriors import FullCovarianceNormal
    >>> from skvae.testing import check_posterior
    >>> check_posterior(FullCovarianceNormal())
    """
    name, k = type(posterior).__name__, n_components
    _claim_start(posterior, k)
    model, batch = _model(k, posterior=clone(posterior), beta=1.0 if posterior.has_density else 0.0)
    q = model.encode(batch.inputs)
    z = q.transform(_normal(3, _ROWS, k))
    claim(
        z.shape == (3, _ROWS, k),
        f"{name}'s transform gives {tuple(z.shape)}, but should give {(3, _ROWS, k)}.",
    )
    _claim_finite_gradient(model, z, f"{name}'s transform", "Bound what it divides by.")
    loose = model.encode(batch.inputs).detached().transform(_normal(3, _ROWS, k))
    claim(
        not loose.requires_grad,
        f"{name}'s detached distributions lead back to the parameters. Detach their tensors.",
    )
    with torch.no_grad():
        q = model.encode(batch.inputs)
        mean = model.posterior_mean(model.encoder.evaluate(batch.inputs))
        about = f"{name}.mean and the mean of its distributions"
        claim_close(mean, q.mean, about, "Let both be the same.", 1e-10)
        for row in range(2 if posterior.has_density else 0):
            _claim_density_of_row(name, model.encode(batch.inputs[row : row + 1]), k)


def _claim_density_of_row(name: str, q: Any, k: int) -> None:
    z = q.transform(_normal(_DRAWS, 1, k, seed=9))[:, 0]
    std = z.std(0)
    gap = float(((q.mean[0] - z.mean(0)) / std).abs().max())
    ratio = q.variance[0] / std.square()
    # They may be averages over a few draws.
    claim(
        gap < 0.2 and bool(((ratio > 0.6) & (ratio < 1.6)).all()),
        f"{name} states a mean that is {gap:.2g} standard deviations off that of its draws, and "
        f"variances that are {ratio.tolist()} times theirs. mean and variance are those of "
        f"transform(eps).",
    )
    _claim_draws_follow(
        lambda latents: q.log_prob(latents[:, None])[:, 0],
        z,
        f"{name}'s draws do not follow its density",
        "log_prob is the density of transform(eps): with the log-determinant of its slope.",
    )


def _claim_start(posterior: Posterior, k: int) -> None:
    parameters = [torch.zeros(s, dtype=torch.float64) for s in posterior.parameter_shapes(k)]
    with torch.no_grad():
        posterior.start(parameters, k, torch.Generator().manual_seed(0))
        mean, log_variance = _normal(7, k), 0.5 * _normal(7, k, seed=2)
        raw = posterior.raw_output(mean, log_variance)
        claim(
            raw.shape == (7, posterior.n_raw(k)),
            f"{type(posterior).__name__}.raw_output gives {tuple(raw.shape)}, but n_raw says "
            f"{(7, posterior.n_raw(k))}.",
        )
        q = posterior(raw, k, parameters)
        z = q.transform(torch.zeros(1, 7, k, dtype=torch.float64))[0]
        remedy = "raw_output is the inverse of reading the distributions off the raw output."
        # A flow is the identity but for the rounding of its knots, and its moments are averages.
        about = f"{type(posterior).__name__}'s {{}} of raw_output"
        claim_close(z, mean, about.format("centres"), remedy, 1e-6)
        if posterior.has_density:
            scale = q.transform(torch.ones(1, 7, k, dtype=torch.float64))[0] - z
            spread = (0.5 * log_variance).exp()
            claim_close(scale, spread, about.format("standard deviations"), remedy, 1e-6)


def check_regularizer(regularizer: Regularizer, *, n_components: int = 2) -> None:
    """Check that a regulariser's penalty is one finite number with the gradient that it has.

    Its slope in a random direction of all parameters, by central differences in float64, is
    autograd's; what it draws, it draws from the generator that it is given.

    Parameters
    ----------
    regularizer : Regularizer
        An object of a class of your own, with its parameters.
    n_components : int, default=2
        Number of latents.

    Raises
    ------
    AssertionError
        If a law does not hold. The message says which, by which numbers, and what to do.

    Examples
    --------
    >>> from skvae.regularizers import DIP
    >>> from skvae.testing import check_regularizer
    >>> check_regularizer(DIP())
    """
    name = type(regularizer).__name__
    model, batch = _model(n_components)
    model.regularizer = clone(regularizer)
    weight = _normal(_ROWS, seed=5).exp()
    batch = Batch(inputs=batch.inputs, target=batch.target, weight=weight / weight.mean())
    eps = _normal(1, _ROWS, n_components)

    def penalty() -> Tensor:
        generator = torch.Generator().manual_seed(7)
        return model.regularization(model.draws(batch, eps), batch, generator)

    value = penalty()
    claim(
        value.shape == (),
        f"{name}.penalty gives the shape {tuple(value.shape)}, but should give one number.",
    )
    _claim_finite_gradient(model, value, f"{name}.penalty", "Bound what it divides by.")
    claim(
        torch.equal(value.detach(), penalty().detach()),
        f"{name}.penalty draws from elsewhere than latents.generator.",
    )
    _claim_slope(model, penalty, f"{name}.penalty")


def _claim_slope(model: Model, value: Callable[[], Tensor], what: str) -> None:
    """Raise AssertionError unless the flat buffer holds the gradient of a value.

    It is held against central differences in a random direction of all parameters.
    """
    claim(
        bool(model.flat.grads.any()),
        f"{what} has no gradient. Compute it from latents.z, latents.q, latents.encode or "
        f"latents.decode without detaching them.",
    )
    # What has no gradient may be no parameter, as the blocks that a silent path leaves at zero.
    grads = model.flat.grads
    way = _normal(len(grads), seed=30) * (grads != 0)
    slope = float(grads @ way)

    def moved(step: float) -> float:
        model.flat.values += step * way
        return float(value().detach())

    step = 1e-5
    found = (moved(step) - moved(-2.0 * step)) / (2.0 * step)
    remedy = "The gradient is not that of the value: look for detached tensors."
    claim_close(slope, found, f"{what}'s slope in a random direction", remedy, 1e-4)


def check_objective(objective: Objective) -> None:
    """Check that an objective gives one finite number a row, below log p(x) where beta is 1.

    The evidence is that of a linear Gaussian model, in closed form, and the objective is averaged
    over many draws. The seed is fixed; by it the check raises with a chance of some one in a
    million though its law holds.

    Parameters
    ----------
    objective : Objective
        An object of a class of your own, with its parameters.

    Raises
    ------
    AssertionError
        If a law does not hold. The message says which, by which numbers, and what to do.

    Examples
    --------
    >>> from skvae.objectives import ELBO
    >>> from skvae.testing import check_objective
    >>> check_objective(ELBO(free_bits=0.1))
    """
    name, k = type(objective).__name__, 2
    model, batch = _model(k, max_iter=0, hidden_layer_sizes=(), objective=clone(objective))
    with torch.no_grad():  # off the start, whose bound is the evidence
        for i, view in enumerate(model.flat.views):
            view += 0.03 * _normal(*view.shape, seed=20 + i)
    for beta in (0.0, 1.0, 2.5):
        draws = model.draws(batch, _normal(objective.n_draws, _ROWS, k))
        rows = objective.rows(draws, beta)
        claim(
            rows.shape == (_ROWS,),
            f"{name}.rows gives {tuple(rows.shape)}, but should give one number per row, "
            f"({_ROWS},).",
        )
        _claim_finite_gradient(model, rows, f"{name}.rows", "Work with logs of the weights.")
    with torch.no_grad():
        passes = [
            float(model.bound(batch, _normal(objective.n_draws, _ROWS, k, seed=s), 1.0).mean())
            for s in range(_PASSES)
        ]
    evidence = _exact_evidence(model, batch, k)
    mean, error = np.mean(passes), np.std(passes) / np.sqrt(_PASSES)
    claim(
        mean <= evidence + 6.0 * error + 1e-9,
        f"{name} is {mean:.6g} nats per row at beta=1, above the evidence of {evidence:.6g} by "
        f"{(mean - evidence) / max(error, 1e-300):.1f} standard errors. It bounds log p(x) from "
        f"below where the whole KL to the prior is taken off.",
    )


@torch.no_grad()
def _exact_evidence(model: Model, batch: Batch, k: int) -> float:
    """Mean log N(u; b, WW' + s2 I) over the rows of a linear Gaussian model."""
    corners = torch.cat([torch.zeros(1, k), torch.eye(k)]).double()
    raw = model.decode(corners)
    W = (raw[1:] - raw[0]).T
    noise = model.likelihood.variance(raw, model.shared.params).expand(W.shape[0])
    rule = multivariate_normal(raw[0].numpy(), (W @ W.T + torch.diag(noise)).numpy())
    return float(np.mean(rule.logpdf(batch.target.numpy())))
