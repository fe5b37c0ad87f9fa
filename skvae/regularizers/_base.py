"""What a regulariser is: a penalty on the latents of many rows together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skvae._core.checks import shown
from skvae._sklearn.compat import BaseEstimator
from skvae.priors import Density


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """The latents of a batch of rows: a sample of the aggregate posterior.

    Attributes
    ----------
    q : object
        The posterior of each row.
    prior : Density
        The prior p(z).
    z : Tensor of shape (rows, n_components)
        One draw per row.
    weight : Tensor of shape (rows,)
        Row weights, which sum to 1.
    generator : torch.Generator
        On the CPU, for draws.
    inputs : Tensor of shape (rows, n_features)
        What the encoder was given, in working units.
    encode : callable
        From inputs to the posteriors' means, (rows, n_components).
    decode : callable
        From latents to E[x|z] in working units, (rows, n_features).
    """

    q: Any
    prior: Density
    z: Tensor
    weight: Tensor
    generator: torch.Generator
    inputs: Tensor
    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


class Regularizer(BaseEstimator, ABC):
    """Base of the regularisers; a user's own overrides ``penalty``.

    The penalty, in nats per row, is subtracted from the objective's mean over a batch. ``a + b`` is
    ``Sum(a, b)``.
    """

    #: Whether it pulls the latents' distribution over all rows towards the prior.
    matches_prior = False

    def check(self, posterior: Any) -> None:
        """Raise ValueError if a parameter is outside its domain, or the posterior is unsuitable."""

    @abstractmethod
    def penalty(self, latents: Aggregate) -> Tensor:
        """What is taken from the objective, shape ()."""

    def __add__(self, other: Regularizer) -> Sum:
        return Sum(self, other)


class Sum(Regularizer):
    """Two penalties together, each of which may be a sum again.

    Parameters
    ----------
    first, second : Regularizer
        The penalties. A grid search reaches theirs as ``regularizer__first__weight``.

    Examples
    --------
    >>> from skvae.regularizers import DecoderGradient, LatentNorm
    >>> LatentNorm(0.1) + DecoderGradient(0.2)
    Sum(first=LatentNorm(weight=0.1), second=DecoderGradient(weight=0.2))
    """

    def __init__(self, first: Regularizer, second: Regularizer) -> None:
        self.first = first
        self.second = second

    @property
    def matches_prior(self) -> bool:  # type: ignore[override]
        """Whether either does."""
        return self.first.matches_prior or self.second.matches_prior

    def check(self, posterior: Any) -> None:
        """Check both."""
        for name in ("first", "second"):
            part = getattr(self, name)
            if not isinstance(part, Regularizer):
                raise ValueError(
                    f"The {name!r} parameter of Sum must be an object of skvae.regularizers. "
                    f"Got {shown(part)}."
                )
            part.check(posterior)

    def penalty(self, latents: Aggregate) -> Tensor:
        """What is taken from the objective, shape ()."""
        return self.first.penalty(latents) + self.second.penalty(latents)
