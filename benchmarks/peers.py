"""The same autoencoder trained by every library: time, memory, held-out bound.

Same data, network, batch size and number of epochs. Each measurement has a process of its own, and
the libraries take turns, so that a machine's moods meet all; medians are compared. "fit" is the
first fit of a process, with compiling and without importing. "µs per step" is the difference of a
later long and a later short fit over the difference in their steps, so that set-up and compiling
drop out. "memory" is the peak above what imports and data take. The held-out bound takes the mean
squared error on training rows as a Gaussian's variance, for every library alike.
``pip install -e ".[bench]"`` installs the peers; those that are missing are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import logging
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from benchmarks.common import PeakMemory, Report, load_mnist
from benchmarks.peer_models import PEERS, Fitted, Task

TASKS = {
    "table": (Task(30, 64, 5, 128, False), 20),
    "mnist": (Task(784, 256, 2, 100, True), 5),
}
FORMATS = {
    "library": "s",
    "fit, s": ".2f",
    "fit / skvae's": ".2f",
    "µs per step": ".0f",
    "skvae's step / it": ".2f",
    "memory, MB": ".0f",
    "held-out bound": ".2f",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--repeats", type=int, default=5, help="processes a library (default: 5)")
    parser.add_argument("--only", nargs="+", default=list(PEERS), choices=PEERS)


def run(args: argparse.Namespace) -> Report:
    """Take turns, and compare medians."""
    names = [name for name in args.only if installed(name)]
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes:
        for _ in range(args.repeats):
            for name in names:
                records[name].append(processes.submit(measure, name, args.task).result())

    def median(name: str, key: str) -> float:
        return float(np.median([record[key] for record in records[name]]))

    rows = [
        {
            "library": name,
            "fit, s": median(name, "fit"),
            "fit / skvae's": median(name, "fit") / median("skvae", "fit"),
            "µs per step": median(name, "step"),
            "skvae's step / it": median("skvae", "step") / median(name, "step"),
            "memory, MB": median(name, "memory"),
            "held-out bound": median(name, "bound"),
            "runs": records[name],
        }
        for name in names
    ]
    return Report(f"peers_{args.task}", FORMATS, rows)


def installed(name: str) -> bool:
    """Whether all that a library needs is there."""
    return all(importlib.util.find_spec(package) for package in PEERS[name].packages)


def load(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Training and test rows, float32."""
    if task == "mnist":
        return load_mnist()
    # A step costs the same whatever the rows say: a linear model of five latents with noise.
    generator = np.random.default_rng(0)
    axes = generator.standard_normal((5, 30))
    X = generator.standard_normal((6000, 5)) @ axes + generator.standard_normal((6000, 30))
    X = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    return X[:5000], X[5000:]


def measure(name: str, task_name: str) -> dict[str, Any]:
    """Fit in this process, and judge on test rows."""
    task, epochs = TASKS[task_name]
    X, X_test = load(task_name)
    peer = PEERS[name]
    logging.disable(logging.INFO)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        # One epoch on a few rows of another shape: imports drop out, compiling does not.
        peer.fit(task, X[: 2 * task.batch_size], 1)
        with PeakMemory() as memory:
            began = time.perf_counter()
            fitted = peer.fit(task, X, epochs)
            seconds = time.perf_counter() - began
        step = float("nan")
        if peer.timed_step:
            few = max(1, epochs // 5)
            times = []
            for n in (few, epochs + few):
                began = time.perf_counter()
                peer.fit(task, X, n)
                times.append(time.perf_counter() - began)
            step = 1e6 * (times[1] - times[0]) / (epochs * -(-len(X) // task.batch_size))
    return {
        "fit": seconds,
        "step": step,
        "memory": memory.peak / 2**20,
        "bound": held_out_bound(task, fitted, X, X_test),
    }


def held_out_bound(task: Task, fitted: Fitted, X: np.ndarray, X_test: np.ndarray) -> float:
    """Mean bound of test rows by five draws each, in nats; nan where there is no model."""
    if fitted is None:
        return float("nan")
    encode, decode = fitted
    generator = np.random.default_rng(0)
    variance = 1.0 if task.bernoulli else float(np.square(decode(encode(X)[0]) - X).mean())
    mean, log_variance = (np.asarray(a, dtype=np.float64) for a in encode(X_test))
    kl = 0.5 * (np.exp(log_variance) + mean**2 - 1.0 - log_variance).sum(1).mean()
    total = 0.0
    for _ in range(5):
        z = mean + np.exp(0.5 * log_variance) * generator.standard_normal(mean.shape)
        m = np.asarray(decode(z), dtype=np.float64)
        if task.bernoulli:
            m = m.clip(1e-7, 1.0 - 1e-7)
            cells = X_test * np.log(m) + (1.0 - X_test) * np.log1p(-m)
        else:
            cells = -0.5 * ((X_test - m) ** 2 / variance + np.log(2.0 * np.pi * variance))
        total += cells.sum(1).mean() / 5.0
    return float(total - kl)
