"""One training step: written out or composed. ``build_step`` is the one place that chooses.

Both minimise ``-sum_i w_i bound_i / rows + regulariser + alpha / 2 |W|^2 / n`` and leave its
gradient in the flat buffer; where both exist they are equal, which a test holds in float64. They
return ``TERMS``; that of the loss leaves out the squared weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from skvae._core.process import seeded
from skvae.model import Model
from skvae.objectives import written_latent, written_ratio
from skvae.tables import Batch

# What a step returns: means over its rows, in nats and working units, and its beta.
TERMS = ("loss", "log_likelihood", "kl", "regularizer", "beta")

# Takes batch, noise and beta. The composed step's terms are a tensor, not read back at once.
Step = Callable[[Batch, Tensor, "Tensor | float"], "Tensor | tuple[float, ...]"]


class ComposedStep:
    """The loss as one plain torch function, differentiated by one autograd call.

    Parameters
    ----------
    model : Model
        What is trained.
    penalty : float, default=0.0
        alpha / n, the weight of half the squared weights.
    generator : torch.Generator, optional
        Source of what a regulariser draws.
    bfloat16 : bool, default=False
        Whether matrix products take bfloat16; what would lose by it stays float32.
    """

    def __init__(
        self,
        model: Model,
        penalty: float = 0.0,
        generator: torch.Generator | None = None,
        bfloat16: bool = False,
    ) -> None:
        self.model = model
        self.penalty = penalty
        self.generator = generator or torch.Generator()
        device = model.flat.values.device.type
        # No cache of converted weights: a graph could not be captured with one.
        self.autocast = torch.autocast(
            device, torch.bfloat16, enabled=bfloat16, cache_enabled=False
        )
        self.draws = any(network.draws for network in model.networks)

    def __call__(self, batch: Batch, eps: Tensor, beta: Tensor | float) -> Tensor:
        """Write the gradient of the loss to the flat buffer and return the terms, (5,)."""
        model, weight = self.model, batch.weight

        def mean(values: Tensor) -> Tensor:
            return (values if weight is None else values * weight).mean()

        model.flat.grads.zero_()
        with torch.enable_grad(), seeded(self.generator) if self.draws else nullcontext():
            with self.autocast:
                draws = model.draws(batch, eps)
                regularization = model.regularization(draws, batch, self.generator)
                loss = regularization - mean(model.objective.rows(draws, beta))
            loss.backward()
        add_penalty(model, self.penalty)
        with torch.no_grad():
            log_p, kl = mean(draws.log_p.mean(0)), mean(draws.kl.sum(1))
            beta = torch.as_tensor(beta, dtype=loss.dtype, device=loss.device)
            return torch.stack([loss, log_p, kl, regularization, beta])


class WrittenStep:
    """The same by hand and in NumPy: encoder, latent, decoder and likelihood, then their pullbacks.

    Parameters
    ----------
    model : Model
        What is trained: its networks, the latent pair and the likelihood all state a pullback,
        its objective is the plain ELBO or a mean of weights, and it has no regulariser.
    penalty : float, default=0.0
        As in ``ComposedStep``.
    """

    def __init__(self, model: Model, penalty: float = 0.0) -> None:
        self.model = model
        self.penalty = penalty
        latent = written_latent(model.posterior, model.prior)
        assert latent is not None
        self.latent = latent
        self.ratio = written_ratio(model.posterior, model.prior)
        self.equal: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]] = {}

    def gradients(
        self, weight: Tensor | None, draws: int, inputs: np.ndarray, n_rows: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """d loss / d log p = -w / (n_rows draws), (draws, rows), and w / n_rows, (rows,)."""
        rows = len(inputs)
        if weight is not None:
            share = weight.numpy() / n_rows
            return np.tile(share / -draws, (draws, 1)), share
        if (draws, rows, n_rows) not in self.equal:
            share = np.full(rows, 1.0 / n_rows, dtype=inputs.dtype)
            self.equal[draws, rows, n_rows] = np.tile(share / -draws, (draws, 1)), share
        return self.equal[draws, rows, n_rows]

    @np.errstate(all="ignore")
    def __call__(
        self, batch: Batch, eps: Tensor, beta: Tensor | float, n_rows: int | None = None
    ) -> tuple[float, ...]:
        """Write the gradient of the loss to the flat buffer and return the terms.

        If the batch is a part of ``n_rows`` rows, all terms but beta are its share.
        """
        model = self.model
        inputs = batch.inputs.numpy()
        target = inputs if batch.target is batch.inputs else batch.target.numpy()
        raw_z, pull_encoder = model.encoder.vjp(inputs)
        noise, factor = eps.numpy(), None if batch.factor is None else batch.factor.numpy()
        z, kl, pull_latent = self.latent(raw_z, noise, factor)
        draws, rows, k = z.shape
        raw_x, pull_decoder = model.decoder.vjp(z.reshape(draws * rows, k))
        raw = raw_x.reshape(draws, rows, raw_x.shape[1])
        if batch.offset is not None:
            raw[..., : model.width.location] += batch.offset.numpy()
        log_p, pull_likelihood = model.likelihood.log_prob_vjp(
            raw,
            target,
            None if batch.observed is None else batch.observed.numpy(),
            model.shared.arrays,
            model.shared.grad_arrays,
        )
        d_log_p, share = self.gradients(batch.weight, draws, inputs, n_rows or rows)
        beta = float(beta)
        d_kl = share * beta
        mean_log_p, mean_kl = -float(np.vdot(log_p, d_log_p)), float(np.vdot(kl, share))
        loss, kept = beta * mean_kl - mean_log_p, None
        if self.ratio is not None and model.objective.is_weighted:
            # Draws have weights of their own, and the posterior is reached through z alone.
            log_ratio, slope = self.ratio(raw_z, noise, z, factor)
            values, weight, kept = model.objective.weigh(log_p, log_ratio, beta)
            loss, d_log_p, d_kl = -float(np.vdot(values, share)), -share * weight, 0.0 * share
        d_raw_x = pull_likelihood(d_log_p).reshape(raw_x.shape)
        d_z = pull_decoder(d_raw_x).reshape(z.shape)
        if kept is not None:
            d_z = (d_z - slope * (beta * d_log_p)[..., None]) * kept[..., None]
        pull_encoder(pull_latent(d_z, d_kl))
        add_penalty(model, self.penalty)
        return loss, mean_log_p, mean_kl, 0.0, beta


class PartedStep:
    """The written-out step with the rows of a batch parted among threads.

    NumPy's calls let other threads run, so two cores take a batch in little more than half the
    time, where a threaded matrix product alone gains little.

    Parameters
    ----------
    model : Model
        What is trained.
    penalty : float
        As in ``ComposedStep``.
    n_parts : int
        Number of threads, at least two.
    """

    def __init__(self, model: Model, penalty: float, n_parts: int) -> None:
        self.model, self.penalty = model, penalty
        self.steps = [WrittenStep(model), *(WrittenStep(model.twin()) for _ in range(n_parts - 1))]
        self.threads = ThreadPoolExecutor(n_parts - 1)

    def __call__(self, batch: Batch, eps: Tensor, beta: Tensor | float) -> tuple[float, ...]:
        """Write the gradient of the loss to the flat buffer and return the terms."""
        n_rows = batch.inputs.shape[0]
        edges = np.linspace(0, n_rows, len(self.steps) + 1).astype(int).tolist()
        parts = [slice(*pair) for pair in itertools.pairwise(edges)]
        jobs = [
            self.threads.submit(step, batch.part(rows), eps[:, rows], beta, n_rows)
            for step, rows in zip(self.steps[1:], parts[1:], strict=True)
        ]
        terms = [self.steps[0](batch.part(parts[0]), eps[:, parts[0]], beta, n_rows)]
        terms += [job.result() for job in jobs]
        total = self.model.flat.grads.numpy()
        for step in self.steps[1:]:
            total += step.model.flat.grads.numpy()
        add_penalty(self.model, self.penalty)
        *means, _ = (sum(values) for values in zip(*terms, strict=True))
        return (*means, float(beta))


def add_penalty(model: Model, penalty: float) -> None:
    """Add the gradient of the squared weights of the nonlinear paths."""
    if penalty > 0.0:
        with torch.no_grad():
            for weight, d_weight in model.weights:
                d_weight.add_(weight, alpha=penalty)


def build_step(
    model: Model,
    penalty: float = 0.0,
    n_parts: int = 1,
    generator: torch.Generator | None = None,
    bfloat16: bool = False,
) -> Step:
    """Choose the written-out step on a CPU, if every part states a pullback, else the composed.

    ``n_parts`` is the number of threads that the former may take, ``generator`` and ``bfloat16``
    are the latter's.
    """
    written = (
        model.flat.values.device.type == "cpu"
        and all(network.is_written for network in model.networks)
        and model.likelihood.is_written
        and written_latent(model.posterior, model.prior) is not None
        and model.regularizer is None
    )
    if model.objective.is_weighted:
        written = written and written_ratio(model.posterior, model.prior) is not None
    else:
        written = written and model.objective.is_plain
    if not written:
        return ComposedStep(model, penalty, generator, bfloat16)
    return PartedStep(model, penalty, n_parts) if n_parts > 1 else WrittenStep(model, penalty)
