"""What the fitted multi-label classifier is made of, and what its bits depend on."""

import hashlib
import pickle

import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_state import pickled_globals
from walking import kept, surroundings

from skvae import CanonicalCorrelatedAutoencoder, trusted_types

# Few epochs keep these tests short, so training is rarely done when max_iter ends.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_multilabel_classification(n_samples=120, n_features=8, n_classes=4, random_state=0)


def make(**params):
    small = {"hidden_layer_sizes": (16,), "label_hidden_layer_sizes": (16,), "max_iter": 4}
    return CanonicalCorrelatedAutoencoder(**{**small, "random_state": 0, **params})


def digest(estimator):
    """A hash of the bits of everything a user can ask of the estimator."""
    outputs = [
        estimator.transform(X),
        estimator.decision_function(X),
        estimator.predict_proba(X),
        np.asarray(estimator.threshold_),
    ]
    return hashlib.sha256(b"".join(np.ascontiguousarray(o).tobytes() for o in outputs)).hexdigest()


FITTED = {
    "label sets": lambda: make().fit(X, Y),
    "a threshold a label": lambda: make(threshold="label").fit(X, Y),
    "one part held out": lambda: make(n_folds=1).fit(X, Y),
    "classes": lambda: make().fit(X, np.array(["no", "yes"])[Y[:, 0]]),
}
fitted = pytest.mark.parametrize("fit", FITTED.values(), ids=FITTED.keys())


@fitted
def test_pickle_holds_no_torch_object_and_keeps_the_bits(fit):
    estimator = fit()
    names = pickled_globals(estimator) | pickled_globals(vars(estimator))
    roots = {name.partition(".")[0] for name in names}
    assert roots <= {"builtins", "copyreg", "collections", "numpy", "sklearn", "skvae"}
    assert digest(pickle.loads(pickle.dumps(estimator))) == digest(estimator)


def test_pickle_of_another_format_is_refused():
    state = make().fit(X, Y).__getstate__()
    with pytest.raises(ValueError, match=r"saved in format 0.*reads format 4"):
        make().__setstate__({**state, "_state_version": 0})


@fitted
def test_skops_trusts_our_classes_only(fit):
    estimator = make_pipeline(StandardScaler().fit(X), fit())
    dump = skops.io.dumps(estimator)
    loaded = skops.io.loads(dump, trusted=trusted_types())
    np.testing.assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))


def test_memory_mapped_estimator_predicts(tmp_path):
    estimator = make().fit(X, Y)
    joblib.dump(estimator, tmp_path / "model")
    assert digest(joblib.load(tmp_path / "model", mmap_mode="r")) == digest(estimator)


def test_another_seed_gives_other_bits():
    assert digest(make(random_state=1).fit(X, Y)) != digest(make().fit(X, Y))


def test_global_state_is_neither_read_nor_moved():
    before = surroundings()
    bits = digest(make().fit(X, Y))
    assert surroundings() == before
    torch.rand(7)
    np.random.rand(7)  # noqa: NPY002
    assert digest(make().fit(X, Y)) == bits


BAD_CALLS = {
    "rows with NaN": lambda est: est.fit(np.full_like(X, np.nan), Y),
    "labels of other rows": lambda est: est.fit(X, Y[:-1]),
    "several classes a column": lambda est: est.fit(X, Y + 1),
    "no weight": lambda est: est.fit(X, Y, sample_weight=np.zeros(len(X))),
    "a negative weight": lambda est: est.fit(X, Y, sample_weight=np.linspace(-1, 1, len(X))),
    "a wrong parameter": lambda est: est.set_params(dropout=1.0).fit(X, Y),
    "one row": lambda est: est.fit(X[:1], Y[:1]),
    "rows beyond every float": lambda est: est.fit(X * 1e300, Y),
    "divergence": lambda est: est.set_params(correlation_weight=1e300).fit(X, Y),
}


@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS.keys())
@pytest.mark.parametrize("before", [make, lambda: make().fit(X, Y)], ids=["unfitted", "fitted"])
def test_failed_fit_leaves_the_estimator_as_it_was(before, call):
    estimator = before()
    fitted = kept(estimator)
    with pytest.raises(ValueError, match=r"\w"):
        call(estimator)
    assert kept(estimator) == fitted


def test_inference_leaves_the_estimator_as_it_was():
    estimator = make().fit(X, Y)
    before = joblib.hash(vars(estimator))
    digest(estimator)
    estimator.predict(X.astype(np.float32))
    estimator.encode_labels(Y)
    assert joblib.hash(vars(estimator)) == before
