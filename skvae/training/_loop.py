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
    n_cooldown : int
        Epochs over which the learning rate falls to zero once training has stopped early, from the
        best epoch on (the cooldown of Hägele et al. 2024, "Scaling laws and compute-optimal
        training beyond fixed training durations"); there are fewer if ``max_iter`` leaves fewer.
    """

    max_iter: int
    learning_rate_init: float
    tol: float
    n_iter_no_change: int
    annealed: bool = True
    n_before: int = 0
    n_passed_over: float = 0.0
    n_epochs: int | None = None
    n_cooldown: int = 0

    @property
    def n_to_run(self) -> int:
        """Most epochs to run."""
        return self.max_iter if self.n_epochs is None else self.n_epochs


# Learning rate after so many epochs, a real number.
Rate = Callable[[float], float]

# Goes through the rows once, and yields each step's terms: of the number of epochs done, and the
# learning rate as a function of the step's number.
TakeEpoch = Callable[[int, Callable[[int], float]], Iterable[Any]]


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
    n_cooldown : int
        How many of the epochs, the last ones, were a cooldown.
    """

    terms: list[list[float]]
    scores: list[float]
    best_epoch: int
    n_skipped: int
    interrupted: bool
    still_rising: bool
    n_cooldown: int = 0


def train(
    take_epoch: TakeEpoch,
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
    without it the last epoch is kept. After an early stop training goes back to the best epoch and
    cools down, if the budget says so. ``changing`` is what a later call needs to go on from where
    this one stands, if the watcher keeps that. DivergenceError is raised if no step of an epoch had
    a finite gradient.
    """
    run = _Run(take_epoch, evaluate, state, adam, budget, n_steps, watcher, changing)
    now, n_epochs = run.best.progress, budget.n_to_run
    rate = _annealing(budget.learning_rate_init, budget.max_iter * budget.annealed)
    interrupted, still_rising = False, False
    watcher.resume(now)
    try:
        if not now.n_stopped:
            run.go(n_epochs, rate, budget.n_iter_no_change)
            now.n_stopped, now.cooled_from = len(now.epochs), now.kept.epoch
        rose = evaluate is not None and not now.stale
        still_rising = rose and 0 < now.n_stopped == budget.max_iter
        n_cooldown = min(budget.n_cooldown, n_epochs - now.n_stopped)
        if n_cooldown and now.cooled_from and not run.ended:
            if len(now.epochs) == now.n_stopped:  # it has not begun in an earlier call
                now.kept.restore(state)
            run.go(n_cooldown, _annealing(rate(now.cooled_from), n_cooldown), math.inf)
        if not (run.ended or now.is_done):
            now.is_done = True
            watcher.keep(now)
    except KeyboardInterrupt:
        interrupted = True
    now.kept.restore(state)
    return Outcome(
        terms=[terms for terms, _ in now.epochs],
        scores=run.scores,
        best_epoch=now.kept.epoch,
        n_skipped=int(adam.n_skipped.item()),
        interrupted=interrupted,
        still_rising=still_rising,
        n_cooldown=len(now.epochs) - now.n_stopped if now.n_stopped else 0,
    )


def _annealing(first: float, n_epochs: float) -> Rate:
    """Give a rate that falls to zero along half a cosine, or stays if there are no epochs."""
    if not n_epochs:
        return lambda n_done: first
    return lambda n_done: first * 0.5 * (1.0 + math.cos(math.pi * (n_done / n_epochs)))


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


class _Run:
    """The epochs so far, and the best of them."""

    def __init__(
        self,
        take_epoch: TakeEpoch,
        evaluate: Callable[[], float] | None,
        state: list[Tensor],
        adam: Optimizer,
        budget: Budget,
        n_steps: int,
        watcher: Watcher,
        changing: Changing,
    ) -> None:
        self.take_epoch, self.evaluate, self.adam = take_epoch, evaluate, adam
        self.budget, self.n_steps, self.watcher = budget, n_steps, watcher
        first = -math.inf if evaluate is None else evaluate()
        self.best = _Best(first, state, budget, changing)
        self.ended = False

    @property
    def scores(self) -> list[float]:
        """Held-out values, the start's first; none without held-out rows."""
        now = self.best.progress
        found = [score for _, score in now.epochs if score is not None]
        return [] if self.evaluate is None else [now.first, *found]

    def go(self, n_epochs: int, rate: Rate, patience: float) -> None:
        """Run so many epochs, or fewer: until there is no gain, or the watcher ends them.

        Those that were run before training was put where it stands count.
        """
        now = self.best.progress
        for n_done in range(len(now.epochs) - now.n_stopped, n_epochs):
            if self.ended or now.stale >= patience or now.is_done:
                break
            self.watcher.begin()
            terms = self._take(rate, n_done)
            score = None if self.evaluate is None else self.evaluate()
            # In one piece: after an interrupt an epoch is here with its value, or not at all.
            now.epochs.append((terms, score))
            number = len(now.epochs)
            self.best.compare(number, score)
            self.watcher.keep(now)
            epoch = Epoch(
                number=number,
                n_epochs=self.budget.n_to_run,
                terms=terms,
                score=score,
                first=None if score is None else now.first,
                best_epoch=now.kept.epoch,
                learning_rate=rate(n_done),
            )
            self.ended = self.watcher.end(epoch)

    def _take(self, rate: Rate, n_done: int) -> list[float]:
        """Go through the rows once, and give the means of the terms."""
        adam, n_steps, number = self.adam, self.n_steps, len(self.best.progress.epochs)
        skipped = adam.n_skipped.clone()
        steps: list[Any] = list(
            self.take_epoch(self.budget.n_before + number, lambda k: rate(n_done + k / n_steps))
        )
        n_finite = n_steps - int((adam.n_skipped - skipped).item())
        if n_finite == 0:
            raise DivergenceError(
                f"Training diverged: in epoch {number + 1} none of {n_steps} steps had a finite "
                f"gradient. Scale X (StandardScaler), or lower learning_rate_init "
                f"(now {self.budget.learning_rate_init:g})."
            )
        if isinstance(steps[0], Tensor):  # read back once per epoch
            steps = torch.stack(steps).tolist()
        values = np.asarray(steps, dtype=np.float64)
        return list((values[np.isfinite(values[:, 0])].sum(0) / n_finite).tolist())
