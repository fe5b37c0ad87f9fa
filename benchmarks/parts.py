"""Where the time of a written training step goes: a table's, and MNIST's, on one thread.

Each part is timed inside a real fit; what is left of the fit's epochs is Python between the parts.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.common import Report, load_mnist, written_steps
from skvae import VariationalAutoencoder
from skvae.fitting import _steps as _step
from skvae.fitting import _trainer
from skvae.likelihoods import Bernoulli, Gaussian
from skvae.nn import DenseNetwork
from skvae.tables import Rows
from skvae.training import Adam, limit_threads

FORMATS = {"part": "s", "table, µs": ".0f", "share": ".2f", "MNIST, µs": ".0f", "share ": ".2f"}
PARTS = (
    "gather",
    "noise",
    "networks",
    "networks, back",
    "latent",
    "likelihood",
    "likelihood, back",
    "update",
    "between",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--epochs", type=int, default=3)


def run(args: argparse.Namespace) -> Report:
    """Time the parts of both."""
    generator = np.random.default_rng(0)
    table = generator.standard_normal((5000, 5)) @ generator.standard_normal((5, 30))
    table += generator.standard_normal(table.shape)
    shared = {"max_iter": args.epochs, "early_stopping": False, "random_state": 0}
    fits = [
        (VariationalAutoencoder(5, hidden_layer_sizes=(64,), batch_size=128, **shared), table),
        (
            VariationalAutoencoder(2, likelihood="bernoulli", batch_size=100, **shared),
            load_mnist()[0],
        ),
    ]
    measured = []
    for vae, X in fits:
        vae.fit(X)  # warms up
        with limit_threads(0.0), written_steps(), timed_parts() as seconds:
            vae.fit(X)
        n_steps = args.epochs * -(-len(X) // vae.batch_size)
        microseconds = {part: 1e6 * seconds[part] / n_steps for part in PARTS}
        measured.append((microseconds, 1e6 * seconds["epochs"] / n_steps))
    (first, first_whole), (second, second_whole) = measured
    rows = [
        {
            "part": part,
            "table, µs": first[part],
            "share": first[part] / first_whole,
            "MNIST, µs": second[part],
            "share ": second[part] / second_whole,
        }
        for part in PARTS
    ]
    return Report("parts", FORMATS, rows, {"table": first_whole, "MNIST": second_whole})


@contextmanager
def timed_parts() -> Iterator[dict[str, float]]:
    """Add up the seconds of each part of the steps inside the block."""
    seconds: dict[str, float] = defaultdict(float)

    def timed(part: str, function: Callable, back: str | None = None) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            result = function(*args, **kwargs)
            seconds[part] += time.perf_counter() - began
            if back is None:
                return result
            *values, pull = result
            return (*values, timed(back, pull))

        return call

    latent = _step.written_latent

    def whole(trainer: Any, *args: Any) -> Iterator[Any]:
        began = time.perf_counter()
        before = sum(seconds[part] for part in PARTS)
        yield from epoch(trainer, *args)
        passed = time.perf_counter() - began
        seconds["epochs"] += passed
        seconds["between"] += passed - (sum(seconds[part] for part in PARTS) - before)

    epoch = _trainer.Trainer.epoch
    patches = [
        mock.patch.object(_trainer, "count_parts", return_value=1),
        mock.patch.object(_trainer.Trainer, "epoch", whole),
        mock.patch.object(Rows, "take", timed("gather", Rows.take)),
        mock.patch.object(_trainer.Trainer, "noise", timed("noise", _trainer.Trainer.noise)),
        mock.patch.object(
            DenseNetwork, "vjp", timed("networks", DenseNetwork.vjp, "networks, back")
        ),
        mock.patch.object(
            _step, "written_latent", lambda *pair: timed("latent", latent(*pair), "latent")
        ),
        *(
            mock.patch.object(
                kind,
                "log_prob_vjp",
                timed("likelihood", kind.log_prob_vjp, "likelihood, back"),
            )
            for kind in (Gaussian, Bernoulli)
        ),
        mock.patch.object(Adam, "step", timed("update", Adam.step)),
    ]
    for patch in patches:
        patch.start()
    try:
        yield seconds
    finally:
        for patch in patches:
            patch.stop()
