"""Operators of torch that ONNX lacks, by those that it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from skvae._core.math import LOG_2PI

# Stirling's series is taken so far to the right of its argument, where five terms are exact.
_STEPS = 8
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)


def log_gamma(x: Tensor) -> Tensor:
    """Log of the gamma function of x > 0, by lgamma(x) = lgamma(x + 8) - log(x ... (x + 7)).

    The former is Stirling's series (Abramowitz and Stegun 1964, 6.1.41), whose error is below 1e-12
    there. It is taken in float64, because the difference cancels.
    """
    y = x.double()
    product = y
    for step in range(1, _STEPS):
        product = product * (y + step)
    far = y + _STEPS
    inverse = far.reciprocal()
    series = torch.zeros_like(far)
    for term in reversed(_STIRLING):
        series = series * inverse.square() + term
    total = (far - 0.5) * far.log() - far + 0.5 * LOG_2PI + series * inverse - product.log()
    return total.to(x.dtype)


def solve_lower(factor: Tensor, right: Tensor, *, upper: bool = False) -> Tensor:
    """Solve L Y = B for lower triangles L (..., k, k) and B (..., k, n), row by row."""
    assert not upper
    rows: list[Tensor] = []
    for i in range(factor.shape[-1]):
        row = right[..., i : i + 1, :]
        if rows:
            row = row - factor[..., i : i + 1, :i] @ torch.cat(rows, -2)
        # B may be one matrix for all L.
        rows.append(row / factor[..., i : i + 1, i : i + 1])
    return torch.cat(rows, -2)


def cholesky(matrices: Tensor) -> Tensor:
    """Lower triangles L with L L' the positive definite matrices (..., k, k), column by column."""
    rest, columns = matrices, []
    for j in range(matrices.shape[-1]):
        column = rest[..., j : j + 1] / rest[..., j : j + 1, j : j + 1].sqrt()
        rest = rest - column @ column.mT
        columns.append(column)
    return torch.tril(torch.cat(columns, -1))


def find(knots: Tensor, places: Tensor, *, right: bool = False) -> Tensor:
    """Number of ascending knots (..., n) below each place (..., m), or not above it."""
    one, other = places.unsqueeze(-1), knots.unsqueeze(-2)
    return ((one >= other) if right else (one > other)).sum(-1)


def clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Move values within limits, by comparisons.

    Of two Clip of one value onnxscript's optimiser gives the limits one name, and drops both.
    """
    x = x if min is None else torch.where(x < min, min, x)
    return x if max is None else torch.where(x > max, max, x)


#: By the functions of torch that are replaced.
_REPLACED: dict[Any, Callable[..., Any]] = {
    torch.clamp: clamp,
    torch.Tensor.clamp: clamp,
    torch.clip: clamp,
    torch.Tensor.clip: clamp,
    torch.lgamma: log_gamma,
    torch.Tensor.lgamma: log_gamma,
    torch.linalg.solve_triangular: solve_lower,
    torch.searchsorted: find,
}


class OperatorsOfOnnx(TorchFunctionMode):
    """Inside the context no function is called that ONNX has no operators for."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _REPLACED.get(func, func)(*args, **(kwargs or {}))
