"""Between NumPy and torch: the one place where an array becomes a tensor, or a tensor an array."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor


@functools.cache
def numpy_type(dtype: torch.dtype) -> np.dtype:
    """Give torch's type as NumPy's."""
    return torch.empty(0, dtype=dtype).numpy().dtype


def as_tensor(array: np.ndarray, dtype: torch.dtype | None = None) -> Tensor:
    """Give an array as a tensor, where it lies if torch can use it there.

    Read-only memory is copied, because torch has no such thing and warns: it is what
    ``joblib.load(mmap_mode="r")`` gives, and what joblib hands to its workers. So are negative
    strides, which torch does not have.
    """
    if not array.flags.writeable or min(array.strides, default=0) < 0:
        array = array.copy()
    tensor = torch.from_numpy(array)
    return tensor if dtype is None else tensor.to(dtype)


def as_numpy(value: Any, name: str = "X") -> Any:
    """Give a torch tensor, or a list of such, as NumPy arrays; the rest as it is.

    A sparse tensor becomes a SciPy matrix.

    The gradient is left behind, a tensor on a device is copied to the CPU, and types that NumPy
    does not have, such as bfloat16, become float32.

    Parameters
    ----------
    value : object
        What a user gave as rows, targets, weights or latents.
    name : str
        Its name in an error.

    Raises
    ------
    ValueError
        If the tensor has no values to read.
    """
    if isinstance(value, list | tuple) and len(value) and isinstance(value[0], Tensor):
        return [as_numpy(row, name) for row in value]
    if not isinstance(value, Tensor):
        return value
    try:
        tensor = value.detach()
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if tensor.layout is not torch.strided and tensor.ndim == 2:
            matrix = tensor.to_sparse_coo().coalesce().cpu()
            cells = (_dense(matrix.values()), tuple(matrix.indices().numpy()))
            return sparse.coo_array(cells, shape=tuple(matrix.shape)).tocsr()
        return _dense(tensor if tensor.layout is torch.strided else tensor.to_dense())
    except (NotImplementedError, RuntimeError, TypeError) as error:
        reason = str(error)[:200].splitlines()[0].rstrip(".")
        raise ValueError(
            f"{name} is a torch tensor whose values cannot be read as a NumPy array: "
            f"{reason}. Pass a dense tensor on the CPU, or an array."
        ) from error


def _dense(tensor: Tensor) -> np.ndarray:
    tensor = tensor.cpu().resolve_conj().resolve_neg()
    kept = not tensor.dtype.is_floating_point or tensor.dtype in (
        torch.float64,
        torch.float32,
        torch.float16,
    )
    return (tensor if kept else tensor.float()).numpy()
