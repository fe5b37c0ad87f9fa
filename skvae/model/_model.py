"""The model: encoder, posterior, prior, decoder and likelihood on one flat buffer."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skvae._core.arrays import as_tensor
from skvae._core.flat import Block, Shape, bind, shared_arrays
from skvae._core.math import log_mean_exp
from skvae.likelihoods import log_constant
from skvae.model._architecture import Architecture
from skvae.nn import DenseNetwork, ModuleFactory, ModuleNetwork, Network
from skvae.objectives import Draws
from skvae.priors import Density, Surroundings
from skvae.regularizers import Aggregate
from skvae.tables import Batch, View

# Names and shapes of parameters and buffers.
Layout = list[tuple[str, list[int]]]


def check_layout(present: Layout, fitted: Layout) -> None:
    """Refuse fitted values for a model of other parameters or buffers than theirs.

    Raises
    ------
    ValueError
        If the layouts differ.
    """
    for now, then in itertools.zip_longest(present, fitted):
        if now != then:
            now, then = (
                "nothing" if entry is None else f"{entry[0]} of shape {tuple(entry[1])}"
                for entry in (now, then)
            )
            raise ValueError(
                f"The model is not the one that was fitted: where that had {then}, it has {now}. "
                f"What 'encoder' or 'decoder' builds, or a component's parameters, have changed "
                f"since. Load it with the code that fitted it, or fit it anew."
            )


class Shared:
    """Parameters of a component that all rows share, as a block of the flat buffer."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self.shapes = shapes
        self.params: Sequence[Tensor] = []

    def bind(self, params: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
        """Take the views."""
        self.params = params
        self.arrays, self.grad_arrays = shared_arrays(params), shared_arrays(grads)

    def forward(self, x: Tensor) -> Tensor:
        """Pass x on: the component reads the parameters itself."""
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
    layout : list of (str, list of int), optional
        What a fitted model's ``layout`` was.

    Raises
    ------
    ValueError
        If the layout, or the number of values, is another than the fitted model's.

    Attributes
    ----------
    flat : FlatParameters
        Every parameter and its gradient.
    encoder, decoder : Network
        From working units to the raw posterior, from latents to the raw likelihood.
    shared, of_posterior, of_prior : Shared
        Own parameters of the likelihood, the posterior and the prior.
    """

    def __init__(
        self,
        architecture: Architecture,
        dtype: torch.dtype,
        device: torch.device | str,
        generator: torch.Generator,
        values: Tensor | None = None,
        layout: Layout | None = None,
    ) -> None:
        k, self.width = architecture.n_components, architecture.raw_width
        hidden = architecture.hidden_layer_sizes
        self.architecture, self.n_components = architecture, k
        self.likelihood = architecture.likelihood
        self.posterior, self.prior = architecture.posterior, architecture.prior
        self.objective, self.regularizer = architecture.objective, architecture.regularizer
        n_raw_z, n_raw_x = self.posterior.n_raw(k), sum(self.width)

        def network(
            name: str,
            factory: ModuleFactory | None,
            shape: tuple[int, int, int],
            sizes: tuple[int, ...],
            input_gradient: bool,
        ) -> Network:
            if not architecture.linear_path and (factory or sizes):
                shape = (*shape[:2], 0)  # without hidden layers the linear path is all there is
            if factory is not None:
                return ModuleNetwork(*shape, factory, generator, name, architecture.n_targets)
            return DenseNetwork(*shape, sizes, architecture.activation, input_gradient)

        self.encoder = network(
            "encoder", architecture.encoder, (architecture.n_inputs, n_raw_z, k), hidden, False
        )
        self.decoder = network(
            "decoder", architecture.decoder, (k, n_raw_x, self.width.location), hidden[::-1], True
        )
        self.shared, self.of_posterior, self.of_prior = map(Shared, architecture.parameter_shapes)
        if layout is not None:
            check_layout(self.layout, layout)
        self.flat = bind(self._blocks, dtype, device, values, trained=values is None)

    @property
    def _blocks(self) -> list[Block]:
        return [self.encoder, self.decoder, self.shared, self.of_posterior, self.of_prior]

    def twin(self) -> Model:
        """Give a model that shares the parameters' memory, with gradients of its own."""
        twin = copy.copy(self)
        twin.encoder, twin.decoder = copy.copy(self.encoder), copy.copy(self.decoder)
        for name in ("shared", "of_posterior", "of_prior"):
            setattr(twin, name, copy.copy(getattr(self, name)))
        values = self.flat.values
        twin.flat = bind(twin._blocks, values.dtype, values.device, values)
        return twin

    def see(self, view: View) -> None:
        """Give the encoder the constants of its inputs."""
        like = self.flat.values
        for name, value in (("shift", view.input_shift), ("scale", view.input_scale)):
            setattr(self.encoder, name, None if value is None else as_tensor(value).to(like))

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
        """What user modules keep besides their parameters, by a name that says whose it is."""
        return {
            f"{side}.{name}": value
            for side, network in (("encoder", self.encoder), ("decoder", self.decoder))
            for name, value in network.buffers.items()
        }

    @property
    def layout(self) -> Layout:
        """Name and shape of each parameter in the order of the flat buffer, then of each buffer."""
        sides = {"encoder": self.encoder, "decoder": self.decoder}
        own = {"likelihood": self.shared, "posterior": self.of_posterior, "prior": self.of_prior}
        return [
            *(
                (f"{side} {name}", list(shape))
                for side, network in sides.items()
                for name, shape in zip(network.parameter_names, network.shapes, strict=True)
            ),
            *(
                (f"{owner} {i}", list(shape))
                for owner, shared in own.items()
                for i, shape in enumerate(shared.shapes)
            ),
            *(
                (
                    f"{'float' if value.is_floating_point() else 'other'} buffer {name}",
                    list(value.shape),
                )
                for name, value in self.buffers.items()
            ),
        ]

    @property
    def state(self) -> list[Tensor]:
        """All tensors that training changes."""
        return [self.flat.values, *self.buffers.values()]

    def train(self, mode: bool) -> None:
        """Put user modules in training or evaluation mode."""
        for network in self.networks:
            network.train(mode)

    def read_posterior(self, raw: Tensor, factor: Tensor | None = None) -> Any:
        """Posterior of rows, given the encoder's output.

        ``factor`` is what their gaps make of its noise, as in ``Batch``.
        """
        q = self.posterior(raw, self.n_components, self.of_posterior.params)
        return q if factor is None else q.stretched(factor)

    def posterior_mean(self, raw: Tensor) -> Tensor:
        """Posterior means alone, shape (rows, n_components)."""
        return self.posterior.mean(raw, self.n_components, self.of_posterior.params)

    def encode(self, inputs: Tensor, factor: Tensor | None = None) -> Any:
        """Posterior of rows, given their inputs of shape (rows, n_inputs)."""
        return self.read_posterior(self.encoder.evaluate(inputs), factor)

    def prior_density(self) -> Density:
        """P(z), with the current parameters."""
        surroundings = Surroundings(self.n_components, self.flat.values, self.encode)
        return self.prior.density(self.of_prior.params, surroundings)

    def mean(self, raw: Tensor) -> Tensor:
        """E[u|z], given the raw likelihood."""
        return self.likelihood.mean(raw, self.shared.params)

    def decode(self, z: Tensor) -> Tensor:
        """Raw likelihood of latents (..., n_components), shape (..., n_raw)."""
        raw = self.decoder.evaluate(z.reshape(-1, self.n_components))
        return raw.view(*z.shape[:-1], -1)

    def log_likelihood(self, z: Tensor, batch: Batch) -> Tensor:
        """Log p(x|z) of the targets, less the likelihood's constant, shape (draws, rows)."""
        raw = self.located(self.decode(z), batch)
        return self.likelihood.log_prob(raw, batch.target, batch.observed, self.shared.params)

    def located(self, raw: Tensor, batch: Batch) -> Tensor:
        """Raw likelihood with the rows' own offset in its location."""
        if batch.offset is None:
            return raw
        location, extra = raw.split(tuple(self.width), -1)
        return torch.cat([location + batch.offset, extra], -1)

    def draws(self, batch: Batch, eps: Tensor) -> Draws:
        """Pass rows through the model.

        ``eps`` of shape (draws, rows or 1, n_components) holds standard normal draws.
        """
        q = self.encode(batch.inputs, batch.factor)
        z = q.transform(eps)
        return Draws(q, self.prior_density(), z, self.log_likelihood(z, batch))

    def bound(self, batch: Batch, eps: Tensor, beta: Tensor | float) -> Tensor:
        """Objective of each row without the regulariser, shape (rows,)."""
        return self.objective.rows(self.draws(batch, eps), beta)

    def regularization(self, draws: Draws, batch: Batch, generator: torch.Generator) -> Tensor:
        """Penalty on the latents of these rows together, shape ()."""
        z = draws.z[0]
        if self.regularizer is None:
            return z.new_zeros(())
        share = torch.ones_like(z[:, 0]) if batch.weight is None else batch.weight
        latents = Aggregate(
            q=draws.q,
            prior=draws.prior,
            z=z,
            weight=share / share.sum(),
            generator=generator,
            inputs=batch.inputs,
            encode=lambda inputs: self.encode(inputs).mean,
            decode=lambda z: self.mean(self.decode(z)),
        )
        return self.regularizer.penalty(latents)

    def log_weights(self, batch: Batch, eps: Tensor) -> Tensor:
        """Log p(x, z) - log q(z|x) of the targets, with their constant, shape (draws, rows)."""
        draws = self.draws(batch, eps)
        log_p = draws.log_p + self.constant(batch)
        return log_p + draws.prior.log_prob(draws.z) - draws.q.log_prob(draws.z)

    def constant(self, batch: Batch) -> Any:
        """What no parameter moves of each row's log p(x|z): shape (rows,), or the number 0."""
        return log_constant(self.likelihood, batch.target, batch.observed)

    def log_evidence(self, batch: Batch, eps: Tensor) -> Tensor:
        """Importance-weighted log p(x) (Burda et al. 2015, eq. 8) in working units, (rows,).

        ``eps`` of shape (draws, 1, n_components) is shared by all rows.
        """
        return log_mean_exp(self.log_weights(batch, eps))
