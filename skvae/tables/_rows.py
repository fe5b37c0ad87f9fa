"""The rows of X as training sees them: batches, made dense one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from skvae._core.arrays import as_tensor, numpy_type
from skvae.tables._blocks import BLOCK_CELLS
from skvae.tables._view import View

# A table of more cells is not converted whole: 256 MiB of float32.
_RESIDENT_CELLS = 2**26

# Such a table is shuffled in runs of adjacent rows, this many runs with this many cells at a time:
# they are read from a disk fast, and stay in memory while their rows are drawn.
_SHUFFLED_CELLS = 2**23
_SHUFFLED_RUNS = 64

# Cells that a core's cache holds: 512 KiB of float64.
_CACHED_CELLS = 2**16


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What one step sees.

    Attributes
    ----------
    inputs : Tensor of shape (rows, n_inputs)
        What feeds the encoder, in working units.
    target : Tensor of shape (rows, n_targets)
        What the likelihood is asked about; it differs from ``inputs`` under a corruption or a link.
    observed : Tensor of shape (rows, n_targets) or None
        1 where the target counts, 0 where it is missing; None where all count.
    weight : Tensor of shape (rows,) or None
        Row weights of mean 1 over the training rows; None where all are 1.
    offset : Tensor of shape (rows, 1) or (rows, location) or None
        The rows' own part of the decoder's location, such as the log of a library size.
    """

    inputs: Tensor
    target: Tensor
    observed: Tensor | None = None
    weight: Tensor | None = None
    offset: Tensor | None = None

    def part(self, rows: slice) -> Batch:
        """Give adjacent rows."""
        inputs = self.inputs[rows]
        own = (self.observed, self.weight, self.offset)
        observed, weight, offset = (None if tensor is None else tensor[rows] for tensor in own)
        return Batch(
            inputs=inputs,
            target=inputs if self.target is self.inputs else self.target[rows],
            observed=observed,
            weight=weight,
            offset=offset,
        )


