"""A network: a linear path beside a nonlinear one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae._vjp import Pullback, shared_arrays
from skvae.nn._dense import MLP
from skvae.nn._module import Module

# A block of fewer rows is cheaper to convert than the first layer's weights are.
_FEW_ROWS = 256

# Means further from zero than this many scales cost a product over five bits.
_FAR = 32.0


class Network:
    """``raw = [(x - shift) A', 0] + f((x - shift) * scale)``.

    The linear path A reaches the first ``n_linear`` outputs. It is what PCA can be written into,
    so it sees the centred input as it is; only the nonlinear path f sees it scaled by feature.

    Parameters
    ----------
    nonlinear : MLP or Module
        The path f, from n_in to n_out.
    n_in : int
        Width of the input.
    n_linear : int
        Number of leading outputs that the linear path reaches.
    input_gradient : bool, default=True
        Whether the pullback gives the gradient of the input; an encoder has no use for it.

    Attributes
    ----------
    shift, scale : Tensor of shape (n_in,) or None
        Constants, not trained; None leaves the step out.
    """

    def __init__(
        self, nonlinear: MLP | Module, n_in: int, n_linear: int, input_gradient: bool = True
    ) -> None:
        self.nonlinear = nonlinear
        self.input_gradient = input_gradient
        self.shapes = [(n_linear, n_in), *nonlinear.shapes]
        self.n_linear = n_linear
        self.shift: Tensor | None = None
        self.scale: Tensor | None = None

    @property
    def is_written(self) -> bool:
        """Whether ``vjp`` exists."""
        return self.nonlinear.is_written

    def bind(self, params: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
        """Take the view of A and hand the nonlinear path its own."""
        self.linear = params[0]
        self.arrays, self.grad_arrays = shared_arrays(params[:1]), shared_arrays(grads[:1])
        self.nonlinear.bind(params[1:], grads[1:])

    def forward(self, x: Tensor) -> Tensor:
        """Map x of shape (rows, n_in) to (rows, n_out)."""
        centred, scaled = _inputs(x, self.shift, self.scale)
        raw = self.nonlinear.forward(scaled)
        linear = centred @ self.linear.t()
        if self.n_linear == raw.shape[1]:
            return raw + linear
        return torch.cat([raw[:, : self.n_linear] + linear, raw[:, self.n_linear :]], 1)

    def evaluate(self, x: Tensor) -> Tensor:
        """Map x like ``forward``, in NumPy where no gradient is asked for and it can be."""
        if torch.is_grad_enabled() or x.device.type != "cpu" or not self.is_written:
            return self.forward(x)
        with np.errstate(all="ignore"):
            return torch.from_numpy(self.vjp(x.numpy())[0])

    def evaluate_rows(self, X: Any, shift: np.ndarray, scale: float) -> np.ndarray | None:
        """Map rows (x - shift) / scale, given as X, dense or sparse, with no copy of X.

        All constants go into one product: with m the mean and c the scale of the nonlinear path,
        ((x - m) / scale) A' = x (A / scale)' - m (A / scale)', and with c W in A's place.

        Returns
        -------
        raw : ndarray of shape (rows, n_out) or None
            None where it would not pay, as the rows are fewer than the weights' own, or where the
            difference of two large products would lose digits: convert the rows instead.
        """
        far = np.abs(shift).max() > _FAR * scale
        if far or X.shape[0] < _FEW_ROWS or not self.is_written:
            return None
        (linear,) = self.arrays
        weight = self.nonlinear.first_weight  # type: ignore[union-attr]
        weight = linear[:0] if weight is None else weight
        mean = shift if self.shift is None else shift + self.shift.numpy() * scale
        if self.scale is not None:
            weight = weight * self.scale.numpy()
        with np.errstate(all="ignore"):
            first = np.concatenate([weight, linear]) / linear.dtype.type(scale)
            y = X @ first.T
            y -= (first @ mean).astype(y.dtype)
            raw = self.nonlinear.from_product(y[:, : len(weight)])  # type: ignore[union-attr]
            raw[:, : self.n_linear] += y[:, len(weight) :]
        return raw

    def vjp(self, x: np.ndarray) -> tuple[np.ndarray, Pullback]:
        """Map x and return the pullback, which is right where shift and scale are None.

        Both are constants of the encoder, whose input needs no gradient.
        """
        (linear,) = self.arrays
        constants = (None if c is None else c.numpy() for c in (self.shift, self.scale))
        centred, scaled = _inputs(x, *constants)
        raw, pull_nonlinear = self.nonlinear.vjp(scaled)  # type: ignore[union-attr]
        raw[:, : self.n_linear] += centred @ linear.T

        def pull(dy: np.ndarray) -> np.ndarray | None:
            # The nonlinear path may overwrite dy.
            d_path = dy[:, : self.n_linear]
            np.matmul(d_path.T, centred, out=self.grad_arrays[0])
            dx = d_path @ linear if self.input_gradient else None
            d_nonlinear = pull_nonlinear(dy)
            if dx is not None and d_nonlinear is not None:
                dx += d_nonlinear
            return dx

        return raw, pull


def _inputs(x: Any, shift: Any, scale: Any) -> tuple[Any, Any]:
    """What the linear and the nonlinear path see, as tensors or as arrays."""
    centred = x if shift is None else x - shift
    return centred, centred if scale is None else centred * scale
