"""The standard normal prior."""

from __future__ import annotations

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skvae._math import LOG_2PI


class StandardNormal(BaseEstimator):
    """p(z) = N(0, I), the prior of Kingma and Welling (2013)."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density of ``z`` (..., n_components), summed over latents."""
        return -0.5 * (z.square() + LOG_2PI).sum(-1)

    def sample(
        self, n_samples: int, n_components: int, generator: torch.Generator, dtype: torch.dtype
    ) -> Tensor:
        """Draw latents, shape (n_samples, n_components)."""
        return torch.randn(n_samples, n_components, generator=generator, dtype=dtype)
