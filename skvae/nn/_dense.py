"""Dense layers and stacks of them, with written-out pullbacks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from skvae._vjp import Pullback, shared_arrays
from skvae.nn._activations import ACTIVATIONS


class Dense:
    """``y = activation(x W' + b)``.

    Parameters
    ----------
    n_in, n_out : int
        Widths; W has shape (n_out, n_in).
    activation : str
        A key of ``ACTIVATIONS``.
    input_gradient : bool, default=True
        Whether the pullback computes the gradient of the input; the first layer of an encoder
        has no use for it and saves a matrix product.
    """

    def __init__(self, n_in: int, n_out: int, activation: str, input_gradient: bool = True) -> None:
        self.shapes = [(n_out, n_in), (n_out,)]
        self.activation = ACTIVATIONS[activation]
        self.input_gradient = input_gradient

    def bind(self, params: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
        """Take the views of W and b."""
        self.weight, self.bias = params
        self.grads = grads
        self.arrays, self.grad_arrays = shared_arrays(params), shared_arrays(grads)

    def start(self, generator: torch.Generator) -> None:
        """Draw W by Glorot and Bengio (2010), eq. 16, and set b to zero."""
        n_out, n_in = self.weight.shape
        bound = math.sqrt(6.0 / (n_in + n_out))
        draws = torch.rand(n_out, n_in, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            self.weight.copy_(draws.mul_(2.0).sub_(1.0).mul_(bound))
            self.bias.zero_()

    def zero(self) -> None:
        """Make the layer's output zero, whatever its input."""
        with torch.no_grad():
            self.weight.zero_()
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Map x of shape (rows, n_in) to (rows, n_out)."""
        return self.activation.forward(F.linear(x, self.weight, self.bias))

    def vjp(self, x: np.ndarray) -> tuple[np.ndarray, Pullback]:
        """Map x and return the pullback."""
        weight = self.arrays[0]
        y, kept = self.from_product(x @ weight.T)

        def pull(dy: np.ndarray) -> np.ndarray | None:
            d_weight, d_bias = self.grad_arrays
            dy = self.activation.pullback(dy, kept)
            np.matmul(dy.T, x, out=d_weight)
            np.add.reduce(dy, 0, out=d_bias)
            return dy @ weight if self.input_gradient else None

        return y, pull

    def from_product(self, y: np.ndarray) -> tuple[np.ndarray, Any]:
        """Go on from x W', overwritten, to the output and what the activation's pullback needs."""
        y += self.arrays[1]
        return self.activation.written(y)


class MLP:
    """Dense layers in a row: hidden ones with an activation, the last one affine.

    Without hidden layers it is a constant, the bias of the output: the linear path beside it then
    makes the network affine with no parameter said twice.

    Parameters
    ----------
    n_in : int
        Width of the input.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers.
    n_out : int
        Width of the output.
    activation : str
        Activation of the hidden layers.
    input_gradient : bool, default=True
        As in ``Dense``, for the first layer.
    """

    is_written = True

    def __init__(
        self,
        n_in: int,
        hidden_layer_sizes: Sequence[int],
        n_out: int,
        activation: str,
        input_gradient: bool = True,
    ) -> None:
        sizes = [n_in, *hidden_layer_sizes]
        self.layers = [
            Dense(a, b, activation, input_gradient or k > 0)
            for k, (a, b) in enumerate(itertools.pairwise(sizes))
        ]
        last = Dense(sizes[-1], n_out, "identity") if self.layers else Constant(n_out)
        self.layers.append(last)  # type: ignore[arg-type]
        self.shapes = [shape for layer in self.layers for shape in layer.shapes]

    @property
    def weights(self) -> list[tuple[Tensor, Tensor]]:
        """Each weight matrix with its gradient: what ``alpha`` decays."""
        return [(layer.weight, layer.grads[0]) for layer in self.layers if len(layer.shapes) == 2]

    @property
    def output_bias(self) -> Tensor:
        """Bias of the last layer, shape (n_out,)."""
        return self.layers[-1].bias

    @property
    def buffers(self) -> dict[str, Tensor]:
        """Nothing is kept beside the parameters."""
        return {}

    def train(self, mode: bool) -> None:
        """Training and evaluation are the same."""

    def bind(self, params: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
        """Hand each layer its views."""
        at = 0
        for layer in self.layers:
            stop = at + len(layer.shapes)
            layer.bind(params[at:stop], grads[at:stop])
            at = stop

    def start(self, generator: torch.Generator, zero_output: bool) -> None:
        """Draw the layers; with ``zero_output`` the last one starts at zero."""
        for layer in self.layers:
            layer.start(generator)
        if zero_output:
            self.layers[-1].zero()

    def forward(self, x: Tensor) -> Tensor:
        """Map x of shape (rows, n_in) to (rows, n_out)."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    @property
    def first_weight(self) -> np.ndarray | None:
        """The first layer's W, None for a constant."""
        return self.layers[0].arrays[0] if len(self.shapes) > 1 else None

    def from_product(self, y: np.ndarray) -> np.ndarray:
        """Go on from the first layer's product x W', of shape (rows, any) for a constant."""
        first, *others = self.layers
        y, _ = first.from_product(y)
        for layer in others:
            y, _ = layer.vjp(y)
        return y

    def vjp(self, x: np.ndarray) -> tuple[np.ndarray, Pullback]:
        """Map x and return the pullback."""
        pulls = []
        for layer in self.layers:
            x, pull = layer.vjp(x)
            pulls.append(pull)

        def pull_all(d: Any) -> np.ndarray | None:
            for pull in reversed(pulls):
                d = pull(d)
            return d

        return x, pull_all


class Constant:
    """``y = b`` for every row: an MLP with nothing between input and output.

    Parameters
    ----------
    n_out : int
        Width of the output.
    """

    def __init__(self, n_out: int) -> None:
        self.shapes = [(n_out,)]

    def bind(self, params: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
        """Take the view of b."""
        (self.bias,) = params
        self.arrays, self.grad_arrays = shared_arrays(params), shared_arrays(grads)

    def start(self, generator: torch.Generator) -> None:
        """Set b to zero; nothing is drawn."""
        self.zero()

    def zero(self) -> None:
        """Set b to zero."""
        with torch.no_grad():
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Repeat b for every row of x."""
        return self.bias.expand(len(x), -1)

    def vjp(self, x: np.ndarray) -> tuple[np.ndarray, Pullback]:
        """Repeat b, in memory of its own, and return the pullback."""

        def pull(dy: np.ndarray) -> None:
            np.add.reduce(dy, 0, out=self.grad_arrays[0])

        return self.from_product(x)[0], pull

    def from_product(self, y: np.ndarray) -> tuple[np.ndarray, None]:
        """Repeat b for every row of y."""
        return np.tile(self.arrays[0], (len(y), 1)), None
