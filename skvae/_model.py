"""The model: encoder, posterior, prior, decoder and likelihood on one flat buffer."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skvae._vjp import Block, Shape, bind, shared_arrays
from skvae.likelihoods import Likelihood
from skvae.nn import DenseNetwork, ModuleFactory, ModuleNetwork, Network
from skvae.objectives import Draws, Objective
from skvae.posteriors import DiagonalNormal
from skvae.priors import StandardNormal
from skvae.training import Batch


class Architecture(NamedTuple):
    """All that fixes the shapes of a model's parameters."""

    n_features: int
    n_components: int
    hidden_layer_sizes: tuple[int, ...]
    activation: str
    encoder: ModuleFactory | None
    decoder: ModuleFactory | None
    likelihood: Likelihood
    objective: Objective


class Shared:
    """The likelihood's parameters that all rows share, as a block of the flat buffer."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self.shapes = shapes
        self.params: Sequence[Tensor] = []

    def bind(self, params: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
        """Take the views."""
        self.params = params
        self.arrays, self.grad_arrays = shared_arrays(params), shared_arrays(grads)

    def forward(self, x: Tensor) -> Tensor:
        """Pass x on: the likelihood reads the parameters itself."""
        return x


class Model:
    """Networks and distributions, and the terms of the bound.

    Parameters
    ----------
    architecture : Architecture
        Widths and components.
    dtype : torch.dtype
        Type of the parameters.
    device : torch.device or str
        Where they live.
    generator : torch.Generator
        Seeds the initial values of user modules.
    values : Tensor of shape (n_parameters,), optional
        Values of a model that is not trained, used where they lie.

    Attributes
    ----------
    flat : FlatParameters
        Every parameter and its gradient.
    encoder, decoder : Network
        From working units to the raw posterior, from latents to the raw likelihood.
    shared : Shared
        The likelihood's own parameters.
    """

    def __init__(
        self,
        architecture: Architecture,
        dtype: torch.dtype,
        device: torch.device | str,
        generator: torch.Generator,
        values: Tensor | None = None,
    ) -> None:
        d, k = architecture.n_features, architecture.n_components
        hidden = architecture.hidden_layer_sizes
        self.architecture, self.n_components = architecture, k
        self.likelihood = architecture.likelihood
        self.posterior, self.prior = DiagonalNormal(), StandardNormal()
        self.objective = architecture.objective
        n_raw_z, n_raw_x = self.posterior.n_raw(k), self.likelihood.n_raw(d)

        def network(
            factory: ModuleFactory | None,
            shape: tuple[int, int, int],
            sizes: tuple[int, ...],
            input_gradient: bool,
        ) -> Network:
            if factory is not None:
                return ModuleNetwork(*shape, factory, generator)
            return DenseNetwork(*shape, sizes, architecture.activation, input_gradient)

        self.encoder = network(architecture.encoder, (d, n_raw_z, k), hidden, False)
        self.decoder = network(architecture.decoder, (k, n_raw_x, d), hidden[::-1], True)
        self.shared = Shared(self.likelihood.parameter_shapes(d))
        self.flat = bind(self._blocks, dtype, device, values, trained=values is None)

    @property
    def _blocks(self) -> list[Block]:
        return [self.encoder, self.decoder, self.shared]

    def twin(self) -> Model:
        """Give a model of the same parameters, where they lie, with gradients of its own."""
        twin = copy.copy(self)
        twin.encoder, twin.decoder = copy.copy(self.encoder), copy.copy(self.decoder)
        twin.shared = copy.copy(self.shared)
        values = self.flat.values
        twin.flat = bind(twin._blocks, values.dtype, values.device, values)
        return twin

    @property
    def networks(self) -> tuple[Network, Network]:
        """Encoder and decoder."""
        return self.encoder, self.decoder

    @property
    def weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weights of the nonlinear paths with their gradients: what ``alpha`` decays."""
        return [pair for network in self.networks for pair in network.weights]

    @property
    def buffers(self) -> dict[str, Tensor]:
        """What user modules keep beside their parameters, by a name that says whose it is."""
        return {
            f"{side}.{name}": value
            for side, network in (("encoder", self.encoder), ("decoder", self.decoder))
            for name, value in network.buffers.items()
        }

    @property
    def state(self) -> list[Tensor]:
        """All tensors that training changes."""
        return [self.flat.values, *self.buffers.values()]

    def train(self, mode: bool) -> None:
        """Put user modules in training or evaluation mode."""
        for network in self.networks:
            network.train(mode)

    def encode(self, inputs: Tensor) -> Any:
        """Posterior of rows in working units, shape (rows, n_features)."""
        return self.posterior(self.encoder.evaluate(inputs))

    def decode(self, z: Tensor) -> Tensor:
        """Raw likelihood of latents (..., n_components), shape (..., n_raw)."""
        raw = self.decoder.evaluate(z.reshape(-1, self.n_components))
        return raw.view(*z.shape[:-1], -1)

    def log_likelihood(self, z: Tensor, batch: Batch) -> Tensor:
        """Log p(x|z) in working units for z (draws, rows, n_components), shape (draws, rows)."""
        raw = self.decode(z)
        return self.likelihood.log_prob(raw, batch.target, batch.observed, self.shared.params)

    def bound(self, batch: Batch, eps: Tensor, beta: Tensor | float) -> Tensor:
        """Objective of each row, shape (rows,).

        ``eps`` of shape (draws, rows or 1, n_components) holds standard normal draws.
        """
        q = self.encode(batch.inputs)
        z = q.transform(eps)
        log_p = self.log_likelihood(z, batch)
        return self.objective.rows(Draws(self.posterior, self.prior, q, z, log_p), beta)

    def log_evidence(self, batch: Batch, eps: Tensor) -> Tensor:
        """Importance-weighted log p(x) (Burda et al. 2015, eq. 8) in working units, (rows,).

        ``eps`` of shape (draws, 1, n_components) is shared by all rows.
        """
        q = self.encode(batch.inputs)
        z = q.transform(eps)
        log_weight = self.log_likelihood(z, batch) + self.prior.log_prob(z) - q.log_prob(z)
        return torch.logsumexp(log_weight, 0) - math.log(len(eps))
