"""The standard normal prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from skvae._core.math import LOG_2PI
from skvae.priors._base import Prior, Surroundings


class IsotropicNormal(NamedTuple):
    """N(0, I) for ``n_components`` latents, with the type and device of ``like``."""

    n_components: int
    like: Tensor

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density of ``z`` (..., n_components), summed over latents."""
        return -0.5 * (z.square() + LOG_2PI).sum(-1)

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw latents, shape (n_samples, n_components)."""
        shape = (n_samples, self.n_components)
        return torch.randn(shape, generator=generator, dtype=self.like.dtype).to(self.like.device)


class StandardNormal(Prior):
    """p(z) = N(0, I), the prior of Kingma and Welling (2013)."""

    def density(self, parameters: Sequence[Tensor], surroundings: Surroundings) -> IsotropicNormal:
        """Give N(0, I)."""
        return IsotropicNormal(surroundings.n_components, surroundings.like)
