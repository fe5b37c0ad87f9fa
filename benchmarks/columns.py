"""Microseconds that a training step costs on a table of mixed columns, beside numbers alone.

Six numbers, and nine categories with as many levels as Adult's, 5000 rows that are drawn from a
linear model; the network, the batches and the way of measuring are those of ``step``. Beside them
are as many numbers as the mixed table has raw outputs, and as many as it has columns.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from benchmarks.common import Report, written_steps
from benchmarks.step import build, compare, draw_table, take_turns, time_a_step

N_NUMBERS = 6
# Of workclass, education, marital status, occupation, relationship, race, sex, country and income.
N_LEVELS = (7, 16, 7, 14, 6, 5, 2, 41, 2)
WIDTH = N_NUMBERS + sum(N_LEVELS)
CASES = {
    "6 numbers and 9 categories": (True, WIDTH),
    f"{WIDTH} numbers": (False, WIDTH),
    "15 numbers": (False, N_NUMBERS + len(N_LEVELS)),
}
FORMATS = {
    "columns": "s",
    "µs per step": ".0f",
    "least": ".0f",
    "most": ".0f",
    "mixed / it": ".2f",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--repeats", type=int, default=7, help="processes a table (default: 7)")


def run(args: argparse.Namespace) -> Report:
    """Take turns, and compare medians."""
    measured = take_turns(step_time, CASES, args.repeats)
    return Report("columns", FORMATS, compare(measured, "columns", "mixed / it"))


def step_time(is_mixed: bool, width: int) -> float:
    """Microseconds a written step on one of the tables."""
    with written_steps():
        return measure(is_mixed, width)


def measure(is_mixed: bool, width: int) -> float:
    """Microseconds a step on one of the tables."""
    X = draw_table(width)
    if not is_mixed:
        return time_a_step(lambda epochs: build("VariationalAutoencoder", epochs), X)
    numbers, *scores = np.split(X, np.cumsum([N_NUMBERS, *N_LEVELS[:-1]]), axis=1)
    frame = pd.DataFrame(numbers).add_prefix("number")
    for j, score in enumerate(scores):
        frame[f"category{j}"] = score.argmax(1).astype(str)
    return time_a_step(lambda epochs: build("VariationalAutoencoder", epochs, "auto"), frame)
