"""What an objective is: the value of each row from the draws of its posterior."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from torch import Tensor

from skvae._sklearn.compat import BaseEstimator
from skvae.objectives._kl import closed_form_kl
from skvae.priors import Density


class Draws:
    """What one pass through a model gives to an objective.

    Parameters
    ----------
    q : object
        The posterior of each row.
    prior : Density
        The prior p(z).
    z : Tensor of shape (draws, rows, n_components)
        Draws of q.
    log_p : Tensor of shape (draws, rows)
        Log p(x|z).
    """

    def __init__(self, q: Any, prior: Density, z: Tensor, log_p: Tensor) -> None:
        self.q, self.prior, self.z, self.log_p = q, prior, z, log_p

    @functools.cached_property
    def kl(self) -> Tensor:
        """KL divergence of each row's posterior from the prior.

        In closed form if there is one: per latent, shape (rows, n_components), if the latents are
        independent, else of shape (rows, 1).
        """
        kl = closed_form_kl(self.q, self.prior)
        if kl is None:
            kl = (self.q.log_prob(self.z) - self.prior.log_prob(self.z)).mean(0)[:, None]
        return kl


class Objective(BaseEstimator, ABC):
    """Base of the objectives: what training maximises, averaged over rows."""

    #: Draws of the posterior that a step takes per row.
    n_draws: int = 1

    #: Whether the value is just log p - beta KL: the step written out by hand knows no other.
    is_plain = False

    #: Whether it is a mean of the draws' weights, which ``weigh`` states for the step by hand.
    is_weighted = False

    #: Whether it is defined if the posterior has no density and beta is 0.
    takes_points = False

    def check(self) -> None:
        """Raise ValueError if a parameter is outside its domain."""

    def weigh(
        self, log_p: np.ndarray, log_ratio: np.ndarray, beta: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value of each row of arrays, and by draw its weight and the share of z's gradient kept.

        ``log_ratio`` is log q(z|x) - log p(z), of shape (draws, rows) as ``log_p``.
        """
        raise TypeError(f"{type(self).__name__} is not by weights.")

    @abstractmethod
    def rows(self, draws: Draws, beta: Tensor | float) -> Tensor:
        """Value of each row, shape (rows,)."""
