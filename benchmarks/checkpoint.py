"""Share of a fit that writing a checkpoint after each epoch takes: MNIST, 784-256-2.

The time of the writing itself is taken within the fit, so that what else the machine does between
two fits is in neither figure.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.common import Report, load_mnist
from skvae import VariationalAutoencoder
from skvae.callbacks import Checkpoint
from skvae.watching import Record

FORMATS = {"epochs": "d", "seconds": ".1f", "writing": ".2f", "share": ".2%", "MB": ".1f"}


class Timed(Record):
    """A record that takes the time of what it does."""

    seconds = 0.0

    def open(self, *args, **kwargs):
        began = time.perf_counter()
        try:
            return super().open(*args, **kwargs)
        finally:
            self.seconds += time.perf_counter() - began

    def keep(self, progress):
        began = time.perf_counter()
        super().keep(progress)
        self.seconds += time.perf_counter() - began


class TimedCheckpoint(Checkpoint):
    """A checkpoint with such a record."""

    def record(self):
        self.kept = Timed(Path(self.path), self.every_n_epochs, self.every_seconds)
        return self.kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--epochs", type=int, default=5)


def run(args: argparse.Namespace) -> Report:
    """Fit once, and add up what the checkpoints took."""
    X, _ = load_mnist()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = TimedCheckpoint(Path(folder) / "fit.npz")
        vae = VariationalAutoencoder(
            2, likelihood="bernoulli", batch_size=100, max_iter=args.epochs, random_state=0
        )
        began = time.perf_counter()
        vae.set_callbacks(checkpoint).fit(X)
        seconds = time.perf_counter() - began
        row = {
            "epochs": vae.n_iter_,
            "seconds": seconds,
            "writing": checkpoint.kept.seconds,
            "share": checkpoint.kept.seconds / seconds,
            "MB": Path(checkpoint.path).stat().st_size / 1e6,
        }
    return Report("checkpoint", FORMATS, [row])
