"""What training tells of itself, epoch by epoch, and who may end it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from skvae.training._progress import Progress


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """An epoch that is done.

    Attributes
    ----------
    number : int
        Counted from 1.
    n_epochs : int
        Most epochs that there will be.
    terms : sequence of float
        Means over its steps of the terms that they yield, the loss first.
    score, first : float or None
        Held-out value now, and of the start; None without held-out rows.
    best_epoch : int
        Epoch that would be kept if training ended now; 0 is the start.
    learning_rate : float
        Of its first step.
    trainer : object, optional
        What is trained, for those who would look at it.
    """

    number: int
    n_epochs: int
    terms: Sequence[float]
    score: float | None
    first: float | None
    best_epoch: int
    learning_rate: float
    trainer: Any = None


class Watcher:
    """Is told of each epoch and may end training; this one looks away.

    Attributes
    ----------
    stopped : bool
        Whether it has asked for the end.
    """

    stopped = False

    def begin(self) -> None:
        """Hear that an epoch begins."""

    def end(self, epoch: Epoch) -> bool:
        """Hear of an epoch that is done; say whether training shall end with it."""
        return False

    def resume(self, progress: Progress) -> None:
        """Put a training where an earlier one stood that was the same, if that is known."""

    def keep(self, progress: Progress) -> None:
        """Take note of where a training stands after an epoch."""

    @contextmanager
    def stage(self, name: str, n_subtasks: int) -> Iterator[None]:
        """Take what is done inside for a part of the fit, of at most so many parts of its own."""
        yield
