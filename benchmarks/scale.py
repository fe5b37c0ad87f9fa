"""Seconds a row and peak memory on large tables: a million rows, a memory map, a sparse matrix.

"seconds per row" compares an epoch and a transform of 1,000,000 x 30 with those of 10,000 x 30, by
the difference between a longer and a shorter fit for the epoch. "memory" is the peak of anonymous
memory above what the process holds after import: a file that is mapped is not counted, a copy of
it is. Every measurement has a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from benchmarks.common import PeakMemory, Report
from skvae import VariationalAutoencoder

FORMATS = {"case": "s", "fit, s": ".1f", "epoch, µs per row": ".3f", "transform, µs per row": ".3f"}
FORMATS |= {"memory, MB": ".0f"}
MAPPED, SPARSE = (1_000_000, 200), (100_000, 10_000)
DENSITY = 0.005


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--repeats", type=int, default=3, help="processes a case (default: 3)")


def run(args: argparse.Namespace) -> Report:
    """Take turns, and compare medians."""
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes,
    ):
        mapped, csr = Path(folder) / "mapped.npy", Path(folder) / "sparse.npz"
        processes.submit(write_mapped, mapped).result()
        processes.submit(write_sparse, csr).result()
        cases: dict[str, tuple[Callable, tuple]] = {
            "10,000 x 30": (seconds_a_row, (10_000, 20)),
            "1,000,000 x 30": (seconds_a_row, (1_000_000, 1)),
            "memory map, 1,000,000 x 200 float32": (peak_memory, (mapped,)),
            "CSR, 100,000 x 10,000 at 0.5 %": (peak_memory, (csr,)),
        }
        records: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
        for _ in range(args.repeats):
            for name, (function, arguments) in cases.items():
                records[name].append(processes.submit(function, *arguments).result())

    def median(name: str, key: str) -> float:
        return float(np.median([record.get(key, np.nan) for record in records[name]]))

    rows = [
        {"case": name, **{key: median(name, key) for key in list(FORMATS)[1:]}, "runs": runs}
        for name, runs in records.items()
    ]
    few, many = rows[:2]
    summary = {
        f"{what} of 1,000,000 rows over 10,000": many[f"{what}, µs per row"]
        / few[f"{what}, µs per row"]
        for what in ("epoch", "transform")
    }
    return Report("scale", FORMATS, rows, summary)


def write_mapped(path: Path) -> None:
    """Rows of a linear model of five latents with noise, block by block."""
    n_rows, n_features = MAPPED
    generator = np.random.default_rng(0)
    axes = generator.standard_normal((5, n_features), dtype=np.float32)
    X = np.lib.format.open_memmap(path, "w+", np.float32, MAPPED)
    for start in range(0, n_rows, 10_000):
        noise = generator.standard_normal((10_000, n_features), dtype=np.float32)
        z = generator.standard_normal((10_000, 5), np.float32)
        X[start : start + 10_000] = z @ axes + noise
    X.flush()


def write_sparse(path: Path) -> None:
    """Counts of words at random places."""
    generator = np.random.default_rng(0)
    sparse.save_npz(
        path, sparse.random(*SPARSE, DENSITY, "csr", np.float32, random_state=generator), False
    )


def build(max_iter: int) -> VariationalAutoencoder:
    return VariationalAutoencoder(
        5, hidden_layer_sizes=(64,), max_iter=max_iter, early_stopping=False, random_state=0
    )


def seconds_a_row(n_rows: int, epochs: int) -> dict[str, float]:
    """Time an epoch, and a transform of all rows as often."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((n_rows, 5), np.float32) @ generator.standard_normal(
        (5, 30), np.float32
    )
    X += generator.standard_normal(X.shape, np.float32)
    seconds = []
    for max_iter in (epochs, 1, 1 + epochs):  # the first warms up
        began = time.perf_counter()
        vae = build(max_iter).fit(X)
        seconds.append(time.perf_counter() - began)
    vae.transform(X)
    began = time.perf_counter()
    for _ in range(epochs):
        vae.transform(X)
    transform = time.perf_counter() - began
    return {
        "epoch, µs per row": 1e6 * (seconds[2] - seconds[1]) / (epochs * n_rows),
        "transform, µs per row": 1e6 * transform / (epochs * n_rows),
    }


def peak_memory(path: Path) -> dict[str, float]:
    """Fit two epochs with rows held out, transform, and watch the memory."""
    vae = VariationalAutoencoder(5, max_iter=2, random_state=0)
    with PeakMemory() as memory:
        began = time.perf_counter()
        X = np.load(path, mmap_mode="r") if path.suffix == ".npy" else sparse.load_npz(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # two epochs are not meant to do
            vae.fit(X)
        seconds = time.perf_counter() - began
        vae.transform(X)
    return {"fit, s": seconds, "memory, MB": memory.peak / 2**20}
