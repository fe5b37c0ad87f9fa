"""Ctrl-C and missing memory at any line of a fit: no half state, and nothing around it changed."""

import copy
import functools
import linecache
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import threadpoolctl
import torch
import walking
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skvae
from skvae import Autoencoder, CanonicalCorrelatedAutoencoder, VariationalAutoencoder
from skvae.objectives import ImportanceWeighted
from skvae.priors import VampPrior

X, LABELS = walking.X, walking.LABELS
# Files whose lines a fault may hit: the package's own, wherever it lies, and threadpoolctl's.
INJECTED = (str(Path(skvae.__file__).parent), threadpoolctl.__file__)

# ------------------------------------------------------------------ an interrupt in training


class Interrupting(torch.nn.Module):
    """A user's network in whose call number ``at`` the user presses Ctrl-C."""

    n_calls, at = 0, 0

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = torch.nn.Linear(n_in, n_out)

    def forward(self, x):
        if self.training:
            Interrupting.n_calls += 1
            if Interrupting.n_calls == Interrupting.at:
                raise KeyboardInterrupt
        return self.layer(x)


@pytest.fixture
def interrupt_at(monkeypatch):
    def choose(n):
        monkeypatch.setattr(Interrupting, "n_calls", 0)
        monkeypatch.setattr(Interrupting, "at", n)

    return choose


def make(cls=VariationalAutoencoder, **params):
    params = {"encoder": Interrupting, "init": "random", "batch_size": 10, **params}
    return cls(2, max_iter=30, n_iter_no_change=30, tol=0, random_state=0, **params)


@pytest.mark.parametrize("cls", [VariationalAutoencoder, Autoencoder])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_user_s_own_fit_keeps_its_best_epoch_and_says_so(cls, early_stopping, interrupt_at):
    interrupt_at(50)
    estimator = make(cls, early_stopping=early_stopping)
    with pytest.warns(ConvergenceWarning, match=r"interrupted; epoch \d+ is kept"):
        estimator.fit(X)
    assert 0 < estimator.n_iter_ < 30
    assert {len(values) for values in estimator.history_.values()} == {estimator.n_iter_}
    if early_stopping:
        assert len(estimator.validation_scores_) == estimator.n_iter_ + 1
    interrupt_at(50)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        estimator.fit_transform(X)


@pytest.mark.parametrize("cls", [VariationalAutoencoder, Autoencoder])
def test_first_epoch_s_interrupt_keeps_what_was_there(cls, interrupt_at):
    interrupt_at(2)
    estimator = make(cls)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    assert not hasattr(estimator, "n_iter_")
    interrupt_at(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = estimator.fit(X).transform(X)
    for method in ("fit", "partial_fit"):
        interrupt_at(2)
        with pytest.raises(KeyboardInterrupt):
            getattr(estimator, method)(X + 1)
        interrupt_at(0)
        np.testing.assert_array_equal(estimator.transform(X), before)


SEARCHES = {
    "grid": lambda e: GridSearchCV(e, {"learning_rate_init": [1e-3, 2e-3]}, cv=2).fit(X),
    "cross validation": lambda e: cross_val_score(e, X, cv=3),
    "pipeline": lambda e: make_pipeline(StandardScaler(), e, StandardScaler()).fit(X),
    "joblib": lambda e: joblib.Parallel()(joblib.delayed(e.fit)(X) for _ in range(3)),
}


@pytest.mark.parametrize("search", SEARCHES)
def test_one_interrupt_stops_whatever_fits(search, interrupt_at):
    interrupt_at(50)
    with pytest.raises(KeyboardInterrupt):
        SEARCHES[search](make())


def stop_at(monkeypatch, n):
    """Interrupt the classifier's training at its n-th step."""
    from skvae.multilabel._trainer import Trainer

    loss, done = Trainer.loss, []

    def interrupted(self, index):
        done.append(index)
        if len(done) == n:
            raise KeyboardInterrupt
        return loss(self, index)

    monkeypatch.setattr(Trainer, "loss", interrupted)


def classifier(**params):
    small = {"n_folds": 1, "batch_size": 10, "hidden_layer_sizes": (16,), "init": "random"}
    return CanonicalCorrelatedAutoencoder(max_iter=30, random_state=0, **{**small, **params})


def test_classifier_keeps_its_best_epoch_too(monkeypatch):
    stop_at(monkeypatch, 60)
    model = classifier()
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.fit(X, LABELS)
    assert 0 < model.n_iter_ < 30
    assert len(model.validation_scores_) == model.n_iter_ + 1


@pytest.mark.parametrize(("n", "params"), [(2, {}), (60, {"n_folds": 3}), (2, {"n_folds": 3})])
def test_classifier_of_no_epoch_is_no_classifier(n, params, monkeypatch):
    stop_at(monkeypatch, n)
    model = classifier(**params)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS)
    assert not hasattr(model, "classes_")


