"""How rows of X become what a step sees, and come back."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from skvae.tables._blocks import Derived, blocks, has_gaps
from skvae.tables._gaps import Gaps

# The link of counts over their row's library size.
PER_LIBRARY = "log1p_per_library"

# Functions of a cell that the encoder may be shown. Zero stays zero, so a sparse X stays sparse,
# and the logarithm is for tables without one.
LINKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda cells: cells,
    "log": np.log,
    "log1p": np.log1p,
    PER_LIBRARY: np.log1p,
}

# Library size of a row without a count, whose logarithm has to be finite.
_LEAST_LIBRARY = 0.5

# Of all columns, or one per column.
Link = str | tuple[str, ...]


def shown(X: Any, link: Link) -> Any:
    """What the encoder is shown of rows of X: X itself, or a function of each cell.

    Parameters
    ----------
    X : ndarray, Picked or CSR matrix of shape (n_samples, n_features)
        The rows. A dense X is not copied: blocks of it are, as they are read.
    link : {"identity", "log", "log1p", "log1p_per_library"} or tuple of these
        The function, of all columns or one per column; counts come over their library sizes.
    """
    if link == "identity":
        return X
    if not sparse.issparse(X):
        return Derived(X, functools.partial(linked, link))
    X = X.astype(np.float64)
    columns = np.broadcast_to(link, X.shape[1])[X.indices]
    for name in np.unique(columns):
        X.data[columns == name] = LINKS[name](X.data[columns == name])
    return X


def library_sizes(X: Any, link: Link, mean: np.ndarray) -> np.ndarray | None:
    """Library size of each row, its total of counts, over that of the mean row.

    Of a row with gaps both are of the cells that are there.

    Parameters
    ----------
    X : ndarray, Picked or CSR matrix of shape (n_samples, n_features)
        The rows.
    link : str or tuple of str
        Columns of the link "log1p_per_library" are counted.
    mean : ndarray of shape (n_features,)
        The mean row.

    Returns
    -------
    sizes : ndarray of shape (n_samples, 1) or None
        None if no column is counted.
    """
    if PER_LIBRARY not in (link if isinstance(link, tuple) else (link,)):
        return None
    counted = np.broadcast_to(np.equal(link, PER_LIBRARY), len(mean))
    ones = counted.astype(np.float64)
    expected: Any = mean @ ones
    if has_gaps(X):
        totals = np.hstack([np.nan_to_num(block) @ ones for _, block in blocks(X)])
        expected = np.hstack([~np.isnan(block) @ (mean * ones) for _, block in blocks(X)])
    else:
        totals = X @ ones if sparse.issparse(X) else np.hstack([b @ ones for _, b in blocks(X)])
    return (np.maximum(totals, _LEAST_LIBRARY) / np.maximum(expected, _LEAST_LIBRARY))[:, None]


def per_library(X: Any, link: Link, mean: np.ndarray) -> Any:
    """Rows with their counts over their library sizes, the mean row's being 1.

    Columns of other links are as they are, and so is X where no column is counted. A dense X is
    not copied.
    """
    counted = np.broadcast_to(np.equal(link, PER_LIBRARY), len(mean))
    if not sparse.issparse(X):
        return Derived(X, functools.partial(_divided, link, mean)) if counted.any() else X
    sizes = library_sizes(X, link, mean)
    if sizes is None:
        return X
    X = X.astype(np.float64)
    each = np.repeat(sizes, np.diff(X.indptr))
    X.data /= np.where(counted[X.indices], each, 1.0)
    return X


def _divided(link: Link, mean: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Dense rows with their counts over their library sizes."""
    sizes = library_sizes(block, link, mean)
    return block if sizes is None else block / np.where(np.equal(link, PER_LIBRARY), sizes, 1.0)


def linked(link: Link, block: np.ndarray) -> np.ndarray:
    """Apply a link, of all columns or one per column, to a dense block of rows."""
    if isinstance(link, str):
        return LINKS[link](block)
    result = np.empty(block.shape)
    for name in set(link):
        columns = np.flatnonzero(np.equal(link, name))
        result[:, columns] = LINKS[name](block[:, columns])
    return result


