"""Time of the pair term with its gradient, from 100 to 10,000 labels: it should grow linearly.

The double sum over present and absent labels is given beside it as far as its memory allows.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.common import Report
from skvae.multilabel._terms import pair_term

LABELS = (100, 300, 1000, 3000, 10_000)
MOST_NAIVE = 300
FORMATS = {
    "labels": "d",
    "ms": ".3f",
    "ns per label and row": ".2f",
    "double sum, ms": ".2f",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--rows", type=int, default=64, help="rows of a batch (default: 64)")
    parser.add_argument("--repeats", type=int, default=15)


def run(args: argparse.Namespace) -> Report:
    """Take turns over the numbers of labels."""
    generator = torch.Generator().manual_seed(0)
    times: dict[tuple[int, str], list[float]] = {}
    batches = {}
    for m in LABELS:
        score = torch.rand(args.rows, m, generator=generator).mul_(5).requires_grad_()
        present = (torch.rand(args.rows, m, generator=generator) < 0.05).float()
        batches[m] = score, present, 1.0 - present
    for _ in range(args.repeats):
        for m, batch in batches.items():
            times.setdefault((m, "ours"), []).append(seconds(pair_term, *batch))
            if m <= MOST_NAIVE:
                times.setdefault((m, "naive"), []).append(seconds(double_sum, *batch))
    rows = []
    for m in LABELS:
        middle = statistics.median(times[m, "ours"])
        naive = times.get((m, "naive"))
        rows.append(
            {
                "labels": m,
                "ms": 1e3 * middle,
                "ns per label and row": 1e9 * middle / (m * args.rows),
                "double sum, ms": 1e3 * statistics.median(naive) if naive else None,
            }
        )
    first, last = rows[0]["ms"], rows[-1]["ms"]
    return Report("pairs", FORMATS, rows, {"time of 10,000 labels over that of 100": last / first})


def seconds(term: Callable[..., Tensor], score: Tensor, present: Tensor, absent: Tensor) -> float:
    """Time of the term and its gradient."""
    score.grad = None
    began = time.perf_counter()
    term(score, present, absent).mean().backward()
    return time.perf_counter() - began


def double_sum(score: Tensor, present: Tensor, absent: Tensor) -> Tensor:
    """The pair term as the paper writes it, (rows,)."""
    pairs = present[:, :, None] * absent[:, None, :]
    total = (pairs * torch.exp(score[:, None, :] - score[:, :, None])).sum((1, 2))
    return total / pairs.sum((1, 2)).clamp_min(1.0)
