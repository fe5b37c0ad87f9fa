"""Blocks, their pullbacks, and the one flat buffer that holds their parameters.

A block is *defined* by ``forward(x)``, plain torch that autograd can differentiate on any device.
A block that most models use also states its pullback, in NumPy: ``y, pull = block.vjp(x)``, where
``dx = pull(dy)`` writes the gradients of the parameters to the flat buffer and returns the gradient
of the input. On the CPU both see the same memory. It is NumPy because a step on a table is some
sixty operations on a few thousand numbers each: there a call costs more than its arithmetic, and
NumPy's calls cost less than torch's.

A pullback writes rather than adds, because a step uses each block once, and it may overwrite ``dy``
and what the forward pass left. A test holds each against autograd.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

# Takes the gradient of the output, gives that of the input, or None if nobody asks for it.
Pullback = Callable[[np.ndarray], Any]
Shape = tuple[int, ...]

# 64 bytes of float32: every view starts on a cache line, where BLAS and SIMD loads want it.
_ALIGNMENT = 16


class Block(Protocol):
    """What maps an input to an output, with parameters that live in a flat buffer."""

    @property
    def shapes(self) -> Sequence[Shape]:
        """Shapes of the parameters."""

    def bind(self, params: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
        """Take views of the flat buffers, one per shape in ``shapes``."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, in plain torch."""


def shared_arrays(tensors: Iterable[Tensor]) -> list[Any]:
    """Arrays in the memory of ``tensors``; None for each on a device, where none is used."""
    return [(t.detach() if t.requires_grad else t).numpy() if t.is_cpu else None for t in tensors]


class FlatParameters:
    """One tensor for all parameters and one for all gradients, with a view of each per shape.

    The views are autograd leaves whose ``.grad`` is a view of ``grads``: ``backward`` and the
    written-out pullbacks write to the same place.

    Parameters
    ----------
    shapes : iterable of tuples
        One shape per parameter.
    dtype : torch.dtype
        Type of both buffers.
    device : torch.device or str, default="cpu"
        Device of both buffers.
    values : Tensor of shape (n_parameters,), optional
        Values to use in place, without a copy.
    trained : bool, default=True
        Whether there are gradients.

    Raises
    ------
    ValueError
        If ``values`` has another length than the shapes ask for.

    Attributes
    ----------
    values, grads : Tensor of shape (n_parameters,)
        The buffers, each view padded to a multiple of 16 entries; the padding stays zero.
    views, grad_views : list of Tensor
        The parameters and their gradients in the order of ``shapes``.
    """

    def __init__(
        self,
        shapes: Iterable[Shape],
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
        values: Tensor | None = None,
        trained: bool = True,
    ) -> None:
        shapes = list(shapes)
        sizes = [math.prod(shape) for shape in shapes]
        steps = [-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes]
        if values is None:
            values = torch.zeros(sum(steps), dtype=dtype, device=device)
        _check_length(values, sum(steps))
        self.values = values
        self.grads = torch.zeros_like(self.values) if trained else self.values.new_zeros(0)
        self.views: list[Tensor] = []
        self.grad_views: list[Tensor] = []
        array = None if trained else shared_arrays([self.values])[0]
        start = 0
        for shape, size, step in zip(shapes, sizes, steps, strict=True):
            part = slice(start, start + size)
            if array is None:
                view = self.values[part].view(shape).detach()
            else:  # one call of torch in place of three
                view = torch.from_numpy(array[part].reshape(shape))
            if trained:
                grad = self.grads[part].view(shape)
                view.requires_grad_().grad = grad
                self.grad_views.append(grad)
            self.views.append(view)
            start += step

    def load(self, values: Tensor) -> None:
        """Copy fitted values; ValueError where they have another length."""
        _check_length(values, len(self.values))
        self.values.copy_(values)


def _check_length(values: Tensor, length: int) -> None:
    if tuple(values.shape) != (length,):
        raise ValueError(
            f"The fitted parameters have the shape {tuple(values.shape)}, but the model's are of "
            f"shape ({length},): it is not the one that was fitted. Load it with the code that "
            f"fitted it, or fit it anew."
        )


def bind(
    blocks: Sequence[Block],
    dtype: torch.dtype,
    device: torch.device | str,
    values: Tensor | None = None,
    trained: bool = True,
) -> FlatParameters:
    """Lay the parameters of ``blocks`` out in one flat buffer and hand each its views."""
    shapes = [shape for block in blocks for shape in block.shapes]
    flat = FlatParameters(shapes, dtype, device, values, trained)
    start = 0
    for block in blocks:
        stop = start + len(block.shapes)
        block.bind(flat.views[start:stop], flat.grad_views[start:stop])
        start = stop
    return flat
