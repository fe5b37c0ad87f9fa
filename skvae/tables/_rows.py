"""The rows of X as training sees them: batches, made dense one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from skvae._core.arrays import as_tensor, numpy_type
from skvae._core.sources import KEPT_BYTES
from skvae.tables._blocks import BLOCK_CELLS, CACHED_CELLS, edges_of, has_gaps
from skvae.tables._gaps import Gaps
from skvae.tables._view import View

# A table of more cells is not converted whole: 256 MiB of float32.
_RESIDENT_CELLS = 2**26

# Such a table is shuffled in runs of adjacent rows, this many runs with this many cells at a time:
# they are read from a disk fast, and stay in memory while their rows are drawn.
_SHUFFLED_CELLS = 2**23
_SHUFFLED_RUNS = 64


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
    factor : Tensor of shape (rows, n_components, n_components) or (rows, n_components) or None
        What the gaps of each row make of its posterior's noise: a lower triangle, or the diagonal.
    """

    inputs: Tensor
    target: Tensor
    observed: Tensor | None = None
    weight: Tensor | None = None
    offset: Tensor | None = None
    factor: Tensor | None = None

    def read(self, read: Callable[[Tensor], Tensor]) -> Batch:
        """Give what a function makes of each tensor, of targets once if they are the inputs."""
        inputs = read(self.inputs)
        own = (self.observed, self.weight, self.offset, self.factor)
        observed, weight, offset, factor = (None if t is None else read(t) for t in own)
        return Batch(
            inputs=inputs,
            target=inputs if self.target is self.inputs else read(self.target),
            observed=observed,
            weight=weight,
            offset=offset,
            factor=factor,
        )

    def part(self, rows: slice) -> Batch:
        """Give adjacent rows."""
        return self.read(lambda tensor: tensor[rows])


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


