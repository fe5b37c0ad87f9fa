"""Hard tables, wrong arguments, interrupted training, and every kind of container."""

import re

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skvae import VariationalAutoencoder

short = pytest.mark.filterwarnings(
    # Few epochs keep a test short, so training is rarely done when max_iter ends.
    "ignore::sklearn.exceptions.ConvergenceWarning"
)

IRIS = load_iris().data
DIGITS = load_digits().data


def make(**params):
    return VariationalAutoencoder(**{"max_iter": 5, "random_state": 0, **params})


def normal(n_rows=120, n_features=6):
    """Correlated normal rows."""
    rng = np.random.RandomState(0)
    return rng.normal(size=(n_rows, 3)) @ rng.normal(size=(3, n_features)) + 0.1 * rng.normal(
        size=(n_rows, n_features)
    )


def with_cell(value, column=2):
    X = normal()
    X[7, column] = value
    return X


def with_column(value, column=2):
    X = normal()
    X[:, column] = value
    return X


HARD_TABLES = {
    "a column of zeros": with_column(0.0),
    "a column of a large constant": with_column(1e6),
    "duplicated rows": np.repeat(normal(8), 15, axis=0),
    "two distinct rows": np.tile(normal(2), (30, 1)),
    "two rows": normal(2),
    "more features than rows": normal(10, 40),
    "one feature": normal(60, 1),
    "scales that differ by 1e12": normal() * np.logspace(-6, 6, 6),
    "tiny values": normal() * 1e-30,
    "a far offset": normal() + 1e6,
    "an outlier at 1e9": with_cell(1e9),
}


def assert_everything_is_finite(estimator, X):
    latents = estimator.transform(X)
    assert np.isfinite(latents).all()
    assert np.isfinite(estimator.inverse_transform(latents)).all()
    assert np.isfinite(estimator.score_samples(X)).all()
    assert np.isfinite(estimator.score(X))
    assert np.isfinite(estimator.sample(20, random_state=0)).all()
    assert np.isfinite(estimator.explained_variance_ratio_).all()


@short
@pytest.mark.parametrize("init", ["auto", "random"])
@pytest.mark.parametrize("X", HARD_TABLES.values(), ids=HARD_TABLES.keys())
def test_hard_table_fits(X, init):
    assert_everything_is_finite(make(init=init).fit(X), X)


@short
@pytest.mark.parametrize("init", ["auto", "random"])
@pytest.mark.parametrize("n_ones", [0, 60])
def test_hard_bits_fit(n_ones, init):
    """A column that is always 0, or always 1, has an infinite logit at its mean."""
    X = (normal() > 0).astype(float)
    X[:, 0], X[:, 1], X[:n_ones, 2] = 0.0, 1.0, 1.0
    assert_everything_is_finite(make(likelihood="bernoulli", init=init).fit(X), X)


@short
@pytest.mark.parametrize(
    "X",
    [normal() * 1e39, normal() * 1e200, with_cell(1e300), np.ones((50, 4))],
    ids=["beyond float32", "squares beyond float64", "one cell at 1e300", "all cells equal"],
)
def test_impossible_table_fits_or_says_why(X):
    estimator = make()
    try:
        estimator.fit(X)
    except ValueError as error:
        assert re.search("(?i)scale|range|constant|variance", str(error))  # noqa: PT017
    else:
        assert_everything_is_finite(estimator, X)


@short
@pytest.mark.parametrize(
    ("n_rows", "batch_size"),
    [(50, 500), (33, 32), (33, 1), (11, "auto"), (2, "auto")],
    ids=["batch above all rows", "last batch of one row", "batches of one", "11 rows", "2 rows"],
)
@pytest.mark.parametrize("early_stopping", [True, False])
def test_any_number_of_rows_and_batch_size_fits(n_rows, batch_size, early_stopping):
    X = normal(n_rows)
    estimator = make(batch_size=batch_size, early_stopping=early_stopping).fit(X)
    assert_everything_is_finite(estimator, X)


