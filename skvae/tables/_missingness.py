"""Which cells the rows of a fit lacked together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skvae.tables._blocks import blocks, has_gaps
from skvae.tables._gaps import patterns
from skvae.tables._table import Table

# Most rows whose gaps are remembered, evenly spread.
_MOST_ROWS = 10_000


@dataclass(frozen=True, kw_only=True)
class Missingness:
    """Sets of cells that were missing together, and how often.

    Attributes
    ----------
    patterns : ndarray of bool of shape (n_patterns, n_columns)
        True where a cell is missing, in the table's columns.
    weight : ndarray of shape (n_patterns,)
        Rows of each, or their weight.
    """

    patterns: np.ndarray
    weight: np.ndarray

    def draw(self, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Draw the gaps of rows, whatever their values, (n_samples, n_columns)."""
        share = self.weight / self.weight.sum()
        return self.patterns[rng.choice(len(share), n_samples, p=share)]

    def pooled(self, past: Missingness | None) -> Missingness:
        """Give these rows' and those of a stream before them; the rarest are forgotten."""
        if past is None:
            return self
        both = _counted(
            np.vstack([past.patterns, self.patterns]), np.hstack([past.weight, self.weight])
        )
        kept = np.argsort(-both.weight, kind="stable")[:_MOST_ROWS]
        return Missingness(patterns=both.patterns[kept], weight=both.weight[kept])


def read_missingness(X: Any, weight: np.ndarray | None, table: Table | None) -> Missingness:
    """Read which cells rows lack.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_numbers)
        Rows, as the numbers of the table if there is one.
    weight : ndarray of shape (n_samples,) or None
        Row weights.
    table : Table or None
        How columns became numbers.
    """
    n_samples = X.shape[0]
    if not has_gaps(X):
        n_columns = X.shape[1] if table is None else len(table.columns)
        return Missingness(
            patterns=np.zeros((1, n_columns), bool), weight=np.array([1.0 * n_samples])
        )
    rows = np.linspace(0, n_samples - 1, min(n_samples, _MOST_ROWS)).astype(np.intp)
    read = np.isnan if table is None else table.missing
    missing = np.vstack([read(block) for _, block in blocks(X[rows])])
    return _counted(missing, np.ones(len(rows)) if weight is None else weight[rows])


def _counted(rows: np.ndarray, weight: np.ndarray) -> Missingness:
    first, index = patterns(rows)
    return Missingness(patterns=rows[first], weight=np.bincount(index, weight))
