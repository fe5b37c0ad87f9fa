"""Machine code in the place of NumPy's calls, where numba is installed."""

from __future__ import annotations

import functools
import importlib
from typing import Any


@functools.cache
def find_kernels() -> Any:
    """Give ``skvae._core.kernels``, or None without numba or under ``NUMBA_DISABLE_JIT=1``."""
    try:
        numba: Any = importlib.import_module("numba")
        kernels = importlib.import_module("skvae._core.kernels")
    except (ImportError, RuntimeError):
        # It is not there, refuses a NumPy too new for it, or has nowhere to keep what it compiles.
        return None
    return None if numba.config.DISABLE_JIT else kernels
