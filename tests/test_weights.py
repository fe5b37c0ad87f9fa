"""A weight is a number of rows: exactly where there is no noise, else in expectation."""

import inspect

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale
from sklearn.utils import estimator_checks

from skvae import VariationalAutoencoder
from skvae.fitting import _plan, _trainer

# Few epochs keep these tests short, so training is rarely done when max_iter ends.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WEIGHT_CHECKS = [
    check
    for name, check in inspect.getmembers(estimator_checks, inspect.isfunction)
    if name.startswith("check_sample_weight_equivalence_on_")
]


def test_both_weight_checks_are_there():
    names = {check.__name__.rpartition("_on_")[2] for check in WEIGHT_CHECKS}
    assert names == {"dense_data", "sparse_data"}


NO_NOISE = {
    "defaults": {},
    "tanh": {"activation": "tanh"},
    "whitened": {"whiten": True},
    "random start": {"init": "random"},
    "bernoulli": {"likelihood": "bernoulli"},
    "weight decay": {"alpha": 10.0},
    "beta": {"beta": 3.0},
}


@pytest.mark.parametrize("check", WEIGHT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("params", NO_NOISE.values(), ids=NO_NOISE.keys())
def test_weight_is_a_number_of_rows_where_there_is_no_noise(check, params, monkeypatch):
    """Noise and the order of rows aside, a weight and repeated rows are one objective.

    In float64, for Adam goes by a gradient's size: where it is zero, float32's rounding would be
    seen. A model without hidden layers is left out: noiseless, its gradients stay so near zero
    that even float64's rounding grows from step to step.
    """

    def silence(self, draws, rows):
        return torch.zeros(draws, rows, self.model.n_components, dtype=self.rows.dtype)

    monkeypatch.setattr(_trainer.Trainer, "noise", silence)
    monkeypatch.setattr(_plan, "TRAINING_DTYPE", torch.float64)
    estimator = VariationalAutoencoder(batch_size=10**6, early_stopping=False, max_iter=5, **params)
    check(type(estimator).__name__, estimator)


def test_weight_is_a_number_of_rows_in_expectation():
    """With the noise, over seeds; a fit that ignores the weights is far from both.

    From the random start: at the PCA start the noise is all that some gradients hold, and Adam
    goes by its size, of which repeated rows average a part away.
    """
    X = scale(load_iris().data)[::3]
    weight = np.where(np.arange(len(X)) < 20, 6, 1)
    repeated = np.repeat(X, weight, axis=0)
    estimator = VariationalAutoencoder(
        n_components=1,
        hidden_layer_sizes=(8,),
        init="random",
        batch_size=10**6,
        early_stopping=False,
        max_iter=40,
        learning_rate_init=3e-3,
    )

    def scores(rows, **fit_params):
        fits = (
            clone(estimator).set_params(random_state=seed).fit(rows, **fit_params)
            for seed in range(16)
        )
        return np.array([fit.score(X) for fit in fits])

    weighted, repeats, plain = scores(X, sample_weight=weight), scores(repeated), scores(X)

    def distance(one, other):
        """Of the means, in standard errors; equal seeds share their first networks."""
        difference = one - other
        return abs(difference.mean()) / (difference.std(ddof=1) / np.sqrt(len(difference)))

    # Beyond 4 standard errors of sixteen draws lies one in a thousand; the seeds are fixed.
    assert distance(weighted, repeats) < 4.0
    assert distance(weighted, plain) > 10.0
    assert distance(repeats, plain) > 10.0
