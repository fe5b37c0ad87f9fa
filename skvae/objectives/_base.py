"""What an objective is: the value of each row from the draws of its posterior."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator
from torch import Tensor

from skvae.objectives._kl import closed_form_kl


class Draws(NamedTuple):
    """What one pass through a model gives to an objective.

    Attributes
    ----------
    posterior, prior : object
        The components; a closed form of the KL is found by their types.
    q : object
        The posterior of each row.
    z : Tensor of shape (draws, rows, n_components)
        Draws of it.
    log_p : Tensor of shape (draws, rows)
        Log p(x|z).
    """

    posterior: Any
    prior: Any
    q: Any
    z: Tensor
    log_p: Tensor

    def kl(self) -> Tensor:
        """KL of each row to the prior, (rows, n_components) in closed form, else (rows, 1)."""
        closed_form = closed_form_kl(self.posterior, self.prior)
        if closed_form is not None:
            return closed_form(self.q, self.prior)
        return (self.q.log_prob(self.z) - self.prior.log_prob(self.z)).mean(0)[:, None]


class Objective(BaseEstimator):
    """Base of the objectives: what training maximises, averaged over rows."""

    #: Draws of the posterior that a step takes for a row.
    n_draws: int = 1

    #: Whether the value is log p - beta KL, no more: the step written out by hand knows that alone.
    is_plain = False

    def check(self) -> None:
        """Raise ValueError where a parameter is outside its domain."""

    @abstractmethod
    def rows(self, draws: Draws, beta: Tensor | float) -> Tensor:
        """Value of each row, shape (rows,)."""
