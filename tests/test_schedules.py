"""Schedules of beta: where they begin and end, and what training makes of them."""

import itertools
import math

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from skvae import VariationalAutoencoder
from skvae.schedules import GECO, Constant, Cyclical, KLController, WarmUp

IRIS, WINE = load_iris().data, scale(load_wine().data)
SHAPES = ["linear", "cosine", "sigmoid"]


@pytest.mark.parametrize("shape", SHAPES)
def test_warm_up_rises_from_start_to_final(shape):
    warm_up = WarmUp(10, shape, start=0.5, final=3.0)
    values = [warm_up.value(epoch) for epoch in np.linspace(0.0, 10.0, 101)]
    np.testing.assert_allclose([values[0], values[50], values[-1]], [0.5, 1.75, 3.0], rtol=1e-12)
    assert (np.diff(values) > 0).all()
    assert warm_up.value(10.001) == warm_up.value(1e9) == 3.0
    assert warm_up.n_settled == 10


def test_warm_up_of_no_epochs_is_constant():
    for shape in SHAPES:
        assert WarmUp(0, shape, final=2.0).value(0.0) == 2.0


def test_cyclical_rises_in_each_cycle():
    schedule = Cyclical(10, 3, rising=0.4, final=2.0)
    epochs = np.linspace(0.0, 40.0, 4001)
    values = np.array([schedule.value(epoch) for epoch in epochs])
    assert (values[[0, 1000, 2000]] == 0.0).all()
    plateau = (epochs % 10.0 >= 4.0) | (epochs >= 24.0)
    assert (values[plateau] == 2.0).all()
    assert schedule.n_settled == pytest.approx(24.0)
    rising = ~plateau
    np.testing.assert_allclose(values[rising], epochs[rising] % 10.0 / 2.0, atol=1e-12)


def test_constant_is_the_number():
    settings = {"n_components": 2, "max_iter": 15, "random_state": 0}
    number = VariationalAutoencoder(beta=2.0, **settings).fit(IRIS)
    schedule = VariationalAutoencoder(beta=Constant(2.0), **settings).fit(IRIS)
    np.testing.assert_array_equal(number.transform(IRIS), schedule.transform(IRIS))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_epochs_of_a_warm_up_are_no_candidates():
    """Without the KL every latent says all it can: such an epoch must not be kept."""
    settings = {"n_components": 2, "init": "random", "random_state": 0, "n_iter_no_change": 5}
    warm = VariationalAutoencoder(beta=WarmUp(20, final=30.0), max_iter=30, **settings)
    warm.fit(WINE)
    assert warm.n_iter_ >= 20
    best = int(np.argmax(warm.validation_scores_[20:])) + 20
    assert warm.validation_scores_[best] == max(warm.validation_scores_[20:])
    free = VariationalAutoencoder(beta=0.0, max_iter=30, **settings).fit(WINE)
    assert warm.kl_per_component_.sum() < 0.2 * free.kl_per_component_.sum()


def test_stream_goes_on_with_the_schedule(monkeypatch):
    seen = []

    def value(self, epoch):
        seen.append(epoch)
        return 1.0

    monkeypatch.setattr(WarmUp, "value", value)
    vae = VariationalAutoencoder(2, beta=WarmUp(3), random_state=0)
    for _ in range(3):
        vae.partial_fit(IRIS)
    assert [math.floor(epoch) for epoch in dict.fromkeys(np.floor(seen))] == [0, 1, 2]


@pytest.mark.parametrize(
    ("schedule", "name"), [(GECO(1.0), "average_"), (KLController(1.0), "sum_")], ids=repr
)
def test_stream_goes_on_with_what_an_adaptive_schedule_remembers(schedule, name, monkeypatch):
    """Each step begins with what the one before has left, across passes too."""
    steps, observe = [], type(schedule).observe

    def spy(self, *args):
        before = dict(vars(self))
        observe(self, *args)
        steps.append((before, dict(vars(self))))

    monkeypatch.setattr(type(schedule), "observe", spy)
    vae = VariationalAutoencoder(2, beta=schedule, random_state=0)
    for _ in range(3):
        vae.partial_fit(IRIS)
        assert vars(vae._fitted.beta)[name] == steps[-1][1][name]
    for (_, left), (found, _) in itertools.pairwise(steps):
        assert found == left
    n_steps = len(steps)
    vae.set_params(max_iter=1).fit(IRIS)
    assert steps[n_steps][0] == steps[0][0], "a fit begins anew"
    assert not hasattr(schedule, name), "the parameter is nobody's to write"


def test_schedule_longer_than_the_fit_says_so():
    vae = VariationalAutoencoder(2, beta=WarmUp(50), max_iter=20)
    with pytest.raises(ValueError, match=r"WarmUp\(n_epochs=50\).*50 epochs.*max_iter=20"):
        vae.fit(IRIS)


@pytest.mark.parametrize(
    "schedule", [WarmUp(-1), WarmUp(5, final=math.nan), Cyclical(5, "two")], ids=repr
)
def test_schedule_outside_its_domain_is_named(schedule):
    message = r"parameter of \w+ must be a number of at least 0\. Got"
    with pytest.raises(ValueError, match=message):
        VariationalAutoencoder(2, beta=schedule).fit(IRIS)


def test_unknown_shape_is_named():
    with pytest.raises(ValueError, match=r"'shape' .* 'linear', 'cosine', 'sigmoid'\. Got 'cubic'"):
        VariationalAutoencoder(2, beta=WarmUp(5, "cubic")).fit(IRIS)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_grid_search_over_schedules():
    vae = VariationalAutoencoder(2, hidden_layer_sizes=(8,), max_iter=6, random_state=0)
    grid = [
        {"beta": [1.0, WarmUp(3)]},
        {"beta": [WarmUp()], "beta__n_epochs": [2, 4], "beta__shape": ["cosine"]},
    ]
    search = GridSearchCV(vae, grid, cv=2, error_score="raise").fit(IRIS)
    assert len(search.cv_results_["params"]) == 4
    assert clone(search.best_estimator_).get_params()["max_iter"] == 6
