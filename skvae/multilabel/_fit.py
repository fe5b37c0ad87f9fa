"""Fitting the canonical-correlated autoencoder: checked arrays in, a trained model out."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from skvae._core.arrays import as_tensor
from skvae.fitting import split
from skvae.multilabel._labels import Labels, f1_scores, tune_threshold
from skvae.multilabel._model import (
    Architecture,
    Model,
    Units,
    indicators,
    make_rows,
    step_work,
    take_units,
)
from skvae.multilabel._terms import correlation_term, pair_term
from skvae.tables import Rows, pick
from skvae.training import (
    Adam,
    Budget,
    Outcome,
    Watcher,
    limit_threads,
    resolve_device,
    train,
)

# Training's type; a test of exact equivalences sets float64.
TRAINING_DTYPE = torch.float32

# The paper's scores, in the authors' code: five times a probability.
_SCORE_RANGE = 5.0

# n_folds="auto": so many folds up to so many rows. Beyond, one held-out part is large enough.
FOLDS = 3
_FOLDED_ROWS = 5000

# Cells that the scores of held-out rows may fill: 128 MiB of float32.
_HELD_OUT_CELLS = 2**25

# So far below the threshold a label is scored that is never predicted: its probability is zero.
_FAR_BELOW = 1e4

Drop = Callable[[Tensor], Tensor]


class Objective(NamedTuple):
    """Weights of the terms and of the L2 penalty, and what a step drops of units and inputs."""

    correlation_weight: float
    pair_weight: float
    direct_weight: float
    penalty: float
    dropout: float
    input_dropout: float


class Plan(NamedTuple):
    """What the estimator's parameters say about training."""

    schedule: Budget
    objective: Objective
    batch_size: int | str
    device: str
    early_stopping: bool
    n_folds: int | str
    threshold: float | str
    validation_fraction: float
    watcher: Watcher


class Fit(NamedTuple):
    """A trained model and how it came about.

    ``unknown`` labels are so in all rows it has seen; ``judged`` unless rows to hold out were too
    few.
    """

    model: Model
    units: Units
    outcome: Outcome
    threshold: Any
    unknown: np.ndarray
    judged: bool = True


