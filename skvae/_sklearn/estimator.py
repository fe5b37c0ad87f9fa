"""What every estimator here does, whatever it models: row weights, reports, its state."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skvae._core.checks import shown
from skvae._sklearn.caller import fitted_by_user, warn
from skvae._sklearn.compat import BaseEstimator, CallbackSupportMixin
from skvae._sklearn.kind import InKind
from skvae._sklearn.rows import check_sample_weight


class Saved(InKind, BaseEstimator):
    """A failed fit leaves the former state, and a pickle states its format."""

    # The page of the class, to which its representation in a notebook links.
    _doc_link_module = "skvae"
    _doc_link_template = "https://skvae.example/generated/skvae.{estimator_name}.html"

    # Raised by one whenever pickles of the older state can no longer be read.
    _state_version: int

    @contextmanager
    def _restored_on_failure(self) -> Iterator[None]:
        """Put the attributes back as they were if the block raises."""
        before = vars(self).copy()
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def _end_interrupted(self, best_epoch: int) -> None:
        """Say which epoch an interrupted fit has kept; raise again unless the user called fit.

        In the user's own fit there is nothing else to be stopped. A search or a pipeline would go
        on with the next fit.
        """
        message = f"training was interrupted; epoch {best_epoch} is kept."
        if not fitted_by_user():
            raise KeyboardInterrupt(f"{type(self).__name__}: {message}")
        self._warn_of(message)

    def _warn_of(self, message: str) -> None:
        """Issue a ConvergenceWarning."""
        warn(f"{type(self).__name__}: {message}", ConvergenceWarning)

    def _facts(self) -> list[str]:
        """What the fitted estimator's representation in a notebook says first."""
        return []

    def _with_facts(self, representation: str) -> str:
        """Put what there is to say of a fit on top of a representation."""
        line = " · ".join(self._facts())
        return f"<div>{html.escape(line)}</div>{representation}" if line else representation

    def _repr_html_inner(self) -> str:
        return self._with_facts(super()._repr_html_inner())

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] = self._with_facts(bundle["text/html"])
        return bundle

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_state_version": self._state_version}

    def __setstate__(self, state: dict[str, Any]) -> None:
        version = state.pop("_state_version", None)
        if version != self._state_version:
            raise ValueError(
                f"This {type(self).__name__} was saved in format {shown(version)}; this version of "
                f"skvae reads format {self._state_version}. Load it with the version that saved it."
            )
        super().__setstate__(state)


class Estimator(CallbackSupportMixin, Saved):
    """The same, with scikit-learn's callbacks."""


def check_weight(sample_weight: Any, X: Any, n_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the weights that are positive, and where they are.

    If their mean is above 2^52 or below 2^-52, they are scaled to that bound by a power of two:
    weights of that size are no counts of rows, so that their ratios alone matter.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, if their sum is beyond float64, or if fewer than
        ``n_least`` are positive.
    """
    weight = check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError(f"sample_weight must not be negative. The smallest is {weight.min():g}.")
    with np.errstate(over="ignore"):
        mean = float(weight.mean())
    if not np.isfinite(mean):
        raise ValueError(
            f"sample_weight adds up to more than float64 can hold. Got weights up to "
            f"{weight.max():g}. Divide them by a constant."
        )
    if mean > 0.0 and not 2.0**-52 <= mean <= 2.0**52:
        edge = math.copysign(52.0, math.log2(mean))
        weight = np.ldexp(weight, round(edge - math.log2(mean)))
    positive = weight > 0
    n_positive = int(positive.sum())
    if n_positive < n_least:
        raise ValueError(
            f"sample_weight is zero for all but {n_positive} of {len(weight)} rows: at least "
            f"{n_least} rows need a weight above zero."
        )
    return weight[positive], positive