@dataclass(frozen=True, kw_only=True)
class View:
    """Units of a fit: targets are ``(x - shift) / scale``, column by column.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        Weighted mean of X.
    total_variance : float
        Sum of X's variances, with PCA's n - 1.
    shift, scale : ndarray of shape (n_targets,)
        Of the targets, which the likelihood is asked about.
    link : {"identity", "log", "log1p", "log1p_per_library"} or tuple of these
        What the encoder is shown of all columns, or of each: the target, or this function of X.
    input_shift, input_scale : ndarray of shape (n_inputs,) or None
        Constants of the encoder, which sees ``(input - input_shift) * input_scale``.
    unit : ndarray of shape (n_targets,), optional
        Factor that takes X to the units in which latents are weighed and reported; by default X's
        own. Columns of different kinds have no unit in common but their spread.
    gaps : Gaps, optional
        What stands in place of missing cells; set by the start.
    """

    mean: np.ndarray
    total_variance: float
    shift: np.ndarray
    scale: np.ndarray
    link: Link = "identity"
    input_shift: np.ndarray | None = None
    input_scale: np.ndarray | None = None
    unit: np.ndarray | None = None
    gaps: Gaps | None = None

    @property
    def center(self) -> np.ndarray:
        """Mean of X; with gaps that of the start's linear model, which the rest of a row moves."""
        if self.gaps is None or not self.n_masks:
            return self.mean
        return np.where(self._is_target, self.back(self.gaps.center), self.mean)

    @property
    def report_scale(self) -> np.ndarray:
        """Size of one unit of each target, in the units of the report."""
        return self.scale if self.unit is None else self.scale * self.unit

    @property
    def n_columns(self) -> int:
        """Number of columns of X."""
        return len(self.mean)

    @property
    def n_masks(self) -> int:
        """Number of columns whose gaps the encoder is shown."""
        return 0 if self.gaps is None else len(self.gaps.columns)

    @property
    def n_inputs(self) -> int:
        """Number of the encoder's inputs."""
        return self.n_columns + self.n_masks

    @property
    def n_targets(self) -> int:
        """Number of the likelihood's columns."""
        return len(self.shift)

    @property
    def is_plain(self) -> bool:
        """Whether a row of X is its own target and input, with nothing to compute."""
        return self.link == "identity" and not self.shift.any() and bool((self.scale == 1.0).all())

    @property
    def affine(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Shift and scale that turn X into the inputs; None if there is more to do."""
        is_seen = self.gaps is None or not self.gaps.unseen.any()
        is_affine = self.link == "identity" and not self.n_masks and is_seen
        return (self.shift, self.scale) if is_affine else None

    @property
    def input_unit(self) -> np.ndarray:
        """Size of a unit of the columns' inputs, in units of X or of what the link makes of it."""
        return np.where(self._is_target, self.scale, 1.0)

    @property
    def _is_target(self) -> np.ndarray:
        """Which columns' inputs are targets themselves."""
        return np.broadcast_to(np.equal(self.link, "identity"), self.n_columns)

    def over(self, factor: float) -> View:
        """Give the same view with units of the targets that are larger by a factor."""
        of_inputs = np.where(self._is_target, factor, 1.0)
        return replace(  # before there are gaps
            self,
            scale=self.scale * factor,
            input_shift=None if self.input_shift is None else self.input_shift / of_inputs,
            input_scale=None if self.input_scale is None else self.input_scale * of_inputs,
        )

    def targets(self, block: np.ndarray) -> np.ndarray:
        """Targets of a dense block of rows."""
        return (block - self.shift) / self.scale

    def inputs(self, block: np.ndarray) -> np.ndarray:
        """Inputs of a dense block of rows; what is missing stays so."""
        if self.link == "identity":
            return self.targets(block)
        inputs = linked(self.link, _divided(self.link, self.mean, block))
        if self._is_target.any():
            inputs = np.where(self._is_target, self.targets(block), inputs)
        return inputs

    def offset(self, X: Any) -> np.ndarray | None:
        """Log of each row's library size over the mean row's; None if no column is counted.

        Of shape (rows, 1), or (rows, n_inputs) and 0 in other columns, where columns have links of
        their own.
        """
        sizes = library_sizes(X, self.link, self.mean)
        if sizes is None:
            return None
        return np.log(sizes) * np.atleast_1d(np.equal(self.link, PER_LIBRARY))

    def back(self, targets: np.ndarray) -> np.ndarray:
        """Give targets in X's units, in their own type."""
        kind = targets.dtype
        return targets * self.scale.astype(kind) + self.shift.astype(kind)

    def log_jacobian(self, observed: np.ndarray | None = None) -> Any:
        """What a log-density of targets is more than that of X: a float, or one per row.

        Parameters
        ----------
        observed : ndarray of shape (rows, n_targets), optional
            1 where a cell counts, 0 where it is missing.
        """
        logs = np.log(self.scale)
        if observed is not None:
            return observed @ logs
        first = float(logs[0])
        # For equal units the product, which rounds once.
        return len(logs) * first if (logs == logs[0]).all() else math.fsum(logs)
