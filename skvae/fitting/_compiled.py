"""Steps as machine code, where numba is installed and the model is the commonest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae._core.compiled import find_kernels
from skvae.fitting._plan import Plan
from skvae.likelihoods import Bernoulli, Gaussian, Likelihood
from skvae.model import Model
from skvae.nn import ACTIVATIONS, DenseNetwork, Network
from skvae.posteriors import Deterministic, DiagonalNormal
from skvae.priors import StandardNormal
from skvae.tables import Rows
from skvae.training import Adam

# Posterior and prior that there is machine code for.
_LATENTS = ((DiagonalNormal, StandardNormal), (Deterministic, StandardNormal))


class CompiledSteps:
    """Takes many steps in one call of ``skvae._core.kernels``.

    They differ from ``WrittenStep`` and ``Adam.step`` in the order of sums alone, which a test
    holds in float64.

    Parameters
    ----------
    model : Model
        What is trained.
    rows : Rows
        Those it is trained on, in memory.
    adam : Adam
        Whose moments the steps go on with.
    penalty : float
        As in ``ComposedStep``.
    kernels : module
        The machine code.
    """

    def __init__(self, model: Model, rows: Rows, adam: Adam, penalty: float, kernels: Any) -> None:
        assert rows.arrays is not None
        self.kernels, self.encoder = kernels, model.encoder
        nothing = np.empty(0, rows.arrays[0].dtype)
        weight = nothing if rows.weight is None else rows.weight.numpy()
        self.table = np.ascontiguousarray(rows.arrays[0]), weight
        networks = [_parts(network) for network in model.networks]
        self.model = (
            *(values for values, _ in networks),
            *(gradients for _, gradients in networks),
            *((*model.shared.arrays, *model.shared.grad_arrays) or (nothing, nothing)),
            isinstance(model.posterior, DiagonalNormal),
            _decay(model, penalty) if penalty > 0.0 else nothing,
        )
        self.adam = adam.shared_state

    @staticmethod
    def suits(model: Model, rows: Rows, plan: Plan) -> bool:
        """Say whether there is machine code for this training."""
        arrays = rows.arrays
        return (
            (arrays is not None and arrays[0] is arrays[1])
            and (rows.resident is None or rows.resident.offset is None)
            and _has_kernel(model.likelihood)
            and (type(model.posterior), type(model.prior)) in _LATENTS
            and (model.objective.is_plain and not model.objective.is_weighted)
            and (model.regularizer is None and plan.corruption is None)
            and not plan.beta.is_adaptive
            and all(map(_is_common, model.networks))
        )

    def __call__(
        self, batches: Sequence[Tensor], noise: Tensor, rates: list[float], betas: list[float]
    ) -> list[tuple[float, ...]]:
        """Take a step with the rows at each index, and give the terms of each."""
        edges = np.cumsum([0, *map(len, batches)])
        terms = np.empty((len(batches), 3))
        shift, scale = self._constants()
        self.kernels.steps(
            *self.table,
            *(torch.cat(list(batches)).numpy(), edges, noise.numpy()),
            *(np.array(rates), np.array(betas), shift, scale),
            *self.model,
            *self.adam,
            terms,
        )
        return [(*three, 0.0, beta) for three, beta in zip(terms.tolist(), betas, strict=True)]

    def _constants(self) -> tuple[np.ndarray, np.ndarray]:
        """Shift and scale of the encoder's input."""
        like = self.table[0][0]
        shift, scale = self.encoder.shift, self.encoder.scale
        return (
            np.zeros_like(like) if shift is None else shift.numpy(),
            np.ones_like(like) if scale is None else scale.numpy(),
        )


def _has_kernel(likelihood: Likelihood) -> bool:
    if type(likelihood) is Gaussian:
        return likelihood.noise != "row"
    return type(likelihood) is Bernoulli


def _is_common(network: Network) -> bool:
    return (
        isinstance(network, DenseNetwork)
        and len(network.arrays) > 1
        and network.activation is ACTIVATIONS["relu"]
    )


def _parts(network: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Weights and gradients as the kernels take them: hidden layers, output layer, a width."""
    *hidden, output = network.arrays
    *d_hidden, d_output = network.grad_arrays
    return (tuple(hidden), output, network.n_seen), (tuple(d_hidden), d_output, network.n_linear)


def _decay(model: Model, penalty: float) -> np.ndarray:
    """Give the penalty in the place of each weight that it is for, and zero elsewhere."""
    grads = model.flat.grads
    grads.zero_()
    for _, d_weight in model.weights:
        d_weight.fill_(penalty)
    return grads.numpy().copy()


def build_compiled(
    model: Model, rows: Rows, adam: Adam, plan: Plan, penalty: float
) -> CompiledSteps | None:
    """Give the compiled steps, or None if there are none for this training."""
    if model.flat.values.device.type != "cpu" or not CompiledSteps.suits(model, rows, plan):
        return None
    kernels = find_kernels()
    return None if kernels is None else CompiledSteps(model, rows, adam, penalty, kernels)