def shuffled(n_samples: int, n_features: int, generator: torch.Generator) -> Tensor:
    """Shuffle rows so that those drawn close to each other lie in a few places.

    X is cut in runs of adjacent rows. The runs are shuffled, and the rows of every 64 consecutive
    runs are shuffled together. So a batch comes from 64 places drawn at random, each row comes
    once, and if all rows are within 64 runs, the order is uniform.
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
    """Say whether to convert a table whole; on a GPU it may take half of the free memory."""
    cells = shape[0] * shape[1]
    if device.type == "cuda":
        return cells * dtype.itemsize <= torch.cuda.mem_get_info(device)[0] // 2
    return cells <= _RESIDENT_CELLS


def _converted(
    X: Any, view: View, dtype: torch.dtype, device: torch.device, pinned: bool = False
) -> tuple[Tensor, Tensor]:
    """Targets and inputs of rows; one tensor, given twice, if they are the same."""

    def moved(array: np.ndarray) -> Tensor:
        tensor = as_tensor(array)
        if pinned:  # a copy from pinned memory overlaps the step
            return tensor.pin_memory().to(device, non_blocking=True)
        return tensor.to(device)

    kind = numpy_type(dtype)
    if sparse.issparse(X):
        X = X.toarray()
    targets = moved(_targets(X, view, kind))
    if view.link == "identity":
        return targets, targets
    return targets, moved(view.inputs(np.asarray(X[:])).astype(kind))


def _targets(X: Any, view: View, kind: np.dtype) -> np.ndarray:
    """Targets, by float64 in pieces that a cache holds; X itself if it is its own target."""
    if view.is_plain and X.dtype == kind:
        return np.ascontiguousarray(X[:])
    values = np.empty(X.shape, kind)
    step = max(1, _CACHED_CELLS // X.shape[1])
    with np.errstate(over="ignore"):  # the steps that see an infinite cell are skipped
        for start in range(0, len(values), step):
            piece = X[start : start + step] - view.shift
            values[start : start + step] = np.divide(piece, view.scale, out=piece)
    return values


def convert(X: Any, view: View, dtype: torch.dtype, device: torch.device) -> Batch:
    """Give rows of X as one batch without weights: ``Rows(...).part(slice(None))`` at less cost."""
    target, inputs = _converted(X, view, dtype, device)
    return Batch(inputs=inputs, target=target, offset=_offset(X, view, dtype, device))


def _offset(X: Any, view: View, dtype: torch.dtype, device: torch.device) -> Tensor | None:
    """Offsets of rows, or None if they have none."""
    offset = view.offset(X)
    return None if offset is None else torch.as_tensor(offset).to(device, dtype)


class Rows:
    """Rows of X as a view shows them, handed out as batches.

    A dense X is converted once if it is small. A large one and a sparse one stay as they are, and
    each batch is converted alone.

    Parameters
    ----------
    X : ndarray, Picked or CSR matrix of shape (n_samples, n_features)
        The rows, in X's units.
    weight : ndarray of shape (n_samples,) or None
        Row weights.
    view : View
        What targets and inputs are.
    dtype : torch.dtype
        Type of the batches.
    device : torch.device
        Device of the batches.

    Attributes
    ----------
    count : float
        Number of rows, or the total weight if that is larger: weights above one are repeated
        rows, weights that add up to less are relative.
    """

    def __init__(
        self,
        X: Any,
        weight: np.ndarray | None,
        view: View,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.n_samples, self.n_features = X.shape
        self.view, self.dtype, self.device = view, dtype, device
        self.count = float(self.n_samples)
        self.weight: Tensor | None = None
        if weight is not None:
            self.count = max(self.count, float(weight.sum()))
            self.weight = torch.as_tensor(weight / weight.mean()).to(device, dtype)
        self.offset = _offset(X, view, dtype, device)
        # One of the two: targets and inputs of all rows, or where to read them.
        self.resident: tuple[Tensor, Tensor] | None = None
        self.source = X
        if not sparse.issparse(X) and _fits(X.shape, dtype, device):
            self.resident = _converted(X, view, dtype, device)
            self.source = None
        self.arrays: tuple[np.ndarray, np.ndarray] | None = None
        if self.resident is not None and device.type == "cpu":
            targets = self.resident[0].numpy()
            same = self.resident[1] is self.resident[0]
            self.arrays = targets, targets if same else self.resident[1].numpy()

    def part(self, rows: slice) -> Batch:
        """Give adjacent rows, without a copy if they are resident."""
        if self.resident is None:
            target, inputs = _converted(self.source[rows], self.view, self.dtype, self.device)
        else:
            target, inputs = self._both(lambda tensor: tensor[rows], self.resident)
        return self._batch(inputs, target, rows)

    def take(self, index: Tensor) -> Batch:
        """Gather the rows at ``index``."""
        if self.arrays is not None:
            rows, (targets, seen) = index.numpy(), self.arrays
            target = inputs = torch.from_numpy(targets.take(rows, 0))
            if seen is not targets:
                inputs = torch.from_numpy(seen.take(rows, 0))
        elif self.resident is not None:
            there = index.to(self.device)
            target, inputs = self._both(lambda tensor: tensor.index_select(0, there), self.resident)
        else:
            pinned = self.device.type == "cuda"
            X = self.source[index.cpu().numpy()]
            target, inputs = _converted(X, self.view, self.dtype, self.device, pinned)
        return self._batch(inputs, target, index)

    def _batch(self, inputs: Tensor, target: Tensor, index: Tensor | slice) -> Batch:
        """Give rows with their own weights and offsets."""
        weight, offset = self.weight, self.offset
        if weight is None and offset is None:
            return Batch(inputs=inputs, target=target)
        rows = index if isinstance(index, slice) else index.to(self.device)
        return Batch(
            inputs=inputs,
            target=target,
            weight=None if weight is None else weight[rows],
            offset=None if offset is None else offset[rows],
        )

    @staticmethod
    def _both(read: Callable[[Any], Tensor], pair: tuple[Any, Any]) -> tuple[Tensor, Tensor]:
        """Read targets and inputs, once if they are the same."""
        target = read(pair[0])
        return target, target if pair[1] is pair[0] else read(pair[1])

    def draw(self, n_rows: int, generator: torch.Generator) -> Tensor:
        """Draw rows, each once before any is drawn again, shape (n_rows, n_features)."""
        rounds = -(-n_rows // self.n_samples)
        order = [torch.randperm(self.n_samples, generator=generator) for _ in range(rounds)]
        return self.take(torch.cat(order)[:n_rows]).inputs

    def epoch(self, batch_size: int, generator: torch.Generator) -> Sequence[Tensor]:
        """Give the index of every row once, in a new order, in batches whose sizes differ by one.

        So no batch is left with a row or two, whose step would be as long as a full one's.
        """
        if self.resident is None:
            order = shuffled(self.n_samples, self.n_features, generator)
        else:
            order = torch.randperm(self.n_samples, generator=generator).to(self.device)
        return order.tensor_split(-(-self.n_samples // batch_size))

    def all(self) -> Iterator[tuple[slice, Batch]]:
        """Yield every row in order, in blocks of bounded memory."""
        step = max(1, BLOCK_CELLS // self.n_features)
        for start in range(0, self.n_samples, step):
            rows = slice(start, min(start + step, self.n_samples))
            yield rows, self.part(rows)
