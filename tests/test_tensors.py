"""Torch tensors are rows like any others: every public method takes them, and gives arrays."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from walking import (
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
    outcomes,
    reads,
    small,
)

from skvae import CanonicalCorrelatedAutoencoder, VariationalAutoencoder
from skvae._core.arrays import as_numpy

# Few epochs keep these tests short, so training is rarely done when max_iter ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning"),
]
dispatch = pytest.mark.parametrize("dispatch", [False, True], ids=["", "dispatch"])


def tensor(array):
    """A tensor of dense values, one that requires grad where that can be."""
    if sparse.issparse(array):
        return torch.from_numpy(array.toarray()).to_sparse()
    t = torch.tensor(np.asarray(array))
    return t.requires_grad_() if t.is_floating_point() else t


def comparable(result):
    """The result, or of an estimator what it makes of the rows."""
    return reads(result)(X) if hasattr(result, "fit") else result


def holds_no_tensor(result):
    parts = result if isinstance(result, tuple) else (result,)
    return all(
        isinstance(p, float | np.ndarray) or sparse.issparse(p) or hasattr(p, "fit") for p in parts
    )


@dispatch
@pytest.mark.parametrize(("estimator", "name"), FITS)
def test_every_method_takes_tensors(estimator, name, dispatch):
    y = fits(estimator)[name][1]

    def results(convert):
        for method in fitting(estimator):
            model = fits(estimator)[name][0]
            call = getattr(model, method)
            # fit_transform hands the weight on under metadata routing only.
            yield method, comparable(call(**arguments(call, model, y, convert)))
        yield from outcomes(fitted(estimator, name), y, convert=convert)

    with config_context(array_api_dispatch=dispatch):
        expected, found = dict(results(lambda array: array)), dict(results(tensor))
    assert found.keys() == expected.keys()
    assert [key for key in found if not holds_no_tensor(found[key])] == []
    assert [key for key in found if bits(found[key]) != bits(expected[key])] == []


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
    expected = small(VariationalAutoencoder).fit(values).transform(values)
    # Rows that lie otherwise are added up otherwise.
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.dtype == expected.dtype


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


def test_pipeline_hands_tensors_on():
    """Under dispatch the scaler gives tensors."""
    with config_context(array_api_dispatch=True):
        pipe = make_pipeline(StandardScaler(), small(CanonicalCorrelatedAutoencoder))
        found = pipe.fit(torch.tensor(X), torch.tensor(LABELS)).predict_proba(torch.tensor(X))
    assert isinstance(found, np.ndarray)
    pipe.fit(X, LABELS)
    np.testing.assert_allclose(found, pipe.predict_proba(X), rtol=1e-6)


@pytest.mark.cuda
def test_tensor_on_a_device_is_copied():
    rows = torch.tensor(X, device="cuda")
    model = small(VariationalAutoencoder, device="cpu").fit(rows)
    np.testing.assert_array_equal(model.transform(rows), model.transform(X))
