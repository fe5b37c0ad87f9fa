"""The training loop: epochs, the annealed learning rate, the best epoch, when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor


class DivergenceError(ValueError):
    """No step of an epoch had a finite gradient."""


class Schedule(NamedTuple):
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
        Epochs, of all, that are not compared, for the objective still changes.
    n_epochs : int or None
        Epochs to run, where they end before the learning rate has fallen to zero.
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
    """What has taken the steps."""

    @property
    def n_skipped(self) -> Tensor:
        """Number of steps skipped so far, of shape ()."""


class Outcome(NamedTuple):
    """What training came to; the model holds the best epoch's parameters.

    Attributes
    ----------
    loss_curve : list of float
        Mean training loss of each epoch.
    scores : list of float
        Held-out values, the start's first; empty without held-out rows.
    best_epoch : int
        Epoch whose parameters were kept; 0 is the start.
    n_skipped : int
        Steps skipped for a gradient that was not finite.
    interrupted : bool
        Whether the user stopped it.
    still_rising : bool
        Whether the held-out value still rose by more than ``tol`` when ``max_iter`` ended.
    """

    loss_curve: list[float]
    scores: list[float]
    best_epoch: int
    n_skipped: int
    interrupted: bool
    still_rising: bool


def train(
    take_epoch: Callable[[int, Callable[[int], float]], Iterable[Tensor | float]],
    evaluate: Callable[[], float] | None,
    state: list[Tensor],
    adam: Optimizer,
    schedule: Schedule,
    n_steps: int,
    report: Callable[[int, float, float | None], None],
) -> Outcome:
    """Minimise a step's loss and keep the best epoch.

    Parameters
    ----------
    take_epoch : callable
        Goes through the training rows once and yields the loss of each step. It is given the
        number of epochs done, and the learning rate as a function of the step's number.
    evaluate : callable or None
        Held-out value of the present parameters, the higher the better; without it the last epoch
        is kept.
    state : list of Tensor
        All tensors that training changes.
    adam : Optimizer
        The optimiser, for the steps that it skipped.
    schedule : Schedule
        How long and how fast.
    n_steps : int
        Steps in an epoch.
    report : callable
        Called with epoch, mean loss and held-out value after each epoch.

    Returns
    -------
    outcome : Outcome

    Raises
    ------
    DivergenceError
        If no step of an epoch had a finite gradient.
    """
    scores = [] if evaluate is None else [evaluate()]
    kept, best_epoch, stale = [t.clone() for t in state], 0, 0
    best, reference = (scores[0], scores[0]) if scores else (-math.inf, -math.inf)
    losses: list[float] = []
    interrupted = False
    try:
        for epoch in range(1, (schedule.n_epochs or schedule.max_iter) + 1):
            losses.append(_run_epoch(take_epoch, adam, schedule, n_steps, epoch))
            if evaluate is not None:
                scores.append(evaluate())
                if schedule.n_before + epoch >= schedule.n_passed_over:
                    if scores[-1] > best:
                        best, best_epoch = scores[-1], epoch
                        _copy(state, kept)
                    stale = 0 if best > reference + schedule.tol else stale + 1
                    reference = best if stale == 0 else reference
            report(epoch, losses[-1], scores[-1] if scores else None)
            if stale >= schedule.n_iter_no_change:
                break
    except KeyboardInterrupt:
        interrupted = True
    if evaluate is None:
        best_epoch = len(losses)
    else:
        _copy(kept, state)
    return Outcome(
        loss_curve=losses,
        scores=scores,
        best_epoch=best_epoch,
        n_skipped=int(adam.n_skipped.item()),
        interrupted=interrupted,
        still_rising=bool(scores) and len(losses) == schedule.max_iter and stale == 0,
    )


def _copy(source: list[Tensor], target: list[Tensor]) -> None:
    for value, tensor in zip(source, target, strict=True):
        tensor.copy_(value)


def _run_epoch(
    take_epoch: Callable[[int, Callable[[int], float]], Iterable[Tensor | float]],
    adam: Optimizer,
    schedule: Schedule,
    n_steps: int,
    epoch: int,
) -> float:
    def rate(k: int) -> float:
        progress = (epoch - 1 + k / n_steps) / schedule.max_iter * schedule.annealed
        return schedule.learning_rate_init * 0.5 * (1.0 + math.cos(math.pi * progress))

    skipped = adam.n_skipped.clone()
    losses: list[Any] = list(take_epoch(schedule.n_before + epoch - 1, rate))
    n_finite = n_steps - int((adam.n_skipped - skipped).item())
    if n_finite == 0:
        raise DivergenceError(
            f"Training diverged: in epoch {epoch} none of {n_steps} steps had a finite gradient. "
            f"Scale X (StandardScaler), or lower learning_rate_init "
            f"(now {schedule.learning_rate_init:g})."
        )
    on_device = isinstance(losses[0], Tensor)  # read back once an epoch
    values = np.asarray(torch.stack(losses).cpu() if on_device else losses, dtype=np.float64)
    return float(values[np.isfinite(values)].sum()) / n_finite
