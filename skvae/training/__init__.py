"""Training: batches, optimiser, loop and device; it knows of no autoencoder."""

from skvae.training._adam import Adam
from skvae.training._device import (
    available_devices,
    count_parts,
    limit_threads,
    resolve_device,
)
from skvae.training._loop import DivergenceError, Outcome, Schedule, train
from skvae.training._replay import Replayed
from skvae.training._rows import Batch, Moments, Rows, blocks, pick, shuffled, weighted_moments

__all__ = [
    "Adam",
    "Batch",
    "DivergenceError",
    "Moments",
    "Outcome",
    "Replayed",
    "Rows",
    "Schedule",
    "available_devices",
    "blocks",
    "count_parts",
    "limit_threads",
    "pick",
    "resolve_device",
    "shuffled",
    "train",
    "weighted_moments",
]
