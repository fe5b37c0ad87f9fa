"""Activations: a definition in torch, and the same in NumPy with its pullback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import ndtr
from torch import Tensor

from skvae._core.math import logistic


class Activation(NamedTuple):
    """An elementwise nonlinearity.

    ``forward(x)`` is the definition. ``written(x)`` overwrites an array with the output and gives
    what ``pullback(dy, kept)`` needs, which overwrites dy with the input's gradient.
    """

    forward: Callable[[Tensor], Tensor]
    written: Callable[[np.ndarray], Any]
    pullback: Callable[[np.ndarray, Any], Any]


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0, out=x)


def _relu_pullback(dy: np.ndarray, y: np.ndarray) -> None:
    dy *= y > 0.0


def _tanh(x: np.ndarray) -> np.ndarray:
    return np.tanh(x, out=x)


def _tanh_pullback(dy: np.ndarray, y: np.ndarray) -> None:
    dy *= 1.0 - y * y


def _logistic(x: np.ndarray) -> np.ndarray:
    return logistic(x, out=x)


def _logistic_pullback(dy: np.ndarray, y: np.ndarray) -> None:
    dy *= y - y * y


def _silu(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    s = logistic(x)
    x *= s
    return s, x


def _silu_pullback(dy: np.ndarray, kept: tuple[np.ndarray, np.ndarray]) -> None:
    s, y = kept
    dy *= s + y - s * y


def _gelu(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    before, share = x.copy(), ndtr(x)
    x *= share
    return before, share


def _gelu_pullback(dy: np.ndarray, kept: tuple[np.ndarray, np.ndarray]) -> None:
    x, share = kept
    dy *= share + x * np.exp(-0.5 * x * x) * (2.0 * np.pi) ** -0.5


ACTIVATIONS = {
    "relu": Activation(torch.relu, _relu, _relu_pullback),
    "tanh": Activation(torch.tanh, _tanh, _tanh_pullback),
    "logistic": Activation(torch.sigmoid, _logistic, _logistic_pullback),
    "identity": Activation(lambda x: x, lambda x: None, lambda dy, kept: None),
    "silu": Activation(F.silu, _silu, _silu_pullback),
    "gelu": Activation(F.gelu, _gelu, _gelu_pullback),
}
