"""One training step: written out or composed. ``build_step`` is the one place that chooses.

Both minimise ``-sum_i w_i bound_i / rows + alpha / 2 |W|^2 / n`` and leave its gradient in the
flat buffer; where both exist they are equal, which a test holds in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from skvae._model import Model
from skvae.objectives import ELBO, written_latent
from skvae.training import Batch

Step = Callable[[Batch, Tensor, "Tensor | float"], Tensor]


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
    """The same by hand: encoder, latent, decoder and likelihood, then their pullbacks.

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

    @torch.no_grad()
    def __call__(self, batch: Batch, eps: Tensor, beta: Tensor | float) -> Tensor:
        """Write the gradient of the loss to the flat buffer and return the loss, a 0-d tensor."""
        model = self.model
        model.flat.grads.zero_()
        raw_z, pull_encoder = model.encoder.vjp(batch.inputs)
        z, kl, pull_latent = self.latent(raw_z, eps)
        draws, rows, _ = z.shape
        raw_x, pull_decoder = model.decoder.vjp(z.view(draws * rows, -1))
        log_p, pull_likelihood = model.likelihood.log_prob_vjp(
            raw_x.view(draws, rows, -1),
            batch.target,
            batch.observed,
            model.shared.params,
            model.shared.grads,
        )
        weight = batch.weight if batch.weight is not None else torch.ones_like(kl)
        loss = -(model.objective.rows(log_p, kl, beta) @ weight) / rows
        # d loss / d log_p = -w / (rows draws); d loss / d kl = beta w / rows
        d_raw_x = pull_likelihood((weight / (-rows * draws)).expand(draws, rows))
        d_z = pull_decoder(d_raw_x.view(draws * rows, -1))
        pull_encoder(pull_latent(d_z.view_as(z), weight * (beta / rows)))
        add_penalty(model, self.penalty)
        return loss


def add_penalty(model: Model, penalty: float) -> None:
    """Add the gradient of the squared weights of the nonlinear paths."""
    if penalty > 0.0:
        with torch.no_grad():
            for weight, d_weight in model.weights:
                d_weight.add_(weight, alpha=penalty)


def build_step(model: Model, penalty: float = 0.0) -> Step:
    """Choose the written-out step where every part states its pullback, else the composed one."""
    written = (
        all(network.is_written for network in model.networks)
        and written_latent(model.posterior, model.prior) is not None
        and type(model.objective) is ELBO
    )
    return WrittenStep(model, penalty) if written else ComposedStep(model, penalty)
