"""Which device trains, and on how many threads."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from joblib.parallel import get_active_backend

from skvae._core.checks import shown
from skvae._core.process import is_forked, one_thread

# Least multiply-adds of a step per thread: with fewer, threads cost more than they save.
_PART_WORK = 2e7

# Multiply-adds of a step above which a GPU is worth its launches: a step is some hundred kernels
# of about 5 microseconds, in which two CPU cores do about this much.
_GPU_WORK = 1e8


def available_devices() -> list[str]:
    """Names that the ``device`` parameter takes on this machine."""
    names = ["cpu"]
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names.append("mps")
    if torch.xpu.is_available():
        names += ["xpu", *(f"xpu:{i}" for i in range(torch.xpu.device_count()))]
    return names


def resolve_device(device: str | torch.device, work: float) -> torch.device:
    """Choose the training device.

    Parameters
    ----------
    device : str or torch.device
        The estimator's parameter. "auto" is a CUDA GPU if there is one, the step is large
        enough and no joblib worker shares it; otherwise the CPU.
    work : float
        Multiply-adds of a step.

    Raises
    ------
    ValueError
        If there is no such device; the message names those that are available.
    """
    if device == "auto":
        in_worker = get_active_backend()[0].nesting_level > 0
        alone = not in_worker and not is_forked()  # CUDA does not survive a fork
        use_gpu = work >= _GPU_WORK and alone and torch.cuda.is_available()
        return torch.device("cuda" if use_gpu else "cpu")
    names = available_devices()
    name = str(device)
    if name.partition(":")[0] in ("cpu", "mps"):
        name = name.removesuffix(":0")  # there is only one of each
    if name not in names:
        raise ValueError(
            f"device={shown(device)} is not available. Available here: "
            f"{', '.join(repr(name) for name in ['auto', *names])}."
        )
    return torch.device(name)


def is_small(work: float) -> bool:
    """Say whether the calls of a step of so many multiply-adds cost more than they do."""
    return work < 2 * _PART_WORK


def limit_threads(work: float) -> AbstractContextManager[Any]:
    """Hold BLAS and torch to one thread inside the context if a step is small.

    Its bits then do not depend on the number of available threads either.
    """
    return one_thread() if is_small(work) else nullcontext()


def count_parts(work: float) -> int:
    """Count the threads that a step is worth, at most as many as torch may use."""
    return max(1, min(torch.get_num_threads(), int(work // _PART_WORK)))