class LabelRows:
    """The labels beside training's rows, handed out by the same index.

    Parameters
    ----------
    labels : Labels
        Labels of the rows.
    model : Model
        Whose type and device they come in.
    """

    def __init__(self, labels: Labels, model: Model) -> None:
        self.labels, self.like = labels, model.flat.values
        self.resident: Tensor | None = None
        if isinstance(labels.values, np.ndarray):
            self.resident = as_tensor(labels.values).to(self.like.device)

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Give which labels are present and which absent, (rows, n_labels)."""
        if self.resident is None:
            values = as_tensor(self.labels.dense(index.cpu().numpy())).to(self.like.device)
        else:
            values = self.resident[index.to(self.like.device)]
        return indicators(values, self.like)


class Trainer:
    """A model with its rows, which it goes through an epoch at a time.

    Parameters
    ----------
    model : Model
        What is trained.
    rows : Rows
        Training rows.
    labels : Labels
        Their labels.
    plan : Plan
        Objective and batch size.
    seed : int
        Of the generators that order rows and drop units.
    """

    def __init__(self, model: Model, rows: Rows, labels: Labels, plan: Plan, seed: int) -> None:
        self.model, self.rows, self.objective = model, rows, plan.objective
        self.labels = LabelRows(labels, model)
        self.generator = torch.Generator().manual_seed(seed)
        self.dropper = torch.Generator(model.flat.values.device).manual_seed(seed)
        self.batch_size = resolve_batch_size(plan.batch_size, rows.n_samples)
        self.n_steps = -(-rows.n_samples // self.batch_size)
        self.adam = Adam(model.flat)

    @property
    def n_skipped(self) -> Tensor:
        """Number of steps skipped so far."""
        return self.adam.n_skipped

    def drop(self, share: float) -> Drop | None:
        """Zero a share of what it is given, and scale the rest up (Srivastava et al. 2014)."""
        if share == 0.0:
            return None

        def dropped(x: Tensor) -> Tensor:
            kept = torch.empty_like(x).bernoulli_(1.0 - share, generator=self.dropper)
            return x * kept.div_(1.0 - share)

        return dropped

    def epoch(self, n_done: int, rate: Callable[[int], float]) -> Iterator[Tensor]:
        """Go through the training rows once; yield each step's loss, alone in a tensor."""
        for k, index in enumerate(self.rows.epoch(self.batch_size, self.generator)):
            self.model.flat.grads.zero_()
            loss = self.loss(index)
            loss.backward()
            self.adam.step(rate(k))
            yield loss.detach()[None]

    def loss(self, index: Tensor) -> Tensor:
        """Phi + Gamma + the direct term over the rows at ``index``, a 0-d tensor."""
        model, objective = self.model, self.objective
        batch = self.rows.take(index)
        present, absent = self.labels.take(index)
        drop_input = self.drop(objective.input_dropout)
        x = batch.inputs if drop_input is None else drop_input(batch.inputs)
        code = model.encoder.forward(x, self.drop(objective.dropout))
        label_code = model.label_encoder.forward(model.filled(present, absent))

        def mean(values: Tensor) -> Tensor:
            return (values if batch.weight is None else values * batch.weight).mean()

        total = code.new_zeros(())
        if objective.correlation_weight:
            correlation = correlation_term(code, label_code, batch.weight)
            total = total + objective.correlation_weight * correlation
        if objective.pair_weight:
            score = _SCORE_RANGE * torch.sigmoid(model.decoder.forward(label_code))
            total = total + objective.pair_weight * mean(pair_term(score, present, absent))
        if objective.direct_weight:
            raw = model.decoder.forward(code)
            direct = mean(model.probability_loss(raw, present, absent))
            total = total + objective.direct_weight * direct
        if objective.penalty:
            total = total + objective.penalty / self.rows.count * model.penalty().to(total)
        return total


def _scaled(rate: Callable[[Any], float], share: float, k: int) -> float:
    return rate(k * share)


class Folds:
    """Models trained side by side, each judged by rows that it has not seen.

    Parameters
    ----------
    trainers : list of Trainer
        One a fold.
    rows : list of Rows
        The rows that each has not seen.
    labels : Labels
        Labels of all these rows, fold after fold.
    weight : ndarray or None
        Their weights.
    """

    def __init__(
        self,
        trainers: list[Trainer],
        rows: list[Rows],
        labels: Labels,
        weight: np.ndarray | None,
    ) -> None:
        self.trainers, self.rows = trainers, rows
        self.values, self.exclusive = labels.dense(slice(None)), labels.exclusive
        self.weight = weight
        self.n_steps = sum(trainer.n_steps for trainer in trainers)

    @property
    def state(self) -> list[Tensor]:
        """All tensors that training changes."""
        return [trainer.model.flat.values for trainer in self.trainers]

    @property
    def n_skipped(self) -> Tensor:
        """Number of steps skipped so far."""
        return torch.stack([trainer.adam.n_skipped for trainer in self.trainers]).sum()

    def epoch(self, n_done: int, rate: Callable[[int], float]) -> Iterator[Tensor]:
        """Take every fold through its training rows; yield each step's loss."""
        for trainer in self.trainers:
            # The rate of a step is that of its place in the fold's own epoch.
            share = self.n_steps / trainer.n_steps
            yield from trainer.epoch(n_done, functools.partial(_scaled, rate, share))

    @torch.no_grad()
    def scores(self) -> np.ndarray:
        """Raw scores of the held-out rows, (rows, n_labels)."""
        raw = [
            trainer.model.decoder.evaluate(trainer.model.encoder.evaluate(batch.inputs)).cpu()
            for trainer, rows in zip(self.trainers, self.rows, strict=True)
            for _, batch in rows.all()
        ]
        return torch.cat(raw).numpy()

    def evaluate(self) -> float:
        """Micro- plus macro-averaged F1, at the best threshold or of the likeliest class."""
        score = self.scores()
        if not np.isfinite(score).all():
            return -math.inf
        if not self.exclusive:
            return tune_threshold(score, self.values, self.weight)[1]
        weight = np.ones((len(score), 1)) if self.weight is None else self.weight[:, None]
        predicted = weight * (score.argmax(1)[:, None] == np.arange(score.shape[1]))
        positive, hit = weight * self.values, predicted * self.values
        micro, macro = f1_scores(positive.sum(0), predicted.sum(0), hit.sum(0))
        return float(micro + macro)

    def threshold(self, kind: str) -> Any:
        """Tune one threshold on the raw scores ("shared"), or one a label with positives."""
        score = self.scores()
        shared = tune_threshold(score, self.values, self.weight)[0]
        if kind == "shared":
            return shared
        each = np.full(score.shape[1], shared)
        for j in np.flatnonzero((self.values == 1).any(0)):
            column = slice(j, j + 1)
            each[j] = tune_threshold(score[:, column], self.values[:, column], self.weight)[0]
        return each


