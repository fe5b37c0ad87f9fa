"""The rows of X as training sees them: moments, blocks, and batches made dense one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis
from torch import Tensor

from skvae._core.arrays import as_tensor

# Cells of a block: 8 MiB of float64.
_BLOCK_CELLS = 2**20

# A table of more cells is not converted whole: 256 MiB of float32.
_RESIDENT_CELLS = 2**26

# Such a table is shuffled in runs of rows that lie side by side, so many cells at a time and so
# many runs: they are read from a disk fast, and stay in memory while their rows are drawn.
_SHUFFLED_CELLS = 2**23
_SHUFFLED_RUNS = 64

# Below, squares lose digits to underflow.
_LEAST_VARIANCE = 1e-300

# Cells that a core's cache holds: 512 KiB of float64.
_CACHED_CELLS = 2**16


class Batch(NamedTuple):
    """What one step sees.

    Attributes
    ----------
    inputs : Tensor of shape (rows, n_features)
        What feeds the encoder, in working units.
    target : Tensor of shape (rows, n_features)
        What the likelihood is asked about; it differs from ``inputs`` under noise or gaps.
    observed : Tensor of shape (rows, n_features) or None
        1 where the target counts, 0 where it is missing; None where all count.
    weight : Tensor of shape (rows,) or None
        Row weights of mean 1 over the training rows; None where all are 1.
    """

    inputs: Tensor
    target: Tensor
    observed: Tensor | None = None
    weight: Tensor | None = None

    def part(self, rows: slice) -> Batch:
        """Rows that lie side by side."""
        inputs = self.inputs[rows]
        return Batch(
            inputs,
            inputs if self.target is self.inputs else self.target[rows],
            None if self.observed is None else self.observed[rows],
            None if self.weight is None else self.weight[rows],
        )


class Moments(NamedTuple):
    """Weighted mean and (population) variance of each feature, and the weights' total."""

    mean: np.ndarray
    variance: np.ndarray
    total_weight: float


