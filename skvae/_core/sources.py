"""Rows that are read when they are needed: what users give as such, and how it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

# Cells of the least piece that is read as a whole: 512 KiB of float32.
PIECE_CELLS = 2**17

# Bytes of the pieces that are kept, within which rows are shuffled.
KEPT_BYTES = 2**28


class Source(ABC):
    """Rows of a table that are read when they are needed, so that it may be larger than memory.

    A source states ``shape`` and ``dtype``, and ``read`` gives adjacent rows. Estimators take it as
    X and read it piece by piece; training shuffles the pieces, and the rows of many pieces
    together. Indexed by a slice, by numbers of rows or by a mask it gives an array of these rows.

    Attributes
    ----------
    shape : tuple of int
        Number of rows and of features.
    dtype : dtype
        Type of what ``read`` gives. Estimators make float64 of all but float32.
    edges : array-like of int or None
        Where pieces begin that are read as a whole, and the end: from 0 to the number of rows. Such
        are row groups of a file. None if any rows are read at the same cost.
    feature_names : sequence of str or None
        Names of the features, if they have any.

    Examples
    --------
    A table of which no row is stored:

    >>> import numpy as np
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.sources import Source
    >>> class Waves(Source):
    ...     shape, dtype = (20_000, 8), np.dtype(np.float32)
    ...
    ...     def read(self, start, stop):
    ...         phase = 0.1 * np.arange(start, stop)[:, None] + np.arange(8)
    ...         return np.sin(phase).astype(np.float32)
    >>> vae = VariationalAutoencoder(2, max_iter=0).fit(Waves())
    >>> vae.transform(Waves()).shape
    (20000, 2)
    >>> Waves()[[0, 5]].shape
    (2, 8)
    """

    shape: tuple[int, int]
    dtype: Any
    edges: Any = None
    feature_names: Sequence[str] | None = None

    @abstractmethod
    def read(self, start: int, stop: int) -> np.ndarray:
        """Give the rows from ``start`` up to ``stop``, without it: (stop - start, n_features)."""

    def __len__(self) -> int:
        """Give the number of rows."""
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        stored = Stored(self, self.dtype)
        found = stored[rows]
        return found[:] if isinstance(found, Picked) else found

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(
            f"{type(self).__name__} of shape {tuple(self.shape)} is a source, and no array is made "
            f"of all its rows unasked. Give rows of it, such as source[:1000]."
        )


class Stored:
    """The rows of a source as they are worked with: floats, read by pieces, the last of them kept.

    It is indexed like an array. Of a mask it gives the rows as ``Picked``, where they lie.

    Parameters
    ----------
    source : Source
        What is read.
    dtype : dtype
        What the rows become.
    is_checked : bool, default=False
        Whether cells that are infinite are refused.
    takes_gaps : bool, default=True
        Whether cells may be missing, if they are checked.

    Attributes
    ----------
    edges : ndarray of int of shape (n_pieces + 1,)
        Where pieces begin, and the end.
    is_complete : bool
        Whether all rows are known to have no gaps.
    """

    def __init__(
        self, source: Source, dtype: Any, is_checked: bool = False, takes_gaps: bool = True
    ) -> None:
        self.source, self.dtype = source, np.dtype(dtype)
        self.is_checked, self.takes_gaps = is_checked, takes_gaps
        n_samples, n_features = source.shape
        self.shape = int(n_samples), int(n_features)
        self.edges = _edges_of(source)
        self.is_complete = False
        self._has_gaps = False
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._n_bytes = 0

    def __len__(self) -> int:
        return self.shape[0]

    def astype(self, dtype: Any) -> Stored:
        """Give the same rows as another type."""
        stored = Stored(self.source, dtype, self.is_checked, self.takes_gaps)
        stored.is_complete = self.is_complete
        return stored

    def survey(self) -> None:
        """Read all rows once: whatever must not be there is found, and whether cells are missing.

        Raises
        ------
        ValueError
            If cells are infinite, or missing where they may not be.
        """
        for number in range(len(self.edges) - 1):
            self._piece(number)
        self.is_complete = not self._has_gaps

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, tuple) and rows[1:] == (Ellipsis,):  # as scikit-learn takes rows
            rows = rows[0]
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._span(start, max(start, stop))
            rows = np.arange(start, stop, step)
        rows = np.asarray(rows)
        if rows.dtype == bool:
            return Picked(self, np.flatnonzero(rows))
        if rows.ndim == 0:
            return self[rows[None]][0]
        index = np.where(rows < 0, rows + len(self), rows).astype(np.intp)
        if not len(index):
            return self._span(0, 0)
        if not 0 <= index.min() <= index.max() < len(self):
            raise IndexError(f"There are {len(self)} rows. Got a number of one beyond them.")
        return self._gathered(index)

    def _gathered(self, index: np.ndarray) -> np.ndarray:
        """Rows at an index, from each piece once; those that are kept come first."""
        order = np.argsort(index, kind="stable")
        numbers = np.searchsorted(self.edges, index[order], side="right") - 1
        places = index[order] - self.edges[numbers]
        begins = np.flatnonzero(np.diff(numbers, prepend=-1))
        spans = zip(numbers[begins].tolist(), begins, [*begins[1:], len(index)], strict=True)
        found = np.empty((len(index), self.shape[1]), self.dtype)
        for number, begin, end in sorted(spans, key=lambda span: span[0] not in self._kept):
            found[begin:end] = self._piece(number)[places[begin:end]]
        rows = np.empty_like(found)
        rows[order] = found
        return rows

    def _span(self, start: int, stop: int) -> np.ndarray:
        """Adjacent rows; of one piece without a copy."""
        if start == stop:
            return np.empty((0, self.shape[1]), self.dtype)
        first, last = np.searchsorted(self.edges, [start, stop - 1], side="right") - 1
        parts = []
        for number in range(first, last + 1):
            begin = self.edges[number]
            parts.append(self._piece(number)[max(start - begin, 0) : stop - begin])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _piece(self, number: int) -> np.ndarray:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        start, stop = self.edges[number : number + 2].tolist()
        # The room is made before the piece is read.
        size = (stop - start) * self.shape[1] * self.dtype.itemsize
        while self._kept and self._n_bytes + size > KEPT_BYTES:
            self._n_bytes -= self._kept.popitem(last=False)[1].nbytes
        self._kept[number] = self._checked(self.source.read(start, stop), start, stop)
        self._n_bytes += size
        return self._kept[number]

    def _checked(self, rows: Any, start: int, stop: int) -> np.ndarray:
        """Rows as an array of the type that is wanted, if they are what they should be."""
        rows = np.ascontiguousarray(rows, self.dtype)
        if rows.shape != (stop - start, self.shape[1]):
            raise ValueError(
                f"{type(self.source).__name__}.read({start}, {stop}) must give an array of shape "
                f"{(stop - start, self.shape[1])}. Got {rows.shape}."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            if not self.is_checked or np.isfinite(rows.sum()):
                return rows
        is_missing = np.isnan(rows)
        self._has_gaps = self._has_gaps or bool(is_missing.any())
        wrong = np.isinf(rows) if self.takes_gaps else ~np.isfinite(rows)
        if wrong.any():
            row, column = np.argwhere(wrong)[0].tolist()
            what = "NaN" if is_missing[row, column] else "infinity"
            raise ValueError(
                f"Input X contains {what}, first in row {start + row}, feature {column}. Replace "
                f"it by a number, or leave such rows out."
            )
        return rows


def _edges_of(source: Source) -> np.ndarray:
    """Where pieces begin: those that the source states, unless they are small, and the end."""
    n_samples, n_features = (int(size) for size in source.shape)
    least = max(1, PIECE_CELLS // n_features)
    if source.edges is None:
        return np.append(np.arange(0, n_samples, least), n_samples)
    edges = np.asarray(source.edges)
    if edges[0] != 0 or edges[-1] != n_samples or (np.diff(edges) < 0).any():
        raise ValueError(
            f"edges of {type(source).__name__} must rise from 0 to its {n_samples} rows. Got "
            f"numbers from {edges[0]} to {edges[-1]}."
        )
    kept = [0]
    for edge in edges[1:-1].tolist():
        if edge - kept[-1] >= least:
            kept.append(edge)
    return np.array([*kept, n_samples], dtype=np.intp)


class Rest:
    """All rows but some: an index that takes no memory.

    Parameters
    ----------
    left_out : ndarray of int
        Those rows, in ascending order.
    n_rows : int
        Number of all.
    """

    def __init__(self, left_out: np.ndarray, n_rows: int) -> None:
        self.left_out, self.n_rows = left_out, n_rows
        # Number of rows before each that is left out, without those that are, too.
        self.before = left_out - np.arange(len(left_out))

    def __len__(self) -> int:
        return self.n_rows - len(self.left_out)

    def __getitem__(self, places: Any) -> np.ndarray:
        if isinstance(places, slice):
            places = np.arange(*places.indices(len(self)))
        places = np.asarray(places)
        return places + np.searchsorted(self.before, places, side="right")

    def position(self, rows: np.ndarray) -> np.ndarray:
        """Number of rows of the index before each of some rows."""
        return rows - np.searchsorted(self.left_out, rows)


class Picked:
    """Rows of a dense X at ``index``, gathered only when they are read.

    Parameters
    ----------
    X : ndarray, Stored or Picked of shape (n_samples, n_features)
        It may lie in a memory map.
    index : ndarray of int or Rest
        Rows of X.
    """

    def __init__(self, X: Any, index: Any) -> None:
        self.X, self.index = X, index
        self.shape = (len(index), X.shape[1])
        self.dtype = X.dtype

    @property
    def is_complete(self) -> bool:
        """Whether the rows are known to have no gaps."""
        return getattr(self.X, "is_complete", False)

    @property
    def edges(self) -> np.ndarray | None:
        """Where pieces begin that are read as a whole, and the end; None if there are none."""
        edges, index = getattr(self.X, "edges", None), self.index
        if edges is None:
            return None
        if isinstance(index, Rest):
            return np.unique(index.position(edges))
        if (np.diff(index) < 0).any():
            return None
        return np.unique(np.searchsorted(index, edges))

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.X[self.index[rows]]