@short
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score_samples", "score"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
def test_infinite_values_are_named(method, value, container):
    estimator = make().fit(IRIS)
    X = IRIS.copy()
    X[3, 2] = value
    with pytest.raises(ValueError, match="inf"):
        getattr(estimator, method)(container(X))


ABSENT_DEVICE = "xpu" if torch.cuda.is_available() else "cuda"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"activation": "rleu"}, ["activation", "rleu", "relu", "tanh"]),
        ({"likelihood": "gausian"}, ["likelihood", "gausian", "gaussian", "bernoulli"]),
        ({"device": ABSENT_DEVICE}, ["device", ABSENT_DEVICE, "cpu"]),
        ({"device": "cuda:99"}, ["device", "cuda:99", "cpu"]),
        ({"device": "tpu"}, ["device", "tpu", "cpu"]),
        ({"beta": -1.0}, ["beta", "-1.0", "0"]),
        ({"init": "pcaa"}, ["init", "pcaa", "pca", "random"]),
        ({"n_components": 0}, ["n_components", "0", "1"]),
        ({"hidden_layer_sizes": (0,)}, ["hidden_layer_sizes", "0", "1"]),
        ({"batch_size": 0}, ["batch_size", "0", "auto"]),
        ({"learning_rate_init": 0.0}, ["learning_rate_init", "0.0"]),
        ({"validation_fraction": 1.0}, ["validation_fraction", "1.0"]),
        ({"encoder": "relu"}, ["encoder", "relu", "callable"]),
    ],
    ids=str,
)
def test_wrong_parameter_is_named_with_what_is_allowed(params, words):
    with pytest.raises(ValueError, match=r"\w") as info:
        make(**params).fit(IRIS)
    message = str(info.value)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
def test_bernoulli_names_its_domain_and_the_remedy(container):
    with pytest.raises(ValueError, match="bernoulli") as info:
        make(likelihood="bernoulli").fit(container(DIGITS))
    message = str(info.value)
    assert "[0, 1]" in message
    assert "16" in message  # the value given
    assert "MinMaxScaler" in message or "gaussian" in message


@pytest.mark.parametrize("X", [np.empty((0, 4)), np.empty((4, 0))], ids=["rows", "features"])
def test_empty_table_is_named(X):
    with pytest.raises(ValueError, match="Found array with 0"):
        make().fit(X)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_that_are_all_zero_are_named(method):
    with pytest.raises(ValueError, match=r"(?i)zero") as info:
        getattr(make(), method)(IRIS, sample_weight=np.zeros(len(IRIS)))
    assert "weight" in str(info.value)


class InterruptedOnce(torch.nn.Module):
    """A user's network that is interrupted at its 200th call, as by Ctrl-C."""

    n_calls = 0

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = torch.nn.Linear(n_in, n_out)

    def forward(self, x):
        InterruptedOnce.n_calls += 1
        if InterruptedOnce.n_calls == 200:
            raise KeyboardInterrupt
        return self.layer(x)


def test_interrupt_keeps_the_best_epoch(monkeypatch):
    monkeypatch.setattr(InterruptedOnce, "n_calls", 0)
    estimator = make(
        n_components=1,
        encoder=InterruptedOnce,
        init="random",
        batch_size=20,
        max_iter=1000,
        n_iter_no_change=1000,
    )
    with pytest.warns(UserWarning, match="(?i)interrupt"):
        estimator.fit(IRIS)
    assert 0 < estimator.n_iter_ < 1000
    assert estimator.best_validation_score_ == max(estimator.validation_scores_)
    assert estimator.best_validation_score_ > estimator.validation_scores_[0]
    assert_everything_is_finite(estimator, IRIS)


def test_training_cut_short_warns():
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        make(max_iter=2).fit(DIGITS)


def test_training_that_rises_by_no_more_than_tol_does_not_warn():
    """Any warning is an error here."""
    estimator = make(max_iter=2, tol=1e9).fit(DIGITS)
    assert estimator.n_iter_ == 2


def test_start_alone_is_no_training_cut_short():
    assert make(max_iter=0).fit(DIGITS).n_iter_ == 0


def test_training_that_stopped_by_itself_does_not_warn():
    estimator = make(n_components=1, max_iter=2000, n_iter_no_change=3, tol=1e-2).fit(IRIS)
    assert estimator.n_iter_ < 2000


