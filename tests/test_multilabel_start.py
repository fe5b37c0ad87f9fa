"""The multi-label classifier's linear start, and fitting it part by part."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge
from sklearn.metrics import f1_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict, train_test_split
from sklearn.utils import all_estimators

from skvae import CanonicalCorrelatedAutoencoder
from skvae._core.flat import bind
from skvae.multilabel import _linear
from skvae.multilabel._labels import Table, prevalence, read_labels
from skvae.multilabel._linear import linear_start
from skvae.multilabel._threshold import tune_threshold, tune_thresholds
from skvae.nn import DenseNetwork, SparseInput
from skvae.tables import weighted_moments

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_multilabel_classification(
    n_samples=120, n_features=12, n_classes=5, allow_unlabeled=True, random_state=0
)
X = X * np.geomspace(0.1, 10.0, 12)


def start_of(X, Y, n_components=5, weight=None, seed=0):
    """The linear start with the scale of X, and what centred rows are divided by."""
    table = Table(X, read_labels(Y), weight)
    moments = weighted_moments(X, weight)
    scale = np.sqrt(moments.variance.mean())
    start = linear_start(
        table, moments, scale, prevalence(table.labels, weight), n_components, seed
    )
    return start, moments, scale


def scores_of(start, moments, scale, X):
    return (X - moments.mean) / scale @ start.axes.T @ start.scores.T + start.bias


def chosen_penalty(X, start, moments, scale):
    """The penalty of the start, among those that are tried, and the features it divides."""
    divisor = scale * (np.sqrt(moments.variance) / scale) ** start.exponent
    U = (X - moments.mean) / divisor
    return U, (U**2).sum() / len(U) * _linear._PENALTIES


def test_start_is_ridge_regression_with_the_least_leave_one_out_error():
    """scikit-learn's, row by row left out: scores are linear in its predictions."""
    start, moments, scale = start_of(X, Y)
    score = scores_of(start, moments, scale, X)
    errors = {}
    for power in _linear._EXPONENTS:
        U = (X - moments.mean) / (scale * (np.sqrt(moments.variance) / scale) ** power)
        for k, alpha in enumerate((U**2).sum() / len(U) * _linear._PENALTIES[8:20:2]):
            predicted = cross_val_predict(Ridge(alpha), U, Y, cv=LeaveOneOut())
            errors[power, k] = np.square(Y - predicted).sum(), alpha
    U, penalties = chosen_penalty(X, start, moments, scale)
    fits = [Ridge(alpha).fit(U, Y).predict(U) for alpha in penalties]
    slopes = [np.polyfit(fit.ravel(), score.ravel(), 1) for fit in fits]
    off = [abs(np.polyval(s, f) - score).max() for s, f in zip(slopes, fits, strict=True)]
    best = int(np.argmin(off))
    assert off[best] < 1e-6
    unseen = cross_val_predict(Ridge(penalties[best]), U, Y, cv=LeaveOneOut())
    assert np.square(Y - unseen).sum() <= min(error for error, _ in errors.values()) * (1 + 1e-9)


def test_codes_of_the_start_are_white_and_those_of_label_sets_too():
    start, moments, scale = start_of(X, Y)
    code = (X - moments.mean) / scale @ start.axes.T
    assert_allclose(code.T @ code / len(X), np.eye(5), atol=1e-8)
    label_code = (Y - Y.mean(0)) @ start.label_axes.T
    assert_allclose((label_code**2).mean(0), 1.0)
    # Each coordinate of a row goes with that of its label set.
    assert ((code * label_code).mean(0) > 0.2).all()


def test_fewer_latents_keep_what_the_fitted_labels_vary_along_most():
    whole, moments, scale = start_of(X, Y)
    for k in (1, 3):
        part = start_of(X, Y, n_components=k)[0]
        assert_allclose(abs(part.axes), abs(whole.axes[:k]), rtol=1e-6)
        assert_allclose(part.scores, whole.scores[:, :k], rtol=1e-6)
    beyond = start_of(X, Y, n_components=8)[0]
    assert not beyond.axes[5:].any()
    assert_allclose(
        scores_of(beyond, moments, scale, X), scores_of(whole, moments, scale, X), rtol=1e-9
    )


@pytest.mark.parametrize("n_most", [10**6, 60], ids=["all rows choose", "some do"])
def test_a_sparse_table_and_conjugate_gradients_give_the_same_start(n_most, monkeypatch):
    monkeypatch.setattr(_linear, "_CHOOSING_ROWS", n_most)
    monkeypatch.setattr(_linear, "_TOLERANCE", 1e-10)
    rows = np.where(X > np.median(X, axis=0), X, 0.0)
    start, moments, scale = start_of(rows, Y)
    expected = scores_of(start, moments, scale, rows)
    assert_allclose(scores_of(*start_of(csr_array(rows), Y), rows), expected, rtol=1e-6, atol=1e-8)
    monkeypatch.setattr(_linear, "_DENSE_FEATURES", 0)
    for form in (rows, csr_array(rows)):
        assert_allclose(scores_of(*start_of(form, Y), rows), expected, rtol=1e-6, atol=1e-8)


