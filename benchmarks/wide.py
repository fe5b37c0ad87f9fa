"""The multi-label classifier on a wide sparse table: time and memory of a fit.

Words are drawn by a power law, and the labels of a row are those of some of its words. A process of
its own fits, so that the memory is its.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse

from benchmarks.common import Report
from skvae import CanonicalCorrelatedAutoencoder

FORMATS = {
    "rows": "d",
    "words": "d",
    "labels": "d",
    "epochs": "d",
    "seconds": ".0f",
    "GB before": ".2f",
    "GB": ".2f",
    "F1 at the start": ".3f",
    "F1": ".3f",
}
# Words in a row, of which so many bring two labels each.
WORDS, TELLING = 60, 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--words", type=int, default=50_000)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=5)


def run(args: argparse.Namespace) -> Report:
    """Fit once, in a process of its own."""
    job = delayed(measure)(args.rows, args.words, args.labels, args.epochs)
    return Report("wide", FORMATS, Parallel(2)([job]))


def draw(n: int, n_words: int, n_labels: int) -> tuple[Any, Any]:
    """Give rows of words and their label sets, both sparse."""
    rng = np.random.default_rng(0)
    words = (n_words * rng.random((n, WORDS)) ** 3).astype(np.int32)
    own = rng.integers(0, n_labels, (n_words, 2))

    def matrix(columns: np.ndarray, width: int, dtype: Any) -> Any:
        each = columns.shape[1]
        ends = np.arange(0, columns.size + 1, each)
        found = sparse.csr_array((np.ones(columns.size, dtype), columns.ravel(), ends), (n, width))
        found.sum_duplicates()
        found.data[:] = 1
        return found

    labels = own[words[:, :TELLING]].reshape(n, -1)
    return matrix(words, n_words, np.float32), matrix(labels, n_labels, np.int8)


def measure(n: int, n_words: int, n_labels: int, n_epochs: int) -> dict[str, Any]:
    """Fit, and read the peak of the process's memory."""
    X, Y = draw(n, n_words, n_labels)
    before = peak()
    began = time.perf_counter()
    # All epochs are run, whether the held-out rows gain or not.
    budget = {"max_iter": n_epochs, "n_iter_no_change": n_epochs}
    model = CanonicalCorrelatedAutoencoder(**budget, random_state=0).fit(X, Y)
    return {
        "rows": n,
        "words": n_words,
        "labels": n_labels,
        "epochs": model.n_iter_,
        "seconds": time.perf_counter() - began,
        "GB before": before,
        "GB": peak(),
        "F1 at the start": model.validation_scores_[0] / 2,
        "F1": model.best_validation_score_ / 2,
    }


def peak() -> float:
    """Peak of the process's memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
