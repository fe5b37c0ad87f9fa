"""The network of dense layers, with its pullback written out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from skvae._core.flat import Pullback, shared_arrays
from skvae.nn._activations import ACTIVATIONS
from skvae.nn._network import Network
from skvae.nn._sparse import SparseInput

# A block of fewer rows than this is cheaper to convert than the first layer's weights.
_FEW_ROWS = 256

# Means further from zero than this many scales cost a product more than five bits.
_FAR = 32.0


class DenseNetwork(Network):
    """Hidden layers with one activation, and an output layer that may see the input, too.

    A layer's bias is the last column of its weights, which multiplies a one beside its input. The
    output layer is [A, b, W], of shape (n_out, n_in + 1 + width), and multiplies [x, 1, h]: the
    linear path, the bias and the last hidden layer h are thus one product, and so are their
    gradients.
    Without hidden layers it is [A, b], an affine map; without a linear path it is [b, W].

    Parameters
    ----------
    n_in, n_out : int
        Widths of input and output.
    n_linear : int
        Number of leading outputs that the linear path reaches; in the rows of the others A is zero.
        With 0 there is no such path.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers.
    activation : str
        A key of ``ACTIVATIONS``.
    input_gradient : bool, default=True
        Whether the pullback gives the gradient of the input; an encoder has no use for it.
    """

    is_written = True

    def __init__(
        self,
        n_in: int,
        n_out: int,
        n_linear: int,
        hidden_layer_sizes: Sequence[int],
        activation: str,
        input_gradient: bool = True,
    ) -> None:
        super().__init__(n_in, n_out, n_linear)
        widths = [n_in, *hidden_layer_sizes]
        self.last_width = sum(hidden_layer_sizes[-1:])
        self.shapes = [(b, a + 1) for a, b in zip(widths, hidden_layer_sizes, strict=False)]
        # Columns of A in the output layer.
        self.n_seen = n_in if n_linear else 0
        self.shapes.append((n_out, self.n_seen + 1 + self.last_width))
        self.activation = ACTIVATIONS[activation]
        self.input_gradient = input_gradient

    def bind(self, params: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
        """Take the views of each layer's weights, the output layer's last."""
        self.params, self.grads = params, grads
        self.arrays, self.grad_arrays = shared_arrays(params), shared_arrays(grads)

    @property
    def linear(self) -> Tensor:
        """A, of shape (n_linear, n_in), to be read and written."""
        return self.params[-1].detach()[: self.n_linear, : self.n_seen]

    @property
    def output_bias(self) -> Tensor:
        """Bias b of shape (n_out,), to be read and written."""
        return self.params[-1].detach()[:, self.n_seen]

    @property
    def hidden_biases(self) -> list[Tensor]:
        """Bias of each hidden layer, to be read and written."""
        return [block.detach()[:, -1] for block in self.params[:-1]]

    @property
    def weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weights of the nonlinear path with their gradients: what ``alpha`` decays."""
        *hidden, output = zip(self.params, self.grads, strict=True)
        last = slice(self.n_seen + 1, None)
        return [(w[:, :-1], d[:, :-1]) for w, d in hidden] + [
            (output[0][:, last], output[1][:, last])
        ]

    @torch.no_grad()
    def start(self, generator: torch.Generator, zero_output: bool) -> None:
        """Draw the weights as in Glorot and Bengio (2010), eq. 16; the rest is zero."""
        for block in self.params:
            block.zero_()
        for weight, _ in self.weights[: -1 if zero_output else None]:
            if weight.numel():
                draw_glorot(weight, generator)

    def forward(self, x: Tensor, drop: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Map x of shape (rows, n_in) to (rows, n_out); ``drop`` alters each hidden layer."""
        x = self._input(x)
        return self._forward(x[:, :0], lambda weight: x @ weight.t(), drop)

    def forward_sparse(
        self, x: SparseInput, drop: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Map sparse rows, shifted and scaled already, in the same way."""
        return self._forward(self.params[-1].new_empty(len(x), 0), x.product, drop)

    def _forward(
        self,
        h: Tensor,
        product: Callable[[Tensor], Tensor],
        drop: Callable[[Tensor], Tensor] | None,
    ) -> Tensor:
        """Map rows of which only the products with weights are asked for; h has no column."""
        *hidden, output = self.params
        for k, block in enumerate(hidden):
            weight, bias = block[:, :-1], block[:, -1]
            h = product(weight) + bias if k == 0 else F.linear(h, weight, bias)
            h = self.activation.forward(h)
            h = h if drop is None else drop(h)
        raw = F.linear(h, output[:, self.n_seen + 1 :], output[:, self.n_seen])
        if not self.n_linear:
            return raw
        linear = product(output[: self.n_linear, : self.n_in])
        if self.n_linear == self.n_out:
            return raw + linear
        return torch.cat([raw[:, : self.n_linear] + linear, raw[:, self.n_linear :]], 1)

    def vjp(self, x: np.ndarray) -> tuple[np.ndarray, Pullback]:
        """Map x and return the pullback.

        Inside, rows are columns: a part of [x, 1, h] is then contiguous, and loops over it are
        twice as fast.
        """
        *hidden, output = self.arrays
        d, n, n_seen = self.n_in, len(x), self.n_seen
        joint = _with_ones(d, self.last_width, x)
        self._write_input(x.T, joint[:d])
        below, layers = joint[: d + 1], []
        for k, block in enumerate(hidden):
            last = k == len(hidden) - 1
            above = joint if last else _with_ones(len(block), 0, x)
            y = joint[d + 1 :] if last else above[:-1]
            np.matmul(block, below, out=y)
            layers.append((below, self.activation.written(y)))
            below = above
        seen = joint[d - n_seen :]

        def pull(dy: np.ndarray) -> np.ndarray | None:
            *d_hidden, d_output = self.grad_arrays
            np.matmul(dy.T, seen.T, out=d_output)
            if self.n_linear < self.n_out:
                d_output[self.n_linear :, :n_seen] = 0.0
            d_seen = (output if self.input_gradient else output[:, n_seen + 1 :]).T @ dy.T
            d_below = d_seen[n_seen + 1 :] if self.input_gradient else d_seen
            for k in reversed(range(len(hidden))):
                below, kept = layers[k]
                self.activation.pullback(d_below, kept)
                np.matmul(d_below, below.T, out=d_hidden[k])
                if k > 0 or self.input_gradient:
                    d_below = hidden[k][:, :-1].T @ d_below
            if not self.input_gradient:
                return None
            dx = np.empty((n, d), x.dtype)
            dx[...] = d_seen[:n_seen].T if n_seen else 0.0
            if hidden:
                dx += d_below.T
            return dx

        return seen.T @ output.T, pull

    def _write_input(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write the input, of shape (n_in, rows), shifted and scaled."""
        if self.shift is not None:
            x = np.subtract(x, self.shift.numpy()[:, None], out=out)
        if self.scale is not None:
            np.multiply(x, self.scale.numpy()[:, None], out=out)
        elif x is not out:
            out[...] = x

    def evaluate_rows(self, X: Any, shift: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
        """Map rows (x - shift) / scale, given as X, dense or sparse, with no copy of X.

        All constants go into one product: with m the mean and c the network's own scale, c (x - m)
        / scale A' = x (c A / scale)' - m (c A / scale)', and likewise for the first layer. None if
        it would not pay, because there are fewer rows than the weights have, or if the difference
        of two large products would lose digits.
        """
        if X.shape[0] < _FEW_ROWS or (np.abs(shift) > _FAR * scale).any():
            return None
        *hidden, output = self.arrays
        d = self.n_in
        readers = (*hidden[:1], output[: self.n_linear])
        first = np.concatenate([block[:, :d] for block in readers if len(block)])
        if self.scale is not None:
            first *= self.scale.numpy()
        first /= scale.astype(first.dtype)
        mean = shift if self.shift is None else shift + self.shift.numpy() * scale
        with np.errstate(all="ignore"):
            y = X @ first.T
            constant = -(first @ mean)
            if hidden:
                constant[: len(hidden[0])] += hidden[0][:, -1]
            y += constant.astype(y.dtype)
            h, along = np.split(y, [y.shape[1] - self.n_linear], axis=1)
            for k, block in enumerate(hidden):
                if k > 0:
                    h = h @ block[:, :-1].T
                    h += block[:, -1]
                self.activation.written(h)
            raw = h @ output[:, self.n_seen + 1 :].T
            raw += output[:, self.n_seen]
            raw[:, : self.n_linear] += along
        return raw


@torch.no_grad()
def draw_glorot(weight: Tensor, generator: torch.Generator) -> None:
    """Draw weights of shape (n_out, n_in) as in Glorot and Bengio (2010), eq. 16."""
    bound = math.sqrt(6.0 / sum(weight.shape))
    draws = torch.rand(weight.shape, generator=generator, dtype=torch.float64)
    weight.copy_(draws.mul_(2.0).sub_(1.0).mul_(bound))


def _with_ones(before: int, after: int, x: np.ndarray) -> np.ndarray:
    """Make room for ``before`` features of each row of x, a one, and ``after`` features."""
    array = np.empty((before + 1 + after, len(x)), x.dtype)
    array[before] = 1.0
    return array
