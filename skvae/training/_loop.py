"""The training loop: epochs, the annealed learning rate, the best epoch, when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from skvae.training._progress import Changing, Kept, Progress
from skvae.training._watcher import Epoch, Watcher


class DivergenceError(ValueError):
    """No step of an epoch had a finite gradient."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long to train and how fast.

    Attributes
    ----------
    max_iter : int
        Most epochs.
    learning_rate_init : float
        Learning rate of the first step.
    tol : float
        Least gain in the held-out value that counts as one.
    n_iter_no_change : int
        Epochs without such a gain after which training stops.
    annealed : bool
        Whether the learning rate falls to zero along half a cosine, or stays.
    n_before : int
        Epochs that an earlier call has run.
    n_passed_over : float
        Epochs from the first on that are not compared because the objective still changes.
    n_epochs : int or None
        Epochs to run, if they end before the learning rate has fallen to zero.
    """

    max_iter: int
    learning_rate_init: float
    tol: float
    n_iter_no_change: int
    annealed: bool = True
    n_before: int = 0
    n_passed_over: float = 0.0
    n_epochs: int | None = None


class Optimizer(Protocol):
    """The part of an optimiser that the loop reads."""

    @property
    def n_skipped(self) -> Tensor:
        """Number of steps skipped so far, of shape ()."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of training; the model holds the best epoch's parameters.

    Attributes
    ----------
    terms : list of list of float
        Means over each epoch's steps of the terms that they yield, the loss first.
    scores : list of float
        Held-out values, the start's first; empty without held-out rows.
    best_epoch : int
        Epoch whose parameters were kept; 0 is the start.
    n_skipped : int
        Number of steps skipped because their gradient was not finite.
    interrupted : bool
        Whether the user interrupted it.
    still_rising : bool
        Whether the held-out value still rose by more than ``tol`` when ``max_iter`` ended.
    """

    terms: list[list[float]]
    scores: list[float]
    best_epoch: int
    n_skipped: int
    interrupted: bool
    still_rising: bool


def train(
    take_epoch: Callable[[int, Callable[[int], float]], Iterable[Any]],
    evaluate: Callable[[], float] | None,
    state: list[Tensor],
    adam: Optimizer,
    budget: Budget,
    n_steps: int,
    watcher: Watcher,
    changing: Changing,
) -> Outcome:
    """Minimise a step's loss, and keep the best epoch in ``state``, all that training changes.

    ``take_epoch`` goes through the training rows once and yields the terms of each of ``n_steps``
    steps, the loss first: a sequence of floats, or a tensor of one axis, read back when the epoch
    ends. It is given the number of epochs done, and the learning rate as a function of the step's
    number. ``evaluate`` gives the held-out value of the current parameters, the higher the better;
    without it the last epoch is kept. ``changing`` is what a later call needs to go on from where
    this one stands, if the watcher keeps that. DivergenceError is raised if no step of an epoch had
    a finite gradient.
    """
    first = -math.inf if evaluate is None else evaluate()
    best = _Best(first, state, budget, changing)
    progress = best.progress
    interrupted, n_epochs = False, budget.n_epochs or budget.max_iter
    watcher.resume(progress)
    try:
        for epoch in range(len(progress.epochs) + 1, n_epochs + 1):
            if progress.is_done:
                break
            watcher.begin()
            terms = _run_epoch(take_epoch, adam, budget, n_steps, epoch)
            score = None if evaluate is None else evaluate()
            # In one piece: after an interrupt an epoch is here with its value, or not at all.
            progress.epochs.append((terms, score))
            best.compare(epoch, score)
            progress.is_done = epoch == n_epochs or progress.stale >= budget.n_iter_no_change
            watcher.keep(progress)
            if watcher.end(best.epoch(epoch, n_epochs, terms, score)):
                break
    except KeyboardInterrupt:
        interrupted = True
    progress.kept.restore(state)
    epochs = progress.epochs
    scores = [progress.first, *(score for _, score in epochs if score is not None)]
    return Outcome(
        terms=[terms for terms, _ in epochs],
        scores=[] if evaluate is None else scores,
        best_epoch=progress.kept.epoch,
        n_skipped=int(adam.n_skipped.item()),
        interrupted=interrupted,
        still_rising=evaluate is not None
        and 0 < len(epochs) == budget.max_iter
        and progress.stale == 0,
    )


def _learning_rate(budget: Budget, n_done: float) -> float:
    """Give the rate after so many epochs, a real number."""
    progress = n_done / budget.max_iter * budget.annealed
    return budget.learning_rate_init * 0.5 * (1.0 + math.cos(math.pi * progress))


class _Best:
    """Compares epochs, and keeps the best."""

    def __init__(
        self, first: float, state: list[Tensor], budget: Budget, changing: Changing
    ) -> None:
        self.state, self.budget = state, budget
        self.progress = Progress(changing, first, self._copy(0, first))

    def _copy(self, epoch: int, score: float) -> Kept:
        return Kept(epoch, score, [t.clone() for t in self.state])

    def compare(self, epoch: int, score: float | None) -> None:
        """Keep this epoch if it is the best; without held-out values each is kept."""
        now = self.progress
        if score is None:
            now.kept = self._copy(epoch, now.kept.score)
        elif self.budget.n_before + epoch >= self.budget.n_passed_over:
            if score > now.kept.score:
                now.kept = self._copy(epoch, score)
            now.stale = 0 if now.kept.score > now.reference + self.budget.tol else now.stale + 1
            now.reference = now.kept.score if now.stale == 0 else now.reference

    def epoch(self, number: int, n_epochs: int, terms: list[float], score: float | None) -> Epoch:
        """Give what a watcher is told of an epoch that was compared."""
        return Epoch(
            number=number,
            n_epochs=n_epochs,
            terms=terms,
            score=score,
            first=None if score is None else self.progress.first,
            best_epoch=self.progress.kept.epoch,
            learning_rate=_learning_rate(self.budget, number - 1),
        )


def _run_epoch(
    take_epoch: Callable[[int, Callable[[int], float]], Iterable[Any]],
    adam: Optimizer,
    budget: Budget,
    n_steps: int,
    epoch: int,
) -> list[float]:
    def rate(k: int) -> float:
        return _learning_rate(budget, epoch - 1 + k / n_steps)

    skipped = adam.n_skipped.clone()
    steps: list[Any] = list(take_epoch(budget.n_before + epoch - 1, rate))
    n_finite = n_steps - int((adam.n_skipped - skipped).item())
    if n_finite == 0:
        raise DivergenceError(
            f"Training diverged: in epoch {epoch} none of {n_steps} steps had a finite gradient. "
            f"Scale X (StandardScaler), or lower learning_rate_init "
            f"(now {budget.learning_rate_init:g})."
        )
    if isinstance(steps[0], Tensor):  # read back once per epoch
        steps = torch.stack(steps).tolist()
    values = np.asarray(steps, dtype=np.float64)
    return list((values[np.isfinite(values[:, 0])].sum(0) / n_finite).tolist())
