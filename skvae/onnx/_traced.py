"""What a fitted model does with rows and latents, in torch alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from skvae._core.math import log_mean_exp
from skvae.inference import Fitted, antithetic_draws, weighted_draws
from skvae.onnx._rows import constant, log_jacobian, read_batch
from skvae.tables import Batch


class Traced:
    """A fitted model, whose every method a graph can be made of.

    The methods are those of ``Fitted`` with the same names.

    Parameters
    ----------
    fitted : Fitted
        The model.
    dtype : torch.dtype
        In which it computes.
    with_gaps : bool
        Whether cells may be missing.
    """

    def __init__(self, fitted: Fitted, dtype: torch.dtype, with_gaps: bool) -> None:
        self.fitted, self.dtype, self.with_gaps = fitted, dtype, with_gaps
        self.model = fitted.model(dtype)
        self.order = torch.tensor(fitted.report.order)
        self._draws: dict[int, Tensor] = {}

    def batch(self, numbers: Tensor) -> Batch:
        """Rows (rows, n_columns), float64, as training sees them."""
        return read_batch(self.fitted.view, numbers, self.dtype, self.with_gaps)

    def _kept(self, draw: Callable[[int], Tensor], n_draws: int) -> Tensor:
        """Draws that are made once, so that a graph holds them and not how they were made."""
        if n_draws not in self._draws:
            self._draws[n_draws] = draw(n_draws).to(self.dtype)
        return self._draws[n_draws]

    def means(self, numbers: Tensor) -> Tensor:
        """Posterior means, shape (rows, n_components)."""
        raw = self.model.encoder.forward(self.batch(numbers).inputs)
        return self.model.posterior_mean(raw)[:, self.order]

    def log_density(self, numbers: Tensor, n_draws: int) -> Tensor:
        """Estimates of log p(x), shape (rows,), float64."""
        batch, eps = self.batch(numbers), self._kept(self.fitted.shared_draws, n_draws)
        values = log_mean_exp(self.model.log_weights(batch, eps))
        return values.double() - self._log_jacobian(batch)

    def log_reconstruction(self, numbers: Tensor) -> Tensor:
        """Log p(x|z) at the posterior mean of each row, shape (rows,), float64."""
        batch = self.batch(numbers)
        z = self.model.encode(batch.inputs, batch.factor).mean[None]
        values = self.model.log_likelihood(z, batch)[0] + self.model.constant(batch)
        return values.double() - self._log_jacobian(batch)

    def expected_cells(self, numbers: Tensor, n_draws: int) -> Tensor:
        """E[x|x_o] given the cells that are observed, shape (rows, n_targets), float64."""
        batch, eps = (
            self.batch(numbers),
            self._kept(partial(antithetic_draws, self.fitted), n_draws),
        )
        _, raw, weight = weighted_draws(self.model, batch, eps, None)
        return self.back((self.model.mean(raw) * weight[..., None]).sum(0))

    def decode(self, Z: Tensor) -> Tensor:
        """E[x|z] of latents as users have them, shape (rows, n_targets), float64."""
        place = torch.tensor(np.argsort(self.fitted.report.order))
        raw = self.model.decode(Z[:, place].to(self.dtype))
        return self.back(self.model.mean(raw))

    def back(self, targets: Tensor) -> Tensor:
        """Targets in X's units, NaN in columns of an array that had no cells at fit."""
        fitted = self.fitted
        view = fitted.view
        X = targets.double() * constant(view.scale) + constant(view.shift)
        if fitted.table is None and view.gaps is not None and view.gaps.unseen.any():
            X = torch.where(torch.tensor(view.gaps.unseen), torch.nan, X)
        return X

    def _log_jacobian(self, batch: Batch) -> Tensor:
        view = self.fitted.view
        numbers = batch.target.double() * constant(view.scale) + constant(view.shift)
        return log_jacobian(view, self.fitted.table, numbers, batch.observed)
