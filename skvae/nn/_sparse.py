"""Sparse rows as a network's input: centred, and never made dense."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from skvae._core.arrays import as_tensor


class SparseInput:
    """Rows ``x - centre`` of which x is sparse, in the network's own units.

    Parameters
    ----------
    x : CSR matrix of shape (rows, n_in)
        Rows, in the type of the network's parameters.
    centre : ndarray of shape (n_in,)
        What is subtracted from each.
    """

    def __init__(self, x: Any, centre: np.ndarray) -> None:
        self.x, self.centre = x, centre

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def __getitem__(self, rows: Any) -> SparseInput:
        return SparseInput(self.x[rows], self.centre)

    def dropped(self, share: float, generator: torch.Generator) -> SparseInput:
        """Leave out a share of the cells that are not zero, and scale the others up."""
        kept = torch.empty(self.x.nnz).bernoulli_(1.0 - share, generator=generator)
        data = self.x.data * kept.div_(1.0 - share).numpy()
        x = sparse.csr_array((data, self.x.indices, self.x.indptr), shape=self.x.shape)
        return SparseInput(x, self.centre)

    def product(self, weight: Tensor) -> Tensor:
        """Product with the transpose of ``weight``, (n_out, n_in), which gets its gradient."""
        product: Tensor = _Product.apply(weight, self.x, self.centre)
        return product


class _Product(torch.autograd.Function):
    """(x - centre) W', by the columns of W whose features occur in the rows, and W centre."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, x: Any, centre: np.ndarray) -> Tensor:
        values = weight.detach().numpy()
        columns, place = np.unique(x.indices, return_inverse=True)
        rows = sparse.csr_array((x.data, place, x.indptr), shape=(x.shape[0], len(columns)))
        ctx.rows, ctx.columns, ctx.centre = rows, columns, centre
        return as_tensor(rows @ values[:, columns].T - values @ centre)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        slope = slopes[0].numpy()
        gradient = np.outer(-slope.sum(0), ctx.centre)
        gradient[:, ctx.columns] += (ctx.rows.T @ slope).T
        return as_tensor(gradient), None, None
