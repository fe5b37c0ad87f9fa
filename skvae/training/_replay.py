"""A function on a CUDA device, captured as a graph and replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

# Calls before the capture, which torch asks for: kernels are chosen and memory is allocated.
_WARM_UPS = 3


class Replayed:
    """A function of tensors whose kernels are launched in one call from the second time on.

    There is one graph per set of shapes. The function must not read a number back to the host, and
    what it changes must be listed.

    Parameters
    ----------
    function : callable
        Takes CUDA tensors and returns one.
    state : sequence of Tensor
        All tensors that the function changes. A capture runs it several times and puts them back.
    """

    def __init__(self, function: Callable[..., Any], state: Sequence[Tensor]) -> None:
        self.function, self.state = function, state
        self.graphs: dict[tuple[torch.Size, ...], tuple[torch.cuda.CUDAGraph, list, Tensor]] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Give the function's value and apply its effects, without waiting for either."""
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes not in self.graphs:
            self.graphs[shapes] = self._capture(inputs)
        graph, fixed, output = self.graphs[shapes]
        for place, tensor in zip(fixed, inputs, strict=True):
            place.copy_(tensor)
        graph.replay()
        return output.clone()

    def _capture(self, inputs: Sequence[Tensor]) -> tuple[torch.cuda.CUDAGraph, list, Tensor]:
        fixed = [tensor.clone() for tensor in inputs]
        before = [tensor.clone() for tensor in self.state]
        with torch.cuda.device(fixed[0].device):
            present, aside = torch.cuda.current_stream(), torch.cuda.Stream()
            aside.wait_stream(present)
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UPS):
                    self.function(*fixed)
            present.wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                output = self.function(*fixed)
        for tensor, value in zip(self.state, before, strict=True):
            tensor.copy_(value)
        return graph, fixed, output
