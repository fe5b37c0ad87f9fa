"""Microseconds a training step costs, beside MLPRegressor's as an autoencoder of the same shape.

A table of 5000 x 30, 5 latents, 64 hidden units, batches of 128. Time a step is the difference
between a long and a short fit over the difference in their steps, so that set-up drops out. With
numba installed our steps are machine code, and those without it stand beside them. Every
measurement has a process of its own, and the models take turns, so that a machine's moods meet all.
MLPRegressor trains in the type of the rows, the autoencoder in float32 either way.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from benchmarks.common import Report, written_steps
from skvae import VariationalAutoencoder

N_ROWS, N_FEATURES, N_LATENTS, N_HIDDEN, BATCH = 5000, 30, 5, 64, 128
SHORT, LONG = 5, 25
CASES = {
    "VariationalAutoencoder": ("VariationalAutoencoder", "float64"),
    "without numba": ("VariationalAutoencoder", "float64", False),
    "MLPRegressor, float64": ("MLPRegressor", "float64"),
    "MLPRegressor, float32": ("MLPRegressor", "float32"),
}
FORMATS = {
    "model": "s",
    "µs per step": ".0f",
    "least": ".0f",
    "most": ".0f",
    "autoencoder / it": ".2f",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--repeats", type=int, default=7, help="processes a model (default: 7)")


def run(args: argparse.Namespace) -> Report:
    """Take turns, and compare medians."""
    measured = take_turns(step_time, CASES, args.repeats)
    return Report("step", FORMATS, compare(measured, "model", "autoencoder / it"))


def take_turns(
    measure: Callable[..., float], cases: Mapping[str, Sequence[Any]], repeats: int
) -> dict[str, list[float]]:
    """Measure each case so many times, each time in a process of its own."""
    measured: dict[str, list[float]] = {name: [] for name in cases}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes:
        for _ in range(repeats):
            for name, case in cases.items():
                measured[name].append(processes.submit(measure, *case).result())
    return measured


def compare(measured: dict[str, list[float]], label: str, ratio: str) -> list[dict[str, Any]]:
    """Give rows with medians, and the first one's over each."""
    medians = {name: float(np.median(values)) for name, values in measured.items()}
    first = next(iter(medians.values()))
    return [
        {
            label: name,
            "µs per step": medians[name],
            "least": min(values),
            "most": max(values),
            ratio: first / medians[name],
            "values": values,
        }
        for name, values in measured.items()
    ]


def build(model: str, epochs: int, likelihood: str = "gaussian") -> Any:
    """Build an estimator that goes through exactly so many epochs of the same batches."""
    if model == "MLPRegressor":
        return MLPRegressor(
            hidden_layer_sizes=(N_HIDDEN, N_LATENTS, N_HIDDEN),
            batch_size=BATCH,
            max_iter=epochs,
            n_iter_no_change=epochs,
            random_state=0,
        )
    return VariationalAutoencoder(
        N_LATENTS,
        likelihood=likelihood,
        hidden_layer_sizes=(N_HIDDEN,),
        batch_size=BATCH,
        max_iter=epochs,
        early_stopping=False,
        device="cpu",
        random_state=0,
    )


def step_time(model: str, dtype: str, with_numba: bool = True) -> float:
    """Microseconds a step on a table of numbers."""
    X = draw_table(N_FEATURES).astype(dtype)
    y = () if model == "VariationalAutoencoder" else (X,)
    with nullcontext() if with_numba else written_steps():
        return time_a_step(lambda epochs: build(model, epochs), X, *y)


def draw_table(n_features: int) -> np.ndarray:
    """Draw rows of a linear model with noise."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((N_ROWS, N_LATENTS)) @ generator.standard_normal(
        (N_LATENTS, n_features)
    )
    return X + generator.standard_normal(X.shape)


def time_a_step(build: Callable[[int], Any], *data: Any) -> float:
    """Microseconds a step, from a long and a short fit of what is built for so many epochs."""
    seconds = []
    with warnings.catch_warnings():
        # The number of epochs is fixed, and no fit is meant to converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        build(1).fit(*data)
        for epochs in (SHORT, LONG):
            began = time.perf_counter()
            fitted = build(epochs).fit(*data)
            seconds.append(time.perf_counter() - began)
            assert fitted.n_iter_ == epochs
    n_steps = (LONG - SHORT) * -(-N_ROWS // BATCH)
    return 1e6 * (seconds[1] - seconds[0]) / n_steps