def test_a_missing_label_changes_its_own_scores_alone():
    """With rank for all: ridge regression solves each label by itself, and one penalty."""
    hidden = Y.copy()
    hidden[::3, 2] = -1
    start = start_of(X, hidden)[0]
    known = start_of(X, np.where(hidden < 0, 0, hidden))[0]
    assert np.isfinite(start.axes).all()
    assert abs(start.bias[2] - known.bias[2]) > 1e-3  # its prevalence is that of known rows


def test_fit_never_ends_below_its_start_on_held_out_rows():
    for y in (Y, Y[:, 0] + Y[:, 1]):
        model = CanonicalCorrelatedAutoencoder(
            init="linear", max_iter=8, n_iter_no_change=2, random_state=0
        ).fit(X, y)
        assert model.init_ == "linear"
        assert model.best_validation_score_ >= model.validation_scores_[0]
        assert model.validation_scores_[model.best_epoch_] == model.best_validation_score_


def test_a_learning_rate_of_nothing_keeps_the_linear_start():
    """The start is what the networks compute: ridge regression's scores, up to float32."""
    model = CanonicalCorrelatedAutoencoder(
        5, init="linear", learning_rate_init=1e-12, max_iter=1, threshold=0.5, random_state=0
    ).fit(X, Y)
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    expected = scores_of(*start_of(X, Y, seed=seed), X)
    assert_allclose(model.decision_function(X), expected, rtol=1e-4, atol=1e-4)


def test_auto_keeps_the_better_of_two_starts():
    digits, digit = load_digits(return_X_y=True)
    labels = np.column_stack([digit % 2 == 0, digit % 3 == 0, digit > 4]).astype(int)
    models = {
        init: CanonicalCorrelatedAutoencoder(
            init=init, max_iter=6, n_folds=1, hidden_layer_sizes=(32,), random_state=0
        ).fit(digits[:600], labels[:600])
        for init in ("linear", "random", "auto")
    }
    best = max(("linear", "random"), key=lambda init: models[init].best_validation_score_)
    assert models["auto"].init_ == best
    assert_array_equal(
        models["auto"].predict_proba(digits[600:]), models[best].predict_proba(digits[600:])
    )


def test_words_are_better_read_from_the_linear_start():
    """Two hundred rows of thousands of words: what a random network needs many more rows for.

    scikit-learn's own docstrings, and which methods the estimators have that they describe.
    """
    classes = [cls for _, cls in all_estimators()]
    words = CountVectorizer(binary=True, dtype=float).fit_transform([c.__doc__ for c in classes])
    methods = ["predict", "transform", "partial_fit", "predict_proba", "inverse_transform"]
    labels = np.array([[hasattr(cls, name) for name in methods] for cls in classes]).astype(int)
    train, test = train_test_split(np.arange(len(classes)), test_size=0.4, random_state=0)
    f1 = {}
    for init in ("linear", "random"):
        model = CanonicalCorrelatedAutoencoder(init=init, max_iter=5, random_state=0)
        model.fit(words[train], labels[train])
        f1[init] = f1_score(labels[test], model.predict(words[test]), average="macro")
    assert f1["linear"] > f1["random"] + 0.05


@pytest.mark.parametrize("hidden", [(), (6, 4)], ids=str)
def test_sparse_rows_give_a_network_the_values_and_gradients_of_dense_ones(hidden):
    """In float64, up to some dozen roundings; some features occur in no row."""
    rng = np.random.RandomState(0)
    rows = np.where(rng.rand(9, 30) < 0.1, rng.randn(9, 30), 0.0)
    centre, results = rng.randn(30), []
    for is_sparse in (False, True):
        network = DenseNetwork(30, 5, 0 if hidden else 5, hidden, "tanh")
        flat = bind([network], torch.float64, "cpu")
        flat.values.copy_(torch.from_numpy(np.random.RandomState(1).randn(len(flat.values))))
        if is_sparse:
            raw = network.forward_sparse(SparseInput(csr_array(rows), centre))
        else:
            raw = network.forward(torch.from_numpy(rows - centre))
        raw.square().sum().backward()
        results.append((raw.detach().numpy(), flat.grads.numpy().copy()))
    assert_allclose(results[1][0], results[0][0], rtol=1e-12, atol=1e-12)
    assert_allclose(results[1][1], results[0][1], rtol=1e-10, atol=1e-10)


