"""How many latents fill hidden cells best."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from skvae.estimators._base import BaseAutoencoder
from skvae.estimators._read import Read, read_rows
from skvae.inference import expected_cells
from skvae.tables import weighted_moments

# Numbers of latents that are tried, as far as the table is wider.
_CANDIDATES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15)

# Share of the observed cells that is hidden, how many times, and from how many rows at most.
_SHARE, _REPEATS, _MOST_ROWS = 0.1, 3, 1000

# Further candidates that may be worse, before no more are tried.
_PATIENCE = 3

# Draws of a row's posterior: its mean is exact by two, and links that are not linear are mild.
_DRAWS = 20


def choose_by_hidden_cells(
    estimator: BaseAutoencoder,
    X: Any,
    sample_weight: Any,
    rng: np.random.RandomState,
    judges: bool = False,
) -> dict[str, int]:
    """Choose the number of latents whose start fills hidden cells best, and whether to train.

    A tenth of the observed cells is hidden, three times, and the start without training is fitted
    to the others. The error is the mean squared distance from the hidden numbers, indicators of
    levels among them, over each column's variance.

    Parameters
    ----------
    estimator : VariationalAutoencoder
        What is to be fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows.
    sample_weight : array-like of shape (n_samples,) or None
        Row weights.
    rng : RandomState
        Of rows and cells.
    judges : bool, default=False
        Whether to train on the cells that are shown the first time, too: if the hidden ones are
        then filled no better than by the start, it is to be kept.

    Returns
    -------
    parameters : dict
        "n_components", and "max_iter" of 0 if the start is to be kept.
    """
    read = read_rows(clone(estimator), X, sample_weight, None)
    numbers = read.X.toarray() if sparse.issparse(read.X) else np.asarray(read.X)
    rows = rng.permutation(len(numbers))[:_MOST_ROWS]
    numbers = numbers[rows]
    hidden = [hide(numbers, read, rng) for _ in range(_REPEATS)]
    variance = weighted_moments(numbers, None).variance
    trained = clone(estimator).set_params(likelihood=read.likelihood)
    trial = clone(trained).set_params(init="pca", max_iter=0)
    best, least, of_start, n_worse = 1, np.inf, np.zeros(0), 0
    for k in (k for k in _CANDIDATES if k < numbers.shape[1]):
        trial.set_params(n_components=k)
        errors = [hidden_errors(trial, numbers, cells, variance) for cells in hidden]
        mean, n_worse = float(np.mean(np.hstack(errors))), n_worse + 1
        if mean < least:
            best, least, of_start, n_worse = k, mean, errors[0], 0
        if n_worse == _PATIENCE:
            break
    if not judges:
        return {"n_components": best}
    trained.set_params(n_components=best)
    is_gain = hidden_errors(trained, numbers, hidden[0], variance).mean() < of_start.mean()
    return {"n_components": best} if is_gain else {"n_components": best, "max_iter": 0}


def hide(numbers: np.ndarray, read: Read, rng: np.random.RandomState) -> np.ndarray:
    """Choose observed cells, with all of the numbers of each, but never all of a column."""
    starts = range(numbers.shape[1]) if read.table is None else read.table.starts
    widths = [1] * len(starts) if read.table is None else [c.width for c in read.table.columns]
    hidden = np.zeros(numbers.shape, dtype=bool)
    for start, width in zip(starts, widths, strict=True):
        there = np.flatnonzero(~np.isnan(numbers[:, start]))
        chosen = there[rng.rand(len(there)) < _SHARE]
        hidden[chosen[: len(there) - 1], start : start + width] = True
    return hidden


def hidden_errors(
    trial: BaseAutoencoder, numbers: np.ndarray, hidden: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """Squared errors on hidden numbers over the variance of their columns."""
    shown = np.where(hidden, np.nan, numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = trial.fit(shown)._fitted
    residual = expected_cells(fitted, shown, _DRAWS) - numbers
    squares = np.divide(residual**2, variance, out=np.zeros_like(residual), where=variance > 0)
    return squares[hidden]
