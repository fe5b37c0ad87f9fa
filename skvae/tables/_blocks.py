"""X as it lies: blocks of dense rows, rows picked from it, moments and ranges of its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis

from skvae._core.sources import Picked, Stored

# Cells of a block: 8 MiB of float64.
BLOCK_CELLS = 2**20

# Cells that a core's cache holds: 512 KiB of float64.
CACHED_CELLS = 2**16

# Most rows of a source that are held out, and most of their cells, 64 MiB of float32: enough to
# tell epochs apart, and read once.
_HELD_ROWS, _HELD_CELLS = 100_000, 2**24

# Variances below this lose digits to underflow.
_LEAST_VARIANCE = 1e-300


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Weighted mean and (population) variance of each feature.

    Attributes
    ----------
    mean, variance : ndarray of shape (n_features,)
        Over the rows.
    total_weight : float
        Sum of the weights, or the number of rows.
    count : float
        Number of rows, or the total weight if that is larger: weights that add up to less than
        the number of rows are relative, not counts.
    zeros : ndarray of shape (n_features,) or None
        Weighted share of cells that are 0, where a likelihood asks for it.
    """

    mean: np.ndarray
    variance: np.ndarray
    total_weight: float
    count: float
    zeros: np.ndarray | None = None

    @property
    def total_variance(self) -> float:
        """Sum of the variances, with PCA's n - 1."""
        return float(self.variance.sum() * self.count / (self.count - 1.0))

    def times(self, factor: np.ndarray) -> Moments:
        """Give the moments of the features times a factor each."""
        return replace(self, mean=self.mean * factor, variance=self.variance * factor**2)


class ColumnRanges:
    """What a domain can be checked by, column by column, taken from X where it is asked for.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Checked rows; missing cells do not count.
    names : sequence of str, optional
        Names of the columns, where X has such.
    first : int, default=0
        Number of the first column.
    """

    def __init__(self, X: Any, names: Sequence[str] | None = None, first: int = 0) -> None:
        self.X, self.names, self.first = X, names, first

    def part(self, columns: slice) -> ColumnRanges:
        """Give adjacent columns."""
        names = None if self.names is None else self.names[columns]
        return ColumnRanges(self.X[:, columns], names, columns.start)

    @cached_property
    def _extremes(self) -> tuple[np.ndarray, np.ndarray]:
        if sparse.issparse(self.X):
            return min_max_axis(self.X, axis=0, ignore_nan=True)
        if isinstance(self.X, np.ndarray):
            # In the rows' own type, for a conversion would cost more than the comparison.
            return _range_of(_cached(self.X))
        return _range_of(block for _, block in blocks(self.X))

    @property
    def minimum(self) -> np.ndarray:
        """Least value of each column."""
        return self._extremes[0]

    @property
    def maximum(self) -> np.ndarray:
        """Largest value of each column."""
        return self._extremes[1]

    def first_outside(self, low: float, high: float = np.inf, ends: bool = True) -> int | None:
        """Give the number of the first column that leaves an interval, or None.

        ``ends`` says whether the interval's own ends are within it.
        """
        below, above = (np.less, np.greater) if ends else (np.less_equal, np.greater_equal)
        if isinstance(self.X, np.ndarray):  # for whole pieces it costs half of that by columns
            ranges = ((np.fmin.reduce(p, None), np.fmax.reduce(p, None)) for p in _cached(self.X))
            if not any(below(least, low) or above(most, high) for least, most in ranges):
                return None
        outside = below(self.minimum, low) | above(self.maximum, high)
        return int(outside.argmax()) if outside.any() else None

    @cached_property
    def is_whole(self) -> np.ndarray:
        """Whether a column holds whole numbers only."""
        whole = np.ones(self.X.shape[1], dtype=bool)
        if sparse.issparse(self.X):
            whole[self.X.indices[~_whole(self.X.data)]] = False
        else:
            for _, block in blocks(self.X):
                whole &= _whole(block).all(0)
        return whole

    def fraction(self, column: int) -> float:
        """First value of a column that is not whole."""
        for _, block in blocks(self.X):
            values = block[:, column]
            if not _whole(values).all():
                break
        return float(values[~_whole(values)][0])

    def name(self, column: int) -> str:
        """Name a column in a message."""
        known = self.first + column if self.names is None else repr(self.names[column])
        return f"column {known}"


def _whole(values: np.ndarray) -> np.ndarray:
    return (values == np.floor(values)) | np.isnan(values)


