"""What a fitted estimator is made of, and what its bits depend on: the seed, and nothing else."""

import hashlib
import io
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import skops.io
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.validation import check_is_fitted
from walking import kept, surroundings

from skvae import VariationalAutoencoder, trusted_types
from skvae.posteriors import Flow as FlowPosterior
from skvae.priors import Flow, MixtureOfGaussians, VampPrior
from skvae.schedules import KLController

# Few epochs keep these tests short, so training is rarely done when max_iter ends.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = load_iris().data


def make(**params):
    return VariationalAutoencoder(**{"max_iter": 5, "random_state": 0, **params})


def digest(estimator, rows=X):
    """A hash of the bits of everything a user can ask of the estimator."""
    rows = rows / rows.max() if estimator.likelihood == "bernoulli" else rows
    outputs = [
        estimator.transform(rows),
        estimator.score_samples(rows),
        estimator.sample(5, random_state=0),
    ]
    return hashlib.sha256(b"".join(np.ascontiguousarray(o).tobytes() for o in outputs)).hexdigest()


class SmallNet(torch.nn.Sequential):
    """A user's network; its running statistics are buffers, not parameters."""

    def __init__(self, n_in, n_out):
        super().__init__(
            torch.nn.Linear(n_in, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, n_out)
        )


FITTED = {
    "gaussian": lambda: make().fit(X),
    "bernoulli": lambda: make(likelihood="bernoulli").fit(X / X.max()),
    "random start": lambda: make(init="random").fit(X),
    "no hidden layer": lambda: make(hidden_layer_sizes=()).fit(X),
    "sparse rows": lambda: make().fit(csr_array(X)),
    "stream": lambda: make().partial_fit(X[:75]).partial_fit(X[75:]),
    "warm start": lambda: make(warm_start=True).fit(X).fit(X),
    "mixture prior": lambda: make(prior=MixtureOfGaussians(3)).fit(X),
    "vamp prior": lambda: make(prior=VampPrior(10)).fit(X),
    "flow prior": lambda: make(prior=Flow(1, (8,))).fit(X),
    "full covariance": lambda: make(posterior="full_covariance_normal").fit(X),
    "flow posterior": lambda: make(posterior=FlowPosterior(1, (8,), 2)).fit(X),
    "regularizer": lambda: make(regularizer="maximum_mean_discrepancy").fit(X),
    "adaptive beta": lambda: make(beta=KLController(2.0)).partial_fit(X).partial_fit(X),
    "user networks": lambda: make(encoder=SmallNet, decoder=SmallNet).fit(X),
}
fitted = pytest.mark.parametrize("fit", FITTED.values(), ids=FITTED.keys())


def pickled_globals(value):
    """Every module.name that a pickle of `value` asks for when it is loaded."""
    names = set()

    class Audit(pickle.Unpickler):
        def find_class(self, module, name):
            names.add(f"{module}.{name}")
            return super().find_class(module, name)

    Audit(io.BytesIO(pickle.dumps(value))).load()
    return names


@fitted
def test_pickle_holds_no_torch_object(fit):
    estimator = fit()
    # vars() too, lest __getstate__ only hides what the object carries.
    names = pickled_globals(estimator) | pickled_globals(vars(estimator))
    own_tests = f"{__name__}."  # the user's networks
    roots = {name.partition(".")[0] for name in names if not name.startswith(own_tests)}
    assert roots <= {"builtins", "copyreg", "collections", "numpy", "sklearn", "skvae"}


@pytest.mark.parametrize("value", [torch.zeros(1), torch.float32, torch.nn.Linear(1, 1)])
def test_audit_sees_a_torch_object(value):
    assert any(name.startswith("torch") for name in pickled_globals({"inner": [value]}))


@fitted
def test_pickle_keeps_the_bits(fit):
    estimator = fit()
    assert digest(pickle.loads(pickle.dumps(estimator))) == digest(estimator)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_skops_trusts_our_classes_only(likelihood, in_pipeline):
    rows = X / X.max()
    estimator = make(likelihood=likelihood)
    if in_pipeline:
        estimator = make_pipeline(MinMaxScaler(clip=True), estimator)
    estimator.fit(rows)
    dump = skops.io.dumps(estimator)
    loaded = skops.io.loads(dump, trusted=trusted_types())
    np.testing.assert_array_equal(loaded.transform(rows), estimator.transform(rows))
    np.testing.assert_array_equal(loaded.score_samples(rows), estimator.score_samples(rows))


