"""The start of Hinton and Salakhutdinov (2006): Boltzmann machines, one per layer, unrolled.

A restricted Boltzmann machine of weights W and biases a, b has p(h = 1 | v) = logistic(W v + b) and
p(v = 1 | h) = logistic(W'h + a); the hidden units of the last one are linear with unit noise,
h | v = N(W v + b, 1). Each is trained on the hidden probabilities of the one below, by contrastive
divergence. Unrolled, the upward passes are the encoder, the downward ones the decoder.

scikit-learn's ``BernoulliRBM`` has persistent chains and neither momentum nor decay, which this
set-up has; so it is written here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from skvae.model import Architecture, Model
from skvae.starts._base import Start
from skvae.starts._prepared import Prepared
from skvae.starts._random import Random
from skvae.tables import Batch, Rows

# The set-up of the paper's supplement and published program.
_BATCH_SIZE = 100
_EPOCHS = 10
_RATE, _LINEAR_RATE = 0.1, 0.001
_MOMENTA, _FIRST_EPOCHS = (0.5, 0.9), 5
_DECAY = 2e-4
_SCALE = 0.1  # of the first weights

# Its 600 steps per epoch are many: a table of few rows takes more epochs, for this many steps.
_LEAST_STEPS = 2000


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A restricted Boltzmann machine.

    Attributes
    ----------
    weight : Tensor of shape (n_hidden, n_visible)
        W.
    visible, hidden : Tensor of shape (n_visible,) and (n_hidden,)
        Biases a and b.
    linear : bool
        Whether the hidden units are normal instead of zeros and ones.
    """

    weight: Tensor
    visible: Tensor
    hidden: Tensor
    linear: bool

    def up(self, v: Tensor) -> Tensor:
        """E[h | v]."""
        h = torch.addmm(self.hidden, v, self.weight.t())
        return h if self.linear else h.sigmoid()

    def down(self, h: Tensor) -> Tensor:
        """E[v | h]."""
        return torch.addmm(self.visible, h, self.weight).sigmoid()

    def draw(self, expected: Tensor, generator: torch.Generator) -> Tensor:
        """Draw hidden units, given their means."""
        if self.linear:
            noise = torch.randn(expected.shape, generator=generator, dtype=expected.dtype)
            return expected + noise.to(expected)
        uniform = torch.rand(expected.shape, generator=generator, dtype=expected.dtype)
        return (uniform.to(expected) < expected).to(expected)


def contrast(
    machine: Machine, v: Tensor, share: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes of weight and biases by one step of contrastive divergence (Hinton 2002).

    The means of h v', v and h under the rows, whose shares add up to 1, less those after one
    passage down from drawn hidden units, and up.
    """
    h = machine.up(v)
    v_after = machine.down(machine.draw(h, generator))
    h_after = machine.up(v_after)
    paired = (h * share).t() @ v - (h_after * share).t() @ v_after
    return paired, (share * (v - v_after)).sum(0), (share * (h - h_after)).sum(0)


def train_machine(
    below: Sequence[Machine],
    n_visible: int,
    n_hidden: int,
    linear: bool,
    rows: Rows,
    generator: torch.Generator,
) -> Machine:
    """Train one machine on what those ``below`` make of the rows."""
    like = rows.take(torch.zeros(1, dtype=torch.int64)).inputs
    shape = (n_hidden, n_visible)
    weight = _SCALE * torch.randn(shape, generator=generator, dtype=torch.float32).to(like)
    visible, hidden = like.new_zeros(n_visible), like.new_zeros(n_hidden)
    machine = Machine(weight=weight, visible=visible, hidden=hidden, linear=linear)
    trained = (weight, visible, hidden)
    velocities = [torch.zeros_like(tensor) for tensor in trained]
    rate = _LINEAR_RATE if linear else _RATE
    n_steps = -(-rows.n_samples // _BATCH_SIZE)
    for epoch in range(max(_EPOCHS, -(-_LEAST_STEPS // n_steps))):
        momentum = _MOMENTA[epoch >= _FIRST_EPOCHS]
        for index in rows.epoch(_BATCH_SIZE, generator):
            batch = rows.take(index)
            slopes = contrast(machine, upward(below, batch.inputs), _shares(batch), generator)
            slopes[0].sub_(weight, alpha=_DECAY)
            for tensor, velocity, slope in zip(trained, velocities, slopes, strict=True):
                tensor.add_(velocity.mul_(momentum).add_(slope, alpha=rate))
    return machine


def upward(machines: Sequence[Machine], v: Tensor) -> Tensor:
    """Pass rows up through a stack."""
    for machine in machines:
        v = machine.up(v)
    return v


def _shares(batch: Batch) -> Tensor:
    """Weights of a batch's rows that add up to 1, (rows, 1)."""
    weight = torch.ones_like(batch.inputs[:, 0]) if batch.weight is None else batch.weight
    return (weight / weight.sum())[:, None]


@torch.no_grad()
def unroll(model: Model, machines: Sequence[Machine]) -> None:
    """Write the stack into the networks, which have no linear paths."""
    encoder, decoder = model.encoder, model.decoder
    shift = encoder.shift  # the encoder sees the rows less this
    ups = [(m.weight, m.hidden) for m in machines]
    if shift is not None:
        ups[0] = (ups[0][0], ups[0][1] + ups[0][0] @ shift)
    downs = [(m.weight.t(), m.visible) for m in reversed(machines)]
    for network, layers in ((encoder, ups), (decoder, downs)):
        biases = [*network.hidden_biases, network.output_bias]
        for (weight, bias), (own, _), own_bias in zip(layers, network.weights, biases, strict=True):
            own.copy_(weight)
            own_bias.copy_(bias)


class BoltzmannMachines(Start):
    """Restricted Boltzmann machines, one per layer, unrolled: Hinton and Salakhutdinov (2006)."""

    linear_path = False

    def check(self, architecture: Architecture) -> None:
        """Raise ValueError if the networks cannot hold what the stack computes."""
        unsuited = {
            "activation='logistic'": architecture.activation == "logistic",
            "likelihood='bernoulli'": architecture.likelihood.of_probabilities,
            "hidden_layer_sizes of at least one layer": bool(architecture.hidden_layer_sizes),
            "encoder=None and decoder=None": not (architecture.encoder or architecture.decoder),
        }
        for remedy, suited in unsuited.items():
            if not suited:
                raise ValueError(
                    f"init='rbm' unrolls Boltzmann machines of units between 0 and 1, which needs "
                    f"{remedy}. Set it, or choose init='pca'."
                )

    def write(self, model: Model, prepared: Prepared, rows: Rows, seed: int) -> None:
        """Train the stack on the rows and write it into the model."""
        Random().write(model, prepared, rows, seed)
        architecture, generator = model.architecture, torch.Generator().manual_seed(seed)
        sizes = architecture.hidden_layer_sizes
        widths = [architecture.n_inputs, *sizes, architecture.n_components]
        machines: list[Machine] = []
        with torch.no_grad():
            for k, (below, above) in enumerate(itertools.pairwise(widths)):
                linear = k == len(sizes)
                machines.append(train_machine(machines, below, above, linear, rows, generator))
        unroll(model, machines)
