"""Fitting: split, start, race, train, keep. Validated arrays come in, a trained model goes out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.special import stdtrit
from sklearn.utils.random import sample_without_replacement

from skvae._core.arrays import as_tensor
from skvae._core.sources import Rest
from skvae.fitting import _plan
from skvae.fitting._plan import Plan, plan_work
from skvae.fitting._race import race
from skvae.fitting._trainer import Trainer
from skvae.model import Architecture, Model, Parts
from skvae.starts import Prepared, prepare, prepare_stream
from skvae.tables import Rows, View, most_held, pick
from skvae.training import Adam, Outcome, resolve_device

# Confidence of the test by which a trained epoch replaces the start. Lower, and tables of some
# dozen rows end below PCA; higher, and gains that are real are given up (docs/choices.md).
_CONFIDENCE = 0.9


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A trained model and how it came about.

    Attributes
    ----------
    model : Model
        With the parameters that are kept.
    view : View
        Its units.
    outcome : Outcome
        Of the training, in X's units.
    adam : Adam
        The optimiser after the last step.
    judged : bool
        False if held-out rows were to choose the epoch, but there were too few rows for any.
    kept_start : bool
        Whether the model is its PCA start, fitted to all rows, because no epoch was proved better.
    reference : float or None
        Held-out value of the start, or of the first of those that were raced.
    """

    model: Model
    view: View
    outcome: Outcome
    adam: Adam
    judged: bool = True
    kept_start: bool = False
    reference: float | None = None


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """State of an earlier fit, from which to go on.

    Attributes
    ----------
    model : Model
        Trained so far.
    view : View
        Its units.
    optimizer : dict of str to ndarray
        State of Adam, empty to begin anew.
    n_epochs : int
        Epochs that were run.
    """

    model: Model
    view: View
    optimizer: dict[str, np.ndarray]
    n_epochs: int


def split(
    n_samples: int,
    fraction: float | None,
    random_state: np.random.RandomState,
    most: int | None = None,
) -> tuple[Any, np.ndarray | None]:
    """Part rows into training and held-out ones; None for the latter if there are too few.

    If these are more than ``most``, so many are, and the others' index takes no memory.
    """
    n_held = 0 if fraction is None else math.ceil(fraction * n_samples)
    if n_held < 2 or n_samples - n_held < 2:
        return np.arange(n_samples) if most is None else Rest(np.arange(0), n_samples), None
    if most is not None and n_held > most:
        held = np.sort(sample_without_replacement(n_samples, most, random_state=random_state))
        return Rest(held, n_samples), held
    order = random_state.permutation(n_samples)
    return np.sort(order[n_held:]), np.sort(order[:n_held])


def explain_split(n_samples: int, fraction: float, consequence: str) -> str:
    """Say why ``split`` held nothing out, what follows, and what to do; callers may add to it."""
    n_held = math.ceil(fraction * n_samples)
    if n_samples < 4:
        remedy = "Give more rows"
    else:
        way = "Raise" if n_held < 2 else "Lower"
        remedy = f"{way} validation_fraction, give more rows"
    return (
        f"validation_fraction={fraction:g} would hold {n_held} of {n_samples} rows out and leave "
        f"{n_samples - n_held} to train on, where each takes at least 2. So {consequence}. {remedy}"
    )


def build(parts: Parts, prepared: Prepared, plan: Plan, n_samples: int, seed: int) -> Model:
    """Build a model for training, with its units but not started, on the device that suits it."""
    architecture = Architecture(
        **vars(parts),
        n_inputs=prepared.view.n_inputs,
        n_targets=prepared.view.n_targets,
        n_components=prepared.n_components,
        linear_path=plan.start.linear_path,
    )
    plan.start.check(architecture)
    device = resolve_device(plan.device, plan_work(plan, architecture, n_samples))
    return build_model(architecture, prepared, device, seed)


