"""Where a training stands: all that going on with it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from skvae._core.arrays import as_tensor

# Attributes of Progress that are numbers.
_FACTS = ("first", "reference", "stale", "n_stopped", "cooled_from", "is_done")


class Changing(Protocol):
    """What training changes, besides the best epoch that it keeps."""

    @property
    def state(self) -> list[Tensor]:
        """All tensors that a step changes."""

    @property
    def generators(self) -> list[torch.Generator]:
        """What it draws from."""

    @property
    def memory(self) -> dict[str, Any]:
        """Attributes of which those that end in "_" change; when training goes on they are set."""


class Kept(NamedTuple):
    """The epoch to be kept so far, its held-out value, and copies of its tensors."""

    epoch: int
    score: float
    state: list[Tensor]

    def restore(self, state: list[Tensor]) -> None:
        """Write the tensors back to where they were taken from."""
        for value, tensor in zip(self.state, state, strict=True):
            tensor.copy_(value)


class Progress:
    """Where a training stands after its last epoch.

    Parameters
    ----------
    changing : Changing
        What it changes.
    first : float
        Held-out value of the start.
    kept : Kept
        The start.

    Attributes
    ----------
    epochs : list of (list of float, float or None)
        Mean terms and held-out value of each epoch that is done.
    kept : Kept
        The best epoch.
    reference : float
        Held-out value that the next gain is measured from.
    stale : int
        Epochs since there was such a gain.
    n_stopped : int
        Epochs before the cooldown; 0 until that begins.
    cooled_from : int
        The best epoch then, from which it goes on.
    is_done : bool
        Whether training has ended, and by itself.
    """

    def __init__(self, changing: Changing, first: float, kept: Kept) -> None:
        self.changing, self.first, self.kept = changing, first, kept
        self.epochs: list[tuple[list[float], float | None]] = []
        self.reference, self.stale, self.is_done = first, 0, False
        self.n_stopped, self.cooled_from = 0, 0

    def _tensors(self) -> dict[str, list[Tensor]]:
        generators = [generator.get_state() for generator in self.changing.generators]
        return {"state": self.changing.state, "kept": self.kept.state, "generator": generators}

    def arrays(self) -> dict[str, np.ndarray]:
        """Give copies of all tensors, by name."""
        return {
            f"{kind} {i}": tensor.detach().cpu().numpy().copy()
            for kind, tensors in self._tensors().items()
            for i, tensor in enumerate(tensors)
        }

    def facts(self) -> dict[str, Any]:
        """Give the rest, as numbers, lists and dicts."""
        return {name: getattr(self, name) for name in _FACTS} | {
            "epochs": self.epochs,
            "best_epoch": self.kept.epoch,
            "best_score": self.kept.score,
            "memory": {k: v for k, v in self.changing.memory.items() if k.endswith("_")},
        }

    def load(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Go on from where another training stood, by its arrays and facts.

        Raises
        ------
        ValueError
            If they are not those of such a training.
        """
        found = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
        own = {name: (array.shape, array.dtype.name) for name, array in self.arrays().items()}
        if found != own:
            raise ValueError("its arrays have other names, shapes or types than the model's")
        for kind, tensors in self._tensors().items():
            for i, tensor in enumerate(tensors):
                value = as_tensor(arrays[f"{kind} {i}"])
                if kind == "generator":
                    self.changing.generators[i].set_state(value)
                else:
                    tensor.copy_(value)
        self.epochs = [(terms, score) for terms, score in facts["epochs"]]
        for name in _FACTS:
            setattr(self, name, facts[name])
        self.kept = Kept(facts["best_epoch"], facts["best_score"], self.kept.state)
        self.changing.memory.update(facts["memory"])
