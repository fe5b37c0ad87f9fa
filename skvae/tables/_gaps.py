"""Missing cells: what stands in their place, and what they add to a row's posterior.

The linear model of the start is r = W z + N(0, I), with r the whitened inputs. Of a row whose
observed cells are o, the posterior is N(m, M^-1), M = I + W_o' W_o, m = M^-1 W_o' r_o. Two facts
follow. With its gaps at their expectation W m, the row gives the encoder of complete rows, which is
linear, the same m. And M depends on the gaps alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

# Cells of the widest array that is made for a block of rows.
_BLOCK_CELLS = 2**20

# Above this many latents the posterior of a row with gaps has its own variances, no correlations.
_MOST_CORRELATED = 32


def patterns(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find rows of a mask that are the same.

    Parameters
    ----------
    mask : ndarray of bool of shape (n_samples, n_columns)
        Such as where cells are missing.

    Returns
    -------
    first : ndarray of int of shape (n_patterns,)
        A row of each pattern.
    index : ndarray of int of shape (n_samples,)
        Pattern of each row.
    """
    packed = np.packbits(mask, axis=1)
    _, first, index = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return first, index.ravel()


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """What stands in place of missing cells, as a start says.

    Attributes
    ----------
    columns : ndarray of int of shape (n_masks,)
        Columns that had gaps at fit: the encoder is shown where they are observed.
    unseen : ndarray of bool of shape (n_columns,)
        Columns that had no cells at fit; later ones are not looked at.
    filler : ndarray of shape (n_columns,)
        A cell of each column, in X's units, for targets that do not count.
    center, unit : ndarray of shape (n_columns,)
        Mean and noise of each input, in working units.
    loadings : ndarray of shape (n_columns, n_components)
        W, of whitened inputs.
    of_latents : bool
        Whether its latents are the model's, so that M is their precision.
    """

    columns: np.ndarray
    unseen: np.ndarray
    filler: np.ndarray
    center: np.ndarray
    unit: np.ndarray
    loadings: np.ndarray
    of_latents: bool = False

    def astype(self, kind: np.dtype) -> Gaps:
        """Give the same with its working units in another type of float."""
        names = ("center", "unit", "loadings")
        return replace(self, **{name: getattr(self, name).astype(kind) for name in names})

    @property
    def n_factor(self) -> int:
        """Numbers of a row's factor."""
        k = self.loadings.shape[1]
        return (k if k > _MOST_CORRELATED else k * k) * self.of_latents

    def with_masks(self, inputs: np.ndarray, observed: np.ndarray | None) -> np.ndarray:
        """Inputs of rows, with ones and zeros beside them for the columns that had gaps."""
        if not len(self.columns):
            return inputs
        if observed is None:
            masks = np.ones((len(inputs), len(self.columns)), inputs.dtype)
        else:
            masks = observed[:, self.columns].astype(inputs.dtype)
        return np.hstack([inputs, masks])

    def fill(
        self, inputs: np.ndarray, observed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Fill rows with their conditional expectation.

        Parameters
        ----------
        inputs : ndarray of shape (n_samples, n_columns)
            In working units; what stands at a gap does not matter.
        observed : ndarray of bool of shape (n_samples, n_columns)
            Where there is a cell.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_columns)
            The rows.
        factor : ndarray or None
            L with L L' = M^-1, over the standard deviations of complete rows, so that it is the
            identity for these; of shape (n_samples, n_components, n_components), or of many
            latents the diagonal alone. None if the latents are not the model's.
        """
        filled, (d, k) = inputs.copy(), self.loadings.shape
        loadings = self.loadings.astype(np.float64)
        std = np.sqrt(1.0 + np.square(loadings).sum(0))  # one over that of complete rows
        factor = self._identity(len(inputs), k, inputs.dtype) if self.of_latents else None
        rows_with_gaps = np.flatnonzero(~observed.all(1))
        step = max(1, _BLOCK_CELLS // (max(d, k) * max(k, 1)))
        for start in range(0, len(rows_with_gaps), step):
            rows = rows_with_gaps[start : start + step]
            is_there = observed[rows]
            residual = np.where(is_there, (inputs[rows] - self.center) / self.unit, 0.0)
            seen = loadings.T * is_there[:, None, :]
            precision = seen @ loadings + np.eye(k)
            mean = np.linalg.solve(precision, seen @ residual[..., None])[..., 0]
            expected = self.center + self.unit * (mean @ loadings.T)
            filled[rows] = np.where(is_there, inputs[rows], expected)
            if factor is not None and factor.ndim == 3:
                lower = np.linalg.cholesky(np.linalg.inv(precision))
                factor[rows] = lower * std
            elif factor is not None:
                factor[rows] = std / np.sqrt(np.diagonal(precision, axis1=1, axis2=2))
        return filled, factor

    @staticmethod
    def _identity(n_rows: int, k: int, dtype: np.dtype) -> np.ndarray:
        if k > _MOST_CORRELATED:
            return np.ones((n_rows, k), dtype)
        return np.tile(np.eye(k, dtype=dtype), (n_rows, 1, 1))
