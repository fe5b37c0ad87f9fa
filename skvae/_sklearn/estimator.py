"""What every estimator here does, whatever it models: row weights, reports, its state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skvae._sklearn.compat import check_sample_weight


class Estimator(BaseEstimator):
    """A failed fit leaves what was fitted before, and a pickle says its format."""

    _doc_link_module = "skvae"

    # Raised by one whenever pickles of the older state can no longer be read.
    _state_version: int

    @contextmanager
    def _restored_on_failure(self) -> Iterator[None]:
        """Put the attributes back as they were if the block raises."""
        before = vars(self).copy()
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_state_version": self._state_version}

    def __setstate__(self, state: dict[str, Any]) -> None:
        version = state.pop("_state_version", None)
        if version != self._state_version:
            raise ValueError(
                f"This {type(self).__name__} was saved in format {version!r}; this version of "
                f"skvae reads format {self._state_version}. Load it with the version that saved it."
            )
        super().__setstate__(state)


def check_weight(sample_weight: Any, X: Any, n_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the weights that are positive, and where they are.

    Raises
    ------
    ValueError
        If a weight is negative, or fewer than ``n_least`` are positive.
    """
    weight = check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError(
            f"sample_weight must not be negative. Got a least weight of {weight.min():g}."
        )
    positive = weight > 0
    n_positive = int(positive.sum())
    if n_positive < n_least:
        raise ValueError(
            f"sample_weight is zero for all but {n_positive} of {len(weight)} rows: at least "
            f"{n_least} rows need a weight above zero."
        )
    return weight[positive], positive


def print_epoch(verbose: int, epoch: int, loss: float, score: float | None) -> None:
    """Report an epoch, if ``verbose`` asks for it."""
    if verbose:
        held_out = "" if score is None else f", held-out objective {score:.4f}"
        print(f"Epoch {epoch}: loss {loss:.4f}{held_out}")
