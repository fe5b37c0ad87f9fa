"""Callbacks that end a fit: after some time, or where a search has seen enough.

They follow the protocol of scikit-learn 1.9: ``estimator.set_callbacks(TimeLimit(60)).fit(X)``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

import sklearn

from skvae._core.checks import shown
from skvae._sklearn.compat import HAS_CALLBACKS

__all__ = ["Prune", "Pruned", "TimeLimit", "Trial"]


class Pruned(Exception):
    """A trial was given up: others were better after as many epochs."""


class Trial(Protocol):
    """What ``Prune`` asks of a trial; Optuna's are such."""

    def report(self, value: float, step: int) -> None:
        """Take the value after so many epochs."""

    def should_prune(self) -> bool:
        """Say whether the trial is to be given up."""


class _Callback:
    """What scikit-learn asks of every callback."""

    def __init__(self) -> None:
        if not HAS_CALLBACKS:
            raise ImportError(
                f"{type(self).__name__} needs scikit-learn 1.9 or later, which brought callbacks. "
                f"Got scikit-learn {sklearn.__version__}. Update it, or fit without callbacks."
            )

    def setup(self, estimator: Any, context: Any) -> None:
        """Prepare for a fit."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Clear up after a fit."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Hear that a part of a fit begins."""


class TimeLimit(_Callback):
    """End a fit with the first epoch that is done after some time; its best epoch is kept.

    In a search each fit has that time. Where the folds of ``CanonicalCorrelatedAutoencoder`` end
    by it, all rows are still trained on for as many epochs as they chose.

    Parameters
    ----------
    seconds : float
        Time from the beginning of ``fit``, at least 0.

    Raises
    ------
    ValueError
        If ``seconds`` is negative.
    ImportError
        If scikit-learn is older than 1.9.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.callbacks import TimeLimit
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, max_iter=1000, random_state=0)
    >>> vae.set_callbacks(TimeLimit(0)).fit(X).n_iter_
    1
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        if not seconds >= 0:
            raise ValueError(f"'seconds' must be at least 0. Got {shown(seconds)}.")
        self.seconds = seconds

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Say whether the time is up."""
        # A search's tasks lie above the fit's own first one, which took the place of one of them.
        while context.parent is not None and context.source_estimator_name is None:
            context = context.parent
        return (datetime.now(UTC) - context.init_time).total_seconds() >= self.seconds


class Prune(_Callback):
    """Report each epoch's held-out value to a trial, and raise where it is to be given up.

    Parameters
    ----------
    trial : Trial
        Has ``report(value, step)`` and ``should_prune()``, as Optuna's have. The value is the
        higher the better: a study's direction is "maximize".
    exception : type of exception, default=Pruned
        What to raise: with Optuna ``optuna.TrialPruned``.

    Raises
    ------
    ImportError
        If scikit-learn is older than 1.9.

    Notes
    -----
    The epochs of a race of starts are not reported: its fits begin anew.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.callbacks import Prune, Pruned
    >>> class Impatient:
    ...     def report(self, value, step):
    ...         self.step = step
    ...     def should_prune(self):
    ...         return self.step == 3
    >>> X, _ = load_digits(return_X_y=True)
    >>> trial = Impatient()
    >>> try:
    ...     VariationalAutoencoder(2, random_state=0).set_callbacks(Prune(trial)).fit(X)
    ... except Pruned:
    ...     print(f"given up after epoch {trial.step}")
    given up after epoch 3
    """

    def __init__(self, trial: Trial, exception: type[BaseException] = Pruned) -> None:
        super().__init__()
        self.trial, self.exception = trial, exception

    def on_fit_task_end(self, estimator: Any, context: Any, *, metadata: Any = None) -> None:
        """Report an epoch, and raise where the trial is to be given up."""
        if context.task_name != "epoch" or metadata["stage"] not in ("training", "folds"):
            return
        value, epoch = metadata["held_out"], metadata["epoch"]
        if value is None:
            raise ValueError(
                "Prune reports held-out values, but no rows are held out. Set early_stopping=True "
                "and a constant beta or one that settles, or give more rows."
            )
        self.trial.report(value, epoch)
        if self.trial.should_prune():
            raise self.exception(f"given up after epoch {epoch} at a held-out value of {value:g}")
