"""Fitting the canonical-correlated autoencoder: checked arrays in, a trained model out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae.multilabel._labels import Labels, Table
from skvae.multilabel._model import Architecture, Model, build, make_rows, step_work
from skvae.multilabel._plan import Plan, part_rows
from skvae.multilabel._trainer import Folds, Trainer
from skvae.training import Budget, DivergenceError, Outcome, limit_threads, resolve_device, train

# Training's type; a test of exact equivalences sets float64.
TRAINING_DTYPE = torch.float32

# So far below the threshold a label is scored that is never predicted: its probability is zero.
_FAR_BELOW = 1e4


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """A trained model and how it came about.

    ``unknown`` labels are so in all rows it has seen; ``judged`` unless rows to hold out were too
    few.
    """

    model: Model
    outcome: Outcome
    threshold: Any
    unknown: np.ndarray
    judged: bool = True


class Builder:
    """Makes trainers of parts of the rows.

    Parameters
    ----------
    table : Table
        Rows with their labels.
    architecture : Architecture
        Widths.
    plan : Plan
        How to train.
    seed : int
        Of the first parameters, the order of rows and what is dropped.
    """

    def __init__(self, table: Table, architecture: Architecture, plan: Plan, seed: int) -> None:
        self.table, self.architecture, self.plan, self.seed = table, architecture, plan, seed
        self.work = step_work(architecture, plan.n_step_rows(table.n_samples))
        self.device = resolve_device(plan.device, self.work)

    def at(self, is_linear: bool) -> Builder:
        """Give what makes trainers from the linear or from the random start."""
        architecture = replace(self.architecture, is_linear=is_linear)
        return Builder(self.table, architecture, self.plan, self.seed)

    def trainer(self, table: Table) -> Trainer:
        """Start a model that is trained on these rows."""
        model = build(table, self.architecture, TRAINING_DTYPE, self.device, self.seed)
        rows = make_rows(model, table.X, table.weight)
        return Trainer(model, rows, table.labels, self.plan, self.seed)

    def folds(self, parts: list[tuple[np.ndarray, np.ndarray]]) -> Folds:
        """Start a model for each fold."""
        trainers, rows = [], []
        for kept, held in parts:
            trainer = self.trainer(self.table.part(kept))
            trainers.append(trainer)
            unseen = self.table.part(held)
            rows.append(make_rows(trainer.model, unseen.X, unseen.weight))
        index = np.concatenate([held for _, held in parts])
        weight = self.table.weight
        weight = None if weight is None else weight[index]
        return Folds(trainers, rows, self.table.labels.part(index), weight)


def fit_model(
    table: Table, architecture: Architecture, plan: Plan, random_state: np.random.RandomState
) -> Fit:
    """Fit a model from its linear or its random start.

    Folds choose the start, the number of epochs and the threshold by rows that they have not seen.
    Of one fold the model is kept; of several none is, and the rows are fitted all together. Where
    none judges, the start is the linear one.

    Parameters
    ----------
    table : Table
        Rows in X's units, with their labels; weights are all positive.
    architecture : Architecture
        Widths; the plan says which start.
    plan : Plan
        How to train.
    random_state : RandomState
        Seeds the folds, the start, the order of rows and what is dropped.

    Returns
    -------
    fit : Fit
        Its threshold is one of raw scores.

    Raises
    ------
    KeyboardInterrupt
        If training was interrupted before there was an epoch to keep.
    """
    seed = int(random_state.randint(2**31 - 1))
    judged = plan.early_stopping or plan.tuned(table.labels) is not None
    n_samples, n_labels = table.labels.values.shape
    parts = part_rows(n_samples, n_labels, plan, random_state) if judged else []
    builder = Builder(table, architecture, plan, seed)
    with limit_threads(builder.work):
        if parts:
            return fit_folds(builder, parts)
        first = builder.at(plan.starts[0])
        fit = fit_whole(first, plan.budget, plan.fixed_threshold(table.labels))
    return replace(fit, judged=not judged)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """Folds trained from one start, with the held-out value that is to be compared."""

    builder: Builder
    folds: Folds
    outcome: Outcome
    value: float


def fit_folds(builder: Builder, parts: list[tuple[np.ndarray, np.ndarray]]) -> Fit:
    """Fit a model as the folds choose, or keep that of a single fold."""
    plan, labels = builder.plan, builder.table.labels
    trials: list[Trial] = []
    for is_linear in plan.starts:
        name = "folds, random start" if trials else "folds"
        try:
            trials.append(try_start(builder.at(is_linear), parts, name))
        except DivergenceError:
            if not trials:
                raise
            break  # a start that diverges has lost
        if trials[-1].outcome.interrupted or plan.watcher.stopped:
            break
    best = max(trials, key=lambda trial: trial.value)  # of equals the first, the linear one
    outcome, folds = best.outcome, best.folds
    is_start = best.builder.architecture.is_linear and plan.early_stopping
    interrupted = trials[-1].outcome.interrupted
    still_rising = any(trial.outcome.still_rising for trial in trials)
    if interrupted and (len(parts) > 1 or not outcome.best_epoch):
        raise KeyboardInterrupt  # nothing was learned that could be kept
    tuned = plan.tuned(labels)
    threshold = plan.fixed_threshold(labels) if tuned is None else folds.threshold(tuned)
    if len(parts) == 1:
        outcome = replace(outcome, interrupted=interrupted, still_rising=still_rising)
        return finish(folds.trainers[0], labels, outcome, threshold)
    n_epochs = max(outcome.best_epoch, 0 if is_start else 1)
    fit = fit_whole(best.builder, replace(plan.budget, n_epochs=n_epochs), threshold)
    terms = fit.outcome.terms or outcome.terms
    whole = replace(fit.outcome, terms=terms, scores=outcome.scores, still_rising=still_rising)
    return replace(fit, outcome=whole)


def try_start(builder: Builder, parts: list[tuple[np.ndarray, np.ndarray]], name: str) -> Trial:
    """Train the folds from the builder's start."""
    plan, folds = builder.plan, builder.folds(parts)
    evaluate = folds.evaluate if plan.early_stopping else None
    with plan.watcher.stage(name, plan.budget.max_iter):
        outcome = run(folds, folds.parameters, evaluate, plan.budget, plan)
    value = max(outcome.scores) if outcome.scores else folds.evaluate()
    return Trial(builder=builder, folds=folds, outcome=outcome, value=value)


