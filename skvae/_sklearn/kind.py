"""Results in kind: of rows in another library's arrays, results are arrays of that library.

Under scikit-learn's ``array_api_dispatch=True`` everything follows X. Inside, all is NumPy: a
method is called on NumPy arrays, with the dispatch off, and what it gives is handed over once,
where the user's call ends. Memory of the CPU is shared both ways, and a device's is copied once
each way.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn import get_config

from skvae._core.arrays import as_numpy, as_tensor, is_array_of_others
from skvae._sklearn import compat
from skvae._sklearn.rows import on_arrays

# Parameters that are data. The first that a method has says what its results are.
_DATA = ("X", "Z", "Y", "y", "given", "sample_weight")

# What set_output asks for goes before.
_SET_OUTPUT = ("transform", "fit_transform")

# They give the estimator, whose callbacks see the user's own arrays.
_FITTING = ("fit", "partial_fit")


def as_kind_of(result: Any, like: Any) -> Any:
    """Give NumPy arrays of numbers in the library and on the device of an array; the rest as it is.

    On a device without float64 they are float32.
    """
    if not is_array_of_others(like):
        return result
    if isinstance(result, tuple):
        return tuple(as_kind_of(part, like) for part in result)
    if not isinstance(result, np.ndarray) or result.dtype.kind not in "biuf":
        return result
    if not isinstance(like, torch.Tensor):
        return compat.move_to_kind(result, like)
    tensor = as_tensor(result)
    has_float64 = like.device.type != "mps" or tensor.dtype != torch.float64
    return tensor.to(like.device) if has_float64 else tensor.float().to(like.device)


def in_kind(method: Callable) -> Callable:
    """Decorate a method that reads rows, so that its results are in kind."""
    signature = inspect.signature(method)
    names = [name for name in signature.parameters if name in _DATA]

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not any(map(is_array_of_others, (*args, *kwargs.values()))):
            return method(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        rows, follows = bound.arguments.get(names[0]), get_config()["array_api_dispatch"]
        for name in names:
            if name in bound.arguments:
                bound.arguments[name] = as_numpy(bound.arguments[name], name)
        with on_arrays():
            result = method(*bound.args, **bound.kwargs)
        is_framed = method.__name__ in _SET_OUTPUT and compat.output_library(args[0]) is not None
        return as_kind_of(result, rows) if follows and not is_framed else result

    call._is_in_kind = True  # type: ignore[attr-defined]
    return call


class InKind:
    """Every public method of a class that reads rows gives its results in kind.

    Methods of bases are included, this package's and scikit-learn's; a user's own are left alone.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in dir(cls):
            if name.startswith("_") or name in _FITTING:
                continue
            method = inspect.getattr_static(cls, name)
            if not inspect.isfunction(method) or hasattr(method, "_is_in_kind"):
                continue
            is_ours = method.__module__.partition(".")[0] in ("skvae", "sklearn")
            if is_ours and not {*_DATA}.isdisjoint(inspect.signature(method).parameters):
                setattr(cls, name, in_kind(method))
