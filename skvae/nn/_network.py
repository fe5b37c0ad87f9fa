"""What every network is: a linear path beside a nonlinear one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae._core.arrays import as_tensor
from skvae._core.flat import Pullback, Shape


class Network(ABC):
    """``raw = [x A', 0] + b + f(x)`` with ``x = (input - shift) * scale``.

    The linear path A reaches the first ``n_linear`` outputs, and with 0 there is none. It is what
    PCA can be written into.

    Parameters
    ----------
    n_in, n_out : int
        Widths of input and output.
    n_linear : int
        Number of leading outputs that the linear path reaches.

    Attributes
    ----------
    shift, scale : Tensor of shape (n_in,) or None
        Constants, not trained; None leaves the step out. Only an encoder has them, whose input
        needs no gradient.
    """

    is_written = False
    shapes: list[Shape]

    def __init__(self, n_in: int, n_out: int, n_linear: int) -> None:
        self.n_in, self.n_out, self.n_linear = n_in, n_out, n_linear
        self.shift: Tensor | None = None
        self.scale: Tensor | None = None

    @property
    @abstractmethod
    def linear(self) -> Tensor:
        """A, of shape (n_linear, n_in), to be read and written."""

    @property
    @abstractmethod
    def output_bias(self) -> Tensor:
        """Bias b of shape (n_out,), to be read and written."""

    @property
    @abstractmethod
    def weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weights of the nonlinear path with their gradients: what ``alpha`` decays."""

    @property
    def hidden_biases(self) -> list[Tensor]:
        """Bias of each hidden layer; empty if there is none."""
        return []

    @property
    def buffers(self) -> dict[str, Tensor]:
        """What is kept besides the parameters, such as running means."""
        return {}

    @property
    def draws(self) -> bool:
        """Whether training draws numbers by torch's global generator."""
        return False

    @property
    def parameter_names(self) -> list[str]:
        """Name of each parameter, in the order of ``shapes``."""
        return [str(i) for i in range(len(self.shapes))]

    def train(self, mode: bool) -> None:  # noqa: B027, most networks are the same in both
        """Switch to training or evaluation."""

    @abstractmethod
    def bind(self, params: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
        """Take views of the flat buffers, one per shape in ``shapes``."""

    @abstractmethod
    def start(self, generator: torch.Generator, zero_output: bool) -> None:
        """Draw the nonlinear path, silent with ``zero_output``; A and b start at zero."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map x of shape (rows, n_in) to (rows, n_out), in plain torch."""

    def vjp(self, x: np.ndarray) -> tuple[np.ndarray, Pullback]:
        """Map x and return the pullback; only if ``is_written``."""
        raise NotImplementedError

    def evaluate(self, x: Tensor) -> Tensor:
        """Map x like ``forward``, in NumPy if possible and no gradient is asked for."""
        if torch.is_grad_enabled() or x.device.type != "cpu" or not self.is_written:
            return self.forward(x)
        with np.errstate(all="ignore"):
            return as_tensor(self.vjp(x.numpy())[0])

    def evaluate_rows(self, X: Any, shift: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
        """Map rows (x - shift) / scale, given as X; None if converting them first is better."""
        return None

    def _input(self, x: Tensor) -> Tensor:
        x = x if self.shift is None else x - self.shift
        return x if self.scale is None else x * self.scale
