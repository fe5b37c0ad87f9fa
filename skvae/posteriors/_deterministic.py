"""The deterministic posterior: one point for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from skvae.posteriors._base import Posterior


class Point(NamedTuple):
    """All mass of each row at one point.

    Attributes
    ----------
    mean : Tensor of shape (rows, n_components)
        The points.
    """

    mean: Tensor

    @property
    def variance(self) -> Tensor:
        """Zeros, shape (rows, n_components)."""
        return torch.zeros_like(self.mean)

    def detached(self) -> Point:
        """Give the same points with no way back to the encoder."""
        return Point(self.mean.detach())

    def transform(self, eps: Tensor) -> Tensor:
        """Give the point for every draw, shape (draws, rows, n_components)."""
        return self.mean.expand(len(eps), *self.mean.shape)


class Deterministic(Posterior):
    """q(z|x) is a point: the autoencoder without noise.

    It has no density, so a row has neither a KL nor a likelihood. It needs ``beta=0``, and a
    regulariser of the latents: with ``MaximumMeanDiscrepancy`` it is the Wasserstein autoencoder
    of Tolstikhin et al. (2018) [1]_.

    References
    ----------
    .. [1] Tolstikhin, Bousquet, Gelly and Schölkopf (2018), "Wasserstein auto-encoders", ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.regularizers import MaximumMeanDiscrepancy
    >>> X, _ = load_iris(return_X_y=True)
    >>> wae = VariationalAutoencoder(
    ...     2,
    ...     posterior="deterministic",
    ...     beta=0.0,
    ...     regularizer=MaximumMeanDiscrepancy(),
    ...     random_state=0,
    ... )
    >>> wae.fit(X).transform(X).shape
    (150, 2)
    """

    has_density = False

    def n_raw(self, n_components: int) -> int:
        """Width of the encoder's output."""
        return n_components

    def __call__(self, raw: Tensor, n_components: int, parameters: Sequence[Tensor] = ()) -> Point:
        """Read the points off the raw output, shape (rows, n_components)."""
        return Point(raw)

    def raw_output(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Give the means."""
        return mean
