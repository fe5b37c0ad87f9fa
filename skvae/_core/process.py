"""The process around a call: its threads, forks, switches and generator may not change a result.

OpenMP's limits belong to a thread, those of BLAS to the process. OpenMP's pool of threads does not
survive a fork, so the child runs on one thread from then on. Torch's switches (default device,
gradient modes, autocast, anomaly detection) and NumPy's error state are suspended for the length of
a call.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from threadpoolctl import ThreadpoolController

Function = TypeVar("Function", bound=Callable[..., Any])

# NumPy's own defaults.
_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


# ------------------------------------------------------------------ threads


class _LocalMKL:
    """The MKL in torch, whose limit per thread takes precedence over OpenMP's and the process's.

    It is the only limit that MKL obeys once the user has set its number of threads, by
    ``MKL_NUM_THREADS`` or ``torch.set_num_threads``. Zero stands for no limit.
    """

    def __init__(self, function: Any) -> None:
        self.exchange = function

    def get_num_threads(self) -> int:
        """Limit of this thread."""
        before = self.exchange(0)
        self.exchange(before)
        return int(before)

    def set_num_threads(self, n_threads: int) -> None:
        """Set the limit of this thread."""
        self.exchange(n_threads)


@functools.cache
def _mkl() -> list[_LocalMKL]:
    """MKL, if torch was built with it."""
    for path in Path(torch.__file__).parent.glob("lib/*torch_cpu.*"):
        function = getattr(ctypes.CDLL(str(path)), "MKL_Set_Num_Threads_Local", None)
        if function is not None:
            return [_LocalMKL(function)]
    return []


@functools.cache
def _pools() -> tuple[list[Any], list[Any]]:
    """Libraries whose limit belongs to a thread, and to the process.

    Finding them takes about a millisecond, so it is done once.
    """
    of_thread: list[Any] = [*_mkl()]
    of_process: list[Any] = []
    for library in ThreadpoolController().lib_controllers:
        kinds = library.user_api, getattr(library, "threading_layer", None)
        (of_thread if "openmp" in kinds else of_process).append(library)
    return of_thread, of_process


def _set_threads(library: Any, n_threads: int) -> None:
    """Set a library's number of threads, whichever thread has set it before.

    Recent releases of threadpoolctl let only one thread set OpenBLAS's, until it is released.
    """
    release = getattr(library, "clear_controlling_thread", lambda force: None)
    release(force=True)
    library.set_num_threads(n_threads)
    release(force=True)


class _Limit:
    """Holds libraries to one thread while any caller is inside.

    Attributes
    ----------
    inside : set of int
        Tickets of the callers inside.
    before : list of (library, int) or None
        Limits to restore.
    """

    def __init__(self) -> None:
        self.inside: set[int] = set()
        self.before: list[tuple[Any, int]] | None = None

    def settle(self, libraries: list[Any]) -> None:
        """Apply the limit or lift it; a call that is cut short may be repeated."""
        if self.inside and self.before is None:
            self.before = [(library, library.get_num_threads()) for library in libraries]
            for library in libraries:
                _set_threads(library, 1)
        elif not self.inside and self.before is not None:
            for library, n_threads in self.before:
                _set_threads(library, n_threads)
            self.before = None


class _Limits(threading.local):
    """Limits of the present thread."""

    def __init__(self) -> None:
        # A thread's first use of torch's threads sets their number: get it over with.
        torch.get_num_threads()
        self.openmp = _Limit()
        self.forked = False
        # States of the global generator to restore, the outermost first.
        self.lent: list[torch.Tensor] = []


_of_thread = _Limits()
_of_process = _Limit()
_lock = threading.RLock()  # a finalizer may run in between
_generator_lock = threading.RLock()
_tickets = itertools.count()


def _settle(ticket: int, inside: bool) -> None:
    """Let the holder of a ticket in or out."""
    of_thread, of_process = _pools()
    change = set.add if inside else set.discard
    change(_of_thread.openmp.inside, ticket)
    _of_thread.openmp.settle(of_thread)
    with _lock:
        change(_of_process.inside, ticket)
        _of_process.settle(of_process)


class one_thread:
    """Context in which BLAS, torch and OpenMP keep to the calling thread.

    Contexts may nest, and overlap in several threads. If an interrupt cuts entry or exit short, the
    context is left when the object is collected.
    """

    def __enter__(self) -> None:
        self.ticket = next(_tickets)
        self.forgotten = weakref.finalize(self, _settle, self.ticket, inside=False)
        self.forgotten.atexit = False
        _settle(self.ticket, inside=True)

    def __exit__(self, *exception: object) -> None:
        _settle(self.ticket, inside=False)
        self.forgotten.detach()


def _after_fork() -> None:
    """Forget the threads that a child does not have."""
    global _lock, _generator_lock
    _lock, _generator_lock = threading.RLock(), threading.RLock()
    _of_process.inside &= _of_thread.openmp.inside
    _of_thread.forked = True


os.register_at_fork(after_in_child=_after_fork)


def is_forked() -> bool:
    """Say whether this thread is the one that a fork left in a child process."""
    return _of_thread.forked


# ------------------------------------------------------------------ the global generator


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Let torch's global generator draw as ``generator`` would, and float32 be the default type.

    Modules that others have written, and their initialisation, draw from the global generator
    alone. It belongs to the process, so one thread at a time holds it; both are restored.
    """
    with default_float32():
        state = torch.get_rng_state()
        _of_thread.lent.append(state)
        try:
            torch.set_rng_state(generator.get_state())
            yield
            generator.set_state(torch.get_rng_state())
        finally:
            torch.set_rng_state(state)
            _of_thread.lent.pop()