def resolve_batch_size(batch_size: int | str, n_samples: int) -> int:
    """Number of rows a step; "auto" is a twentieth of the rows, within 64 and 256."""
    if isinstance(batch_size, str):
        batch_size = min(max(n_samples // 20, 64), 256)
    return min(int(batch_size), n_samples)


def part_rows(
    n_samples: int, n_labels: int, plan: Plan, random_state: np.random.RandomState
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give the training and the held-out rows of each fold; none where there are too few rows."""
    most = max(_HELD_OUT_CELLS // n_labels, 2)
    n_folds = plan.n_folds
    if isinstance(n_folds, str):
        n_folds = FOLDS if n_samples <= min(most, _FOLDED_ROWS) else 1
    if n_folds == 1:
        fraction = min(plan.validation_fraction, most / n_samples)
        kept, held = split(n_samples, fraction, random_state)
        return [] if held is None else [(kept, held)]
    if n_samples < 2 * n_folds:
        return []
    parts = np.array_split(random_state.permutation(n_samples), n_folds)
    return [
        (np.sort(np.concatenate([*parts[:i], *parts[i + 1 :]])), np.sort(parts[i]))
        for i in range(n_folds)
    ]


class Builder:
    """Makes trainers of parts of the rows.

    Parameters
    ----------
    X, labels, weight, architecture, plan
        As in ``fit_model``.
    seed : int
        Of the first parameters, the order of rows and what is dropped.
    """

    def __init__(
        self,
        X: Any,
        labels: Labels,
        weight: np.ndarray | None,
        architecture: Architecture,
        plan: Plan,
        seed: int,
    ) -> None:
        self.X, self.labels, self.weight = X, labels, weight
        self.architecture, self.plan, self.seed = architecture, plan, seed
        batch_size = resolve_batch_size(plan.batch_size, X.shape[0])
        self.work = step_work(architecture, batch_size)
        self.device = resolve_device(plan.device, self.work)

    def part(self, index: np.ndarray) -> tuple[Any, np.ndarray | None]:
        """Rows at ``index``, where they lie, with their weights."""
        return pick(self.X, index), None if self.weight is None else self.weight[index]

    def trainer(self, index: np.ndarray | None) -> tuple[Trainer, Units]:
        """Start a model that is trained on the rows at ``index``, by default all of them."""
        X, weight = (self.X, self.weight) if index is None else self.part(index)
        labels = self.labels if index is None else self.labels.part(index)
        units = take_units(X, labels, weight)
        model = Model(self.architecture, units, TRAINING_DTYPE, self.device)
        model.start(self.seed)
        rows = make_rows(model, X, weight, units)
        return Trainer(model, rows, labels, self.plan, self.seed), units

    def folds(self, parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Folds, Units]:
        """Start a model for each fold; the units are the last one's."""
        trainers, rows = [], []
        for kept, held in parts:
            trainer, units = self.trainer(kept)
            trainers.append(trainer)
            rows.append(make_rows(trainer.model, *self.part(held), units))
        index = np.concatenate([held for _, held in parts])
        return Folds(trainers, rows, self.labels.part(index), self.part(index)[1]), units


def fit_model(
    X: Any,
    labels: Labels,
    weight: np.ndarray | None,
    architecture: Architecture,
    plan: Plan,
    random_state: np.random.RandomState,
) -> Fit:
    """Fit a model from its random start.

    Folds choose the number of epochs and the threshold by rows that they have not seen. Of one
    fold the model is kept; of several none is, and the rows are fitted all together.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows in X's units.
    labels : Labels
        Their labels.
    weight : ndarray of shape (n_samples,) or None
        Row weights, all positive.
    architecture : Architecture
        Widths.
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
    tuned = None if labels.exclusive or not isinstance(plan.threshold, str) else plan.threshold
    judged = plan.early_stopping or tuned is not None
    n_samples, n_labels = labels.values.shape
    parts = part_rows(n_samples, n_labels, plan, random_state) if judged else []
    builder = Builder(X, labels, weight, architecture, plan, seed)
    fixed = 0.5 if isinstance(plan.threshold, str) or labels.exclusive else plan.threshold
    threshold: Any = math.log(fixed / (1.0 - fixed))
    with limit_threads(builder.work):
        schedule, first = plan.schedule, None
        if parts:
            folds, units = builder.folds(parts)
            evaluate = folds.evaluate if plan.early_stopping else None
            with plan.watcher.stage("folds", schedule.max_iter):
                first = run(folds, folds.state, evaluate, schedule, plan)
            if first.interrupted and (len(parts) > 1 or not first.best_epoch):
                raise KeyboardInterrupt  # nothing was learned that could be kept
            threshold = threshold if tuned is None else folds.threshold(tuned)
            if len(parts) == 1:
                return finish(folds.trainers[0], labels, units, first, threshold)
            schedule = replace(schedule, n_epochs=max(first.best_epoch, 1))
        trainer, units = builder.trainer(None)
        with plan.watcher.stage("all rows", schedule.max_iter):
            outcome = run(trainer, [trainer.model.flat.values], None, schedule, plan)
        if outcome.interrupted and not outcome.best_epoch:
            raise KeyboardInterrupt
    if first is not None:
        outcome = replace(
            outcome,
            scores=first.scores,
            still_rising=first.still_rising,
        )
    fit = finish(trainer, labels, units, outcome, threshold)
    return fit._replace(judged=bool(parts) or not judged)


def finish(trainer: Trainer, labels: Labels, units: Units, outcome: Outcome, threshold: Any) -> Fit:
    """See that no label is predicted that no row has, or that the model has seen in no row."""
    seen = trainer.labels.labels
    unknown = seen.n_rows(-1) == seen.values.shape[0]
    silent = np.flatnonzero(unknown | (labels.n_rows(1) == 0))
    if len(silent) and not labels.exclusive:
        trainer.model.fix_scores(silent, float(np.min(threshold)) - _FAR_BELOW)
    return Fit(trainer.model, units, outcome, threshold, np.flatnonzero(unknown))


def run(
    trainer: Trainer | Folds,
    state: list[Tensor],
    evaluate: Callable[[], float] | None,
    schedule: Budget,
    plan: Plan,
) -> Outcome:
    """Train, and leave the best epoch's parameters in place."""
    return train(trainer.epoch, evaluate, state, trainer, schedule, trainer.n_steps, plan.watcher)
