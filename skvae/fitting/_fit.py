"""Fitting: split, start, race, train, keep. Validated arrays come in, a trained model goes out."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import stdtrit

from skvae._core.arrays import as_tensor
from skvae.fitting._trainer import Plan, Trainer, plan_work
from skvae.model._model import Architecture, Model
from skvae.starts._boltzmann import write_rbm_start
from skvae.starts._principal import (
    Prepared,
    Units,
    prepare,
    prepare_stream,
    set_inputs,
    write_start,
)
from skvae.tables import Rows, pick
from skvae.training import Adam, DivergenceError, Outcome, resolve_device

# Training's type; a test of exact equivalences sets float64.
TRAINING_DTYPE = torch.float32

# Where init="auto" races its starts: this many latents and rows, for this share of max_iter each.
_RACE_COMPONENTS = 16
_RACE_ROWS = 5000
_RACE_SHARE = 0.05

# Confidence of the test by which a trained epoch replaces the start. Lower, and tables of some
# dozen rows end below PCA; higher, and gains that are real are given up (docs/choices.md).
_CONFIDENCE = 0.9


class Fit(NamedTuple):
    """A trained model and how it came about; ``judged`` unless rows to hold out were too few."""

    model: Model
    architecture: Architecture
    units: Units
    outcome: Outcome
    adam: Adam
    judged: bool = True


def split(
    n_samples: int, fraction: float | None, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray | None]:
    """Part rows into training and held-out ones; None for the latter where there are too few."""
    n_held = 0 if fraction is None else math.ceil(fraction * n_samples)
    if n_held < 2 or n_samples - n_held < 2:
        return np.arange(n_samples), None
    order = random_state.permutation(n_samples)
    return np.sort(order[n_held:]), np.sort(order[:n_held])


def explain_split(n_samples: int, fraction: float, consequence: str) -> str:
    """Say why ``split`` held nothing out, what follows, and what to do; more may be added to it."""
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


def build(architecture: Architecture, prepared: Prepared, device: torch.device, seed: int) -> Model:
    """Build a model for training, with its units but not started."""
    generator = torch.Generator().manual_seed(seed)
    double = prepared.needs_double and device.type != "mps"  # which has no float64
    model = Model(architecture, torch.float64 if double else TRAINING_DTYPE, device, generator)
    set_inputs(model, prepared.units)
    return model


def make_rows(model: Model, X: Any, weight: np.ndarray | None, units: Units) -> Rows:
    """Rows of X in working units, as ``model`` takes them."""
    values = model.flat.values
    return Rows(X, weight, units.shift, units.scale, values.dtype, values.device)


def fit_model(
    X: Any,
    weight: np.ndarray | None,
    architecture: Architecture,
    n_components: Any,
    plan: Plan,
    random_state: np.random.RandomState,
    resume: tuple[Model, Units] | None = None,
) -> Fit:
    """Fit a model from its start, or from where it stands.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows in X's units.
    weight : ndarray of shape (n_samples,) or None
        Row weights, all positive.
    architecture : Architecture
        Its number of latents is filled in here.
    n_components : int, float, None or "mle"
        As in PCA.
    plan : Plan
        How to train.
    random_state : RandomState
        Seeds the split, the start and the noise.
    resume : tuple of (Model, Units), optional
        A model to go on with, in its units.

    Returns
    -------
    fit : Fit

    Raises
    ------
    ValueError
        If held-out rows are to choose an epoch, and beta has settled in none.
    """
    seed = int(random_state.randint(2**31 - 1))
    fraction = plan.validation_fraction if plan.schedule.max_iter > 0 else None
    kept, held = split(X.shape[0], fraction, random_state)
    if held is not None and plan.schedule.max_iter < plan.schedule.n_passed_over:
        raise ValueError(
            f"beta={plan.beta!r} changes for {plan.beta.n_settled:g} epochs, but "
            f"max_iter={plan.schedule.max_iter}: no epoch could be chosen. Raise max_iter, or "
            f"shorten the schedule."
        )

    def part(index: np.ndarray) -> tuple[Any, np.ndarray | None]:
        if held is None:
            return X, weight
        return pick(X, index), None if weight is None else weight[index]

    prepared = None
    if resume is not None:
        model, units = resume
        architecture = model.architecture
    else:
        prepared = prepare(*part(kept), architecture.likelihood, n_components)
        units = prepared.units
        architecture = architecture._replace(n_components=prepared.n_components)
        work = plan_work(plan, architecture, len(kept))
        model = build(architecture, prepared, resolve_device(plan.device, work), seed)

    def rows(index: np.ndarray) -> Rows:
        return make_rows(model, *part(index), units)

    trainer = Trainer(model, rows(kept), None if held is None else rows(held), plan, seed)
    moved = True
    if prepared is not None:
        trainer, moved = start_model(trainer, prepared, seed)
        model, architecture = trainer.model, trainer.model.architecture
    # With too few rows to hold any out, nothing could justify leaving the start.
    judged = held is not None or fraction is None
    stay = not (judged or moved)
    first = None if held is None else trainer.held_out_bounds()
    outcome = trainer.run(plan.schedule._replace(max_iter=0) if stay else plan.schedule)
    if outcome.interrupted and not (outcome.terms and (outcome.best_epoch or not moved)):
        raise KeyboardInterrupt  # nothing was learned
    if prepared is not None and not moved and first is not None and not gained(trainer, first):
        # PCA itself is best: nothing is left to hold out rows for.
        outcome = outcome._replace(best_epoch=0)
        prepared = prepare(X, weight, architecture.likelihood, prepared.n_components)
        units = prepared.units
        set_inputs(model, units)
        write_start(model, prepared, prepared.start(), trainer.rows.draw, seed)
    return Fit(model, architecture, units, outcome, trainer.adam, judged)


def gained(trainer: Trainer, first: np.ndarray) -> bool:
    """Say whether the held-out rows prove a gain over ``first``, their bounds at the start.

    It takes a one-sided paired t-test, for with few rows the best of many epochs is better than the
    start by chance. A start that is left without proof is a loss on other rows.
    """
    gain, weight = trainer.held_out_bounds() - first, trainer.held_out_weight
    share = np.full(len(gain), 1.0 / len(gain)) if weight is None else weight / weight.sum()
    freedom = 1.0 / (share**2).sum() - 1.0
    mean = share @ gain
    error = np.sqrt(share @ (gain - mean) ** 2 / max(freedom, 1e-3))
    return bool(mean > max(stdtrit(max(freedom, 1e-3), _CONFIDENCE) * error, 0.0))


def start_model(trainer: Trainer, prepared: Prepared, seed: int) -> tuple[Trainer, bool]:
    """Start the trainer's model as the plan says, or a rival that is better.

    Returns who goes on, and whether its model has left the PCA start.

    ``init="auto"`` is the PCA start, unless the latents are many, the rows many, and the networks
    have hidden layers: there a full PCA start can hold the model in its linear basin, where every
    latent stays at its axis. Then the full start, one of its leading fifth and the usual random
    start, which has no linear path, are trained for a few epochs, each with a schedule of its own,
    and the best on the held-out rows goes on from where it is.
    """
    k, architecture = prepared.n_components, trainer.model.architecture
    few, deep = k < _RACE_COMPONENTS, architecture.hidden_layer_sizes or architecture.decoder
    if (
        trainer.plan.init != "auto"
        or few
        or not deep
        or trainer.held_out is None
        or trainer.rows.n_samples < _RACE_ROWS
    ):
        return trainer, write_named_start(trainer, prepared, seed)
    schedule = trainer.plan.schedule
    schedule = schedule._replace(max_iter=max(1, round(_RACE_SHARE * schedule.max_iter)))
    device, full = trainer.rate.device, prepared.start()
    best, score, moved = trainer, -math.inf, False
    for start in (full, prepared.start(max(1, k // 5)), None):
        rival = trainer
        if start is not full:
            shape = architecture._replace(linear_path=start is not None)
            model = build(shape, prepared, device, seed)
            rival = Trainer(model, trainer.rows, trainer.held_out, trainer.plan, seed)
        write_start(rival.model, prepared, start, trainer.rows.draw, seed)
        try:
            outcome = rival.run(schedule)
        except DivergenceError:
            if start is not None or math.isfinite(score):
                continue  # a start that diverges has lost
            raise
        if max(outcome.scores) > score:
            best, score = rival, max(outcome.scores)
            moved = start is not full or outcome.best_epoch > 0
        if outcome.interrupted:  # nobody has won yet
            raise KeyboardInterrupt
    return best, moved


def write_named_start(trainer: Trainer, prepared: Prepared, seed: int) -> bool:
    """Start the model as the plan's ``init`` says; return whether it is another than PCA's."""
    init, model, rows = trainer.plan.init, trainer.model, trainer.rows
    other = init in ("random", "rbm")
    write_start(model, prepared, None if other else prepared.start(), rows.draw, seed)
    if init == "rbm":
        write_rbm_start(model, rows, seed)
    return other


def one_pass(
    X: Any,
    weight: np.ndarray | None,
    architecture: Architecture,
    n_components: Any,
    plan: Plan,
    seed: int,
    resume: tuple[Model, Units] | None,
    optimizer: dict[str, np.ndarray] | None,
    n_before: int,
) -> Fit:
    """Go through the rows once at a constant learning rate, holding none out.

    Parameters
    ----------
    X, weight, architecture, n_components, plan, resume
        As in ``fit_model``.
    seed : int
        Of the order of rows and the noise.
    optimizer : dict of str to ndarray or None
        State of Adam after the last pass.
    n_before : int
        Epochs that were run before.

    Returns
    -------
    fit : Fit
    """
    if resume is None:
        prepared = prepare_stream(X, weight, architecture.likelihood, n_components)
        architecture = architecture._replace(n_components=prepared.n_components)
        work = plan_work(plan, architecture, X.shape[0])
        model = build(architecture, prepared, resolve_device(plan.device, work), seed)
        units = prepared.units
    else:
        model, units = resume
        architecture = model.architecture
    trainer = Trainer(model, make_rows(model, X, weight, units), None, plan, seed)
    if resume is None:
        write_named_start(trainer, prepared, seed)
    for name, value in (optimizer or {}).items():
        trainer.adam.state[name].copy_(as_tensor(value))
    schedule = plan.schedule._replace(max_iter=1, annealed=False, n_before=n_before)
    outcome = trainer.run(schedule)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return Fit(model, architecture, units, outcome, trainer.adam)
