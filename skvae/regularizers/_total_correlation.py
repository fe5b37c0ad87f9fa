"""The total correlation of the aggregate posterior."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from skvae._core.checks import check_number, shown
from skvae.regularizers._base import Aggregate, Regularizer


class AggregateDensity(NamedTuple):
    """Log-densities of draws under the mixture of the posteriors of many rows.

    Attributes
    ----------
    joint : Tensor of shape (rows,)
        Log q(z).
    marginal : Tensor of shape (rows, n_components)
        Log q(z_j) of each latent.
    """

    joint: Tensor
    marginal: Tensor


def aggregate_density(q: Any, z: Tensor, weight: Tensor) -> AggregateDensity:
    """Log q(z) = log sum_i w_i q(z|x_i) of each draw, jointly and per latent.

    Parameters
    ----------
    q : Normal or StretchedNormal
        Posteriors of rows, whose latents are independent, or depend on each other by gaps alone.
    z : Tensor of shape (n, n_components)
        Draws.
    weight : Tensor of shape (rows,)
        Shares of the rows, which sum to 1.

    Returns
    -------
    density : AggregateDensity
        Log-densities of each draw.
    """
    z = z.unsqueeze(1)
    each = q.marginals.log_prob_of_each(z)  # (n, rows, n_components)
    joint = each.sum(-1) if q.marginals is q else q.log_prob(z)
    log_weight = weight.log()
    return AggregateDensity(
        torch.logsumexp(joint + log_weight, 1),
        torch.logsumexp(each + log_weight[:, None], 1),
    )


class TotalCorrelation(Regularizer):
    """KL(q(z) || prod_j q(z_j)) of the aggregate posterior: how far the latents are dependent.

    With ``weight=b - 1`` the objective is that of the beta-TCVAE of Chen et al. (2018) [1]_ with
    their beta equal to b. The density q(z) is estimated from the rows of a batch. Their
    minibatch-weighted estimator differs from this by the constant (n_components - 1)
    log(n_samples), which has no gradient. Both count a draw's own row, so they read too high for a
    small batch with many latents.

    Parameters
    ----------
    weight : float, default=5.0
        Factor of the penalty.

    References
    ----------
    .. [1] Chen, Li, Grosse and Duvenaud (2018), "Isolating sources of disentanglement in
       variational autoencoders", NeurIPS, eq. 4 and appendix C.1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.regularizers import TotalCorrelation
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, regularizer=TotalCorrelation(2.0), random_state=0)
    >>> vae.fit(X).transform(X).shape
    (150, 2)
    """

    def __init__(self, weight: float = 5.0) -> None:
        self.weight = weight

    def check(self, posterior: Any) -> None:
        """Raise ValueError for a negative weight, or latents that depend on each other."""
        check_number(self, "weight")
        if not posterior.factorises:
            raise ValueError(
                f"TotalCorrelation needs a posterior of independent normal latents. Got "
                f"{shown(posterior)}. Use posterior='diagonal_normal', or DIP as regularizer."
            )

    def penalty(self, latents: Aggregate) -> Tensor:
        """What is taken from the objective, shape ()."""
        density = aggregate_density(latents.q, latents.z, latents.weight)
        return self.weight * (latents.weight @ (density.joint - density.marginal.sum(1)))
