"""What the multi-label classifier's parameters say about training: terms, batches and folds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from skvae.fitting import resolve_batch_size, split
from skvae.multilabel._labels import Labels
from skvae.training import Budget, Watcher

# n_folds="auto": so many folds up to so many rows. Beyond, one held-out part is large enough.
FOLDS = 3
_FOLDED_ROWS = 5000

# max_iter="auto": at least so many epochs, and at least so many steps: a few hundred rows make an
# epoch of a handful of steps.
_LEAST_EPOCHS, _LEAST_STEPS = 100, 1200

# n_iter_no_change="auto": this share of max_iter. Beside the linear start the first steps often
# lose what later ones, at a smaller learning rate, gain.
_PATIENCE = 1 / 3

# Cells that the scores of held-out rows may fill: 128 MiB of float32.
_HELD_OUT_CELLS = 2**25


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights of Phi, Gamma, the direct term and the L2 penalty."""

    correlation: float
    pair: float
    direct: float
    penalty: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the estimator's parameters say about training."""

    budget: Budget
    weights: Weights
    dropout: float
    input_dropout: float
    batch_size: int | str
    device: str | torch.device
    init: str
    early_stopping: bool
    n_folds: int | str
    threshold: float | str
    validation_fraction: float
    watcher: Watcher

    @property
    def starts(self) -> tuple[bool, ...]:
        """Whether each start that is tried is the linear one."""
        return {"linear": (True,), "random": (False,), "auto": (True, False)}[self.init]

    def tuned(self, labels: Labels) -> str | None:
        """Kind of threshold that held-out rows choose; None where it is fixed."""
        is_fixed = labels.exclusive or not isinstance(self.threshold, str)
        return None if is_fixed else str(self.threshold)

    def fixed_threshold(self, labels: Labels) -> float:
        """Threshold of raw scores where no held-out rows choose it: log-odds."""
        free = labels.exclusive or isinstance(self.threshold, str)
        p = 0.5 if free else float(self.threshold)
        return math.log(p / (1.0 - p))

    def n_step_rows(self, n_samples: int) -> int:
        """Number of rows per step."""
        return resolve_step_rows(self.batch_size, n_samples)


def resolve_step_rows(batch_size: int | str, n_samples: int) -> int:
    """Number of rows per step; with "auto" at least 64 and at most 256."""
    return resolve_batch_size(batch_size, n_samples, least=64, most=256)


def resolve_epochs(max_iter: int | str, n_samples: int, n_step_rows: int) -> int:
    """Most epochs, with "auto" 100 or what makes 1200 steps."""
    if not isinstance(max_iter, str):
        return max_iter
    return max(_LEAST_EPOCHS, math.ceil(_LEAST_STEPS / math.ceil(n_samples / n_step_rows)))


def resolve_patience(n_iter_no_change: int | str, max_iter: int) -> int:
    """Epochs without a gain after which training stops; with "auto" a third of ``max_iter``."""
    if not isinstance(n_iter_no_change, str):
        return n_iter_no_change
    return max(round(_PATIENCE * max_iter), 1)


def part_rows(
    n_samples: int, n_labels: int, plan: Plan, random_state: np.random.RandomState
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give the training and the held-out rows of each fold; none where there are too few rows."""
    most = max(_HELD_OUT_CELLS // n_labels, 2)
    n_folds = plan.n_folds
    if isinstance(n_folds, str):
        n_folds = FOLDS if n_samples <= min(most, _FOLDED_ROWS) else 1
    if n_folds == 1:
        fraction = min(plan.validation_fraction, most / n_samples)
        kept, held = split(n_samples, fraction, random_state)
        return [] if held is None else [(kept, held)]
    if n_samples < 2 * n_folds:
        return []
    parts = np.array_split(random_state.permutation(n_samples), n_folds)
    return [
        (np.sort(np.concatenate([*parts[:i], *parts[i + 1 :]])), np.sort(parts[i]))
        for i in range(n_folds)
    ]
