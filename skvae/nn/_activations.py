"""Activations: a definition in torch, and the same in NumPy with its pullback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import ndtr
from torch import Tensor

from skvae._math import logistic


class Activation(NamedTuple):
    """An elementwise nonlinearity.

    ``forward(x)`` is the definition. ``written(x)`` is the same for arrays, which may overwrite x
    and returns the output and what ``pullback(dy, kept)`` needs; that may overwrite both.
    """

    forward: Callable[[Tensor], Tensor]
    written: Callable[[np.ndarray], tuple[np.ndarray, Any]]
    pullback: Callable[[np.ndarray, Any], np.ndarray]


def _relu(x: np.ndarray) -> tuple[np.ndarray, Any]:
    y = np.maximum(x, 0.0, out=x)
    return y, y


def _relu_pullback(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    dy *= y > 0.0
    return dy


def _tanh(x: np.ndarray) -> tuple[np.ndarray, Any]:
    y = np.tanh(x, out=x)
    return y, y


def _tanh_pullback(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    dy *= 1.0 - y * y
    return dy


def _logistic(x: np.ndarray) -> tuple[np.ndarray, Any]:
    y = logistic(x)
    return y, y


def _logistic_pullback(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    dy *= y - y * y
    return dy


def _silu(x: np.ndarray) -> tuple[np.ndarray, Any]:
    s = logistic(x)
    y = x * s
    return y, (s, y)


def _silu_pullback(dy: np.ndarray, kept: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    s, y = kept
    dy *= s + y - s * y
    return dy


def _gelu(x: np.ndarray) -> tuple[np.ndarray, Any]:
    share = ndtr(x)
    return x * share, (x, share)


def _gelu_pullback(dy: np.ndarray, kept: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    x, share = kept
    dy *= share + x * np.exp(-0.5 * x * x) * (2.0 * np.pi) ** -0.5
    return dy


ACTIVATIONS = {
    "relu": Activation(torch.relu, _relu, _relu_pullback),
    "tanh": Activation(torch.tanh, _tanh, _tanh_pullback),
    "logistic": Activation(torch.sigmoid, _logistic, _logistic_pullback),
    "identity": Activation(lambda x: x, lambda x: (x, None), lambda dy, kept: dy),
    "silu": Activation(F.silu, _silu, _silu_pullback),
    "gelu": Activation(F.gelu, _gelu, _gelu_pullback),
}
