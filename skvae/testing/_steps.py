"""The law of the step: written out by hand it is what autograd makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from skvae.fitting import ComposedStep, WrittenStep
from skvae.likelihoods import Likelihood
from skvae.model import Architecture, Model
from skvae.objectives import ELBO
from skvae.posteriors import DiagonalNormal
from skvae.priors import StandardNormal
from skvae.starts import PrincipalComponents, prepare
from skvae.tables import Rows
from skvae.testing._cells import by_cell
from skvae.testing._claims import claim, claim_close
from skvae.training import Adam

_ROWS, _COMPONENTS = 12, 2

# The same few hundred operations in two orders, on values that may be large.
_ROUNDING = 1e-9

# Terms of a step, the loss first, and the gradient of the flat buffer.
_Result = tuple[np.ndarray, np.ndarray]


def check_step(likelihood: Likelihood, X: Any) -> None:
    """Check that a training step is finite, and written out equals composed.

    With and without row weights, missing cells and weight decay, for one draw and several and any
    weight of the KL term, in float64. Where ``is_written`` is False it has to be finite.

    Parameters
    ----------
    likelihood : Likelihood
        What is checked.
    X : array-like of shape (n_samples, n_features)
        Rows of its domain.

    Raises
    ------
    AssertionError
        If a term or a gradient of the two steps differs, or is not finite.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae.likelihoods import Gaussian
    >>> from skvae.testing import check_step
    >>> check_step(Gaussian(), load_iris().data)
    """
    name, (model, rows) = type(likelihood).__name__, _started(likelihood, X)
    plain = rows.part(slice(_ROWS))
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    adam, composed = Adam(model.flat), ComposedStep(model)
    for _ in range(4):
        composed(plain, normal(1, _ROWS, _COMPONENTS), 1.0)
        adam.step(0.02)
    for masked, n_draws, beta, penalty in ((0, 1, 1.0, 0.0), (0, 3, 0.0, 0.3), (1, 3, 2.5, 0.3)):
        drawn = normal(*plain.target.shape) > -0.5
        observed = by_cell(likelihood, drawn) if masked else None
        weight = normal(_ROWS).exp() if masked else None
        batch = replace(plain, observed=observed, weight=weight)
        eps = normal(n_draws, _ROWS, _COMPONENTS)
        results = [
            (
                np.asarray(step(model, penalty)(batch, eps, beta), dtype=np.float64),
                model.flat.grads.numpy().copy(),
            )
            for step in (ComposedStep, WrittenStep)[: 1 + likelihood.is_written]
        ]
        _claim_steps(name, f"with {n_draws} draws{' and missing cells' * masked}", *results)


def _claim_steps(name: str, what: str, composed: _Result, written: _Result | None = None) -> None:
    """Raise AssertionError unless the terms and gradients of steps are finite and the same."""
    claim(
        np.isfinite(composed[0]).all() and np.isfinite(composed[1]).all(),
        f"{name}'s composed step {what} is not finite: {composed[0]}. Bound what log_prob takes "
        f"the exponential of.",
    )
    remedy = "check_pullback says where log_prob_vjp is not log_prob's gradient."
    for found, expected, part in zip(written or (), composed, ("terms", "gradient"), strict=False):
        about = f"{name}'s {part} of the written-out step {what}"
        claim_close(found, expected, about, remedy, _ROUNDING)


def _started(likelihood: Likelihood, X: Any) -> tuple[Model, Rows]:
    """A small model at its PCA start in float64, and the rows."""
    X = np.asarray(X, dtype=np.float64)
    prepared = prepare(X, None, likelihood, _COMPONENTS)
    architecture = Architecture(
        hidden_layer_sizes=(5,),
        activation="tanh",
        encoder=None,
        decoder=None,
        likelihood=likelihood,
        prior=StandardNormal(),
        posterior=DiagonalNormal(),
        objective=ELBO(),
        regularizer=None,
        n_inputs=prepared.view.n_inputs,
        n_targets=prepared.view.n_targets,
        n_components=_COMPONENTS,
    )
    model = Model(architecture, torch.float64, "cpu", torch.Generator().manual_seed(0))
    model.see(prepared.view)
    rows = Rows(X, None, prepared.view, torch.float64, torch.device("cpu"))
    PrincipalComponents().write(model, prepared, rows, 0)
    return model, rows
