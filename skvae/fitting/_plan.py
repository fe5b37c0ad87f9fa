"""What the estimator's parameters say about training, and how much work a step is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch

from skvae.corruptions import Corruption
from skvae.model import Architecture
from skvae.schedules import Schedule
from skvae.starts import Start
from skvae.training import Budget, Watcher

# Training's type; a test of exact equivalences sets float64.
TRAINING_DTYPE = torch.float32

# Multiply-adds beyond which a step's cost is its arithmetic.
_BATCH_WORK = 1e8


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the estimator's parameters say about training.

    Attributes
    ----------
    budget : Budget
        How long and how fast.
    batch_size : int or "auto"
        Rows per step.
    penalty : float
        Weight of half the squared weights, before it is divided by the number of rows.
    beta : Schedule
        Of the KL term.
    device : str or torch.device
        As the user gives it.
    bfloat16 : bool
        Whether matrix products take bfloat16, on a device.
    start : Start
        What the networks are before the first step.
    validation_fraction : float or None
        Share of rows that are held out.
    watcher : Watcher
        Is told of each epoch, in X's units, and may end the fit.
    corruption : Corruption or None
        Of the encoder's inputs.
    """

    budget: Budget
    batch_size: int | str
    penalty: float
    beta: Schedule
    device: str | torch.device
    bfloat16: bool
    start: Start
    validation_fraction: float | None
    watcher: Watcher
    corruption: Corruption | None = None

    def n_step_rows(self, architecture: Architecture, n_samples: int) -> int:
        """Number of rows per step; with "auto" at least 32 and at most 256.

        On a table a step's cost is its calls, and larger batches are cheaper per row. If the cost
        is arithmetic they are not, and would only make steps fewer: then the most may be 64.
        """
        most = max(64, min(int(_BATCH_WORK / step_work(architecture, 1)), 256))
        return resolve_batch_size(self.batch_size, n_samples, least=32, most=most)


def resolve_batch_size(batch_size: int | str, n_samples: int, least: int, most: int) -> int:
    """Number of rows per step; "auto" is a twentieth of the rows, within ``least`` and ``most``."""
    if isinstance(batch_size, str):
        batch_size = min(max(n_samples // 20, least), most)
    return min(int(batch_size), n_samples)


def step_work(architecture: Architecture, batch_size: int) -> float:
    """Multiply-adds of a step's matrix products, counted as for dense networks of this shape."""
    d, k = architecture.n_inputs, architecture.n_components
    sizes = [d, *architecture.hidden_layer_sizes, 2 * k]
    inner = sum(a * b for a, b in itertools.pairwise(sizes))
    return 3.0 * batch_size * 2.0 * (inner + d * k)


def plan_work(plan: Plan, architecture: Architecture, n_samples: int) -> float:
    """Multiply-adds of a step with the plan's batch size."""
    return step_work(architecture, plan.n_step_rows(architecture, n_samples))
