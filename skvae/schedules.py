"""Schedules: the weight beta of the KL term over the epochs of a fit.

A schedule ends at ``final`` and stays there from ``n_settled`` epochs on. Held-out rows compare
epochs by the objective at ``final``; epochs before that are no candidates, but the start always is.

An adaptive schedule sees the terms of each step and sets beta for the next. The objective then
never settles, so no epochs are compared: all rows are trained on, and the last epoch is kept.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

from skvae._core.checks import check_choice, check_number
from skvae._sklearn.compat import BaseEstimator

__all__ = [
    "GECO",
    "AdaptiveSchedule",
    "Capacity",
    "Constant",
    "Cyclical",
    "KLController",
    "Schedule",
    "WarmUp",
]


class Schedule(BaseEstimator, ABC):
    """Base of the schedules; a user's own overrides ``value`` and ``n_settled``."""

    final: float

    #: Whether ``observe`` is to be called after each step.
    is_adaptive = False

    #: Parameters that need not be a number of at least 0.
    _others: tuple[str, ...] = ()

    @property
    @abstractmethod
    def n_settled(self) -> float:
        """Epochs after which beta is ``final`` for good."""

    @abstractmethod
    def value(self, epoch: float) -> float:
        """Beta when ``epoch`` epochs, a real number, are done."""

    def begin(self, beta: float | None = None) -> None:
        """Begin a fit; an adaptive schedule may go on from ``beta``."""

    def observe(self, epoch: float, log_likelihood: float, kl: float) -> None:
        """Take the terms of a step, if the schedule is adaptive."""

    def check(self) -> None:
        """Raise ValueError if a numeric parameter is not a number of at least 0."""
        for name in self.get_params():
            if name not in self._others:
                check_number(self, name)


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

    Latents that carry nothing in the first epochs are then not switched off at once.

    Parameters
    ----------
    n_epochs : float, default=20
        Epochs that the rise takes.
    shape : {"linear", "cosine", "sigmoid"}, default="linear"
        A straight line; half a cosine, level at both ends; or a logistic curve, steepest halfway
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

    _others = ("shape",)

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
        """Raise ValueError if a parameter is outside its domain."""
        check_choice(self, "shape", _SHAPES)
        super().check()


# From the share of the epochs that is done to the share of the way.
_SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "cosine": lambda t: 0.5 - 0.5 * math.cos(math.pi * t),
    # A logistic curve over (-5, 5), shifted and scaled to meet 0 and 1.
    "sigmoid": lambda t: 0.5 + 0.5 * math.tanh(5.0 * (t - 0.5)) / math.tanh(2.5),
}


