"""What a prior is: a density of latents, and draws from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from skvae._core.flat import Shape
from skvae._sklearn.compat import BaseEstimator


class Density(Protocol):
    """A distribution of latents."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density of ``z`` (..., n_components), of shape (...)."""

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw latents, shape (n_samples, n_components), with a generator on the CPU."""


class Surroundings(NamedTuple):
    """What a prior may ask of the model that it is part of.

    Attributes
    ----------
    n_components : int
        Number of latents.
    like : Tensor
        A tensor of the model's type, on its device.
    encode : callable
        From inputs (rows, n_features) in working units to their posterior.
    """

    n_components: int
    like: Tensor
    encode: Callable[[Tensor], Any]


class Prior(BaseEstimator, ABC):
    """Base of the priors: objects with parameters to choose, and the shapes of those to train.

    A user's own overrides ``density`` and, if it is trained, ``parameter_shapes`` and
    ``start``.
    """

    def parameter_shapes(self, n_components: int, n_features: int) -> list[Shape]:
        """Shapes of what is trained."""
        return []

    def start(
        self,
        parameters: Sequence[Tensor],
        n_components: int,
        draw_rows: Callable[[int], Tensor],
        generator: torch.Generator,
    ) -> None:
        """Set what is trained to its first values.

        ``draw_rows(n)`` gives n training rows, drawn at random, in working units.
        """

    def check(self, posterior: Any) -> None:
        """Raise ValueError if a parameter is outside its domain, or the posterior is unsuitable."""

    @abstractmethod
    def density(self, parameters: Sequence[Tensor], surroundings: Surroundings) -> Density:
        """Give p(z) for the present values of what is trained."""
