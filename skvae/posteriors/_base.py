"""What a posterior is: from the encoder's raw output to q(z|x)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skvae._core.flat import Shape
from skvae._sklearn.compat import BaseEstimator


class Posterior(BaseEstimator, ABC):
    """Base of the approximate posteriors.

    Calling one gives the distributions of rows: an object with ``mean`` and ``variance`` of shape
    (rows, n_components), ``transform(eps)`` from standard normal draws to latents, ``log_prob(z)``
    and ``detached()``, the same with no way back to the parameters. For rows with gaps there is
    ``stretched(factor)``, the same with its standard normal noise times a lower triangle L of each
    row, (rows, n_components, n_components), or its diagonal.
    """

    #: Whether it has a density: without one there is no KL, and no likelihood of a row.
    has_density = True

    #: Whether the latents of a row are independent and normal.
    factorises = False

    def parameter_shapes(self, n_components: int) -> list[Shape]:
        """Shapes of what is trained in addition to the encoder."""
        return []

    def start(
        self, parameters: Sequence[Tensor], n_components: int, generator: torch.Generator
    ) -> None:
        """Set what is trained to its first values."""

    def check(self) -> None:
        """Raise ValueError if a parameter is outside its domain."""

    @abstractmethod
    def n_raw(self, n_components: int) -> int:
        """Width of the encoder's output; its first ``n_components`` columns are the means."""

    @abstractmethod
    def __call__(self, raw: Tensor, n_components: int, parameters: Sequence[Tensor] = ()) -> Any:
        """Read the distributions off the raw output, shape (rows, n_raw)."""

    def mean(self, raw: Tensor, n_components: int, parameters: Sequence[Tensor] = ()) -> Tensor:
        """Means alone, all that a transform needs, shape (rows, n_components)."""
        return raw[:, :n_components]

    @abstractmethod
    def raw_output(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Raw output (..., n_raw) of independent normal latents with these moments."""
