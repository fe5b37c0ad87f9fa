"""Steps as machine code are the written ones; they are there only where numba is."""

import importlib.util
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from skvae import Autoencoder, VariationalAutoencoder
from skvae._core.compiled import find_kernels
from skvae.corruptions import GaussianNoise
from skvae.fitting import _compiled, _plan, _trainer
from skvae.likelihoods import Gaussian, StudentT
from skvae.objectives import ELBO, ImportanceWeighted
from skvae.posteriors import FullCovarianceNormal
from skvae.priors import MixtureOfGaussians
from skvae.regularizers import TotalCorrelation
from skvae.schedules import KLController

if importlib.util.find_spec("numba") is None:
    pytest.skip("needs numba", allow_module_level=True)

X = load_digits().data / 16.0
WEIGHT = np.random.RandomState(0).uniform(0.0, 2.0, len(X))


@pytest.fixture
def trainers(monkeypatch):
    """Fits that the test has made so far: whether each took compiled steps, and its trainer."""
    made = []
    run = _trainer.Trainer.run

    def kept(self, budget):
        made.append(self)
        return run(self, budget)

    monkeypatch.setattr(_trainer.Trainer, "run", kept)
    return made


def fit(estimator, rows=X, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three epochs are not meant to converge
        return estimator.fit(rows, **params)


def make(kind=VariationalAutoencoder, **params):
    return kind(**{"n_components": 3, "max_iter": 3, "random_state": 0, **params})


CASES = {
    "defaults": (make(), {}),
    "autoencoder": (make(Autoencoder), {}),
    "two layers": (make(hidden_layer_sizes=(20, 10)), {}),
    "three layers, decayed": (make(hidden_layer_sizes=(24, 17, 10), alpha=10.0), {}),
    "noise of each feature": (make(likelihood=Gaussian("feature")), {}),
    "weights": (make(early_stopping=False), {"sample_weight": WEIGHT}),
    "bernoulli": (make(likelihood="bernoulli"), {}),
    "bernoulli, weights": (make(Autoencoder, likelihood="bernoulli"), {"sample_weight": WEIGHT}),
    "no linear path": (make(init="random"), {}),
    "another beta and batch": (make(beta=0.3, batch_size=50), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_compiled_training_is_written_training(case, monkeypatch, trainers):
    """In float64, to rounding: terms of each epoch, held-out values and parameters."""
    monkeypatch.setattr(_plan, "TRAINING_DTYPE", torch.float64)
    estimator, params = CASES[case]
    compiled = fit(estimator, **params)
    parameters = compiled._fitted.parameters.copy()
    curve, scores = compiled.loss_curve_, compiled.validation_scores_
    monkeypatch.setattr(_compiled, "find_kernels", lambda: None)
    written = fit(estimator, **params)
    assert [trainer.compiled is None for trainer in trainers] == [False, True]
    np.testing.assert_allclose(curve, written.loss_curve_, rtol=1e-8)
    np.testing.assert_allclose(parameters, written._fitted.parameters, atol=1e-6)
    if scores is not None:
        np.testing.assert_allclose(scores, written.validation_scores_, rtol=1e-8)


def test_same_seed_gives_the_same_bits():
    one, other = (fit(make())._fitted.parameters.copy() for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_steps_without_a_finite_gradient_are_skipped_and_counted(monkeypatch, trainers):
    """The rows of three batches are far beyond float32's squares."""
    values = []
    for kernels in (find_kernels, lambda: None):
        monkeypatch.setattr(_compiled, "find_kernels", kernels)
        fit(make(max_iter=0, early_stopping=False))
        trainer = trainers[-1]
        trainer.rows.arrays[0][[0, 700, 1400]] = 1e30
        terms = list(trainer.epoch(0, lambda k: 1e-3))
        finite = np.isfinite([loss for loss, *_ in terms])
        assert 1 <= (~finite).sum() <= 3
        assert trainer.adam.n_skipped == (~finite).sum()
        assert trainer.adam.count == finite.sum()
        values.append(trainer.model.flat.values.numpy().copy())
    assert np.isfinite(values).all()
    np.testing.assert_allclose(*values, atol=1e-4)


with_gaps = np.where(np.random.RandomState(0).rand(*X.shape) < 0.1, np.nan, X)


@pytest.mark.parametrize(
    ("estimator", "rows"),
    [
        (make(activation="tanh"), X),
        (make(hidden_layer_sizes=()), X),
        (make(likelihood="poisson"), 16.0 * X),
        (make(likelihood=StudentT()), X),
        (make(likelihood=Gaussian("row")), X),
        (make(prior=MixtureOfGaussians(3)), X),
        (make(posterior=FullCovarianceNormal()), X),
        (make(objective=ELBO(free_bits=0.1)), X),
        (make(objective=ImportanceWeighted(3)), X),
        (make(regularizer=TotalCorrelation(1.0)), X),
        (make(beta=KLController(5.0)), X),
        (make(Autoencoder, corruption=GaussianNoise(0.1)), X),
        (make(), with_gaps),
    ],
    ids=lambda value: None if isinstance(value, np.ndarray) else repr(value),
)
def test_other_models_take_their_own_steps(estimator, rows, trainers):
    fit(estimator, rows)
    assert trainers
    assert all(trainer.compiled is None for trainer in trainers)


def test_large_steps_are_not_compiled(trainers):
    """Their cost is arithmetic, which threads share where there are some."""
    fit(make(hidden_layer_sizes=(2000,), batch_size=400, max_iter=1))
    assert trainers[0].compiled is None


SWITCHES = {
    "switched off": "import numba; numba.config.DISABLE_JIT = 1",
    "beside a NumPy too new for it": "sys.modules['numba'] = None",
    "without a folder to keep it in": """
import numba.core.caching
numba.core.caching.CacheImpl._locator_classes = []
""",
}


@pytest.mark.parametrize("switch", SWITCHES.values(), ids=SWITCHES)
def test_without_machine_code_fits_go_on(switch):
    program = f"""
import sys
import skvae._core.compiled as compiled
assert "numba" not in sys.modules  # it is imported by the first fit
{switch}
from sklearn.datasets import load_wine
from skvae import VariationalAutoencoder
assert compiled.find_kernels() is None
VariationalAutoencoder(2, max_iter=0).fit(load_wine().data)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_training_goes_on_where_the_other_stopped(monkeypatch, trainers):
    """Both keep Adam's moments, count and typical norm in the same place."""
    monkeypatch.setattr(_plan, "TRAINING_DTYPE", torch.float64)
    parameters = []
    for second in (find_kernels, lambda: None):
        monkeypatch.setattr(_compiled, "find_kernels", find_kernels)
        model = fit(make(warm_start=True, early_stopping=False))
        monkeypatch.setattr(_compiled, "find_kernels", second)
        parameters.append(fit(model)._fitted.parameters.copy())
    assert [trainer.compiled is None for trainer in trainers] == [False, False, False, True]
    np.testing.assert_allclose(*parameters, atol=1e-6)
