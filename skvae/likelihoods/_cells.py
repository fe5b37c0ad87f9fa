"""Likelihoods whose cells are independent given z, stated by log p of a cell and its slopes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from skvae._core.flat import Pullback
from skvae._core.math import soft_bound, soft_bound_inverse, soft_bound_vjp
from skvae.likelihoods._base import Likelihood, Response, Width

Array = np.ndarray
Arrays = Sequence[np.ndarray]
Tensors = Sequence[Tensor]

#: Log p of each cell, its slopes by each raw number of the cell, and those by each shared log.
Slopes = tuple[np.ndarray, Sequence[np.ndarray], Sequence[np.ndarray]]


class CellLikelihood(Likelihood):
    """Base of the likelihoods whose cells are independent given z.

    An author gives ``log_prob_of_each``, ``mean_of_each``, ``variance_of_each``,
    ``sample_of_each`` and, for the step that is written out, ``slopes``: mask, sum, broadcast and
    pullback are this class's. All are given the raw numbers by kind, (n_per_cell, ..., n_targets),
    and the parameters shared by all rows, which are logs, of a variance or a dispersion, and arrive
    softly bounded.
    """

    #: Raw numbers per cell, the location first.
    n_per_cell = 1

    @abstractmethod
    def log_prob_of_each(self, raw: Tensor, target: Tensor, logs: Tensors) -> Tensor:
        """Log p of each cell less its constant, in plain torch, shape (draws, rows, n_targets)."""

    @abstractmethod
    def mean_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """E[u|z] of each cell, shape (..., n_targets)."""

    @abstractmethod
    def variance_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """Var[u|z] of each cell, broadcastable to (..., n_targets)."""

    @abstractmethod
    def sample_of_each(self, raw: Array, logs: Arrays, rng: np.random.Generator) -> Array:
        """Draw each cell, shape (..., n_targets)."""

    def start_scale(self, noise_variance: np.ndarray, response: Response) -> np.ndarray:
        """What the shared log starts as the log of: the noise variance itself."""
        return noise_variance

    def slopes(self, raw: Array, target: Array, logs: Arrays) -> Slopes:
        """The same in NumPy, with the slopes by each raw number and by each log, per cell."""
        raise TypeError(f"{type(self).__name__} states no slopes: its step is composed.")

    @property
    def is_written(self) -> bool:  # type: ignore[override]
        """Whether the slopes are stated."""
        return type(self).slopes is not CellLikelihood.slopes

    def start_noise(
        self, parameters: Tensors, extra_bias: Tensor, noise_variance: Array, response: Response
    ) -> None:
        """Set the shared log, before its soft bound, to that of ``start_scale``."""
        for parameter in parameters:
            scale = torch.from_numpy(self.start_scale(noise_variance, response))
            with torch.no_grad():
                parameter.copy_(soft_bound_inverse(scale.log()))

    def width(self, n_targets: int) -> Width:
        """Columns of the decoder's output."""
        return Width(n_targets, (self.n_per_cell - 1) * n_targets)

    def split(self, raw: Tensor) -> Tensor:
        """Raw numbers by kind, (n_per_cell, ..., n_targets)."""
        return raw.unflatten(-1, (self.n_per_cell, -1)).movedim(-2, 0)

    def _split_array(self, raw: np.ndarray) -> np.ndarray:
        return np.moveaxis(raw.reshape(*raw.shape[:-1], self.n_per_cell, -1), -2, 0)

    def log_prob(
        self, raw: Tensor, target: Tensor, observed: Tensor | None, parameters: Sequence[Tensor]
    ) -> Tensor:
        """Log-density of the observed cells less their constant, shape (draws, rows)."""
        logs = [soft_bound(p) for p in parameters]
        cells = self.log_prob_of_each(self.split(raw), target, logs)
        return (cells if observed is None else cells * observed).sum(-1)

    def log_prob_vjp(
        self,
        raw: np.ndarray,
        target: np.ndarray,
        observed: np.ndarray | None,
        parameters: Sequence[np.ndarray],
        grads: Sequence[np.ndarray],
    ) -> tuple[np.ndarray, Pullback]:
        """``log_prob`` of arrays and its pullback."""
        d = target.shape[-1]
        bounded = [soft_bound_vjp(p) for p in parameters]
        logs = [log for log, _ in bounded]
        cells, by_raw, by_logs = self.slopes(self._split_array(raw), target, logs)
        if observed is not None:
            cells = cells * observed

        def pull(d_log_p: np.ndarray) -> np.ndarray:
            share = d_log_p[..., None] if observed is None else d_log_p[..., None] * observed
            for grad, slope, (_, pull_bound) in zip(grads, by_logs, bounded, strict=True):
                each = (slope * share).reshape(-1, d).sum(0)
                grad[:] = pull_bound(each if len(grad) == d else each.sum())
            if len(by_raw) == 1:
                return by_raw[0] * share
            return np.stack([slope * share for slope in by_raw], -2).reshape(raw.shape)

        return np.add.reduce(cells, -1), pull

    def mean(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """E[u|z], shape (..., n_targets)."""
        return self.mean_of_each(self.split(raw), [soft_bound(p) for p in parameters])

    def variance(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Var[u|z], broadcastable to (..., n_targets)."""
        return self.variance_of_each(self.split(raw), [soft_bound(p) for p in parameters])

    def sample(
        self, raw: np.ndarray, parameters: Sequence[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Draw u given z, shape (..., n_targets)."""
        logs = [soft_bound_vjp(p)[0] for p in parameters]
        return self.sample_of_each(self._split_array(raw), logs, rng)