def has_gaps(X: Any) -> bool:
    """Say whether a cell is missing."""
    if getattr(X, "is_complete", False):  # of a source that was read before
        return False
    if sparse.issparse(X):
        return bool(np.isnan(X.data).any())
    step = max(1, BLOCK_CELLS // X.shape[1])
    for start in range(0, X.shape[0], step):
        block = X[start : start + step]
        # A sum is faster than a mask, but may overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            is_suspect = np.isnan(np.sum(block))
        if is_suspect and np.isnan(block).any():
            return True
    return False


def never_seen(X: Any) -> np.ndarray:
    """Which columns have no cell that is not missing."""
    counts = np.zeros(X.shape[1])
    for _, block in blocks(X):
        counts += (~np.isnan(block)).sum(0)
    return counts == 0


def blocks(X: Any, width: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield ``X`` as dense float64 blocks of rows, each with its slice.

    ``width`` is that of the widest array that the caller makes of a block; by default X's own.
    """
    step = max(1, BLOCK_CELLS // max(X.shape[1], width or 1))
    for start in range(0, X.shape[0], step):
        rows = slice(start, min(start + step, X.shape[0]))
        block = X[rows].toarray() if sparse.issparse(X) else X[rows]
        yield rows, np.asarray(block, dtype=np.float64)


def by_blocks(read: Callable[[Any], np.ndarray], X: Any) -> np.ndarray:
    """Give what a function makes of rows, row by row; rows of a source are read in blocks."""
    if edges_of(X) is None:
        return read(X)
    return np.concatenate([read(block) for _, block in blocks(X)])


def of_rows(weight: np.ndarray | None, rows: slice) -> np.ndarray:
    """Weights of some rows, 1 where there are none."""
    return np.ones(rows.stop - rows.start) if weight is None else weight[rows]


def weighted_moments(X: Any, weight: np.ndarray | None) -> Moments:
    """Mean and variance of each feature; a variance within rounding of zero is zero.

    Raises
    ------
    ValueError
        If the squared spread of X overflows float64, or underflows.
    """
    n_samples = X.shape[0]
    total = float(n_samples if weight is None else weight.sum())
    with np.errstate(over="ignore", invalid="ignore"):
        if sparse.issparse(X):
            mean, variance = mean_variance_axis(X.astype(np.float64), axis=0, weights=weight)
            if has_gaps(X):
                unseen = never_seen(X)
                mean[unseen], variance[unseen] = 0.0, 0.0
        elif has_gaps(X):
            mean, variance = _observed_moments(X, weight)
        else:
            mean = sum(of_rows(weight, rows) @ block for rows, block in blocks(X)) / total
            variance = (
                sum(of_rows(weight, r) @ (block - mean) ** 2 for r, block in blocks(X)) / total
            )
    if not np.isfinite(variance.sum()):
        raise ValueError(
            f"X spreads beyond what float64 can square: feature "
            f"{int(np.argmin(np.isfinite(variance)))} has a variance that is not finite. "
            f"Divide X by a constant, or scale it with StandardScaler."
        )
    if variance.max() < _LEAST_VARIANCE and _varies(X):
        raise ValueError(
            f"X spreads by less than float64 can square: the largest variance of a feature is "
            f"{variance.max():g}. Multiply X by a constant, or scale it with StandardScaler."
        )
    eps = np.finfo(np.float64).eps
    rounding = n_samples * eps * variance + (n_samples * mean * eps) ** 2
    return Moments(
        mean=mean,
        variance=np.where(variance <= rounding, 0.0, variance),
        total_weight=total,
        count=max(total, float(n_samples)),
    )


def _observed_moments(X: Any, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the observed cells of each feature; 0 where there are none."""
    total = np.zeros(X.shape[1])
    for rows, block in blocks(X):
        total += of_rows(weight, rows) @ ~np.isnan(block)
    total = np.where(total > 0, total, 1.0)
    sums = (of_rows(weight, r) @ np.nan_to_num(block, posinf=np.inf) for r, block in blocks(X))
    mean = sum(sums) / total
    squares = (
        of_rows(weight, rows) @ np.square(np.where(np.isnan(block), 0.0, block - mean))
        for rows, block in blocks(X)
    )
    return mean, sum(squares) / total


def share_of_zeros(X: Any, weight: np.ndarray | None) -> np.ndarray:
    """Weighted share of observed cells that are 0 in each feature."""
    if sparse.issparse(X) and not has_gaps(X):
        weight = of_rows(weight, slice(0, X.shape[0]))
        return 1.0 - weight @ (X != 0) / weight.sum()
    zeros, total = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for rows, block in blocks(X):
        zeros += of_rows(weight, rows) @ (block == 0)
        total += of_rows(weight, rows) @ ~np.isnan(block)
    return np.divide(zeros, total, out=np.zeros_like(zeros), where=total > 0)


def _varies(X: Any) -> bool:
    """Say whether any two rows differ."""
    low, high = _range_of(block for _, block in blocks(X))
    return bool((low < high).any())


def _cached(X: np.ndarray) -> Iterator[np.ndarray]:
    """Pieces of the rows that a cache holds, which are read from memory once for all uses."""
    step = max(1, CACHED_CELLS // X.shape[1])
    return (X[start : start + step] for start in range(0, len(X), step))


def _range_of(pieces: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest value of each column, over pieces of the rows; there is at least one."""
    first = next(pieces)
    low, high = np.fmin.reduce(first), np.fmax.reduce(first)
    for piece in pieces:
        np.fmin(low, np.fmin.reduce(piece), out=low)
        np.fmax(high, np.fmax.reduce(piece), out=high)
    return low, high


class Derived:
    """A function of each cell of a dense X, computed when its rows are read.

    Parameters
    ----------
    X : ndarray or Picked of shape (n_samples, n_features)
        The rows.
    function : callable
        Of an array, elementwise.
    """

    def __init__(self, X: Any, function: Callable[[np.ndarray], np.ndarray]) -> None:
        self.X, self.function = X, function
        self.shape, self.dtype = X.shape, X.dtype
        self.is_complete = getattr(X, "is_complete", False)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.function(self.X[rows])


def edges_of(X: Any) -> np.ndarray | None:
    """Where pieces of rows begin that are read as a whole, and the end; None but for a source's."""
    return getattr(X, "edges", None) if isinstance(X, Stored | Picked) else None


def most_held(X: Any) -> int | None:
    """Most rows of a source to hold out, which are to stay in memory; None for any other X."""
    return None if edges_of(X) is None else max(2, min(_HELD_ROWS, _HELD_CELLS // X.shape[1]))


def pick(X: Any, index: Any) -> Any:
    """Rows of X at ``index``, without a copy of a dense X."""
    return X[index] if sparse.issparse(X) else Picked(X, index)