def test_collapsed_latents_are_named_with_the_remedy():
    """At beta=1000 the bound is best where the posterior is the prior."""
    estimator = make(beta=1000.0, init="random", max_iter=60)
    with pytest.warns(ConvergenceWarning, match="(?i)collapse") as caught:
        estimator.fit(IRIS)
    assert estimator.n_active_components_ < 2
    (message,) = [str(w.message) for w in caught if re.search("(?i)collapse", str(w.message))]
    assert re.search(r"beta|n_components", message)
    assert re.search(r"\b[01]\b|variationalautoencoder[01]", message)


# Whole numbers, so that every container holds the very same values.
WHOLE = (10 * IRIS).round()

CONTAINERS = {
    "float32": lambda X: X.astype(np.float32),
    "int64": lambda X: X.astype(np.int64),
    "int32": lambda X: X.astype(np.int32),
    "pandas": lambda X: pd.DataFrame(X, columns=list("abcd")),
    "polars": lambda X: pl.DataFrame(X, schema=list("abcd")),
    "lists": lambda X: X.tolist(),
    "CSR matrix": scipy.sparse.csr_matrix,
    "CSR array": scipy.sparse.csr_array,
    "CSC matrix": scipy.sparse.csc_matrix,
    "CSC array": scipy.sparse.csc_array,
    "F order": np.asfortranarray,
    "negative strides": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
}


@short
@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_every_container_gives_the_same_fit(container):
    expected = make().fit(WHOLE)
    given = container(WHOLE)
    estimator = make().fit(given)
    # Training is float32's, and five epochs multiply a rounding error a little.
    latents = expected.transform(WHOLE)
    np.testing.assert_allclose(
        estimator.transform(given), latents, atol=1e-3 * np.abs(latents).max()
    )
    np.testing.assert_allclose(estimator.score(given), expected.score(WHOLE), rtol=1e-3)


@short
def test_read_only_memory_map_fits_and_stays_as_it_is(tmp_path):
    joblib.dump(WHOLE, tmp_path / "X.joblib")
    given = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    assert isinstance(given, np.memmap)
    assert not given.flags.writeable
    latents = make().fit(given).transform(given)
    np.testing.assert_array_equal(latents, make().fit(WHOLE).transform(WHOLE))
    np.testing.assert_array_equal(given, WHOLE)


@short
@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
@pytest.mark.parametrize(("n_rows", "n_features"), [(40_000, 300), (10_000, 1100)])
def test_sparse_rows_are_never_dense_all_at_once(kind, n_rows, n_features, monkeypatch):
    rng = np.random.RandomState(0)
    n_stored = n_rows * n_features // 200
    cells_at = (rng.randint(n_rows, size=n_stored), rng.randint(n_features, size=n_stored))
    X = scipy.sparse.coo_array((rng.rand(n_stored), cells_at), shape=(n_rows, n_features))
    X = getattr(scipy.sparse, kind)(X)
    cells = []

    def recorded(original):
        def densify(self, *args, **kwargs):
            cells.append(self.shape[0] * self.shape[1])
            return original(self, *args, **kwargs)

        return densify

    for name in ("csr_matrix", "csr_array", "csc_matrix", "csc_array", "coo_matrix", "coo_array"):
        cls = getattr(scipy.sparse, name)
        for method in ("toarray", "todense"):
            monkeypatch.setattr(cls, method, recorded(getattr(cls, method)))

    estimator = make(max_iter=1, hidden_layer_sizes=(8,)).fit(X)
    estimator.transform(X)
    estimator.score_samples(X, n_draws=2)
    estimator.partial_fit(X)
    assert 0 < max(cells) <= n_rows * n_features / 2


@pytest.mark.parametrize(
    "method",
    ["transform", "inverse_transform", "encode", "decode", "score_samples", "score", "sample"],
)
def test_estimator_that_is_not_fitted_says_so(method):
    arguments = () if method == "sample" else (np.zeros((3, 2)),)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(VariationalAutoencoder(2), method)(*arguments)