def shuffled_pieces(
    edges: np.ndarray, n_bytes: int, n_batches: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Shuffle rows that are read by pieces, and yield the index of batches of nearly equal size.

    The pieces are shuffled, and the rows of consecutive ones together, of up to 64 and of as many
    as are kept. No index of all rows is made.

    Parameters
    ----------
    edges : ndarray of int of shape (n_pieces + 1,)
        Where pieces begin, and the number of rows.
    n_bytes : int
        Size of a row.
    n_batches : int
        Number of batches.
    generator : Generator
        Of the order. It is read once, whatever else it draws meanwhile.
    """
    own = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
    least, n_larger = divmod(int(edges[-1]), n_batches)
    pending, n_done = torch.empty(0, dtype=torch.int64), 0
    for group in _groups(edges, n_bytes, own):
        rows = torch.cat([torch.arange(*edges[number : number + 2]) for number in group])
        pending = torch.cat([pending, rows[torch.randperm(len(rows), generator=own)]])
        while n_done < n_batches and len(pending) >= (size := least + (n_done < n_larger)):
            yield pending[:size]
            pending, n_done = pending[size:], n_done + 1


def _groups(edges: np.ndarray, n_bytes: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Pieces in a new order, as many together as are kept."""
    group: list[int] = []
    room = KEPT_BYTES
    for number in torch.randperm(len(edges) - 1, generator=generator).tolist():
        size = int(edges[number + 1] - edges[number]) * n_bytes
        if group and (size > room or len(group) == _SHUFFLED_RUNS):
            yield group
            group, room = [], KEPT_BYTES
        group.append(number)
        room -= size
    yield group


def _fits(shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> bool:
    """Say whether to convert a table whole; on a GPU it may take half of the free memory."""
    cells = shape[0] * shape[1]
    if device.type == "cuda":
        return cells * dtype.itemsize <= torch.cuda.mem_get_info(device)[0] // 2
    return cells <= _RESIDENT_CELLS


def convert(
    X: Any, view: View, dtype: torch.dtype, device: torch.device, pinned: bool = False
) -> Batch:
    """Give rows of X as one batch without weights: ``Rows(...).part(slice(None))`` at less cost."""

    def moved(array: np.ndarray) -> Tensor:
        tensor = as_tensor(array)
        if pinned:  # a copy from pinned memory overlaps the step
            return tensor.pin_memory().to(device, non_blocking=True)
        return tensor.to(device)

    kind, offset = numpy_type(dtype), _offset(X, view, dtype, device)
    if sparse.issparse(X):
        X = X.toarray()
    if view.gaps is not None and (view.gaps.unseen.any() or has_gaps(X)):
        arrays = _with_gaps(np.asarray(X[:], np.float64), view, view.gaps)
        tensors = {name: moved(array.astype(kind)) for name, array in arrays.items()}
        return Batch(**tensors, offset=offset)
    targets = _targets(X, view, kind)
    target = inputs = moved(targets)
    if view.link != "identity":
        targets = view.inputs(np.asarray(X[:])).astype(kind)
        inputs = moved(targets)
    if view.gaps is not None and view.n_masks:
        inputs = moved(view.gaps.with_masks(targets, None))
    return Batch(inputs=inputs, target=target, offset=offset)


def _with_gaps(X: np.ndarray, view: View, gaps: Gaps) -> dict[str, np.ndarray]:
    """Parts of a batch of rows with gaps."""
    observed = ~np.isnan(X) & ~gaps.unseen
    inputs, factor = gaps.fill(view.inputs(X), observed)
    parts = {
        "inputs": gaps.with_masks(inputs, observed),
        "target": view.targets(np.where(observed, X, gaps.filler)),
        "observed": observed,
    }
    return parts if factor is None else {**parts, "factor": factor}


def _targets(X: Any, view: View, kind: np.dtype) -> np.ndarray:
    """Targets, by float64 in pieces that a cache holds; X itself if it is its own target."""
    if view.is_plain and X.dtype == kind:
        return np.ascontiguousarray(X[:])
    values = np.empty(X.shape, kind)
    step = max(1, CACHED_CELLS // X.shape[1])
    with np.errstate(over="ignore"):  # the steps that see an infinite cell are skipped
        for start in range(0, len(values), step):
            piece = X[start : start + step] - view.shift
            values[start : start + step] = np.divide(piece, view.scale, out=piece)
    return values


def _offset(X: Any, view: View, dtype: torch.dtype, device: torch.device) -> Tensor | None:
    """Offsets of rows, or None if they have none."""
    offset = view.offset(X)
    return None if offset is None else torch.as_tensor(offset).to(device, dtype)


def refilled(batch: Batch, gaps: Gaps) -> Batch:
    """Fill the gaps of a batch in another way."""
    assert batch.observed is not None
    own = batch.inputs[:, : len(gaps.center)].cpu().numpy()
    observed = batch.observed.cpu().numpy().astype(bool)
    filled, factor = gaps.fill(own, observed)
    like = batch.inputs
    return replace(
        batch,
        inputs=torch.as_tensor(gaps.with_masks(filled, observed)).to(like),
        factor=None if factor is None else torch.as_tensor(factor).to(like),
    )


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
    has_gaps : bool
        Whether a cell is missing.
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
        unseen = view.gaps is not None and view.gaps.unseen.any()
        self.has_gaps = bool(unseen) or has_gaps(X)
        # All rows as a batch, or else where to read them.
        self.resident: Batch | None = None
        self.source = X
        if not sparse.issparse(X) and _fits(X.shape, dtype, device):
            self.resident = replace(convert(X, view, dtype, device), weight=self.weight)
            self.source = X if self.has_gaps else None
        # Targets and inputs, where NumPy gathers rows faster.
        self.arrays: tuple[np.ndarray, np.ndarray] | None = None
        batch = self.resident
        if batch is not None and device.type == "cpu" and not self.has_gaps:
            targets, is_same = batch.target.numpy(), batch.target is batch.inputs
            self.arrays = targets, targets if is_same else batch.inputs.numpy()

    def fill(self, gaps: Gaps) -> None:
        """Fill gaps as a start says."""
        gaps = gaps.astype(numpy_type(self.dtype))
        self.view = replace(self.view, gaps=gaps)
        if self.resident is not None and self.has_gaps:
            is_small = self.n_samples * gaps.n_factor <= _RESIDENT_CELLS
            self.resident = refilled(self.resident, gaps) if is_small else None

    def part(self, rows: slice) -> Batch:
        """Give adjacent rows, without a copy if they are resident."""
        if self.resident is not None:
            return self.resident.part(rows)
        return self._weighted(convert(self.source[rows], self.view, self.dtype, self.device), rows)

    def take(self, index: Tensor) -> Batch:
        """Gather the rows at ``index``."""
        if self.resident is None:
            pinned = self.device.type == "cuda"
            X = self.source[index.cpu().numpy()]
            batch = convert(X, self.view, self.dtype, self.device, pinned)
            return self._weighted(batch, index.to(self.device))
        if self.arrays is None:
            there = index.to(self.device)
            return self.resident.read(lambda tensor: tensor.index_select(0, there))
        rows, (targets, seen) = index.numpy(), self.arrays
        target = inputs = torch.from_numpy(targets.take(rows, 0))
        if seen is not targets:
            inputs = torch.from_numpy(seen.take(rows, 0))
        weight, offset = self.weight, self.resident.offset
        if weight is None and offset is None:
            return Batch(inputs=inputs, target=target)
        offset = None if offset is None else offset[index]
        return self._weighted(Batch(inputs=inputs, target=target, offset=offset), index)

    def _weighted(self, batch: Batch, index: Tensor | slice) -> Batch:
        """Give rows their own weights."""
        return batch if self.weight is None else replace(batch, weight=self.weight[index])

    def draw(self, n_rows: int, generator: torch.Generator) -> Tensor:
        """Draw rows, each once before any is drawn again, shape (n_rows, n_features)."""
        rounds = -(-n_rows // self.n_samples)
        order = [torch.randperm(self.n_samples, generator=generator) for _ in range(rounds)]
        return self.take(torch.cat(order)[:n_rows]).inputs

    def epoch(self, batch_size: int, generator: torch.Generator) -> Iterable[Tensor]:
        """Give the index of every row once, in a new order, in batches whose sizes differ by one.

        So no batch is left with a row or two, whose step would be as long as a full one's.
        """
        n_batches = -(-self.n_samples // batch_size)
        edges = None if self.resident is not None else edges_of(self.source)
        if edges is not None:
            n_bytes = self.n_features * self.source.dtype.itemsize
            return shuffled_pieces(edges, n_bytes, n_batches, generator)
        if self.resident is None:
            order = shuffled(self.n_samples, self.n_features, generator)
        else:
            order = torch.randperm(self.n_samples, generator=generator).to(self.device)
        return order.tensor_split(n_batches)

    def all(self) -> Iterator[tuple[slice, Batch]]:
        """Yield every row in order, in blocks of bounded memory."""
        step = max(1, BLOCK_CELLS // self.n_features)
        for start in range(0, self.n_samples, step):
            rows = slice(start, min(start + step, self.n_samples))
            yield rows, self.part(rows)
