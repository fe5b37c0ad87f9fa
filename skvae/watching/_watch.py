"""Whoever watches a fit: the reader of a line or a log, and callbacks."""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state

from skvae._sklearn.compat import HAS_CALLBACKS
from skvae.training import Epoch, Progress, Watcher
from skvae.watching._line import Line, duration
from skvae.watching._record import Record
from skvae.watching._tasks import Tasks

_LOGGER = logging.getLogger("skvae")


def check_no_callbacks(model: Any, owner: str) -> None:
    """Raise ValueError if a model that another estimator fits has callbacks of its own."""
    own = getattr(model, "_skl_callbacks", None)
    if own:
        names = ", ".join(type(callback).__name__ for callback in own)
        raise ValueError(
            f"The 'estimator' of {owner} must have no callbacks of its own. Got {names}. Set them "
            f"on {owner}, which tells them of its epochs: {owner}(...).set_callbacks(...)."
        )


class Watch(Watcher):
    """Tells of a fit's epochs: by a line, to the log, and to callbacks.

    It is a context, which takes the line away, and of which a fit that does not fail is the end.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    terms : sequence of str
        Names of the terms of a step.

    Attributes
    ----------
    origin : str
        What the held-out value is compared with.
    snapshot : callable or None
        Gives the fitted attributes that the estimator would have after an epoch.
    """

    def __init__(self, estimator: Any, terms: Sequence[str]) -> None:
        self.name, self.verbose = type(estimator).__name__, getattr(estimator, "verbose", 0)
        self.terms = terms
        self.line = Line()
        self.stopped = False
        self.origin = "the start"
        self.snapshot: Callable[[Epoch], dict[str, Any]] | None = None
        self.tasks: Tasks | None = None
        self.rows: dict[str, Any] = {}
        self.outer: Watch | None = getattr(estimator, "_outer_watch", None)
        self.record: Record | None = None if self.outer is None else self.outer.record
        self.stages: list[str] = []
        self.began: float | None = None

    def call(self, estimator: Any, n_subtasks: int, X: Any, y: Any, sample_weight: Any) -> Self:
        """Let the estimator's callbacks watch, if it has any, or those of whoever fits it."""
        if self.outer is not None:
            self.tasks, self.stages = self.outer.tasks, [*self.outer.stages]
            return self
        callbacks = getattr(estimator, "_skl_callbacks", [])
        self.record = next((c.record() for c in callbacks if hasattr(c, "record")), None)
        if callbacks and HAS_CALLBACKS:
            metadata = None if sample_weight is None else {"sample_weight": sample_weight}
            self.rows = {"X": X, "y": y, "metadata": metadata}
            self.tasks = Tasks(estimator, n_subtasks)
            self.tasks.begin_fit(**self.rows)
        return self

    def remember(self, estimator: Any, rows: Mapping[str, Any]) -> np.random.RandomState:
        """Go on from a checkpoint, if there is one; give the random state to fit with."""
        random_state = check_random_state(estimator.random_state)
        if self.record is None or self.outer is not None:
            return random_state
        return self.record.open(estimator, rows, random_state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.line.clear()
        if self.tasks is not None and kind is None and self.outer is None:
            self.tasks.end(1, **self.rows, reconstruction_attributes=dict)

    # ------------------------------------------------------------------ what training tells

    def begin(self) -> None:
        """Hear that an epoch begins."""
        if self.began is None:
            self.began = time.monotonic()
        if self.tasks is not None:
            self.tasks.begin("epoch")

    def end(self, epoch: Epoch) -> bool:
        """Tell of an epoch; say whether a callback asks for the end, if none has before."""
        if self.verbose == 1:
            self.line.show(f"{self.name}: {self._place()}{self._describe(epoch)}")
        elif self.verbose > 1:
            self._log(f"{self._place()}{self._describe(epoch)}")
        if self.tasks is None:
            return False
        # Within another's fit the attributes would be no estimator of that kind.
        known = self.snapshot if self.outer is None else None
        snapshot = None if known is None else functools.partial(known, epoch)
        metadata = functools.partial(self._metadata, epoch)
        return self._stop(self.tasks.end(metadata=metadata, reconstruction_attributes=snapshot))

    def _stop(self, asked: bool) -> bool:
        """Take note of a wish to stop; it is granted once."""
        is_first = asked and not self.stopped
        self.stopped = self.stopped or asked
        return is_first

    def resume(self, progress: Progress) -> None:
        """Put a training where a checkpoint says that it stood."""
        if self.record is not None:
            self.record.resume(progress)

    def keep(self, progress: Progress) -> None:
        """Write a checkpoint, if there is to be one and it is time to."""
        if self.record is not None:
            self.record.keep(progress)

    @contextmanager
    def stage(self, name: str, n_subtasks: int) -> Iterator[None]:
        """Take what is done inside for a part of the fit, a task of its own."""
        self.began = None
        self.stages.append(name)
        depth = 0
        if self.tasks is not None:
            depth = self.tasks.depth + 1
            self.tasks.begin(name, n_subtasks)
        try:
            yield
        except BaseException:
            if self.tasks is not None:
                del self.tasks.contexts[depth - 1 :]
            raise
        else:
            if self.tasks is not None:
                self._stop(self.tasks.end(depth))
        finally:
            self.stages.pop()
            self.began = None

    @contextmanager
    def within(self, name: str, model: Any) -> Iterator[None]:
        """Take what a model's ``fit`` does inside for a part of the fit; its epochs are told of."""
        with self.stage(name, model.max_iter + 1), self.recording(model):
            yield

    @contextmanager
    def recording(self, model: Any) -> Iterator[None]:
        """Take a model's trainings inside for trainings of this fit, to be resumed with it."""
        model._outer_watch = self
        try:
            yield
        finally:
            del model._outer_watch

    # ------------------------------------------------------------------ words

    def close(self, line: str) -> None:
        """Say in one line what the fit has come to."""
        if self.verbose == 1:
            self.line.end(f"{self.name}: {line}.")
            _LOGGER.info("%s: %s.", self.name, line)
        elif self.verbose > 1:
            self._log(f"{line}.")
        else:
            _LOGGER.info("%s: %s.", self.name, line)

    def _log(self, line: str) -> None:
        """Log a line that was asked for; to standard error where nobody has set logging up."""
        if _LOGGER.hasHandlers():
            _LOGGER.info("%s: %s", self.name, line)
        else:
            print(f"{self.name}: {line}", file=sys.stderr)

    def _place(self) -> str:
        return "".join(f"{stage}, " for stage in self.stages)

    def _describe(self, epoch: Epoch) -> str:
        """An epoch in words."""
        now = time.monotonic()
        took = (now - (self.began or now)) / epoch.number
        most = "at most " if epoch.score is not None else ""
        words = [f"epoch {epoch.number} of {most}{epoch.n_epochs}", f"loss {epoch.terms[0]:.4f}"]
        if epoch.score is not None:
            words.append(f"held-out {epoch.score:.4f}")
            if epoch.first is not None:
                words.append(f"{epoch.score - epoch.first:+.4f} over {self.origin}")
        return ", ".join([*words, f"{most}{duration(took * (epoch.n_epochs - epoch.number))} left"])

    def _metadata(self, epoch: Epoch) -> dict[str, Any]:
        """An epoch as callbacks get it."""
        return {
            "epoch": epoch.number,
            "stage": self.stages[0] if self.stages else "training",
            **dict(zip(self.terms, epoch.terms, strict=True)),
            "held_out": epoch.score,
            "start": epoch.first,
            "best_epoch": epoch.best_epoch,
            "learning_rate": epoch.learning_rate,
        }
