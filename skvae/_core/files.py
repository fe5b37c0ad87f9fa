"""Files that are there whole, or as they were."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

# Cells that are hashed at once: 8 MiB of float64.
_BLOCK_CELLS = 2**20


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to a file that is there whole or, if anything fails, as it was.

    They go to a file beside it, whose content is on the disk before it takes the other's name.
    """
    fresh = path.with_name(f"{path.name}.tmp")
    try:
        with open(fresh, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name is on the disk, too
        finally:
            os.close(folder)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read arrays; what a file says is not run.

    Raises
    ------
    ValueError
        If it is no such file, or a part of one.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, EOFError, AttributeError, TypeError, ValueError) as error:
        raise ValueError("it is no archive of arrays, or a part of one") from error


def digest(array: Any) -> str:
    """Give what tells an array, a sparse matrix or a frame from another by its content."""
    if array is None:
        return "none"
    found = hashlib.sha256()  # processors have instructions for it
    if hasattr(array, "columns"):
        for name in array.columns:
            found.update(f"{name} {digest(np.asarray(array[name]))}".encode())
        return found.hexdigest()
    parts = [array]
    if sparse.issparse(array):
        array = array.tocsr()
        parts = [array.data, array.indices, array.indptr]
    elif array.dtype.kind not in "biufc":  # objects and dates have no bytes to read
        parts = [array.astype(str)]
    found.update(f"{array.shape} {array.dtype.str}".encode())
    for part in parts:
        step = max(1, _BLOCK_CELLS // max(1, int(np.prod(part.shape[1:]))))
        for start in range(0, part.shape[0], step):
            found.update(np.ascontiguousarray(part[start : start + step]).data)
    return found.hexdigest()
