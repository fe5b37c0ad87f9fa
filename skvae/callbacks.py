"""Callbacks that end a fit, by time or where a search has seen enough, or keep it in a file.

They follow the protocol of scikit-learn 1.9: ``estimator.set_callbacks(TimeLimit(60)).fit(X)``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import sklearn
from sklearn.utils import check_scalar

from skvae._core.checks import shown
from skvae._sklearn.compat import HAS_CALLBACKS
from skvae.watching import Record

__all__ = ["Checkpoint", "Prune", "Pruned", "TimeLimit", "Trial"]


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


class Checkpoint(_Callback):
    """Keep where a fit stands in a file, from which the same fit goes on after it was killed.

    The file holds parameters, the state of Adam, the best epoch, the schedule and the generators
    after the last epoch written, so that the model is bit for bit that of a fit that was left
    alone. It is replaced as a whole: a kill while it is written leaves the former one. Nothing in
    it is run when it is read. To go on, call ``fit`` with the same callback, parameters and X; of a
    fit that is done it gives the model at once. It is for every estimator, also below scikit-learn
    1.9.

    Parameters
    ----------
    path : str or PathLike
        The file. Each fit needs one of its own, so that a search has no use for this callback.
    every_n_epochs : int, default=1
        Epochs from one writing to the next.
    every_seconds : float, default=None
        Seconds from one writing to the next, at least; by default no time has to pass.

    Raises
    ------
    ValueError
        If a number is outside its domain. ``fit`` raises it if the file is no whole checkpoint, or
        one of another estimator, other parameters or another X.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.callbacks import Checkpoint
    >>> X, _ = load_iris(return_X_y=True)
    >>> path = Path(tempfile.mkdtemp()) / "fit.npz"
    >>> vae = VariationalAutoencoder(2, max_iter=3, random_state=0)
    >>> Z = vae.set_callbacks(Checkpoint(path)).fit_transform(X)
    >>> path.exists(), bool((vae.fit_transform(X) == Z).all())
    (True, True)
    """

    def __init__(
        self, path: str | PathLike[str], every_n_epochs: int = 1, every_seconds: float | None = None
    ) -> None:
        check_scalar(every_n_epochs, "every_n_epochs", Integral, min_val=1)
        if every_seconds is not None:
            check_scalar(every_seconds, "every_seconds", Real, min_val=0)
        self.path = path
        self.every_n_epochs, self.every_seconds = every_n_epochs, every_seconds

    def record(self) -> Record:
        """Give the record of one fit."""
        return Record(Path(self.path), self.every_n_epochs, self.every_seconds)

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Hear that a part of a fit ends: of epochs the fit tells the record itself."""


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
    The epochs of a race of starts are not reported, and of a multi-label classifier's two starts
    those of the first alone: the fits of the others begin anew.

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