def test_a_rare_label_takes_the_shared_threshold():
    rng = np.random.RandomState(0)
    values = (rng.rand(2000, 3) < [0.4, 0.3, 0.001]).astype(np.int8)
    score = rng.randn(2000, 3) + 2.0 * values + [0.0, 3.0, 0.0]
    shared = tune_threshold(score, values, None)[0]
    each, _ = tune_thresholds(score, values, None)
    own = tune_threshold(score[:, 1:2], values[:, 1:2], None)[0]
    n_common = values[:, 1].sum()
    assert n_common > 500
    assert abs(each[1] - own) == pytest.approx(abs(own - shared) * 300 / (n_common + 300))
    n_rare = values[:, 2].sum()
    assert 0 < n_rare < 10
    alone = tune_threshold(score[:, 2:], values[:, 2:], None)[0]
    assert abs(each[2] - shared) < 0.2 * abs(alone - shared)


# ------------------------------------------------------------------ part by part


def streamed(n_passes=3, **params):
    model = CanonicalCorrelatedAutoencoder(
        hidden_layer_sizes=(16,), label_hidden_layer_sizes=(16,), random_state=0, **params
    )
    for _ in range(n_passes):
        for part in np.array_split(np.arange(len(X)), 3):
            model.partial_fit(X[part], Y[part])
    return model


def test_parts_teach_what_a_whole_does():
    model = streamed(10)
    assert model.n_iter_ == 30
    assert len(model.loss_curve_) == 30
    dull = f1_score(Y, np.ones_like(Y), average="macro")
    assert f1_score(Y, model.predict(X), average="macro") > dull + 0.1
    assert np.shape(model.threshold_) == (5,)
    assert clone(model).get_params() == model.get_params()


def test_losses_of_a_stream_are_bounded(monkeypatch):
    monkeypatch.setattr("skvae.multilabel._base._REMEMBERED", 4)
    model = streamed(3)
    assert model.n_iter_ == 9
    assert len(model.loss_curve_) == 4
    assert len(model._fitted.stream.scores) <= 1000


def test_a_part_begins_where_the_last_one_ended():
    """Two calls, pickled between them, are two calls."""
    once, again = streamed(1), streamed(1)
    again = pickle.loads(pickle.dumps(again))
    for model in (once, again):
        model.partial_fit(X, Y)
    assert_array_equal(once.predict_proba(X), again.predict_proba(X))


def test_classes_of_a_stream_are_named_at_first():
    rows, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = CanonicalCorrelatedAutoencoder(random_state=0)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(rows, names)
    assert not hasattr(model, "classes_")
    for part in np.array_split(np.random.RandomState(0).permutation(150), 3) * 10:
        model.partial_fit(rows[part], names[part], classes=np.unique(names))
    assert model.score(rows, names) > 0.8
    before = model.predict_proba(rows)
    for bad, message in (
        (["rose"] * 150, "class rose, which is none of"),
        (np.eye(3, dtype=int)[y], "must be one class per row, as before"),
    ):
        with pytest.raises(ValueError, match=message):
            model.partial_fit(rows, bad)
    with pytest.raises(ValueError, match="classes must stay"):
        model.partial_fit(rows, names, classes=["setosa", "virginica"])
    assert_array_equal(model.predict_proba(rows), before)
    with pytest.raises(ValueError, match=r"5 columns, one for each label. Got 4"):
        streamed(1).partial_fit(X, Y[:, :4])


def test_frames_of_labels_come_back():
    pandas = pytest.importorskip("pandas")
    names = ["sea", "sky", "sun", "sand", "snow"]
    rows = pandas.DataFrame(X, columns=[f"x{j}" for j in range(12)], index=range(7, 127))
    model = CanonicalCorrelatedAutoencoder(max_iter=2, n_folds=1, random_state=0)
    model.fit(rows, pandas.DataFrame(Y, columns=names))
    assert_array_equal(model.label_names_in_, names)
    arrays = [model.predict(rows), model.predict_proba(rows), model.decision_function(rows)]
    model.set_output(predict="pandas")
    for method, array in zip(
        ("predict", "predict_proba", "decision_function"), arrays, strict=True
    ):
        frame = getattr(model, method)(rows)
        assert list(frame.columns) == names
        assert_array_equal(frame.index, rows.index)
        assert_array_equal(frame.to_numpy(), array)
    assert clone(model).fit(rows, Y).predict(rows).columns.tolist() == list("01234")
    assert isinstance(model.transform(rows), np.ndarray)
    assert isinstance(model.set_output(predict="default").predict(rows), np.ndarray)
    with pytest.raises(ValueError, match="predict must be 'default', 'pandas' or 'polars'"):
        model.set_output(predict="panda")
