"""Activations: name -> (in-place map, pullback from input and output)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_aten = torch.ops.aten


class Activation(NamedTuple):
    """An elementwise nonlinearity.

    ``forward(x)`` is the definition, ``backward(dy, x, y)`` the gradient of the input; ``in_place``
    is given where the gradient needs the output alone, so that the input may be overwritten.
    """

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor], Tensor]
    in_place: Callable[[Tensor], Tensor] | None = None


ACTIVATIONS = {
    "relu": Activation(
        torch.relu, lambda dy, x, y: _aten.threshold_backward.default(dy, y, 0), torch.relu_
    ),
    "tanh": Activation(
        torch.tanh, lambda dy, x, y: _aten.tanh_backward.default(dy, y), torch.tanh_
    ),
    "logistic": Activation(
        torch.sigmoid, lambda dy, x, y: _aten.sigmoid_backward.default(dy, y), torch.sigmoid_
    ),
    "identity": Activation(lambda x: x, lambda dy, x, y: dy, lambda x: x),
    "silu": Activation(F.silu, lambda dy, x, y: _aten.silu_backward.default(dy, x)),
    "gelu": Activation(F.gelu, lambda dy, x, y: _aten.gelu_backward.default(dy, x)),
}
