"""The canonical-correlated autoencoder: its terms, its labels, its thresholds, its predictions."""

import re
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_matrix, csr_array
from sklearn.base import clone
from sklearn.cross_decomposition import CCA
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.utils import estimator_checks

from skvae import CanonicalCorrelatedAutoencoder
from skvae._core.flat import bind
from skvae.fitting._fit import split
from skvae.multilabel import _fit
from skvae.multilabel._labels import prevalence, read_labels
from skvae.multilabel._terms import correlation_term, pair_term
from skvae.multilabel._threshold import f1_scores, tune_threshold
from skvae.nn import DenseNetwork

# Few epochs keep these tests short, so training is rarely done when max_iter ends.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def make(**params):
    small = {"hidden_layer_sizes": (16,), "label_hidden_layer_sizes": (16,), "max_iter": 5}
    return CanonicalCorrelatedAutoencoder(**{**small, "random_state": 0, **params})


# What a small network can learn in few steps.
FAST = {"dropout": 0.0, "input_dropout": 0.0, "learning_rate_init": 1e-2}

X, Y = make_multilabel_classification(
    n_samples=200, n_features=10, n_classes=5, allow_unlabeled=True, random_state=0
)


# --------------------------------------------------------------------- terms


def double_sum(score, present, absent):
    """The pair term as the paper writes it, one row at a time."""
    rows = []
    for s, there, gone in zip(score, present, absent, strict=True):
        p, q = s[there > 0], s[gone > 0]
        if len(p) and len(q):
            rows.append(torch.exp(-(p[:, None] - q[None, :])).sum() / (len(p) * len(q)))
        else:
            rows.append(s.sum() * 0.0)
    return torch.stack(rows)


@pytest.mark.parametrize("share_missing", [0.0, 0.4])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_pair_term_is_the_double_sum(share_missing, weighted, scale):
    """With its gradient. Rows without a present, an absent or any known label are among them."""
    generator = torch.Generator().manual_seed(0)
    score = scale * torch.randn(12, 7, generator=generator, dtype=torch.float64)
    present = (torch.rand(12, 7, generator=generator) < 0.4).double()
    present[0], present[1] = 1.0, 0.0
    known = (torch.rand(12, 7, generator=generator) >= share_missing).double()
    known[2] = 0.0
    weight = torch.rand(12, generator=generator, dtype=torch.float64) if weighted else 1.0
    values, gradients = [], []
    for term in (pair_term, double_sum):
        leaf = score.clone().requires_grad_()
        rows = term(leaf, present * known, (1 - present) * known)
        (rows * weight).mean().backward()
        values.append(rows.detach())
        gradients.append(leaf.grad)
    # Rounding of some dozen operations in float64, relative.
    torch.testing.assert_close(*values, rtol=1e-12, atol=0.0)
    torch.testing.assert_close(*gradients, rtol=1e-11, atol=0.0)
    assert (values[0][:3] == 0).all()
    assert (values[0] > 0).any()


def test_pair_term_of_a_wide_row_is_finite():
    score = torch.tensor([[800.0, -800.0, 0.0]], requires_grad=True)
    term = pair_term(score, torch.zeros(1, 3), torch.ones(1, 3))
    term.sum().backward()
    assert term.item() == 0.0
    assert torch.isfinite(score.grad).all()