def build_model(
    architecture: Architecture, prepared: Prepared, device: torch.device, seed: int
) -> Model:
    """Build a model for training, with its units but not started."""
    double = prepared.needs_double and device.type != "mps"  # which has no float64
    dtype = torch.float64 if double else _plan.TRAINING_DTYPE
    model = Model(architecture, dtype, device, torch.Generator().manual_seed(seed))
    model.see(prepared.view)
    return model


def make_rows(model: Model, X: Any, weight: np.ndarray | None, view: View) -> Rows:
    """Rows of X as ``model`` takes them."""
    values = model.flat.values
    return Rows(X, weight, view, values.dtype, values.device)


def fit_model(
    X: Any,
    weight: np.ndarray | None,
    parts: Parts,
    n_components: Any,
    plan: Plan,
    random_state: np.random.RandomState,
    resumed: Resumed | None = None,
) -> Fit:
    """Fit a model from its start, or go on with one, in its units.

    X, of shape (n_samples, n_features), is in its own units, and all weights are positive.
    ``n_components`` is as in PCA, and ``random_state`` seeds the split, the start and the noise.
    ValueError is raised if held-out rows are to choose an epoch and beta has settled in none,
    KeyboardInterrupt if training was interrupted before anything was learned.
    """
    seed = int(random_state.randint(2**31 - 1))
    fraction = plan.validation_fraction if plan.budget.max_iter > 0 else None
    training, held_out = split(X.shape[0], fraction, random_state, most_held(X))
    if held_out is not None:
        check_settled(plan)
    trained_rows = (X, weight) if held_out is None else part_of(X, weight, training)
    prepared = None
    if resumed is not None:
        model, view = resumed.model, resumed.view
    else:
        prepared = prepare(*trained_rows, parts.likelihood, n_components)
        view = prepared.view
        model = build(parts, prepared, plan, len(training), seed)
    rows = make_rows(model, *trained_rows, view)
    judges = None if held_out is None else make_rows(model, *part_of(X, weight, held_out), view)
    trainer, has_left_start = Trainer(model, rows, judges, plan, seed), True
    if prepared is not None:
        trainer, has_left_start = start_model(trainer, prepared, seed)
    # With too few rows to hold any out, nothing could justify leaving the start.
    judged = held_out is not None or fraction is None
    fit, is_gain = run(trainer, judged, has_left_start)
    if prepared is None or is_gain:
        return fit
    # The start is kept, so that nothing is left to hold rows out for.
    view = refit_start(trainer, X, weight, prepared.n_components, seed)
    outcome = replace(fit.outcome, best_epoch=0)
    return replace(fit, view=view, outcome=outcome, kept_start=True)


def run(trainer: Trainer, judged: bool, has_left_start: bool) -> tuple[Fit, bool]:
    """Train, unless nothing may justify leaving the start, and say whether it was right to.

    Raises KeyboardInterrupt if training was interrupted before anything was learned.
    """
    plan = trainer.plan
    start_bounds = None if trainer.held_out is None else trainer.held_out_bounds()
    trains = (judged or has_left_start) and not plan.watcher.stopped
    outcome = trainer.run(plan.budget if trains else replace(plan.budget, max_iter=0))
    if outcome.interrupted and not (outcome.terms and (outcome.best_epoch or not has_left_start)):
        raise KeyboardInterrupt
    fit = Fit(
        model=trainer.model,
        view=trainer.rows.view,
        outcome=outcome,
        adam=trainer.adam,
        judged=judged,
        reference=first_of(trainer, outcome),
    )
    return fit, has_left_start or start_bounds is None or gained(trainer, start_bounds)


def part_of(X: Any, weight: np.ndarray | None, index: Any) -> tuple[Any, np.ndarray | None]:
    """Rows at ``index``, where they lie, with their weights."""
    return pick(X, index), None if weight is None else weight[index[:]]


