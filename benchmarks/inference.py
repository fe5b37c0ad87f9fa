"""Milliseconds of a transform beside the bare matrix products that it needs, and of a single row.

The 10,000 test images of MNIST, 784-256-2, at the start: training does not change the cost. The
transforms and the products take turns in one process, then single rows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.common import Report, load_mnist
from skvae import VariationalAutoencoder

N_HIDDEN, N_LATENTS = 256, 2
FORMATS = {"what": "s", "ms": ".2f", "least": ".2f", "most": ".2f", "over NumPy's products": ".2f"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--repeats", type=int, default=25, help="rounds (default: 25)")


def run(args: argparse.Namespace) -> Report:
    """Take turns within each group, and compare medians."""
    X, X_test = load_mnist()
    models = {
        likelihood: VariationalAutoencoder(N_LATENTS, likelihood=likelihood, max_iter=0).fit(
            X[:2000]
        )
        for likelihood in ("bernoulli", "gaussian")
    }
    generator = np.random.default_rng(0)
    weights = [
        generator.standard_normal(shape, dtype=np.float32)
        for shape in ((X.shape[1], N_HIDDEN), (N_HIDDEN, 2 * N_LATENTS), (X.shape[1], N_LATENTS))
    ]
    tensors = [torch.from_numpy(array) for array in (X_test, *weights)]

    def transforms(rows: np.ndarray) -> dict[str, Callable[[], Any]]:
        return {name: lambda vae=vae: vae.transform(rows) for name, vae in models.items()}

    bare = "products, NumPy"
    seconds = take_turns(
        {**transforms(X_test), bare: lambda: products(X_test, *weights)}, args.repeats
    )
    one_row = take_turns(transforms(X_test[:1]), 20 * args.repeats)
    seconds |= {f"one row, {name}": values for name, values in one_row.items()}
    # The last, for its threads go on spinning and slow down what follows.
    seconds |= take_turns({"products, torch": lambda: products(*tensors)}, args.repeats)
    rows = [
        {
            "what": name,
            "ms": 1e3 * float(np.median(values)),
            "least": 1e3 * min(values),
            "most": 1e3 * max(values),
            "over NumPy's products": float(np.median(values) / np.median(seconds[bare])),
        }
        for name, values in seconds.items()
    ]
    return Report("inference", FORMATS, rows)


def take_turns(cases: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call, round after round; the first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for k in range(repeats + 1):
        for name, function in cases.items():
            began = time.perf_counter()
            function()
            if k > 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def products(X: Any, hidden: Any, output: Any, linear: Any) -> Any:
    """Hidden layer, output layer and linear path, with nothing between."""
    return (X @ hidden) @ output, X @ linear