def blocks(X: Any, width: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield ``X`` as dense float64 blocks of rows, each with its slice.

    ``width`` is the widest array that the caller makes a row of; by default X's own.
    """
    step = max(1, _BLOCK_CELLS // max(X.shape[1], width or 1))
    for start in range(0, X.shape[0], step):
        rows = slice(start, start + step)
        block = X[rows].toarray() if sparse.issparse(X) else X[rows]
        yield rows, np.asarray(block, dtype=np.float64)


def weighted_moments(X: Any, weight: np.ndarray | None) -> Moments:
    """Mean and variance of each feature; a variance within rounding of zero is zero.

    Raises
    ------
    ValueError
        If the square of the spread of X is beyond float64, or below.
    """
    n_samples = X.shape[0]
    total = float(n_samples if weight is None else weight.sum())
    with np.errstate(over="ignore", invalid="ignore"):
        if sparse.issparse(X):
            mean, variance = mean_variance_axis(X.astype(np.float64), axis=0, weights=weight)
        else:
            ones = np.ones(n_samples) if weight is None else weight
            mean = sum(ones[rows] @ block for rows, block in blocks(X)) / total
            variance = sum(ones[rows] @ (block - mean) ** 2 for rows, block in blocks(X)) / total
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
    return Moments(mean, np.where(variance <= rounding, 0.0, variance), total)


def _varies(X: Any) -> bool:
    """Say whether any two rows differ."""
    first = next(blocks(X))[1][0]
    return any((block != first).any() for _, block in blocks(X))


class Picked:
    """Rows of a dense X at ``index``, gathered only where they are read.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        It may lie in a memory map.
    index : ndarray of int
        Rows of X.
    """

    def __init__(self, X: np.ndarray, index: np.ndarray) -> None:
        self.X, self.index = X, index
        self.shape = (len(index), X.shape[1])
        self.dtype = X.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.X[self.index[rows]]


def pick(X: Any, index: np.ndarray) -> Any:
    """Rows of X at ``index``: those of a dense X stay where they lie."""
    return X[index] if sparse.issparse(X) else Picked(X, index)


def shuffled(n_samples: int, n_features: int, generator: torch.Generator) -> Tensor:
    """Shuffle rows so that those drawn close to each other lie in a few places.

    X is cut in runs of rows that lie side by side. The runs are shuffled, and the rows of each 64
    runs in a row are shuffled together. So a batch comes from 64 places drawn at random, each row
    comes once, and where all rows are within 64 runs, the order is uniform.
    """
    length = max(1, _SHUFFLED_CELLS // (_SHUFFLED_RUNS * n_features))
    runs = torch.randperm(-(-n_samples // length), generator=generator)
    groups = []
    for group in runs.split(_SHUFFLED_RUNS):
        rows = (group[:, None] * length + torch.arange(length)).flatten()
        rows = rows[rows < n_samples]
        groups.append(rows[torch.randperm(len(rows), generator=generator)])
    return torch.cat(groups)


def _fits(shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> bool:
    """Say whether to convert a table of this shape whole; a GPU lends half of what is free."""
    cells = shape[0] * shape[1]
    if device.type == "cuda":
        return cells * dtype.itemsize <= torch.cuda.mem_get_info(device)[0] // 2
    return cells <= _RESIDENT_CELLS


class Rows:
    """Rows of X in working units, handed out as batches.

    A dense X is converted once if it is small. A large one and a sparse one stay as they are, and
    each batch is converted alone.

    Parameters
    ----------
    X : ndarray, Picked or CSR matrix of shape (n_samples, n_features)
        The rows, in X's units.
    weight : ndarray of shape (n_samples,) or None
        Row weights.
    shift : ndarray of shape (n_features,)
        Shift of the working units.
    scale : float
        Scale of the working units.
    dtype : torch.dtype
        Type of the batches.
    device : torch.device
        Device of the batches.

    Attributes
    ----------
    count : float
        Number of rows, or the total weight where that is larger: weights above one are repeated
        rows, weights that add up to less are relative.
    """

    def __init__(
        self,
        X: Any,
        weight: np.ndarray | None,
        shift: np.ndarray,
        scale: float,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.n_samples, self.n_features = X.shape
        self.shift, self.scale = shift, scale
        self.dtype, self.device = dtype, device
        self.count = float(self.n_samples)
        self.weight: Tensor | None = None
        if weight is not None:
            self.count = max(self.count, float(weight.sum()))
            self.weight = as_tensor(weight / weight.mean()).to(device, dtype)
        # One of the two: all rows in working units, or where to read them.
        self.resident: Tensor | None = None
        self.source = X
        if not sparse.issparse(X) and _fits(X.shape, dtype, device):
            self.resident = self._working(X).to(device)
            self.source = None
        on_cpu = self.resident is not None and self.resident.device.type == "cpu"
        self.array = self.resident.numpy() if on_cpu else None  # type: ignore[union-attr]

    def _working(self, X: Any) -> Tensor:
        """Rows in working units, by float64 in pieces that a cache holds; X itself where it can."""
        kind = torch.empty(0, dtype=self.dtype).numpy().dtype
        if sparse.issparse(X):
            X = X.toarray()
        if self.scale == 1.0 and not self.shift.any() and X.dtype == kind:
            return as_tensor(np.ascontiguousarray(X[:]))
        values = np.empty(X.shape, kind)
        step = max(1, _CACHED_CELLS // X.shape[1])
        with np.errstate(over="ignore"):  # the steps that see an infinite cell are skipped
            for start in range(0, len(values), step):
                piece = X[start : start + step] - self.shift
                values[start : start + step] = np.divide(piece, self.scale, out=piece)
        return as_tensor(values)

    def part(self, rows: slice) -> Batch:
        """Rows that lie side by side, without a copy where they are resident."""
        u = self.resident
        u = u[rows] if u is not None else self._working(self.source[rows]).to(self.device)
        return Batch(u, u, None, None if self.weight is None else self.weight[rows])

    def take(self, index: Tensor) -> Batch:
        """Gather the rows at ``index``."""
        if self.array is not None:
            u = as_tensor(self.array.take(index.numpy(), 0))
        elif self.resident is not None:
            u = self.resident.index_select(0, index.to(self.device))
        else:
            u = self._working(self.source[index.cpu().numpy()])
            if self.device.type == "cuda":  # from pinned memory a copy runs beside the step
                u = u.pin_memory()
            u = u.to(self.device, non_blocking=True)
        weight = None if self.weight is None else self.weight[index.to(self.device)]
        return Batch(u, u, None, weight)

    def draw(self, n_rows: int, generator: torch.Generator) -> Tensor:
        """Draw rows, each once before any is drawn again, shape (n_rows, n_features)."""
        rounds = -(-n_rows // self.n_samples)
        order = [torch.randperm(self.n_samples, generator=generator) for _ in range(rounds)]
        return self.take(torch.cat(order)[:n_rows]).inputs

    def epoch(self, batch_size: int, generator: torch.Generator) -> Sequence[Tensor]:
        """Give the index of every row once, in a new order, in batches of sizes that differ by one.

        So no batch is left with a row or two, which would step as far as a full one.
        """
        if self.resident is None:
            order = shuffled(self.n_samples, self.n_features, generator)
        else:
            order = torch.randperm(self.n_samples, generator=generator).to(self.device)
        return order.tensor_split(-(-self.n_samples // batch_size))

    def all(self) -> Iterator[tuple[slice, Batch]]:
        """Yield every row in order, in blocks of bounded memory."""
        step = max(1, _BLOCK_CELLS // self.n_features)
        for start in range(0, self.n_samples, step):
            rows = slice(start, min(start + step, self.n_samples))
            yield rows, self.part(rows)
