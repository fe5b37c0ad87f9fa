"""Arrays that give rows by slices."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvae._core.checks import shown
from skvae._core.sources import Source


class Sliced(Source):
    """An array that is read by slices of its rows: a memory map, h5py's dataset, Zarr's array.

    A memory map may be given as X itself, too: it is an array. As a source its rows are checked
    while they are read, and a fit keeps nothing that grows with their number.

    Parameters
    ----------
    array : array of shape (n_samples, n_features)
        It has ``shape`` and ``dtype``, and ``array[start:stop]`` gives rows. What ``chunks`` or
        ``shards`` it states are read as a whole.

    Raises
    ------
    ValueError
        If it is no table of numbers.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.sources import Sliced
    >>> X, _ = load_digits(return_X_y=True)
    >>> path = Path(tempfile.mkdtemp()) / "digits.npy"
    >>> np.save(path, X)
    >>> source = Sliced(np.load(path, mmap_mode="r"))
    >>> start = VariationalAutoencoder(2, max_iter=0)
    >>> bool(np.allclose(start.fit(source).transform(source), start.fit(X).transform(X)))
    True
    """

    def __init__(self, array: Any) -> None:
        shape, dtype = tuple(array.shape), np.dtype(array.dtype)
        if len(shape) != 2 or not all(shape) or dtype.kind not in "biuf":
            raise ValueError(
                f"array must be a table of numbers, with rows and columns. Got an array of shape "
                f"{shape} and type {shown(dtype.name)}."
            )
        self.array, self.shape, self.dtype = array, shape, dtype
        chunks = getattr(array, "shards", None) or getattr(array, "chunks", None)
        if chunks:
            self.edges = np.append(np.arange(0, shape[0], chunks[0]), shape[0])

    def read(self, start: int, stop: int) -> np.ndarray:
        """Give rows from ``start`` up to ``stop``, a copy in memory."""
        return np.array(self.array[start:stop])


class Zarr(Sliced):
    """An array in Zarr's format. It needs zarr, the extra ``zarr``.

    Parameters
    ----------
    store : str, Path or store of zarr
        Where the array lies; what ``zarr.open_array`` takes.

    Raises
    ------
    ImportError
        If zarr is not installed.
    ValueError
        If the array is no table of numbers.
    """

    def __init__(self, store: Any) -> None:
        try:
            import zarr
        except ImportError as error:
            raise ImportError(
                "Zarr needs zarr. Install it, with pip install 'skvae[zarr]' for instance."
            ) from error
        self.store = store
        super().__init__(zarr.open_array(store, mode="r"))
