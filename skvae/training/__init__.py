"""Training: optimiser, loop and device; it knows of no autoencoder."""

from skvae.training._adam import Adam
from skvae.training._device import (
    available_devices,
    count_parts,
    is_small,
    limit_threads,
    resolve_device,
)
from skvae.training._loop import Budget, DivergenceError, Outcome, train
from skvae.training._progress import Progress
from skvae.training._replay import Replayed
from skvae.training._watcher import Epoch, Watcher

__all__ = [
    "Adam",
    "Budget",
    "DivergenceError",
    "Epoch",
    "Outcome",
    "Progress",
    "Replayed",
    "Watcher",
    "available_devices",
    "count_parts",
    "is_small",
    "limit_threads",
    "resolve_device",
    "train",
]
