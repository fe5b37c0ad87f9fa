"""Grid search over two workers, and a fit beside a process that keeps a core busy.

"grid" is GridSearchCV of 12 candidates in three folds on digits, workers warm, with ``n_jobs`` of
1 and 2. "fit" is the table of ``benchmarks peers``, alone and with a busy neighbour. Cases take
turns, medians are compared.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
import warnings
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from benchmarks.common import Report
from benchmarks.peer_models import skvae
from benchmarks.peers import TASKS, load
from skvae import VariationalAutoencoder

FORMATS = {"case": "s", "seconds": ".2f", "least": ".2f", "most": ".2f"}
GRID = {"n_components": [2, 4, 8, 12], "hidden_layer_sizes": [(64,), (128,), (256,)]}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default: 5)")


def run(args: argparse.Namespace) -> Report:
    """Take turns, and compare medians."""
    Parallel(2)(delayed(time.sleep)(0.5) for _ in range(4))  # warm the workers
    cases: dict[str, Any] = {
        "grid, n_jobs=1": lambda: grid(1),
        "grid, n_jobs=2": lambda: grid(2),
        "fit, alone": fit,
        "fit, one core busy": fit_beside,
    }
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for k in range(args.repeats + 1):
        for name, case in cases.items():
            value = case()
            if k > 0:  # the first round warms up
                seconds[name].append(value)
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    rows = [
        {"case": name, "seconds": median[name], "least": min(values), "most": max(values)}
        for name, values in seconds.items()
    ]
    summary = {
        "grid search, two workers over one": median["grid, n_jobs=2"] / median["grid, n_jobs=1"],
        "fit, with a busy core over alone": median["fit, one core busy"] / median["fit, alone"],
    }
    return Report("sharing", FORMATS, rows, summary)


def grid(n_jobs: int) -> float:
    X = load_digits().data / 16.0
    vae = VariationalAutoencoder(max_iter=20, random_state=0)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 20 epochs are not meant to do
        GridSearchCV(vae, GRID, cv=3, n_jobs=n_jobs, refit=False).fit(X)
    return time.perf_counter() - began


def fit() -> float:
    task, epochs = TASKS["table"]
    X, _ = load("table")
    began = time.perf_counter()
    skvae(task, X, epochs)
    return time.perf_counter() - began


def fit_beside() -> float:
    neighbour = multiprocessing.get_context("spawn").Process(target=spin, daemon=True)
    neighbour.start()
    time.sleep(2.0)  # until it has started
    try:
        return fit()
    finally:
        neighbour.kill()
        neighbour.join()


def spin() -> None:
    while True:
        pass