def fit_whole(builder: Builder, budget: Budget, threshold: Any) -> Fit:
    """Fit a model on all rows, none held out."""
    trainer, plan = builder.trainer(builder.table), builder.plan
    with plan.watcher.stage("all rows", budget.max_iter):
        outcome = run(trainer, [trainer.model.flat.values], None, budget, plan)
    if outcome.interrupted and not outcome.best_epoch:
        raise KeyboardInterrupt
    return finish(trainer, builder.table.labels, outcome, threshold)


def finish(trainer: Trainer, labels: Labels, outcome: Outcome, threshold: Any) -> Fit:
    """See that no label is predicted that no row has, or that the model has seen in no row."""
    seen = trainer.labels.labels
    unknown = seen.n_rows(-1) == seen.values.shape[0]
    silent = np.flatnonzero(unknown | (labels.n_rows(1) == 0))
    if len(silent) and not labels.exclusive:
        trainer.model.fix_scores(silent, float(np.min(threshold)) - _FAR_BELOW)
    return Fit(
        model=trainer.model,
        outcome=outcome,
        threshold=threshold,
        unknown=np.flatnonzero(unknown),
    )


def run(
    trainer: Trainer | Folds,
    state: list[Tensor],
    evaluate: Callable[[], float] | None,
    budget: Budget,
    plan: Plan,
) -> Outcome:
    """Train, and leave the best epoch's parameters in place."""
    n_steps, watcher = trainer.n_steps, plan.watcher
    return train(trainer.epoch, evaluate, state, trainer, budget, n_steps, watcher, trainer)