def test_correlation_term_does_not_depend_on_the_batch_size():
    """Repeated rows and a weight change nothing: it is a function of the distribution of rows."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 9, 3, generator=generator, dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0, 3.0] * 3, dtype=torch.float64)
    once = correlation_term(a, b)
    torch.testing.assert_close(correlation_term(a.repeat(4, 1), b.repeat(4, 1)), once)
    repeated = [code.repeat_interleave(weight.long(), 0) for code in (a, b)]
    torch.testing.assert_close(correlation_term(a, b, weight), correlation_term(*repeated))
    torch.testing.assert_close(correlation_term(a, b, 5 * weight), correlation_term(a, b, weight))


def test_correlation_term_is_zero_for_equal_white_codes_and_least_at_canonical_ones():
    """Linear codes: for white codes the distance is 2 (k - sum of canonical correlations)."""
    X = load_iris().data
    one, other = X[:, :2], X[:, 2:]
    cca = CCA(2, max_iter=2000).fit(one, other)
    codes = [torch.from_numpy((c - c.mean(0)) / c.std(0)) for c in cca.transform(one, other)]
    rho = (codes[0] * codes[1]).mean(0)
    expected = 2.0 * (2.0 - rho.sum())
    # CCA iterates to a tolerance of 1e-6, and its codes are white to about its root.
    torch.testing.assert_close(correlation_term(*codes), expected, rtol=1e-3, atol=1e-3)
    assert correlation_term(codes[0], codes[0]) < 1e-3
    assert correlation_term(codes[0], codes[1].flip(1)) > expected + 0.1


def test_dropout_reaches_the_hidden_layers_alone():
    """With every unit dropped, an output is its bias."""
    network = DenseNetwork(3, 2, 0, (4,), "relu")
    bind([network], torch.float64, "cpu")
    network.start(torch.Generator().manual_seed(0), zero_output=False)
    network.output_bias.fill_(7.0)
    x = torch.ones(5, 3, dtype=torch.float64)
    assert (network.forward(x, torch.zeros_like) == 7.0).all()
    assert (network.forward(x) != 7.0).any()


# -------------------------------------------------------------------- labels


def test_labels_are_read_from_every_form():
    expected = np.array([[1, 0, -1], [0, 1, 0]])
    for y in (
        np.array([[1.0, 0.0, np.nan], [0.0, 1.0, 0.0]]),
        np.array([[1, 0, -1], [0, 1, 0]]),
        np.array([[1, 0, None], [0, 1, 0]], dtype=object),
        csr_array(np.array([[1, 0, -1], [0, 1, 0]])),
    ):
        labels = read_labels(y)
        assert not labels.exclusive
        assert_array_equal(labels.dense(slice(None)), expected)
    assert_allclose(prevalence(labels, None), [0.5, 0.5, 0.0])
    assert_allclose(prevalence(labels, np.array([3.0, 1.0])), [0.75, 0.25, 0.0])


def objects(*cells):
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([[0, 1], [2, 0]], "indicator matrix.*Got 2.*MultiOutputClassifier"),
        ([["a", "b"], ["c", "d"]], "indicator matrix.*Got 'a'"),
        ([["a", "b"], ["c", "d"]], "For lists of labels use sklearn.preprocessing.MultiLabelB"),
        ([["a", "b"], ["c"]], r"y must not hold lists.*Got \['a', 'b'\].*MultiLabelBinarizer"),
        ([["a"], []], "MultiLabelBinarizer"),
        ([[0, 1], [1]], r"Got \[0, 1\].*MultiLabelBinarizer"),
        ([(1, 2, 3), (4,)], r"Got \(1, 2, 3\).*MultiLabelBinarizer"),
        ([["a", "b"], None], "MultiLabelBinarizer"),
        ([{"a", "b"}, {"a"}], "MultiLabelBinarizer"),
        ([frozenset("a"), None], "MultiLabelBinarizer"),
        (({"a"}, {"b"}), "MultiLabelBinarizer"),
        ([np.array([1, 2]), np.array([3])], "MultiLabelBinarizer"),
        ([[[0, 1], [1]], [[0], [1]]], "MultiLabelBinarizer"),
        ([{"a": 1}, {"b": 1}], "MultiLabelBinarizer"),
        (objects(["a"], ["b"]), "MultiLabelBinarizer"),
        (objects(("a", "b"), ("c", "d")), "MultiLabelBinarizer"),
        (objects(["a", "b"], ["c"])[:, None], "MultiLabelBinarizer"),
        (["a", None], r"contains NaN: a class is missing.*in 1 of 2 rows"),
        ([None, None], r"in 2 of 2 rows. Leave those rows out.*MultiLabelBinarizer"),
        ([np.nan, 1.0], "a class is missing"),
        (objects("a", np.nan), "a class is missing"),
        (objects(1, np.float32(np.nan)), "a class is missing"),
        ([[0, 1], [None, 10**400]], "indicator matrix.*Got 1000"),
        ([[-1, 1], [1, -1]], "no absent label.*write 0"),
        ([[0, 0], [0, -1]], "no present label"),
        ([1, 1], "at least two classes.*one class 1"),
        ([0.5, 1.5], "continuous"),
        ([[[0, 1]], [[1, 0]]], "one axis or two"),
        (None, "requires y to be passed, but the target y is None"),
    ],
)
def test_other_targets_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X[:2], y)


def test_masked_labels_are_missing():
    hidden = np.random.RandomState(0).rand(*Y.shape) < 0.2
    masked, expected = np.ma.array(Y, mask=hidden), np.where(hidden, -1, Y)
    model = make().fit(X, masked)
    assert_array_equal(model.predict_proba(X), make().fit(X, expected).predict_proba(X))
    assert_array_equal(model.encode_labels(masked), model.encode_labels(expected))
    with pytest.raises(ValueError, match="a class is missing"):
        make().fit(X, masked[:, 0])


def test_pandas_missing_values_are_missing_labels():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(Y, columns=list("abcde")).astype("Int64")
    frame.iloc[0, 0] = frame.iloc[3, 2] = pandas.NA
    expected = np.where(frame.isna(), -1, Y)
    flags = frame.astype("boolean")
    model = make().fit(X, expected)
    for target in (
        frame,
        frame.to_numpy(),
        frame.to_numpy().tolist(),
        frame.astype(object),
        flags,
        flags.to_numpy(),
        frame.to_numpy(dtype=float, na_value=np.nan),
    ):
        assert_array_equal(make().fit(X, target).predict_proba(X), model.predict_proba(X))
        assert_array_equal(model.encode_labels(target), model.encode_labels(expected))


def test_missing_classes_of_pandas_are_refused():
    pandas = pytest.importorskip("pandas")
    names = ["a", "b"] * 100
    names[3] = names[4] = None
    numbers = pandas.Series([0, 1] * 100, dtype="Int64").mask(np.arange(200) < 2)
    for y in (
        pandas.Series(names),
        pandas.Series(names, dtype="string"),
        pandas.Series(names, dtype="category"),
        numbers,
        numbers.to_numpy(dtype=object),
        pandas.Series([pandas.NaT] * 2 + ["a", "b"] * 99, dtype=object),
        numbers.astype("boolean"),
    ):
        with pytest.raises(ValueError, match=r"a class is missing.*in 2 of 200 rows"):
            make().fit(X, y)
    lists = pandas.Series([["a", "b"]] * 100 + [["a"]] * 100)
    for y in (lists, lists.to_frame()):
        with pytest.raises(ValueError, match="MultiLabelBinarizer"):
            make().fit(X, y)
    kept = np.array([name is not None for name in names])
    make().fit(X, pandas.Series(names), sample_weight=kept)  # rows without a weight do not count


@pytest.mark.parametrize("y", [[["a"], ["a", "b"]], [{"a"}, {"b"}], [0, 1], [["a"] * 5] * 2])
def test_sets_of_names_have_no_code(y):
    with pytest.raises(ValueError, match="indicator matrix"):
        make().fit(X, Y).encode_labels(y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"threshold": 1.0}, "threshold"),
        ({"threshold": "best"}, "'label', 'shared'.*Got 'best'|Got 'best'"),
        ({"hidden_layer_sizes": (16, 0)}, "'hidden_layer_sizes'.*Got"),
        ({"label_hidden_layer_sizes": (1.5,)}, "'label_hidden_layer_sizes'.*Got"),
        ({"direct_weight": 0.0, "pair_weight": 0.0}, "pair_weight=0.0.*Set both above 0"),
        ({"device": "gpu"}, "device='gpu' is not available"),
        ({"n_folds": 0}, "n_folds"),
    ],
)
def test_parameters_outside_their_domain_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        make(**params).fit(X, Y)


# ---------------------------------------------------------------- thresholds


def test_f1_from_counts_is_scikit_learns():
    rng = np.random.RandomState(0)
    P = rng.rand(*Y.shape) < 0.5
    micro, macro = f1_scores(Y.sum(0), P.sum(0), (Y * P).sum(0))
    assert_allclose(micro, f1_score(Y, P, average="micro"))
    assert_allclose(macro, f1_score(Y, P, average="macro"))


def test_tuned_threshold_finds_the_edge():
    """Scores that part the labels perfectly: F1 is 2 in sum, at any threshold in the gap."""
    rng = np.random.RandomState(0)
    score = np.where(Y == 1, 2.0, -1.0) + 0.1 * rng.rand(*Y.shape)
    threshold, value = tune_threshold(score, Y, None)
    assert -0.9 <= threshold <= 2.02  # candidates are averaged with their neighbours
    assert value == pytest.approx(2.0, abs=0.05)


def test_tuned_threshold_counts_weights_as_rows_and_leaves_missing_labels_out():
    rng = np.random.RandomState(0)
    score, weight = rng.randn(*Y.shape) + Y, rng.randint(1, 4, len(Y))
    hidden = np.where(rng.rand(*Y.shape) < 0.3, -1, Y)
    assert_allclose(
        tune_threshold(score, hidden, weight.astype(float))[1],
        tune_threshold(score.repeat(weight, 0), hidden.repeat(weight, 0), None)[1],
        atol=0.02,  # the candidates are quantiles of other sets of scores
    )
    wild = np.where(hidden == -1, 1e6 * rng.randn(*Y.shape), score)
    assert tune_threshold(wild, hidden, None) == tune_threshold(score, hidden, None)


# --------------------------------------------------------------- predictions


@pytest.mark.parametrize("threshold", ["shared", "label", 0.5, 0.3])
@pytest.mark.parametrize("n_folds", [1, 3])
def test_prediction_is_a_probability_above_the_threshold(threshold, n_folds):
    model = make(threshold=threshold, n_folds=n_folds).fit(X, Y)
    probability = model.predict_proba(X)
    assert probability.shape == Y.shape
    assert ((probability >= 0) & (probability <= 1)).all()
    assert np.shape(model.threshold_) == ((5,) if threshold == "label" else ())
    if not isinstance(threshold, str):
        assert model.threshold_ == pytest.approx(threshold)
    predicted = model.predict(X)
    assert_array_equal(predicted, model.decision_function(X) > 0)
    assert_array_equal(predicted, probability > model.threshold_)


def test_learns_what_a_digit_is_made_of():
    """Held-out F1 far above that of the label frequencies, with missing labels nearly as far."""
    X, digit = load_digits(return_X_y=True)
    Y = np.column_stack([digit % 2 == 0, digit % 3 == 0, digit > 4, np.isin(digit, [2, 3, 5, 7])])
    X, X_test, Y, Y_test = train_test_split(X, Y.astype(int), random_state=0)
    missing = np.random.RandomState(0).rand(*Y.shape) < 0.3
    for target in (Y, np.where(missing, -1, Y), np.where(missing, np.nan, Y)):
        model = make(max_iter=20, hidden_layer_sizes=(64,), n_folds=1, **FAST).fit(X, target)
        assert f1_score(Y_test, model.predict(X_test), average="macro") > 0.9


@pytest.mark.parametrize("objective", ["paper", "direct alone", "linear"])
def test_other_objectives_learn_too(objective):
    params = {
        "paper": {"direct_weight": 0.0, "max_iter": 60},
        "direct alone": {"correlation_weight": 0.0, "pair_weight": 0.0, "max_iter": 30},
        "linear": {"hidden_layer_sizes": (), "label_hidden_layer_sizes": (), "max_iter": 60},
    }[objective]
    model = make(n_folds=1, **FAST, **params).fit(X, Y)
    dull = f1_score(Y, np.ones_like(Y), average="macro")
    assert f1_score(Y, model.predict(X), average="macro") > dull + 0.05


def test_sparse_labels_and_rows_give_the_same_model():
    dense = make().fit(X, Y)
    sparse = make().fit(csr_array(X), csc_matrix(Y))
    predicted = sparse.predict(csr_array(X))
    assert predicted.format == "csr"
    # Sparse rows are centred in another order of operations, in float32.
    assert (predicted.toarray() != dense.predict(X)).mean() < 0.01
    assert_allclose(sparse.transform(X), dense.transform(X), rtol=0.01, atol=0.01)


def test_data_frames_keep_their_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    labels = pandas.DataFrame(Y, columns=list("abcde"))
    model = make(n_components=2).set_output(transform="pandas").fit(frame, labels)
    assert_array_equal(model.feature_names_in_, frame.columns)
    codes = model.transform(frame)
    names = [f"canonicalcorrelatedautoencoder{i}" for i in range(2)]
    assert list(codes.columns) == names == list(model.get_feature_names_out())
    assert_array_equal(model.predict(frame), make(n_components=2).fit(X, Y).predict(X))


@pytest.mark.parametrize("names", [["no", "yes"], ["setosa", "versicolor", "virginica"]])
def test_one_class_a_row_is_predicted_by_its_name(names):
    X, y = load_iris(return_X_y=True)
    kept = y < len(names)
    X, y = X[kept], np.array(names)[y[kept]]
    model = make(max_iter=60, **FAST).fit(X, y)
    assert model.score(X, y) > 0.9
    assert set(model.predict(X)) == set(names)
    assert_allclose(model.predict_proba(X).sum(1), 1.0)
    assert_array_equal(model.classes_[model.predict_proba(X).argmax(1)], model.predict(X))
    with pytest.warns(DataConversionWarning, match="column-vector"):
        column = clone(model).fit(X, y[:, None])
    assert_array_equal(column.predict(X), model.predict(X))


def test_label_sets_lie_where_their_rows_do():
    model = make(max_iter=40, correlation_weight=1.0).fit(X, Y)
    codes, sets = model.transform(X), model.encode_labels(Y)
    assert sets.shape == codes.shape
    near = np.square(codes - sets).sum(1).mean()
    far = np.square(codes - np.roll(sets, 1, axis=0)).sum(1).mean()
    assert near < 0.8 * far
    with pytest.raises(ValueError, match=r"5 columns.*Got 4"):
        model.encode_labels(Y[:, :4])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_row_does_not_depend_on_its_neighbours(dtype):
    """In X's dtype: some hundred roundings of it."""
    model = make().fit(X, Y)
    rows = np.tile(X, (3, 1)).astype(dtype)
    together = model.decision_function(rows)
    assert together.dtype == dtype
    alone = np.concatenate([model.decision_function(row[None]) for row in rows[:20]])
    eps = np.finfo(dtype).eps
    assert_allclose(alone, together[:20], rtol=100 * eps, atol=100 * eps)


