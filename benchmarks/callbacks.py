"""What a callback that does nothing costs a fit, in the processor's time and on the clock.

The same fit is done without callbacks, with one that does nothing, and again without, round after
round in one process, every second round in the reverse order. A ratio is the median over the rounds
of a fit's time over that of the first fit without; the second one says what is noise. The epochs of
the small table are among the shortest there are. Below the table is what an epoch's beginning and
end cost alone, which no other work on the machine hides.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.common import Report, load_table
from skvae import VariationalAutoencoder
from skvae.fitting import TERMS
from skvae.training import Epoch
from skvae.watching import Watch

FORMATS = {
    "fit": "s",
    "epochs": "d",
    "callback": "s",
    "CPU s": ".3f",
    "least": ".3f",
    "most": ".3f",
    "CPU over none": ".4f",
    "wall over none": ".4f",
}


class Idle:
    """A callback that does nothing."""

    def setup(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Do nothing."""


CASES = {"wine": 300, "digits": 30}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--repeats", type=int, default=15, help="rounds of fits (default: 15)")


def run(args: argparse.Namespace) -> Report:
    """Take turns, and compare with the fit without callbacks of the same round."""
    rows = []
    for name, epochs in CASES.items():
        X = load_table(name)[0]
        X = X / np.where(X.std(0) > 0, X.std(0), 1.0)
        fit_seconds(X, epochs, None)  # what is done once a process
        kinds = {"none": None, "idle": Idle(), "none again": None}
        measured: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for i in range(args.repeats):
            for kind in list(kinds) if i % 2 else reversed(list(kinds)):
                measured[kind].append(fit_seconds(X, epochs, kinds[kind]))
        base = np.array(measured["none"])  # (n_repeats, 2)
        for kind, pairs in measured.items():
            times = np.array(pairs)
            cpu, wall = np.median(times / base, axis=0)
            rows.append(
                {
                    "fit": name,
                    "epochs": epochs,
                    "callback": kind,
                    "CPU s": float(np.median(times[:, 0])),
                    "least": float(times[:, 0].min()),
                    "most": float(times[:, 0].max()),
                    "CPU over none": float(cpu),
                    "wall over none": float(wall),
                }
            )
    summary = {
        "µs an epoch without": hook_seconds(None) * 1e6,
        "µs an epoch, idle": hook_seconds(Idle()) * 1e6,
        "load average": os.getloadavg()[0],
    }
    return Report("callbacks", FORMATS, rows, summary)


def hook_seconds(callback: Any, epochs: int = 5000, repeats: int = 7) -> float:
    """Least seconds of the processor that an epoch's beginning and end take, with no training."""
    vae = VariationalAutoencoder(2)
    if callback is not None:
        vae.set_callbacks(callback)
    terms, best = [0.0] * len(TERMS), float("inf")
    known = {"number": 1, "n_epochs": epochs, "best_epoch": 1, "learning_rate": 0.0}
    epoch = Epoch(terms=terms, score=None, first=None, **known)
    for _ in range(repeats):
        watch = Watch(vae, TERMS).call(vae, epochs, None, None, None)
        began = time.process_time()
        for _ in range(epochs):
            watch.begin()
            watch.end(epoch)
        best = min(best, (time.process_time() - began) / epochs)
    return best


def fit_seconds(X: np.ndarray, epochs: int, callback: Any) -> tuple[float, float]:
    """Seconds of the processor and of the clock that so many epochs take."""
    vae = VariationalAutoencoder(2, max_iter=epochs, early_stopping=False, random_state=0)
    if callback is not None:
        vae.set_callbacks(callback)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        began = time.process_time(), time.perf_counter()
        vae.fit(X)
        return time.process_time() - began[0], time.perf_counter() - began[1]
