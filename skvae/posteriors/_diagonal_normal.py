"""The diagonal Gaussian posterior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from skvae._core.math import LOG_2PI, soft_bound, soft_bound_inverse
from skvae.posteriors._base import Posterior
from skvae.posteriors._full_normal import FullNormal


class Normal(NamedTuple):
    """Independent normal distributions, one for each row and latent.

    Attributes
    ----------
    mean, log_variance : Tensor of shape (rows, n_components)
        Moments.
    """

    mean: Tensor
    log_variance: Tensor

    @property
    def variance(self) -> Tensor:
        """Variances, shape (rows, n_components)."""
        return self.log_variance.exp()

    def detached(self) -> Normal:
        """Give the same distributions with no way back to the encoder."""
        return Normal(self.mean.detach(), self.log_variance.detach())

    @property
    def marginals(self) -> Normal:
        """Each latent by itself."""
        return self

    def stretched(self, factor: Tensor) -> Normal | StretchedNormal:
        """Give N(mean, L S^2 L'), with S the standard deviations."""
        if factor.ndim == 2:
            return Normal(self.mean, self.log_variance + 2.0 * factor.log())
        return StretchedNormal(self.mean, factor * (0.5 * self.log_variance).exp()[:, None, :])

    def transform(self, eps: Tensor) -> Tensor:
        """Reparameterise (Kingma and Welling 2013, section 2.4): z = mean + std * eps.

        ``eps`` of shape (draws, rows or 1, n_components) holds standard normal draws; the result
        has shape (draws, rows, n_components).
        """
        return self.mean + (0.5 * self.log_variance).exp() * eps

    def log_prob_of_each(self, z: Tensor) -> Tensor:
        """Log-density of each latent of ``z``, which broadcasts against (rows, n_components)."""
        squares = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (squares + self.log_variance + LOG_2PI)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density of ``z`` (draws, rows, n_components), summed over latents."""
        return self.log_prob_of_each(z).sum(-1)


class StretchedNormal(FullNormal):
    """The posteriors of rows with gaps: independent noise, times a factor that is not trained."""

    @property
    def marginals(self) -> Normal:
        """Each latent by itself."""
        return Normal(self.mean, self.variance.log())


class DiagonalNormal(Posterior):
    """q(z|x) = N(mean(x), diag(variance(x))), the posterior of Kingma and Welling (2013).

    The encoder's raw output is the mean, then the log-variance before its soft bound.
    """

    factorises = True

    def n_raw(self, n_components: int) -> int:
        """Width of the encoder's output."""
        return 2 * n_components

    def __call__(self, raw: Tensor, n_components: int, parameters: Sequence[Tensor] = ()) -> Normal:
        """Read the distributions off the raw output, shape (rows, 2 n_components)."""
        return Normal(raw[:, :n_components], soft_bound(raw[:, n_components:]))

    def raw_output(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Raw output that gives these moments: the inverse of calling."""
        return torch.cat([mean, soft_bound_inverse(log_variance)], -1)
