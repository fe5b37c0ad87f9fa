"""What a fitted model knows of some cells of a row, given the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae._core.math import normal_draws
from skvae.inference._fitted import Fitted, Rowwise
from skvae.model import Model
from skvae.tables import Batch

# Draws from which those of a conditional distribution are chosen: at least, and per row that is
# asked for.
_LEAST_PROPOSALS, _PROPOSALS_PER_DRAW = 1000, 4

# Log-density of latents (draws, rows, n_components) in the model's order.
LogPrior = Callable[[Tensor], Tensor]


def antithetic_draws(fitted: Fitted, n_draws: int) -> Tensor:
    """Give draws that all rows share in pairs, (n_draws, 1, n_components); of points one."""
    has_density = fitted.architecture.posterior.has_density
    half = normal_draws(max(1, n_draws // 2), fitted.architecture.n_components, fitted.seed)
    return (torch.cat([half, -half]) if has_density else half[:1]).unsqueeze(1)


@torch.no_grad()
def expected_cells(fitted: Fitted, X: Any, n_draws: int) -> np.ndarray:
    """E[x|x_o] of rows, given the cells that are observed, shape (rows, n_targets).

    By self-normalised importance sampling from each row's posterior: the mean of E[x|z] over draws
    z that weigh p(x_o|z) p(z) / q(z|x_o) (Mattei and Frellsen 2019, eq. 11). Draws come in
    antithetic pairs, so that a linear function of z has no error. Of points it is E[x|z(x)].

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    X : ndarray or CSR matrix of shape (rows, n_columns)
        Checked rows.
    n_draws : int
        Draws per row.
    """
    eps = antithetic_draws(fitted, n_draws)
    results = Rowwise(X.shape[0])
    for model, block in fitted.blocks(X, len(eps)):
        batch = fitted.batch(model, block)
        _, raw, weight = weighted_draws(model, batch, eps.to(batch.inputs), None)
        mean = (model.mean(raw) * weight[..., None]).sum(0)
        results.append(fitted.view.back(mean.numpy()))
    if fitted.view.gaps is not None:
        results.array[:, fitted.view.gaps.unseen] = np.nan
    return results.array


@torch.no_grad()
def conditional_latents(
    fitted: Fitted, X: Any, n_samples: int, seed: int, log_prior: LogPrior | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw latents of rows, given the cells that are observed.

    By sampling importance resampling (Rubin 1988) from each row's posterior; the resampling is
    systematic, so where all weights are equal no draw comes twice.

    Parameters
    ----------
    fitted : Fitted
        A fitted model, whose posterior has a density.
    X : ndarray or CSR matrix of shape (rows, n_columns)
        Checked rows.
    n_samples : int
        Draws per row.
    seed : int
        Of the draws.
    log_prior : callable, optional
        Log-density of latents in the place of the prior's.

    Returns
    -------
    Z : ndarray of shape (rows, n_samples, n_components)
        Draws, sorted as users have them.
    effective : ndarray of shape (rows,)
        Effective number of draws that each row's were chosen from (Kong 1992).
    """
    rng = np.random.default_rng(seed)
    n_proposals = max(_LEAST_PROPOSALS, _PROPOSALS_PER_DRAW * n_samples)
    drawn, effective = Rowwise(X.shape[0]), Rowwise(X.shape[0])
    for model, block in fitted.blocks(X, n_proposals):
        batch = fitted.batch(model, block)
        shape = n_proposals, len(batch.inputs), model.n_components
        eps = torch.from_numpy(rng.standard_normal(shape)).to(batch.inputs)
        z, _, weight = weighted_draws(model, batch, eps, log_prior)
        share = weight.double().numpy()
        effective.append(1.0 / np.square(share).sum(0))
        steps = (rng.random((1, shape[1])) + np.arange(n_samples)[:, None]) / n_samples
        edges = np.cumsum(share / share.sum(0), 0)
        index = np.array(
            [
                rng.permutation(np.searchsorted(edge, step).clip(max=n_proposals - 1))
                for edge, step in zip(edges.T, steps.T, strict=True)
            ]
        )
        rows = np.arange(shape[1])[:, None]
        drawn.append(z.numpy()[index, rows][..., fitted.report.order])
    return drawn.array, effective.array


def weighted_draws(
    model: Model, batch: Batch, eps: Tensor, log_prior: LogPrior | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Draws of the rows' posteriors, raw likelihoods, and weights given the observed cells."""
    q = model.encode(batch.inputs, batch.factor)
    z = q.transform(eps)
    raw = model.located(model.decode(z), batch)
    if not model.posterior.has_density:
        return z, raw, torch.ones_like(z[..., 0])
    density = model.prior_density().log_prob if log_prior is None else log_prior
    likelihood, shared = model.likelihood, model.shared.params
    log_p = likelihood.log_prob(raw, batch.target, batch.observed, shared)
    return z, raw, torch.softmax(log_p + density(z) - q.log_prob(z), 0)