def test_rows_without_labels_and_labels_without_rows():
    target = Y.astype(float)
    target[:20] = 0.0
    target[20:40] = np.nan
    target[:, 1] = 0.0
    target[:, 2] = 1.0
    target[:, 3] = np.nan
    for threshold in ("shared", "label"):
        model = make(threshold=threshold, max_iter=30, **FAST).fit(X, target)
        probability = model.predict_proba(X)
        assert np.isfinite(probability).all()
        assert probability[:, 1].mean() < 0.2
        assert probability[:, 2].mean() > 0.8


def without(kind):
    """Labels of which column 1 is never present, never absent, or never known."""
    target = Y.astype(float)
    target[:, 1] = {"present": 0.0, "absent": 1.0, "known": np.nan}[kind]
    return target


FORMS = {
    "dense": lambda target: target,
    "sparse": lambda target: csr_array(np.where(np.isnan(target), -1, target).astype(int)),
    "objects": lambda target: np.where(np.isnan(target), None, target.astype(object)),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("kind", ["known", "present"])
@pytest.mark.parametrize(
    "params",
    [
        {"threshold": "shared"},
        {"threshold": "label"},
        {"threshold": 1e-3},
        {"n_folds": 1},
        {"early_stopping": False},
        {"direct_weight": 0.0},
        {"hidden_layer_sizes": (), "label_hidden_layer_sizes": ()},
    ],
    ids=str,
)
def test_label_that_no_row_has_is_never_predicted(params, kind, form):
    model = make(**params).fit(X, form(without(kind)))
    for dtype in (np.float64, np.float32):
        rows = np.concatenate([X, 1e3 * X]).astype(dtype)
        predicted = model.predict(rows)
        predicted = predicted.toarray() if form is FORMS["sparse"] else predicted
        assert not predicted[:, 1].any()
        assert (model.predict_proba(rows)[:, 1] == 0.0).all()
        scores = model.decision_function(rows)
        assert np.isfinite(scores).all()
        assert (scores[:, 1] < 0).all()
        assert_array_equal(predicted, scores > 0)
        assert np.delete(predicted, 1, axis=1).any()


def unknown_warnings(target, names="1", **params):
    options = {"early_stopping": False, "threshold": 0.5, **params}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = make(**options).fit(X, target)
    found = [w for w in caught if "never predicted" in str(w.message)]
    for warning in found:
        assert warning.category is ConvergenceWarning
        assert f"columns {names} of" in str(warning.message)
        assert warning.filename == __file__
    return model, len(found)


@pytest.mark.parametrize(("kind", "n"), [("known", 1), ("present", 0), ("absent", 0)])
def test_unknown_label_is_warned_of_by_its_name(kind, n):
    assert unknown_warnings(without(kind))[1] == n
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(without(kind), columns=["sea", "sky", "sun", "sand", "snow"])
    assert unknown_warnings(frame, "sky")[1] == n
    assert unknown_warnings(Y)[1] == 0
    target = without(kind)
    target[:, 3] = np.nan
    assert unknown_warnings(target, "1, 3" if n else "3")[1] == 1


def test_label_known_for_rows_without_weight_alone_is_unknown():
    target, weight = without("known"), np.ones(len(X))
    target[:50, 1], weight[:50] = Y[:50, 1], 0.0
    with pytest.warns(ConvergenceWarning, match=r"known label \(0 or 1\) in columns 1 of"):
        model = make().fit(X, target, sample_weight=weight)
    assert not model.predict(X)[:, 1].any()
    target[50:, 1], weight[:50] = 0.0, 1.0  # absent where there is a weight, present where none
    target[:50, 1], weight[:50] = 1.0, 0.0
    assert not make().fit(X, target, sample_weight=weight).predict(X)[:, 1].any()


def test_label_known_in_held_out_rows_alone_is_unknown():
    """Of one fold the model is kept, and it has not seen these rows."""
    _, held = split(len(X), 0.15, rng_after_seed())
    target = without("known")
    target[held, 1] = np.arange(len(held)) % 2
    model, n = unknown_warnings(target, n_folds=1, early_stopping=True)
    assert n == 1
    assert not model.predict(X)[:, 1].any()
    model, n = unknown_warnings(target, n_folds=3, early_stopping=True)
    assert n == 0  # all rows are trained on at last


def rng_after_seed():
    rng = np.random.RandomState(0)
    rng.randint(2**31 - 1)
    return rng


def test_label_without_an_absent_row_is_predicted():
    model = make(max_iter=30, **FAST).fit(X, without("absent"))
    assert model.predict(X)[:, 1].mean() > 0.95


def test_label_that_never_varied_moves_no_code():
    for kind in ("known", "present", "absent"):
        model = make().fit(X, without(kind))
        sets = [np.where(np.arange(5) == 1, value, Y) for value in (0, 1, -1)]
        codes = [model.encode_labels(s) for s in sets]
        assert_array_equal(codes[0], codes[1])
        assert_array_equal(codes[0], codes[2])


def test_few_known_labels_are_enough_to_fit():
    """Of the held-out rows none may have any."""
    target = np.full(Y.shape, np.nan)
    target[:4] = Y[:4]
    for n_folds in (1, 3):
        model = make(n_folds=n_folds).fit(X, target)
        assert ((0 < model.threshold_) & (model.threshold_ < 1)).all()
        assert np.isfinite(model.predict_proba(X)).all()


# ------------------------------------------------------------ weights, state


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize(
    "params",
    [{}, {"direct_weight": 0.0}, {"alpha": 1.0}, {"activation": "tanh"}],
    ids=["defaults", "paper", "penalty", "tanh"],
)
def test_weight_is_a_number_of_rows_where_there_is_no_noise(kind, params, monkeypatch):
    """In float64 and in one batch without dropout, a weight and repeated rows are one objective."""
    monkeypatch.setattr(_fit, "TRAINING_DTYPE", torch.float64)
    check = getattr(estimator_checks, f"check_sample_weight_equivalence_on_{kind}_data")
    model = CanonicalCorrelatedAutoencoder(
        batch_size=10**6, early_stopping=False, max_iter=5, dropout=0, input_dropout=0, **params
    )
    check(type(model).__name__, model)


def test_weights_and_repeated_rows_agree_on_label_sets(monkeypatch):
    monkeypatch.setattr(_fit, "TRAINING_DTYPE", torch.float64)
    weight = np.arange(len(X)) % 3
    target = np.where(np.random.RandomState(1).rand(*Y.shape) < 0.2, -1, Y)
    options = {"batch_size": 10**6, "early_stopping": False, "dropout": 0, "input_dropout": 0}
    model = make(threshold=0.5, **options)
    weighted = clone(model).fit(X, target, sample_weight=weight)
    repeated = clone(model).fit(X.repeat(weight, 0), target.repeat(weight, 0))
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
    plain = clone(model).fit(X, target)
    assert abs(weighted.predict_proba(X) - plain.predict_proba(X)).max() > 1e-3


def test_multi_output_check_of_scikit_learn():
    """It asks for probabilities that part at a half, which a tuned threshold need not do."""
    model = CanonicalCorrelatedAutoencoder(threshold=0.5, max_iter=20, n_folds=1)
    estimator_checks.check_classifier_multioutput("CanonicalCorrelatedAutoencoder", model)


def test_curves_and_warnings_tell_of_training():
    with pytest.warns(ConvergenceWarning, match="still rose"):
        folded = make(max_iter=3, init="random", **FAST).fit(X, Y)
    assert len(folded.validation_scores_) == 4
    assert folded.best_validation_score_ == max(folded.validation_scores_)
    assert len(folded.loss_curve_) == folded.n_iter_ <= 3
    fixed = make(early_stopping=False, threshold=0.5).fit(X, Y)
    assert fixed.validation_scores_ is None
    assert fixed.n_iter_ == 5
    few = make().fit(X[:5], Y[:5])
    assert few.threshold_ == 0.5
    assert few.validation_scores_ is None


def test_verbose_ends_with_one_line(capsys):
    make(max_iter=2, n_folds=1, verbose=1).fit(X, Y)
    (line,) = capsys.readouterr().out.splitlines()
    assert re.search(r"done after 2 epochs, F1 0\.\d+ on held-out rows", line)


def test_grid_search_over_a_multilabel_score():
    search = GridSearchCV(make(), {"pair_weight": [0.0, 1.0]}, scoring="f1_micro", cv=2)
    search.fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.transform(X).shape == (200, 4)


@pytest.mark.cuda
def test_a_device_learns_as_the_cpu_does():
    scores = [
        f1_score(Y, make(device=d, max_iter=30, n_folds=1).fit(X, Y).predict(X), average="micro")
        for d in ("cpu", "cuda")
    ]
    assert scores[1] == pytest.approx(scores[0], abs=0.05)
