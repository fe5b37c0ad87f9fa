"""Torch tensors are rows like any others: every public method takes them.

It gives arrays, and under scikit-learn's ``array_api_dispatch=True`` tensors, as PCA does.
"""

import tracemalloc

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from walking import (
    CLASSES,
    ESTIMATORS,
    FITS,
    LABELS,
    WEIGHT,
    X,
    arguments,
    bits,
    fits,
    fitted,
    fitting,
    metric_functions,
    outcomes,
    reads,
    small,
)

from skvae import CanonicalCorrelatedAutoencoder, VAEImputer, VariationalAutoencoder
from skvae._core.arrays import as_numpy

# Few epochs keep these tests short, so training is rarely done when max_iter ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning"),
]


def can_dispatch():
    """Say whether scikit-learn finds what it needs; the oldest supported SciPy has it not."""
    try:
        with config_context(array_api_dispatch=True):
            return True
    except ImportError:
        return False


needs_dispatch = pytest.mark.skipif(
    not can_dispatch(), reason="array API dispatch needs SciPy 1.14"
)
dispatch = pytest.mark.parametrize(
    "dispatch", [False, pytest.param(True, marks=needs_dispatch)], ids=["", "dispatch"]
)


def tensor(array):
    """A tensor of dense values, one that requires grad where that can be."""
    if sparse.issparse(array):
        return torch.from_numpy(array.toarray()).to_sparse()
    t = torch.tensor(np.asarray(array))
    return t.requires_grad_() if t.is_floating_point() else t


def comparable(result):
    """The result, or of an estimator what it makes of the rows."""
    return reads(result)(X) if hasattr(result, "fit") else result


def parts(result):
    return result if isinstance(result, tuple) else (result,)


def holds_no_tensor(result):
    return all(
        isinstance(p, float | np.ndarray) or sparse.issparse(p) or hasattr(p, "fit")
        for p in parts(result)
    )


def is_in_kind(result):
    """Say whether a result holds no array, and no tensor that could have a gradient."""
    return not any(
        isinstance(p, np.ndarray) or (isinstance(p, torch.Tensor) and p.requires_grad)
        for p in parts(result)
    )


# They have no rows to follow, or are of skvae.metrics: numbers, and arrays of them.
UNKIND = {"get_covariance", "get_precision", "sample"}
UNKIND |= {function.__name__ for function in metric_functions()}


@dispatch
@pytest.mark.parametrize(("estimator", "name"), FITS)
def test_every_method_takes_tensors(estimator, name, dispatch):
    y = fits(estimator)[name][1]

    def results(convert):
        for method in fitting(estimator):
            model = fits(estimator)[name][0]
            call = getattr(model, method)
            # fit_transform hands the weight on under metadata routing only.
            yield method, call(**arguments(call, model, y, convert))
        yield from outcomes(fitted(estimator, name), y, convert=convert)

    with config_context(array_api_dispatch=dispatch):
        expected, found = dict(results(lambda array: array)), dict(results(tensor))
    assert found.keys() == expected.keys()
    for key, result in found.items():
        is_kind = is_in_kind if dispatch and key not in UNKIND else holds_no_tensor
        assert is_kind(result), key
        assert bits(comparable(result)) == bits(comparable(expected[key])), key


KINDS = {
    "half": (lambda t: t.half(), np.float16),
    "bfloat16": (lambda t: t.bfloat16(), np.float32),
    "float32": (lambda t: t.float(), np.float32),
    "integers": (lambda t: t.round().int(), np.int32),
    "a parameter": (torch.nn.Parameter, np.float64),
    "a transposed view": (lambda t: t.t().contiguous().t(), np.float64),
    "a negated view": (lambda t: torch._neg_view(-t), np.float64),
    "an inference tensor": (torch.inference_mode()(lambda t: t.clone()), np.float64),
}


@dispatch
@pytest.mark.parametrize(("kind", "dtype"), KINDS.values(), ids=KINDS.keys())
def test_tensors_of_every_kind_are_their_values(kind, dtype, dispatch):
    rows = kind(torch.tensor(X))
    values = np.array(rows.detach().to(torch.float64).tolist()).astype(dtype)
    with config_context(array_api_dispatch=dispatch):
        found = small(VariationalAutoencoder).fit(rows).transform(rows)
    assert isinstance(found, torch.Tensor) == dispatch
    expected = small(VariationalAutoencoder).fit(values).transform(values)
    # Rows that lie otherwise are added up otherwise.
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.asarray(found).dtype == expected.dtype


@pytest.mark.parametrize("layout", ["to_sparse_coo", "to_sparse_csr", "to_sparse_csc"])
def test_sparse_tensors_are_sparse_rows(layout):
    rows = np.where(np.abs(X) > 1, X, 0.0)
    expected = small(VariationalAutoencoder).fit(sparse.csr_array(rows)).transform(rows)
    t = getattr(torch.tensor(rows), layout)()
    assert sparse.issparse(as_numpy(t))
    found = small(VariationalAutoencoder).fit(t).transform(t)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


def test_lists_of_tensors_are_rows():
    rows = list(torch.tensor(X).requires_grad_())
    model = small(VariationalAutoencoder).fit(rows, sample_weight=list(torch.tensor(WEIGHT)))
    expected = small(VariationalAutoencoder).fit(X, sample_weight=WEIGHT)
    np.testing.assert_array_equal(model.transform(rows), expected.transform(X))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_tensor_without_values_is_refused_and_the_fit_kept(estimator):
    model, y = next(iter(fits(estimator).values()))
    before = reads(model.fit(X, y))(X)
    for bad in (torch.empty(X.shape, device="meta"), torch.tensor(X) * 1j):
        for call in (lambda rows: model.fit(rows, y), reads(model)):
            with pytest.raises(ValueError, match=r"X is a torch tensor whose|Complex data"):
                call(bad)
    np.testing.assert_array_equal(reads(model)(X), before)


