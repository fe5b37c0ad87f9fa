"""The covariance of the aggregate posterior, held near the identity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skvae._core.checks import check_choice, check_number
from skvae.regularizers._base import Aggregate, Regularizer


class DIP(Regularizer):
    """Squared distance of the latents' covariance from the identity: DIP-VAE [1]_.

    ``off_diagonal`` sum_{i != j} C_ij^2 + ``diagonal`` sum_i (C_ii - 1)^2, with C the covariance
    of the posterior means (kind "I") or of the latents themselves (kind "II": that of the means
    plus the mean of the posteriors' covariances).

    Parameters
    ----------
    kind : {"I", "II"}, default="II"
        Which covariance is penalised.
    off_diagonal : float, default=10.0
        Weight of the covariances of different latents.
    diagonal : float, default=None
        Weight of the variances; by default ten times ``off_diagonal`` for kind "I", and equal to
        it for kind "II".

    References
    ----------
    .. [1] Kumar, Sattigeri and Balakrishnan (2018), "Variational inference of disentangled latent
       concepts from unlabeled observations", ICLR, eq. 6 and 7.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.regularizers import DIP
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, regularizer=DIP("I"), random_state=0)
    >>> vae.fit(X).transform(X).shape
    (150, 2)
    """

    matches_prior = True

    def __init__(
        self, kind: str = "II", off_diagonal: float = 10.0, diagonal: float | None = None
    ) -> None:
        self.kind = kind
        self.off_diagonal = off_diagonal
        self.diagonal = diagonal

    def check(self, posterior: Any) -> None:
        """Raise ValueError for an unknown kind or a negative weight."""
        check_choice(self, "kind", ("I", "II"))
        check_number(self, "off_diagonal")
        if self.diagonal is not None:
            check_number(self, "diagonal")

    def penalty(self, latents: Aggregate) -> Tensor:
        """What is taken from the objective, shape ()."""
        mean, weight = latents.q.mean, latents.weight
        centred = mean - weight @ mean
        covariance = centred.t() @ (centred * weight[:, None])
        if self.kind == "II":
            covariance = covariance + torch.diag(weight @ latents.q.variance)
        variances = covariance.diagonal()
        apart = covariance.square().sum() - variances.square().sum()
        diagonal = self.diagonal
        if diagonal is None:
            diagonal = self.off_diagonal * (10.0 if self.kind == "I" else 1.0)
        return self.off_diagonal * apart + diagonal * (variances - 1.0).square().sum()
