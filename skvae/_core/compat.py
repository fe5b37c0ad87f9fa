"""Every private name that is used here of torch, and on this floor of scikit-learn."""

from typing import Any

import numpy as np
import torch
from sklearn.utils import _array_api

__all__ = ["convert_to_numpy", "fused_adam"]

#: Adam's step on lists of tensors in one call, as ``torch.optim.Adam(fused=True)`` makes it.
fused_adam = torch._fused_adam_


def convert_to_numpy(array: Any) -> np.ndarray:
    """Copy an array to the CPU, as its library has it."""
    return _array_api._convert_to_numpy(array, array.__array_namespace__())
