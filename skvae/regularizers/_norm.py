"""Penalties on the size of each row's latents, and on how many of them are active."""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from skvae._core.checks import check_choice, check_number, shown
from skvae.regularizers._base import Aggregate, Regularizer


class LatentNorm(Regularizer):
    """Norm of the latents: ``weight`` E |z|_2^2 / 2, or, for a sparse code, ``weight`` E |z|_1.

    The first is the latent term of the regularised autoencoder [1]_. A decoder can make up for
    small latents with a steep slope, so combine either with ``DecoderGradient`` or weight decay
    (``alpha``).

    Parameters
    ----------
    weight : float, default=0.01
        Factor of the penalty.
    order : {2, 1}, default=2
        Squares (2), or absolute values (1), which push small latents to zero or near it.

    References
    ----------
    .. [1] Ghosh, Sajjadi, Vergari, Black and Schölkopf (2020), "From variational to deterministic
       autoencoders", ICLR, eq. 11.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import Autoencoder
    >>> from skvae.regularizers import LatentNorm
    >>> X, _ = load_iris(return_X_y=True)
    >>> sparse = Autoencoder(2, regularizer=LatentNorm(order=1), alpha=1.0, random_state=0)
    >>> sparse.fit_transform(X).shape
    (150, 2)
    """

    def __init__(self, weight: float = 0.01, order: int = 2) -> None:
        self.weight = weight
        self.order = order

    def check(self, posterior: Any) -> None:
        """Raise ValueError for a negative weight or another order."""
        check_number(self, "weight")
        check_choice(self, "order", (2, 1))

    def penalty(self, latents: Aggregate) -> Tensor:
        """What is taken from the objective, shape ()."""
        z = latents.z
        norms = z.abs().sum(1) if self.order == 1 else 0.5 * z.square().sum(1)
        return self.weight * (latents.weight @ norms)


class SparseActivity(Regularizer):
    """KL of a wanted activity r from each unit's mean activity a, for a sparse code [1]_.

    It is ``weight`` times

        sum_j [r log(r / a_j) + (1 - r) log((1 - r) / (1 - a_j))],

    the KL divergence of two coins for each unit. A unit's activity in a row is the logistic
    function of its latent, and a_j is its mean over the rows.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the penalty.
    activity : float, default=0.05
        Share r of the rows in which a unit should be on, in (0, 1).

    References
    ----------
    .. [1] Lee, Ekanadham and Ng (2008), "Sparse deep belief net model for visual area V2", NIPS;
       Ng (2011), "Sparse autoencoder", CS294A lecture notes, section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import Autoencoder
    >>> from skvae.regularizers import SparseActivity
    >>> X, _ = load_iris(return_X_y=True)
    >>> sparse = Autoencoder(8, regularizer=SparseActivity(activity=0.1), random_state=0)
    >>> sparse.fit_transform(X).shape
    (150, 8)
    """

    def __init__(self, weight: float = 1.0, activity: float = 0.05) -> None:
        self.weight = weight
        self.activity = activity

    def check(self, posterior: Any) -> None:
        """Raise ValueError for a negative weight, or an activity outside (0, 1)."""
        check_number(self, "weight")
        check_number(self, "activity")
        if not 0 < self.activity < 1:
            raise ValueError(
                f"The 'activity' parameter of SparseActivity must be between 0 and 1. "
                f"Got {shown(self.activity)}."
            )

    def penalty(self, latents: Aggregate) -> Tensor:
        """What is taken from the objective, shape ()."""
        wanted = self.activity
        log_on = (F.logsigmoid(latents.z) + latents.weight.log()[:, None]).logsumexp(0)
        log_off = (F.logsigmoid(-latents.z) + latents.weight.log()[:, None]).logsumexp(0)
        on = wanted * (math.log(wanted) - log_on)
        off = (1.0 - wanted) * (math.log1p(-wanted) - log_off)
        return self.weight * (on + off).sum()