def refit_start(
    trainer: Trainer, X: Any, weight: np.ndarray | None, n_components: int, seed: int
) -> View:
    """Write the start of all rows into the trainer's model, and give its view."""
    model = trainer.model
    prepared = prepare(X, weight, model.likelihood, n_components)
    model.see(prepared.view)
    trainer.begin(trainer.plan.start, prepared, seed)
    return replace(prepared.view, gaps=trainer.rows.view.gaps)


def first_of(trainer: Trainer, outcome: Outcome) -> float | None:
    """Held-out value that gains are measured from, if rows are held out."""
    if trainer.reference is None and outcome.scores:
        return outcome.scores[0]
    return trainer.reference


def check_settled(plan: Plan) -> None:
    """Raise ValueError if beta changes in all epochs, so that held-out rows could choose none."""
    if plan.budget.max_iter < plan.budget.n_passed_over:
        raise ValueError(
            f"beta={plan.beta!r} changes for {plan.beta.n_settled:g} epochs, but "
            f"max_iter={plan.budget.max_iter}: no epoch could be chosen. Raise max_iter, or "
            f"shorten the schedule."
        )


def gained(trainer: Trainer, start_bounds: np.ndarray) -> bool:
    """Say whether the held-out rows prove a gain over ``start_bounds``, theirs at the start.

    It takes a one-sided paired t-test, because with few rows the best of many epochs is better
    than the start by chance. A start that is left without proof is a loss on other rows.
    """
    gain, weight = trainer.held_out_bounds() - start_bounds, trainer.held_out_weight
    share = np.full(len(gain), 1.0 / len(gain)) if weight is None else weight / weight.sum()
    freedom = 1.0 / (share**2).sum() - 1.0
    mean = share @ gain
    error = np.sqrt(share @ (gain - mean) ** 2 / max(freedom, 1e-3))
    return bool(mean > max(stdtrit(max(freedom, 1e-3), _CONFIDENCE) * error, 0.0))


def start_model(trainer: Trainer, prepared: Prepared, seed: int) -> tuple[Trainer, bool]:
    """Start the trainer's model as the plan says, or a rival that is better.

    Returns the trainer that goes on, and whether its model has left the PCA start.
    """
    start, model = trainer.plan.start, trainer.model
    rivals = start.rivals(prepared, model.architecture, trainer.rows.n_samples)
    if rivals and trainer.held_out is not None:
        with trainer.plan.watcher.stage("race", len(rivals)):
            return race(trainer, rivals, prepared, build_model, seed)
    trainer.begin(start, prepared, seed)
    return trainer, not start.is_principal


def one_pass(
    X: Any,
    weight: np.ndarray | None,
    parts: Parts,
    n_components: Any,
    plan: Plan,
    seed: int,
    resumed: Resumed | None,
) -> Fit:
    """Go through the rows once at a constant learning rate, holding none out.

    Parameters
    ----------
    X, weight, parts, n_components, plan, resumed
        As in ``fit_model``.
    seed : int
        Of the order of rows and the noise.

    Returns
    -------
    fit : Fit
    """
    if resumed is None:
        prepared = prepare_stream(X, weight, parts.likelihood, n_components)
        model = build(parts, prepared, plan, X.shape[0], seed)
        trainer = Trainer(model, make_rows(model, X, weight, prepared.view), None, plan, seed)
        trainer.begin(plan.start, prepared, seed)
        n_before = 0
    else:
        model, n_before = resumed.model, resumed.n_epochs
        trainer = Trainer(model, make_rows(model, X, weight, resumed.view), None, plan, seed)
        for name, value in resumed.optimizer.items():
            trainer.adam.state[name].copy_(as_tensor(value))
    outcome = trainer.run(replace(plan.budget, max_iter=1, annealed=False, n_before=n_before))
    if outcome.interrupted:
        raise KeyboardInterrupt
    return Fit(model=model, view=trainer.rows.view, outcome=outcome, adam=trainer.adam)
