"""What a regulariser is: a penalty on the latents of many rows together."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skvae.priors import Density


class Aggregate(NamedTuple):
    """The latents of a batch of rows: a sample of the aggregate posterior.

    Attributes
    ----------
    q : object
        The posterior of each row.
    prior : Density
        The prior p(z).
    z : Tensor of shape (rows, n_components)
        A draw for each row.
    weight : Tensor of shape (rows,)
        Row weights, which sum to 1.
    generator : torch.Generator
        Of the CPU, for draws.
    """

    q: Any
    prior: Density
    z: Tensor
    weight: Tensor
    generator: torch.Generator


class Regularizer(BaseEstimator):
    """Base of the regularisers; one of the user's own overrides ``penalty``.

    The penalty, in nats a row, is taken from the objective's mean over a batch.
    """

    def check(self, posterior: Any) -> None:
        """Raise ValueError where a parameter is outside its domain, or the posterior unsuited."""

    @abstractmethod
    def penalty(self, latents: Aggregate) -> Tensor:
        """What is taken from the objective, shape ()."""
