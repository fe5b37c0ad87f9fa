"""Between NumPy and torch: the one place where an array becomes a tensor, or a tensor an array."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from skvae._core.compat import convert_to_numpy


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


def is_array_of_others(value: Any) -> bool:
    """Say whether a value is an array of another library than NumPy: a tensor, or CuPy's."""
    if isinstance(value, Tensor):
        return True
    return hasattr(value, "__array_namespace__") and not isinstance(value, np.ndarray | np.generic)


def as_numpy(value: Any, name: str = "X") -> Any:
    """Give an array of another library, or a list of tensors, as NumPy arrays; the rest as it is.

    A sparse tensor becomes a SciPy matrix.

    Memory of the CPU is shared, that of a device is copied. The gradient is left behind, and types
    that NumPy does not have, such as bfloat16, become float32.

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
        return _shared(value) if is_array_of_others(value) else value
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


def default_names(n_features: int) -> list[str]:
    """Names of features that have none, as in scikit-learn."""
    return [f"x{j}" for j in range(n_features)]


def _shared(array: Any) -> np.ndarray:
    """Values of an array by the DLPack protocol; as its library gives them, where that fails."""
    try:
        return np.from_dlpack(array, device="cpu")
    # What scikit-learn's move_to expects of libraries with older protocols, or another device.
    except (AttributeError, BufferError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return convert_to_numpy(array)


def _dense(tensor: Tensor) -> np.ndarray:
    tensor = tensor.cpu().resolve_conj().resolve_neg()
    kept = not tensor.dtype.is_floating_point or tensor.dtype in (
        torch.float64,
        torch.float32,
        torch.float16,
    )
    return (tensor if kept else tensor.float()).numpy()