@contextmanager
def default_float32() -> Iterator[None]:
    """Let float32 be torch's default type, because others' code may not take one."""
    with _generator_lock:
        dtype = torch.get_default_dtype()
        try:
            if dtype != torch.float32:
                torch.set_default_dtype(torch.float32)
            yield
        finally:
            if dtype != torch.float32:
                torch.set_default_dtype(dtype)


# ------------------------------------------------------------------ a call


def _disturbances() -> list[AbstractContextManager[Any]]:
    """Contexts that suspend whatever would change the results of a call."""
    contexts: list[AbstractContextManager[Any]] = []
    if np.geterr() != _ERRORS:
        contexts.append(np.errstate(**_ERRORS))  # type: ignore[arg-type]
    if torch.is_inference_mode_enabled():
        contexts.append(torch.inference_mode(False))
    if not torch.is_grad_enabled():
        contexts.append(torch.enable_grad())
    if torch.empty(0).device.type != "cpu":  # a fifth of the time of get_default_device
        contexts.append(torch.device("cpu"))
    contexts += [
        torch.autocast(device, enabled=False)
        for device in ("cpu", "cuda")
        if torch.is_autocast_enabled(device)
    ]
    if torch.is_anomaly_enabled():
        contexts.append(torch.autograd.set_detect_anomaly(False))
    if _of_thread.forked:
        contexts.append(one_thread())
    return contexts


def isolated(function: Function) -> Function:
    """Decorate a public function or method so that nothing around its call matters.

    Raises
    ------
    MemoryError
        In place of the RuntimeError that torch raises if it gets no memory.
    """

    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise MemoryError(_memory_message(error)) from error
        except BaseException:
            _clear_up()
            raise

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        contexts = _disturbances()
        if not contexts:
            return guarded(*args, **kwargs)
        with ExitStack() as stack:
            for context in contexts:
                stack.enter_context(context)
            return guarded(*args, **kwargs)

    return call  # type: ignore[return-value]


def _clear_up() -> None:
    """Restore what an interrupt in the exit of an inner context may have left."""
    np.seterr(**_ERRORS)  # type: ignore[arg-type]
    torch.set_grad_enabled(True)
    if _of_thread.lent:
        torch.set_rng_state(_of_thread.lent[0])
        _of_thread.lent.clear()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Say whether torch found no memory; on the CPU its error has no class of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _memory_message(error: RuntimeError) -> str:
    asked = re.search(r"[Tt]ried to allocate ([\d.]+ \w+)", str(error))
    size = f" of {asked[1]}" if asked else ""
    return (
        f"There was no memory for an array{size}. Lower batch_size, hidden_layer_sizes or "
        f"n_components, give fewer rows at once, or ask for fewer draws."
    )
