"""Schedules: the weight beta of the KL term over the epochs of a fit.

A schedule ends at ``final`` and stays there from ``n_settled`` epochs on. Held-out rows compare
epochs by the objective at ``final``; the epochs before are no candidates, but the start is one to
the end.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from numbers import Real

from sklearn.base import BaseEstimator

__all__ = ["Constant", "Cyclical", "Schedule", "WarmUp"]


class Schedule(BaseEstimator):
    """Base of the schedules; one of the user's own overrides ``value`` and ``n_settled``."""

    final: float

    @property
    @abstractmethod
    def n_settled(self) -> float:
        """Epochs after which beta is ``final`` for good."""

    @abstractmethod
    def value(self, epoch: float) -> float:
        """Beta when so many epochs are done, a real number."""

    def check(self) -> None:
        """Raise ValueError where a numeric parameter is not a number of at least 0."""
        for name, value in self.get_params().items():
            if name != "shape" and not (isinstance(value, Real) and 0 <= float(value) < math.inf):
                raise ValueError(
                    f"The {name!r} parameter of {type(self).__name__} must be a number of at "
                    f"least 0. Got {value!r}."
                )


class Constant(Schedule):
    """One beta throughout, as a plain number gives it.

    Parameters
    ----------
    final : float, default=1.0
        The beta.
    """

    n_settled = 0.0

    def __init__(self, final: float = 1.0) -> None:
        self.final = final

    def value(self, epoch: float) -> float:
        """Give ``final``."""
        return self.final


class WarmUp(Schedule):
    """One rise from ``start`` to ``final``: Bowman et al. (2016) [1]_, Sønderby et al. (2016) [2]_.

    Latents that find nothing to say in the first epochs are not switched off at once.

    Parameters
    ----------
    n_epochs : float, default=20
        Epochs that the rise takes.
    shape : {"linear", "cosine", "sigmoid"}, default="linear"
        A straight line; half a cosine, level at both ends; or a logistic curve, steepest half way
        and scaled to meet both ends.
    start, final : float, default=0.0 and 1.0
        Beta at the ends.

    References
    ----------
    .. [1] Bowman et al. (2016), "Generating sentences from a continuous space", CoNLL, section 3.1.
    .. [2] Sønderby et al. (2016), "Ladder variational autoencoders", NeurIPS, section 2.2.

    Examples
    --------
    >>> from skvae.schedules import WarmUp
    >>> [WarmUp(10, final=2.0).value(epoch) for epoch in (0, 5, 10, 50)]
    [0.0, 1.0, 2.0, 2.0]
    >>> [round(WarmUp(10, "sigmoid").value(epoch), 3) for epoch in (0, 2.5, 5, 10)]
    [0.0, 0.07, 0.5, 1.0]
    """

    def __init__(
        self,
        n_epochs: float = 20,
        shape: str = "linear",
        *,
        start: float = 0.0,
        final: float = 1.0,
    ) -> None:
        self.n_epochs = n_epochs
        self.shape = shape
        self.start = start
        self.final = final

    @property
    def n_settled(self) -> float:
        """Epochs after which beta is ``final`` for good."""
        return self.n_epochs

    def value(self, epoch: float) -> float:
        """Beta when so many epochs are done."""
        if epoch >= self.n_epochs:
            return self.final
        share = _SHAPES[self.shape](epoch / self.n_epochs)
        return self.start + (self.final - self.start) * share

    def check(self) -> None:
        """Raise ValueError where a parameter is outside its domain."""
        if self.shape not in _SHAPES:
            raise ValueError(
                f"The 'shape' parameter of WarmUp must be one of {', '.join(map(repr, _SHAPES))}. "
                f"Got {self.shape!r}."
            )
        super().check()


# Of the share of the epochs that is done: share of the way.
_SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "cosine": lambda t: 0.5 - 0.5 * math.cos(math.pi * t),
    # A logistic curve over (-5, 5), shifted and scaled to meet 0 and 1.
    "sigmoid": lambda t: 0.5 + 0.5 * math.tanh(5.0 * (t - 0.5)) / math.tanh(2.5),
}


class Cyclical(Schedule):
    """Rises again and again, each followed by a plateau at ``final``: Fu et al. (2019) [1]_.

    Each cycle starts from better latents than the one before. After the last beta stays.

    Parameters
    ----------
    n_epochs : float, default=20
        Epochs of a cycle.
    n_cycles : int, default=4
        Number of cycles.
    rising : float, default=0.5
        Share of a cycle in which beta rises, in a straight line.
    start, final : float, default=0.0 and 1.0
        Beta at the ends of a rise.

    References
    ----------
    .. [1] Fu et al. (2019), "Cyclical annealing schedule: a simple approach to mitigating KL
       vanishing", NAACL, eq. 6.

    Examples
    --------
    >>> from skvae.schedules import Cyclical
    >>> [Cyclical(10, 2).value(epoch) for epoch in (0, 2.5, 5, 9, 10, 12.5, 20)]
    [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0]
    """

    def __init__(
        self,
        n_epochs: float = 20,
        n_cycles: int = 4,
        *,
        rising: float = 0.5,
        start: float = 0.0,
        final: float = 1.0,
    ) -> None:
        self.n_epochs = n_epochs
        self.n_cycles = n_cycles
        self.rising = rising
        self.start = start
        self.final = final

    @property
    def n_settled(self) -> float:
        """Epochs after which beta is ``final`` for good: the last rise's end."""
        return self.n_epochs * (self.n_cycles - 1 + self.rising) if self.n_cycles > 0 else 0.0

    def value(self, epoch: float) -> float:
        """Beta when so many epochs are done."""
        rise = self.n_epochs * self.rising
        since = epoch % self.n_epochs if self.n_epochs > 0 else 0.0
        if epoch >= self.n_settled or since >= rise:
            return self.final
        return self.start + (self.final - self.start) * since / rise
