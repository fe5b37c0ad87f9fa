"""Memory and seconds of fits to tables that are read from where they lie: sources and memory maps.

A table of 20 GB has no file: a source makes its rows, each time the same, so that nothing but what
a fit keeps can fill memory. Files are smaller and lie in a temporary folder. "process" is the peak
of all resident memory, the interpreter and the libraries included; of a memory map it has the pages
of the file that happened to be in memory, which the system takes back when it needs them, and
"anonymous" leaves these out. Every case has a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.common import PeakMemory, Report
from skvae import VariationalAutoencoder
from skvae.sources import Parquet, Sliced, Source, Zarr

FORMATS = {"case": "s", "table, GB": ".1f", "fit, s": ".0f", "transform, s": ".0f"}
FORMATS |= {"anonymous, MB": ".0f", "process, MB": ".0f"}
N_FEATURES, N_EPOCHS = 200, 2

# Rows of a group of a file: 20 MB.
GROUP = 25_000

# Rows that are drawn once, out of which the table's are made.
_DRAWN = 10_007


class Made(Source):
    """Rows of a linear model of five latents with noise, made when they are read."""

    dtype = np.dtype(np.float32)

    def __init__(self, n_rows: int) -> None:
        self.shape = n_rows, N_FEATURES
        generator = np.random.default_rng(0)
        self.latents = generator.standard_normal((_DRAWN, 5), dtype=np.float32)
        self.axes = generator.standard_normal((5, N_FEATURES), dtype=np.float32)
        # A row's noise begins anywhere in the noise of all.
        self.noise = generator.standard_normal(2**20 + N_FEATURES, dtype=np.float32)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Make adjacent rows; two are the same only after 10,007 times 2^20."""
        number = np.arange(start, stop)
        noise = np.lib.stride_tricks.sliding_window_view(self.noise, N_FEATURES)
        return self.latents[number % _DRAWN] @ self.axes + noise[number * 104_729 % 2**20]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--size", type=float, default=20.0, help="GB that are made (default: 20)")
    parser.add_argument("--files", type=float, default=4.0, help="GB of each file (default: 4)")


def run(args: argparse.Namespace) -> Report:
    """Measure each case once."""
    spawn = multiprocessing.get_context("spawn")
    rows = []
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes:
        n_rows = round(args.size * 1e9 / (4 * N_FEATURES))
        found = processes.submit(measure, "made", n_rows, None).result()
        rows.append({"case": "rows that are made", **found})
        n_rows = round(args.files * 1e9 / (4 * N_FEATURES))
        for name, kind in CASES.items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "table"
                try:
                    processes.submit(write, kind, n_rows, path).result()
                except ImportError as error:
                    print(f"{name} is left out: {error}")
                    continue
                rows.append(
                    {"case": name, **processes.submit(measure, kind, n_rows, path).result()}
                )
    return Report("sources", FORMATS, rows, {})


CASES = {
    "memory map as X": "mapped",
    "memory map as a source": "sliced",
    "Parquet, row groups of 20 MB": "parquet",
    "Zarr, chunks of 20 MB": "zarr",
}


def write(kind: str, n_rows: int, path: Path) -> None:
    """Write the made rows to a file, group by group."""
    made = Made(n_rows)
    groups = [(start, min(start + GROUP, n_rows)) for start in range(0, n_rows, GROUP)]
    if kind == "parquet":
        import pyarrow
        from pyarrow import parquet

        names = [f"x{j}" for j in range(N_FEATURES)]
        schema = pyarrow.schema([(name, pyarrow.float32()) for name in names])
        with parquet.ParquetWriter(path, schema, use_dictionary=False) as file:
            for start, stop in groups:
                columns = list(np.ascontiguousarray(made.read(start, stop).T))
                file.write_table(pyarrow.table(columns, schema=schema), row_group_size=GROUP)
        return
    if kind == "zarr":
        import zarr

        array: Any = zarr.create_array(
            path, shape=made.shape, chunks=(GROUP, N_FEATURES), dtype="float32"
        )
    else:
        array = np.lib.format.open_memmap(path, "w+", np.float32, made.shape)
    for start, stop in groups:
        array[start:stop] = made.read(start, stop)


def opened(kind: str, n_rows: int, path: Path | None) -> Any:
    """Give the table as X."""
    if kind == "made":
        return Made(n_rows)
    if kind in ("mapped", "sliced"):
        mapped = np.load(path, mmap_mode="r")
        return mapped if kind == "mapped" else Sliced(mapped)
    return Parquet(path) if kind == "parquet" else Zarr(path)


def measure(kind: str, n_rows: int, path: Path | None) -> dict[str, float]:
    """Fit two epochs with rows held out, and watch the memory; then transform all rows."""
    vae = VariationalAutoencoder(5, hidden_layer_sizes=(64,), max_iter=N_EPOCHS, random_state=0)
    X = opened(kind, n_rows, path)
    began = time.perf_counter()
    with PeakMemory() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # two epochs are not meant to do
        vae.fit(X)
    fitted = time.perf_counter()
    status = Path("/proc/self/status").read_text()
    vae.transform(X)
    return {
        "table, GB": 4e-9 * n_rows * N_FEATURES,
        "fit, s": fitted - began,
        "transform, s": time.perf_counter() - fitted,
        "anonymous, MB": memory.peak / 1e6,
        "process, MB": 1024 * int(status.split("VmHWM:")[1].split()[0]) / 1e6,
    }
