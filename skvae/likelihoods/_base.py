"""What a likelihood is: the last step from the decoder's raw output to p(x|z).

Every likelihood works on rows in *working units*, ``u = (x - shift) / scale``: what the networks
are trained on, of order one. ``working_units`` states shift and scale, and the log-density in X's
units follows from them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skvae._core.flat import Pullback, Shape


class WorkingResponse(NamedTuple):
    """Where one Fisher-scoring step from the feature means leads (McCullagh and Nelder 1989, 2.5).

    Attributes
    ----------
    natural : ndarray of shape (n_features,)
        Natural parameter at the mean: the decoder's bias, in working units.
    root : ndarray of shape (n_features,)
        Standard deviation at the mean up to the noise: residuals are divided by it.
    noise_variance : float or None
        Variance of a whitened residual where the likelihood fixes it, None where PCA estimates it.
    """

    natural: np.ndarray
    root: np.ndarray
    noise_variance: float | None


class Likelihood(BaseEstimator):
    """Base of the likelihoods; one without trained parameters overrides the abstract methods only.

    Shapes: ``raw`` is (draws, rows, n_raw), ``target`` and ``observed`` are (rows, n_features).
    ``observed`` is 1 where a cell counts and 0 where it is missing, None where all count.
    """

    #: Whether X is in [0, 1] and the raw output its logit.
    of_probabilities = False

    #: Whether X may be outside the domain.
    has_domain = False

    def n_raw(self, n_features: int) -> int:
        """Width of the decoder's output; its first ``n_features`` columns are the location."""
        return n_features

    def parameter_shapes(self, n_features: int) -> list[Shape]:
        """Shapes of the parameters shared by all rows."""
        return []

    def check_targets(self, minimum: float, maximum: float) -> None:
        """Raise ValueError where X, with this minimum and maximum, is outside the domain."""

    def working_units(self, mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, float]:
        """Shift (n_features,) and scale of the working units, from X's weighted moments."""
        return np.zeros_like(mean), 1.0

    def input_scale(self, std: np.ndarray) -> np.ndarray | None:
        """Factors (n_features,) of the nonlinear path's input, given std in working units."""
        return None

    @abstractmethod
    def working_response(self, mean: np.ndarray) -> WorkingResponse:
        """Working response at the feature means, in working units."""

    def start_parameters(self, parameters: Sequence[Tensor], noise_variance: float) -> None:
        """Set the shared parameters so that the noise is ``noise_variance``, in working units."""

    @abstractmethod
    def log_prob(
        self, raw: Tensor, target: Tensor, observed: Tensor | None, parameters: Sequence[Tensor]
    ) -> Tensor:
        """Log-density of the observed cells, shape (draws, rows)."""

    @abstractmethod
    def log_prob_vjp(
        self,
        raw: np.ndarray,
        target: np.ndarray,
        observed: np.ndarray | None,
        parameters: Sequence[np.ndarray],
        grads: Sequence[np.ndarray],
    ) -> tuple[np.ndarray, Pullback]:
        """``log_prob`` of arrays and its pullback, from (draws, rows) to the gradient of ``raw``.

        The pullback writes the gradients of the shared parameters to ``grads``.
        """

    @abstractmethod
    def mean(self, raw: Tensor) -> Tensor:
        """E[u|z], shape (..., n_features)."""

    @abstractmethod
    def variance(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Var[u|z], broadcastable to (..., n_features)."""

    @abstractmethod
    def sample(
        self, raw: Tensor, parameters: Sequence[Tensor], generator: torch.Generator
    ) -> Tensor:
        """Draw u given z, shape (..., n_features)."""