def test_interrupt_stops_an_ensemble_of_classifiers(monkeypatch):
    stop_at(monkeypatch, 60)
    with pytest.raises(KeyboardInterrupt):
        BaggingClassifier(classifier(), n_estimators=3, random_state=0).fit(X, walking.CLASSES)


# ------------------------------------------------------------------ a fault at any line


def starts_with_block(frame):
    """Say whether the frame is at the line of a ``with``."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return line.lstrip().startswith("with ")


class Fault:
    """Raises at the k-th line that is executed in the package (and in threadpoolctl).

    The line of a ``with`` comes a second time after its block. Between the two Python sees to no
    signal, so nothing is raised there: the context would not be left.
    """

    def __init__(self, k, error):
        self.k, self.error, self.n = k, error, 0

    def in_function(self, last, frame, event, argument):
        if event == "line":
            leaving = frame.f_lineno < last and starts_with_block(frame)
            self.n += not leaving
            if self.n == self.k and not leaving:
                sys.settrace(None)
                raise self.error
        return functools.partial(self.in_function, frame.f_lineno)

    def __call__(self, frame, event, argument):
        counts = frame.f_code.co_filename.startswith(INJECTED)
        return functools.partial(self.in_function, 0) if counts else None

    def during(self, function):
        """Run the function; say whether the fault came out of it."""
        sys.settrace(self)
        try:
            function()
        except self.error:
            return True
        finally:
            sys.settrace(None)
        return False


JOBS = {
    "fit": (VariationalAutoencoder, {}, "fit"),
    "no held-out rows": (
        VariationalAutoencoder,
        {"early_stopping": False, "init": "random"},
        "fit",
    ),
    "networks": (
        VariationalAutoencoder,
        {"encoder": walking.DropoutNet, "init": "random", "batch_size": 20},
        "fit",
    ),
    "vamp": (
        VariationalAutoencoder,
        {"prior": VampPrior(8), "objective": ImportanceWeighted(50), "regularizer": "dip"},
        "fit",
    ),
    "stream": (VariationalAutoencoder, {}, "partial_fit"),
    "warm start": (VariationalAutoencoder, {"warm_start": True}, "fit"),
    "density": (VariationalAutoencoder, {"latent_density": GaussianMixture(2)}, "fit"),
    "points": (Autoencoder, {"corruption": "masking"}, "fit"),
    "labels": (CanonicalCorrelatedAutoencoder, {"n_folds": 1}, "fit"),
}


def assert_whole(estimator, y):
    """History even, everything usable."""
    walking.every_bit(estimator, y)
    if estimator.validation_scores_ is not None:
        assert len(estimator.validation_scores_) == estimator.n_iter_ + 1
    if hasattr(estimator, "history_"):
        assert {len(values) for values in estimator.history_.values()} == {estimator.n_iter_}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("job", JOBS)
def test_fault_at_any_line_leaves_no_trace(job, error):
    cls, params, method = JOBS[job]
    y = LABELS if cls is CanonicalCorrelatedAutoencoder else None
    fitted = walking.small(cls, **params).fit(X, y)
    other, before = X[::-1] * 1.3 + 0.2, walking.surroundings()

    def go(estimator):
        getattr(estimator, method)(other, y)

    counter = Fault(-1, error)
    counter.during(lambda: go(copy.deepcopy(fitted)))
    for k in np.linspace(1, counter.n, 30).astype(int).tolist():
        estimator = copy.deepcopy(fitted)
        held = walking.kept(estimator)
        fault = Fault(k, error)
        raised = fault.during(lambda estimator=estimator: go(estimator))
        assert walking.surroundings() == before, k
        assert raised or error is KeyboardInterrupt or fault.n < k, k
        if not (raised and walking.kept(estimator) == held):
            assert_whole(estimator, y)


def test_history_is_of_whole_epochs_where_the_valuation_is_interrupted(monkeypatch):
    from skvae.fitting import _trainer

    evaluate, n_calls = _trainer.Trainer.evaluate, []

    def interrupted(self):
        n_calls.append(self)
        if len(n_calls) == 4:
            raise KeyboardInterrupt
        return evaluate(self)

    monkeypatch.setattr(_trainer.Trainer, "evaluate", interrupted)
    vae = VariationalAutoencoder(2, max_iter=20, random_state=0)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        vae.fit(X)
    assert vae.n_iter_ == 2
    assert len(vae.validation_scores_) == 3


def test_package_is_whole():
    """The walk above is of every estimator."""
    assert {job[0] for job in JOBS.values()} == set(walking.WATCHED)