class Cyclical(Schedule):
    """Rises again and again, each followed by a plateau at ``final``: Fu et al. (2019) [1]_.

    Each cycle starts from better latents than the one before. After the last one, beta stays at
    ``final``.

    Parameters
    ----------
    n_epochs : float, default=20
        Epochs per cycle.
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


class AdaptiveSchedule(Schedule):
    """Base of the schedules that see each step's terms; a user's own overrides ``observe``."""

    is_adaptive = True
    n_settled = math.inf

    #: Beta of the first step.
    start: float = 1.0

    def begin(self, beta: float | None = None) -> None:
        """Begin at ``start``, or go on from ``beta``."""
        self.beta_ = self.start if beta is None else beta

    def value(self, epoch: float) -> float:
        """Beta after the last step that was observed."""
        return self.beta_

    @abstractmethod
    def observe(self, epoch: float, log_likelihood: float, kl: float) -> None:
        """Set ``beta_`` from the means over a step's rows of log p(x|z) and of the KL, in nats.

        The log-likelihood is that of X in its own units.
        """


class Capacity(AdaptiveSchedule):
    """Holds the KL at a capacity that rises over training: Burgess et al. (2018) [1]_.

    Their penalty gamma |KL - C| has the slope of beta = gamma above the capacity C and of
    beta = -gamma below it.

    Parameters
    ----------
    final : float, default=25.0
        Capacity C at the end, in nats.
    n_epochs : float, default=50
        Epochs in which it rises from 0 in a straight line.
    gamma : float, default=10.0
        Size of beta. The latents follow the capacity if gamma is large compared with the gain in
        reconstruction per nat; the authors took 1000.

    References
    ----------
    .. [1] Burgess et al. (2018), "Understanding disentangling in beta-VAE", arXiv:1804.03599,
       eq. 8.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.schedules import Capacity
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, beta=Capacity(3.0), random_state=0).fit(X)
    >>> bool(2.7 < vae.history_["kl"][-1] < 3.3)
    True
    """

    def __init__(self, final: float = 25.0, n_epochs: float = 50, gamma: float = 10.0) -> None:
        self.final = final
        self.n_epochs = n_epochs
        self.gamma = gamma

    def observe(self, epoch: float, log_likelihood: float, kl: float) -> None:
        """Push the KL down if it is above the capacity of this epoch, otherwise up."""
        rise = min(1.0, epoch / self.n_epochs) if self.n_epochs > 0 else 1.0
        self.beta_ = math.copysign(self.gamma, kl - self.final * rise)


class GECO(AdaptiveSchedule):
    """Smallest KL whose reconstruction is as good as asked: Rezende and Viola (2018) [1]_.

    Their multiplier on the constraint -E_q[log p(x|z)] <= ``tolerance`` is 1 / beta here, which
    has the same optimum: it falls while the constraint, averaged over the last steps, is broken,
    and rises while it is kept.

    Parameters
    ----------
    tolerance : float
        Most nats that a row's reconstruction, -E_q[log p(x|z)] in X's units, may cost: negative
        for densities above 1.
    rate : float, default=0.01
        Change of log beta per step and per nat off target; a step changes it by at most 0.1.
    smoothing : float, default=0.9
        Share of the past in the average.

    References
    ----------
    .. [1] Rezende and Viola (2018), "Taming VAEs", arXiv:1810.00597, algorithm 1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.schedules import GECO
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, beta=GECO(tolerance=1.0), random_state=0).fit(X)
    >>> bool(-1.1 < vae.history_["log_likelihood"][-1] < -0.9)
    True
    """

    _others = ("tolerance",)

    def __init__(self, tolerance: float, rate: float = 0.01, smoothing: float = 0.9) -> None:
        self.tolerance = tolerance
        self.rate = rate
        self.smoothing = smoothing

    def begin(self, beta: float | None = None) -> None:
        """Begin at 1, or go on from ``beta``."""
        super().begin(beta)
        self.average_: float | None = None

    def observe(self, epoch: float, log_likelihood: float, kl: float) -> None:
        """Move log beta in proportion to the averaged constraint."""
        excess = -log_likelihood - float(self.tolerance)
        before = excess if self.average_ is None else self.average_
        self.average_ = self.smoothing * before + (1.0 - self.smoothing) * excess
        move = min(max(-self.rate * self.average_, -0.1), 0.1)
        self.beta_ = min(max(self.beta_ * math.exp(move), 1e-6), 1e6)


class KLController(AdaptiveSchedule):
    """Holds the KL at a set number of nats: ControlVAE, the controller of Shao et al. (2020) [1]_.

    beta = proportional / (1 + exp(e)) - integral sum e, with e = ``nats`` - KL at each step; both
    the sum and beta are kept between 0 and ``most``.

    Parameters
    ----------
    nats : float, default=10.0
        The set point.
    proportional, integral : float, default=0.01 and 0.01
        Gains. The authors' integral gain is 0.0001, for a million steps; a fit to a table takes
        about a thousand.
    most : float, default=100.0
        Largest beta.

    References
    ----------
    .. [1] Shao et al. (2020), "ControlVAE: controllable variational autoencoder", ICML,
       algorithm 1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.schedules import KLController
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, beta=KLController(3.0), random_state=0).fit(X)
    >>> bool(2.85 < vae.history_["kl"][-1] < 3.15)
    True
    """

    def __init__(
        self,
        nats: float = 10.0,
        proportional: float = 0.01,
        integral: float = 0.01,
        most: float = 100.0,
    ) -> None:
        self.nats = nats
        self.proportional = proportional
        self.integral = integral
        self.most = most

    def begin(self, beta: float | None = None) -> None:
        """Begin at 1, or go on from ``beta``."""
        super().begin(beta)
        self.sum_ = self.beta_

    def observe(self, epoch: float, log_likelihood: float, kl: float) -> None:
        """Add up the error, and set beta."""
        error = self.nats - kl
        self.sum_ = min(max(self.sum_ - self.integral * error, 0.0), float(self.most))
        proportional = self.proportional / (1.0 + math.exp(min(error, 700.0)))
        self.beta_ = min(max(proportional + self.sum_, 0.0), float(self.most))
