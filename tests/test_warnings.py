"""A warning points at the line of the user's that asked for the fit."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvae import Autoencoder, CanonicalCorrelatedAutoencoder, VariationalAutoencoder
from skvae.regularizers import Regularizer

X, y = (array[:400] for array in load_digits(return_X_y=True))
SHORT = {"max_iter": 2, "random_state": 0}


class BrokenAtTheThirdStep(Regularizer):
    n_calls = 0

    def penalty(self, latents):
        type(self).n_calls += 1
        return latents.z.sum() * (np.nan if type(self).n_calls == 3 else 0.0)


ESTIMATORS = [
    VariationalAutoencoder(2, **SHORT),
    Autoencoder(2, **SHORT),
    CanonicalCorrelatedAutoencoder(2, **SHORT),
]

CALLS = {
    "fit": lambda estimator: estimator.fit(X, y),
    "fit_transform": lambda estimator: estimator.fit_transform(X, y),
    "fit_transform to a data frame": lambda estimator: estimator.set_output(
        transform="pandas"
    ).fit_transform(X, y),
    "a Pipeline's fit": lambda estimator: make_pipeline(StandardScaler(), estimator).fit(X, y),
    "cross-validation": lambda estimator: cross_val_score(
        estimator, X, y, cv=2, scoring=lambda *_: 0.0
    ),
}


def places(caught):
    """File and line of each warning."""
    return {(warning.filename, warning.lineno) for warning in caught}


def lines_of(function):
    lines, start = inspect.getsourcelines(function)
    return {(__file__, start + k) for k in range(len(lines))}


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_warning_points_at_the_call(estimator, call):
    with pytest.warns(ConvergenceWarning, match="Raise max_iter") as caught:
        call(clone(estimator))
    assert places(caught) <= lines_of(call)


def test_a_warning_of_partial_fit_points_at_the_call(monkeypatch):
    monkeypatch.setattr(BrokenAtTheThirdStep, "n_calls", 0)
    estimator = VariationalAutoencoder(2, regularizer=BrokenAtTheThirdStep(), random_state=0)
    here = inspect.currentframe().f_lineno
    with pytest.warns(ConvergenceWarning, match="1 steps had a gradient .* skipped") as caught:
        estimator.partial_fit(X)
    assert places(caught) == {(__file__, here + 2)}


def test_a_warning_of_the_labels_points_at_the_call():
    estimator = CanonicalCorrelatedAutoencoder(2, early_stopping=False, threshold=0.5, **SHORT)
    here = inspect.currentframe().f_lineno
    with pytest.warns(DataConversionWarning, match="column-vector") as caught:
        estimator.fit(X, y[:, None])
    assert places(caught) == {(__file__, here + 2)}
