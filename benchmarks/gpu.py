"""On a CUDA device: a table's step beside a plain autograd loop's, and an epoch of MNIST.

Time a step is the difference of a long and a short fit over the difference in their steps; both
take turns in one process after a fit that warms up.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.common import Report, load_mnist
from benchmarks.peer_models import LEARNING_RATE, Task, skvae, torch_loss, torch_networks
from benchmarks.peers import TASKS, load

FORMATS = {"task": "s", "model": "s", "µs per step": ".0f", "s an epoch": ".3f"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default: 5)")


def run(args: argparse.Namespace) -> Report:
    """Take turns, and compare medians."""
    if not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device here.")
    table, mnist = TASKS["table"][0], TASKS["mnist"][0]._replace(batch_size=512)
    data = {table: load("table")[0], mnist: load_mnist()[0]}
    models: dict[str, Callable[[Task, np.ndarray, int], Any]] = {
        "skvae, replayed": functools.partial(skvae, device="cuda"),
        "autograd loop": fit_loop,
    }
    rows = []
    for name, task in (("table", table), ("MNIST, batches of 512", mnist)):
        X, n_steps = data[task], -(-len(data[task]) // task.batch_size)
        seconds: dict[str, list[float]] = {model: [] for model in models}
        for k in range(args.repeats + 1):
            for model, fit in models.items():
                epoch = (timed(fit, task, X, 25) - timed(fit, task, X, 5)) / 20
                if k > 0:  # the first round warms up
                    seconds[model].append(epoch)
        for model, values in seconds.items():
            epoch = float(np.median(values))
            rows.append(
                {"task": name, "model": model, "µs per step": 1e6 * epoch / n_steps}
                | {"s an epoch": epoch}
            )
    ours, loop = (row["s an epoch"] for row in rows[:2])
    return Report("gpu", FORMATS, rows, {"table step over the loop's": ours / loop})


def timed(fit: Callable[..., Any], task: Task, X: np.ndarray, epochs: int) -> float:
    torch.cuda.synchronize()
    began = time.perf_counter()
    fit(task, X, epochs)
    torch.cuda.synchronize()
    return time.perf_counter() - began


def fit_loop(task: Task, X: np.ndarray, epochs: int) -> None:
    rows = torch.from_numpy(X).cuda()
    networks = [network.cuda() for network in torch_networks(task)]
    parameters = [p for network in networks for p in network.parameters()]
    optimizer = torch.optim.Adam(parameters, LEARNING_RATE)
    for _ in range(epochs):
        for index in torch.randperm(len(rows), device="cuda").split(task.batch_size):
            optimizer.zero_grad()
            torch_loss(task, *networks, rows[index]).backward()
            optimizer.step()