def test_same_seed_same_bits_in_another_process():
    """Of another hash seed, and with another number of threads than here."""
    n_threads = "2" if torch.get_num_threads() == 1 else "1"
    program = (
        "import test_multilabel_state as labels, test_state as rows\n"
        "print(rows.digest(rows.make().fit(rows.X)))\n"
        "print(labels.digest(labels.make().fit(labels.X, labels.Y)))\n"
        "print(rows.torch.get_num_threads())"
    )
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {name: n_threads for name in names}
    environment["PYTHONHASHSEED"] = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    paths = [os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")]
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment,
        capture_output=True,
        check=True,
        text=True,
    )
    import test_multilabel_state as labels

    classifier = labels.make().fit(labels.X, labels.Y)
    assert result.stdout.split() == [digest(make().fit(X)), labels.digest(classifier), n_threads]


def test_another_seed_gives_other_bits():
    assert digest(make(random_state=1).fit(X)) != digest(make(random_state=0).fit(X))


def test_grid_search_gives_the_same_bits_on_two_jobs():
    searches = [
        GridSearchCV(make(), {"n_components": [1, 2], "beta": [0.5, 1.0]}, cv=2, n_jobs=n_jobs).fit(
            X
        )
        for n_jobs in (1, 2)
    ]
    one, two = (search.cv_results_ for search in searches)
    for split in ("split0_test_score", "split1_test_score"):
        assert np.isfinite(one[split]).all()
        np.testing.assert_array_equal(one[split], two[split])
    assert digest(searches[0].best_estimator_) == digest(searches[1].best_estimator_)


def test_global_generators_have_no_effect():
    first = make().fit(X)
    torch.rand(7)
    np.random.rand(7)  # noqa: NPY002
    second = make().fit(X)
    bits = digest(second)
    assert digest(first) == bits
    torch.rand(7)
    np.random.rand(7)  # noqa: NPY002
    assert digest(second) == bits


def test_global_state_is_left_alone():
    before = surroundings()
    digest(make().fit(X))
    digest(make(encoder=SmallNet).fit(X))
    digest(make().partial_fit(X))
    assert surroundings() == before


class BreaksInTraining(torch.nn.Module):
    """A user's network that works a few times and then does not."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = torch.nn.Linear(n_in, n_out)
        self.n_calls = 0

    def forward(self, x):
        self.n_calls += 1
        if self.n_calls > 20:
            raise RuntimeError("a broken layer")
        return self.layer(x)


BAD_CALLS = {
    "fit with infinity": lambda est: est.fit(np.full_like(X, np.inf)),
    "fit without weight": lambda est: est.fit(X, sample_weight=np.zeros(len(X))),
    "fit with a wrong beta": lambda est: est.set_params(beta=-1.0).fit(X),
    "fit with an unknown likelihood": lambda est: est.set_params(likelihood="gausian").fit(X),
    "fit on targets outside the domain": lambda est: est.set_params(likelihood="bernoulli").fit(X),
    "fit on one row": lambda est: est.fit(X[:1]),
    "fit breaks in training": lambda est: est.set_params(
        encoder=BreaksInTraining, batch_size=10, max_iter=100
    ).fit(X),
    "partial_fit with infinity": lambda est: est.partial_fit(np.full_like(X, np.inf)),
    "partial_fit without weight": lambda est: est.partial_fit(X, sample_weight=np.zeros(len(X))),
}
FITS_BEFORE = {
    "unfitted": lambda: make(),
    "fitted": lambda: make().fit(X),
    "streaming": lambda: make().partial_fit(X),
}


@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS.keys())
@pytest.mark.parametrize("before", FITS_BEFORE.values(), ids=FITS_BEFORE.keys())
def test_failed_fit_leaves_the_estimator_as_it_was(before, call):
    estimator = before()
    fitted = kept(estimator)
    with pytest.raises((ValueError, RuntimeError), match=r"\w"):
        call(estimator)
    assert kept(estimator) == fitted


def test_partial_fit_with_other_columns_leaves_the_stream_as_it_was():
    estimator = make().partial_fit(X)
    before = joblib.hash(vars(estimator))
    with pytest.raises(ValueError, match="features"):
        estimator.partial_fit(X[:, :-1])
    assert joblib.hash(vars(estimator)) == before


def test_inference_leaves_the_estimator_as_it_was():
    estimator = make().fit(X)
    before = joblib.hash(vars(estimator))
    digest(estimator)
    digest(estimator, X.astype(np.float32))
    estimator.inverse_transform(estimator.transform(X))
    estimator.encode(X)
    assert joblib.hash(vars(estimator)) == before


def test_clone_keeps_parameters_and_drops_the_fit():
    estimator = make(n_components=3, beta=2.0).fit(X)
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert not [name for name in vars(copy) if name.endswith("_")]
    assert digest(copy.fit(X)) == digest(estimator)


def test_frozen_estimator_is_never_refitted():
    estimator = make().fit(X)
    bits = digest(estimator)
    frozen = FrozenEstimator(estimator).fit(load_digits().data, None)
    assert digest(frozen) == bits
    latents = estimator.transform(X)
    np.testing.assert_array_equal(
        frozen.inverse_transform(latents), estimator.inverse_transform(latents)
    )
    check_is_fitted(clone(frozen))
