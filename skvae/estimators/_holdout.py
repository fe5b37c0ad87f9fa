"""How many latents fill hidden cells best."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from skvae.estimators._base import BaseAutoencoder
from skvae.estimators._read import Read, read_rows
from skvae.inference import expected_cells
from skvae.tables import weighted_moments
from skvae.watching import Watch

# Numbers of latents that are tried, as far as the table is wider.
_CANDIDATES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15)

# Share of the observed cells that is hidden, and how many times.
_SHARE, N_TRIALS = 0.1, 3

# Rows to choose by: so many, and more as long as they have no more cells than this. Fewer rows ask
# for fewer latents than all of them would.
_ROWS, _CELLS = 2000, 2**16

# Further candidates that may be worse, before no more are tried.
_PATIENCE = 3

# Draws of a row's posterior: of the start, where all weigh nearly the same, and after training.
_DRAWS, _TRAINED_DRAWS = 20, 200


def choose_by_hidden_cells(
    estimator: BaseAutoencoder,
    X: Any,
    sample_weight: Any,
    rng: np.random.RandomState,
    judge: Watch | None = None,
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
    judge : Watch, default=None
        Watches a training on the cells that are shown: if the hidden ones are then filled no better
        than by the start, it is to be kept. Without it the start is not judged.

    Returns
    -------
    parameters : dict
        "n_components", and "max_iter" of 0 if the start is to be kept.
    """
    read = read_rows(clone(estimator), X, sample_weight, None)
    numbers = read.X.toarray() if sparse.issparse(read.X) else np.asarray(read.X)
    rows = rng.permutation(len(numbers))[: max(_ROWS, _CELLS // numbers.shape[1])]
    numbers = numbers[rows]
    hidden = [hide(numbers, read, rng) for _ in range(N_TRIALS)]
    variance = weighted_moments(numbers, None).variance
    trained = clone(estimator).set_params(likelihood=read.likelihood)
    trial = clone(trained).set_params(init="pca", max_iter=0)
    best, least, n_worse = 1, np.inf, 0
    for k in (k for k in _CANDIDATES if k < numbers.shape[1]):
        error = hidden_error(trial.set_params(n_components=k), numbers, hidden, variance)
        best, least, n_worse = (k, error, 0) if error < least else (best, least, n_worse + 1)
        if n_worse == _PATIENCE:
            break
    chosen = {"n_components": best}
    if judge is not None:
        error = hidden_error(trained.set_params(**chosen), numbers, hidden, variance, judge)
        if error >= least:
            chosen["max_iter"] = 0
    return chosen


def hide(numbers: np.ndarray, read: Read, rng: np.random.RandomState) -> np.ndarray:
    """Choose observed cells, with all of the numbers of each, but never all of a column."""
    single = [slice(j, j + 1) for j in range(numbers.shape[1])]
    hidden = np.zeros(numbers.shape, dtype=bool)
    for place in single if read.table is None else read.table.places:
        there = np.flatnonzero(~np.isnan(numbers[:, place.start]))
        chosen = there[rng.rand(len(there)) < _SHARE]
        hidden[chosen[: len(there) - 1], place] = True
    return hidden


def hidden_error(
    trial: BaseAutoencoder,
    numbers: np.ndarray,
    hidden: list[np.ndarray],
    variance: np.ndarray,
    watch: Watch | None = None,
) -> float:
    """Mean squared error on hidden numbers over the variance of their columns."""
    errors = []
    for i, cells in enumerate(hidden, 1):
        shown = np.where(cells, np.nan, numbers)
        name = f"trial {i} of {len(hidden)}"
        with warnings.catch_warnings(), watch.within(name, trial) if watch else nullcontext():
            warnings.simplefilter("ignore")
            fitted = trial.fit(shown)._fitted
        n_draws = _TRAINED_DRAWS if trial.max_iter else _DRAWS
        residual = expected_cells(fitted, shown, n_draws) - numbers
        squares = np.divide(residual**2, variance, out=np.zeros_like(residual), where=variance > 0)
        errors.append(squares[cells])
    return float(np.hstack(errors).mean())
