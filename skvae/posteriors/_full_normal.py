"""The Gaussian posterior with a full covariance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from skvae._core.math import LOG_2PI, soft_bound, soft_bound_inverse
from skvae.posteriors._base import Posterior


class FullNormal(NamedTuple):
    """Normal distributions N(mean, L L'), one for each row.

    Attributes
    ----------
    mean : Tensor of shape (rows, n_components)
        Means.
    factor : Tensor of shape (rows, n_components, n_components)
        Lower triangles L with a positive diagonal.
    """

    mean: Tensor
    factor: Tensor

    @property
    def variance(self) -> Tensor:
        """Variances of the latents, shape (rows, n_components)."""
        return self.factor.square().sum(-1)

    @property
    def log_diagonal(self) -> Tensor:
        """Log of L's diagonal, shape (rows, n_components)."""
        return self.factor.diagonal(dim1=-2, dim2=-1).log()

    def detached(self) -> FullNormal:
        """Give the same distributions with no way back to the encoder."""
        return FullNormal(self.mean.detach(), self.factor.detach())

    def stretched(self, factor: Tensor) -> FullNormal:
        """Give N(mean, F L L' F') for a factor F, or its diagonal."""
        factor = factor.diag_embed() if factor.ndim == 2 else factor
        return FullNormal(self.mean, factor @ self.factor)

    def transform(self, eps: Tensor) -> Tensor:
        """Reparameterise: z = mean + L eps, shape (draws, rows, n_components)."""
        return self.mean + _of_rows(self.factor, eps)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density of ``z`` (draws, rows, n_components)."""
        one = torch.eye(self.mean.shape[-1]).to(self.factor)
        inverse = torch.linalg.solve_triangular(self.factor, one, upper=False)
        eps = _of_rows(inverse, z - self.mean)
        return -0.5 * (eps.square() + LOG_2PI).sum(-1) - self.log_diagonal.sum(-1)


def _of_rows(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply each row's vectors (..., rows or 1, k) by its matrix, as one product per row."""
    shape = (*vectors.shape[:-2], *matrices.shape[:-1])
    rows = vectors.expand(shape).reshape(-1, *matrices.shape[:-1]).permute(1, 2, 0)
    return (matrices @ rows).permute(2, 0, 1).reshape(shape)


class FullCovarianceNormal(Posterior):
    """q(z|x) = N(mean(x), L(x) L(x)'): latents that depend on each other given a row.

    The encoder's raw output is the mean, then twice the log of L's diagonal before its soft bound,
    then L below its diagonal: n_components (n_components + 3) / 2 numbers.

    References
    ----------
    .. [1] Kingma and Welling (2019), "An introduction to variational autoencoders", section 2.5.1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, posterior="full_covariance_normal", random_state=0)
    >>> vae.fit(X).transform(X).shape
    (150, 2)
    """

    def n_raw(self, n_components: int) -> int:
        """Width of the encoder's output."""
        return n_components * (n_components + 3) // 2

    def __call__(
        self, raw: Tensor, n_components: int, parameters: Sequence[Tensor] = ()
    ) -> FullNormal:
        """Read the distributions off the raw output."""
        k = n_components
        mean, log_variance, below = raw.split([k, k, self.n_raw(k) - 2 * k], 1)
        factor = torch.diag_embed((0.5 * soft_bound(log_variance)).exp())
        row, column = torch.tril_indices(k, k, -1, device=raw.device)
        if k > 1:
            factor = factor.index_put((torch.arange(raw.shape[0]).unsqueeze(1), row, column), below)
        return FullNormal(mean, factor)

    def raw_output(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Raw output of independent latents with these moments."""
        n_below = self.n_raw(mean.shape[-1]) - 2 * mean.shape[-1]
        below = mean.new_zeros(*mean.shape[:-1], n_below)
        return torch.cat([mean, soft_bound_inverse(log_variance), below], -1)