def test_rows_of_a_tensor_are_not_written():
    rows = torch.tensor(X)
    small(VariationalAutoencoder).fit(rows).transform(rows)
    np.testing.assert_array_equal(rows.numpy(), X)


@needs_dispatch
def test_pipeline_hands_tensors_on():
    """Under dispatch the scaler gives tensors."""
    with config_context(array_api_dispatch=True):
        pipe = make_pipeline(StandardScaler(), small(CanonicalCorrelatedAutoencoder))
        found = pipe.fit(torch.tensor(X), torch.tensor(LABELS)).predict_proba(torch.tensor(X))
    assert isinstance(found, torch.Tensor)
    pipe.fit(X, LABELS)
    np.testing.assert_allclose(found, pipe.predict_proba(X), rtol=1e-6)


@needs_dispatch
def test_rows_and_results_are_shared_not_copied():
    """Rows of 8 MB, one latent: if either were copied, NumPy or torch would ask for as much."""
    rows = torch.randn(20_000, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model = VariationalAutoencoder(1, max_iter=0).fit(rows[:100])
    with config_context(array_api_dispatch=True):
        model.transform(rows)
        tracemalloc.start()
        Z = model.transform(rows)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert np.shares_memory(as_numpy(rows), rows.numpy())
    assert Z.untyped_storage().nbytes() == Z.nbytes
    blocks = 2**22 * 8  # of the encoder's results, whatever the number of rows
    assert peak < rows.nbytes + blocks
    assert not Z.requires_grad


@needs_dispatch
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_goes_before_the_kind(library):
    pytest.importorskip(library)
    rows = torch.tensor(X)
    for estimator in (VariationalAutoencoder, CanonicalCorrelatedAutoencoder, VAEImputer):
        y = torch.tensor(LABELS) if estimator is CanonicalCorrelatedAutoencoder else None
        with config_context(array_api_dispatch=True):
            model = imputer() if estimator is VAEImputer else small(estimator)
            expected = model.fit(rows, y).transform(rows)
            frame = model.set_output(transform=library).transform(rows)
        assert type(frame).__module__.startswith(library)
        np.testing.assert_array_equal(frame.to_numpy(), expected)


def imputer():
    return VAEImputer(small(VariationalAutoencoder), n_components=1, add_indicator=True)


@dispatch
def test_imputer_takes_tensors(dispatch):
    """It is walked apart from the others."""
    gappy = np.where(np.random.RandomState(0).rand(*X.shape) < 0.1, np.nan, X)
    rows, model = torch.tensor(gappy), imputer().fit(gappy)
    expected = model.transform(gappy)
    with config_context(array_api_dispatch=dispatch):
        for found in (imputer().fit(rows).transform(rows), imputer().fit_transform(rows)):
            assert isinstance(found, torch.Tensor) == dispatch
            np.testing.assert_array_equal(found, expected)
        back = model.inverse_transform(found)
    assert isinstance(back, torch.Tensor) == dispatch
    np.testing.assert_array_equal(np.isnan(np.asarray(back)), np.isnan(gappy))


@needs_dispatch
def test_cells_given_as_a_tensor_are_drawn_in_kind():
    model, given = fitted(VariationalAutoencoder, "plain"), np.full((1, X.shape[1]), np.nan)
    given[0, 0] = 1.0
    expected = model.sample(3, given=given, random_state=0)
    with config_context(array_api_dispatch=True):
        found = model.sample(3, given=torch.tensor(given, dtype=torch.float32), random_state=0)
        assert isinstance(model.sample(3, random_state=0), np.ndarray)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@needs_dispatch
def test_classes_that_no_tensor_holds_stay_arrays():
    names = np.array(["no", "yes"])[CLASSES]
    with config_context(array_api_dispatch=True):
        model = small(CanonicalCorrelatedAutoencoder).fit(torch.tensor(X), names)
        found = model.predict(torch.tensor(X))
    np.testing.assert_array_equal(found, model.predict(X))
    assert found.dtype == names.dtype


@needs_dispatch
def test_methods_of_a_users_own_are_left_alone():
    class Own(VariationalAutoencoder):
        def first(self, X):
            return self.transform(X)[:, 0], type(X)

    model = Own(2, max_iter=0).fit(X)
    with config_context(array_api_dispatch=True):
        first, kind = model.first(torch.tensor(X))
    assert kind is torch.Tensor
    np.testing.assert_array_equal(first, model.transform(X)[:, 0])


def test_a_missing_argument_is_named():
    with pytest.raises(TypeError, match="missing"):
        fitted(VariationalAutoencoder, "plain").transform()
    with pytest.raises(TypeError, match="n_drawn"):
        fitted(VariationalAutoencoder, "plain").score_samples(torch.tensor(X), n_drawn=3)


@pytest.mark.cuda
@pytest.mark.parametrize(("estimator", "name"), FITS)
def test_results_follow_rows_to_their_device(estimator, name):
    model, y = fits(estimator)[name]
    model.fit(X, y)
    with config_context(array_api_dispatch=True):
        for key, result in outcomes(model, y, convert=on_device):
            if key not in UNKIND:
                assert {p.device.type for p in parts(result) if isinstance(p, torch.Tensor)} <= {
                    "cuda"
                }, key
                assert is_in_kind(result), key


def on_device(array):
    return tensor(array).detach().cuda()


@pytest.mark.cuda
def test_tensor_on_a_device_is_copied():
    rows = torch.tensor(X, device="cuda")
    model = small(VariationalAutoencoder, device="cpu").fit(rows)
    np.testing.assert_array_equal(model.transform(rows), model.transform(X))
