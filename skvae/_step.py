"""One training step: written out or composed. ``build_step`` is the one place that chooses.

Both minimise ``-sum_i w_i bound_i / rows + alpha / 2 |W|^2 / n`` and leave its gradient in the
flat buffer; where both exist they are equal, which a test holds in float64. The loss that they
return leaves the penalty out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from skvae._model import Model
from skvae.objectives import ELBO, written_latent
from skvae.training import Batch

# Of batch, noise and beta. The composed step's loss is a tensor, which nobody waits for.
Step = Callable[[Batch, Tensor, "Tensor | float"], "Tensor | float"]


class ComposedStep:
    """The loss as one plain torch function, differentiated by one autograd call.

    Parameters
    ----------
    model : Model
        What is trained.
    penalty : float, default=0.0
        alpha / n, the weight of half the squared weights.
    """

    def __init__(self, model: Model, penalty: float = 0.0) -> None:
        self.model = model
        self.penalty = penalty

    def __call__(self, batch: Batch, eps: Tensor, beta: Tensor | float) -> Tensor:
        """Write the gradient of the loss to the flat buffer and return the loss, a 0-d tensor."""
        self.model.flat.grads.zero_()
        with torch.enable_grad():
            bound = self.model.bound(batch, eps, beta)
            if batch.weight is not None:
                bound = bound * batch.weight
            loss = -bound.mean()
            loss.backward()
        add_penalty(self.model, self.penalty)
        return loss.detach()


class WrittenStep:
    """The same by hand and in NumPy: encoder, latent, decoder and likelihood, then their pullbacks.

    Parameters
    ----------
    model : Model
        What is trained: its networks, the latent pair and the likelihood all state a pullback,
        and its objective is the ELBO.
    penalty : float, default=0.0
        As in ``ComposedStep``.
    """

    def __init__(self, model: Model, penalty: float = 0.0) -> None:
        self.model = model
        self.penalty = penalty
        latent = written_latent(model.posterior, model.prior)
        assert latent is not None
        self.latent = latent
        self.equal: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def gradients(
        self, weight: Tensor | None, draws: int, inputs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """d loss / d log p = -w / (rows draws), of shape (draws, rows), and w / rows, (rows,)."""
        rows = len(inputs)
        if weight is not None:
            share = weight.numpy() / rows
            return np.tile(share / -draws, (draws, 1)), share
        if (draws, rows) not in self.equal:
            share = np.full(rows, 1.0 / rows, dtype=inputs.dtype)
            self.equal[draws, rows] = np.tile(share / -draws, (draws, 1)), share
        return self.equal[draws, rows]

    @np.errstate(all="ignore")
    def __call__(self, batch: Batch, eps: Tensor, beta: Tensor | float) -> float:
        """Write the gradient of the loss to the flat buffer and return the loss."""
        model = self.model
        inputs = batch.inputs.numpy()
        target = inputs if batch.target is batch.inputs else batch.target.numpy()
        raw_z, pull_encoder = model.encoder.vjp(inputs)
        z, kl, pull_latent = self.latent(raw_z, eps.numpy())
        draws, rows, k = z.shape
        raw_x, pull_decoder = model.decoder.vjp(z.reshape(draws * rows, k))
        log_p, pull_likelihood = model.likelihood.log_prob_vjp(
            raw_x.reshape(draws, rows, -1),
            target,
            None if batch.observed is None else batch.observed.numpy(),
            model.shared.arrays,
            model.shared.grad_arrays,
        )
        d_log_p, share = self.gradients(batch.weight, draws, inputs)
        d_kl = share * float(beta)
        loss = np.vdot(log_p, d_log_p) + np.vdot(kl, d_kl)
        d_raw_x = pull_likelihood(d_log_p).reshape(draws * rows, -1)
        d_z = pull_decoder(d_raw_x).reshape(z.shape)
        pull_encoder(pull_latent(d_z, d_kl))
        add_penalty(model, self.penalty)
        return float(loss)


def add_penalty(model: Model, penalty: float) -> None:
    """Add the gradient of the squared weights of the nonlinear paths."""
    if penalty > 0.0:
        with torch.no_grad():
            for weight, d_weight in model.weights:
                d_weight.add_(weight, alpha=penalty)


def build_step(model: Model, penalty: float = 0.0) -> Step:
    """Choose the written-out step on a CPU, if every part states a pullback, else the composed."""
    written = (
        model.flat.values.device.type == "cpu"
        and all(network.is_written for network in model.networks)
        and written_latent(model.posterior, model.prior) is not None
        and type(model.objective) is ELBO
    )
    return WrittenStep(model, penalty) if written else ComposedStep(model, penalty)
