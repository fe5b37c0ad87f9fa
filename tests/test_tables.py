"""Views: rows become targets and inputs by column, and come back."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.decomposition import PCA

from skvae import VariationalAutoencoder
from skvae.likelihoods import Gaussian
from skvae.tables import PER_LIBRARY, Rows, View, convert, per_library, shown

X = np.random.RandomState(0).poisson(3.0, (50, 4)).astype(float)
MIXED = ("identity", "log1p", "identity", "log1p")
AS_SHOWN = np.column_stack([X[:, 0], np.log1p(X[:, 1]), X[:, 2], np.log1p(X[:, 3])])


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    ("link", "expected"), [("identity", X), ("log1p", np.log1p(X)), (MIXED, AS_SHOWN)]
)
def test_link_is_of_all_columns_or_of_each(link, expected, container):
    rows = shown(container(X), link)[:20]
    found = rows.toarray() if sparse.issparse(rows) else rows
    np.testing.assert_array_equal(found, expected[:20])


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_columns_have_units_and_links_of_their_own(container):
    shift, scale = np.array([1.0, 0.0, -2.0, 0.0]), np.array([2.0, 1.0, 0.5, 1.0])
    view = View(mean=X.mean(0), total_variance=1.0, shift=shift, scale=scale, link=MIXED)
    batch = Rows(container(X), None, view, torch.float64, torch.device("cpu")).part(slice(None))
    targets, inputs = batch.target.numpy(), batch.inputs.numpy()
    np.testing.assert_allclose(targets, (X - shift) / scale)
    np.testing.assert_allclose(inputs[:, [0, 2]], targets[:, [0, 2]])
    np.testing.assert_allclose(inputs[:, [1, 3]], np.log1p(X[:, [1, 3]]))
    np.testing.assert_allclose(view.back(targets), X)
    assert view.log_jacobian() == pytest.approx(np.log(scale).sum())
    observed = np.eye(4)
    np.testing.assert_allclose(view.log_jacobian(observed), np.log(scale))
    larger = view.over(3.0)
    np.testing.assert_allclose(larger.input_unit, [6.0, 1.0, 1.5, 1.0])


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("link", [PER_LIBRARY, ("identity", *(PER_LIBRARY,) * 3)], ids=str)
def test_library_size_is_divided_from_the_inputs_and_becomes_the_offset(link, container):
    of_counts = np.equal(link, PER_LIBRARY)
    counts = X * of_counts
    sizes = np.maximum(counts.sum(1), 0.5) / counts.sum(1).mean()
    view = View(mean=X.mean(0), total_variance=1.0, shift=np.zeros(4), scale=np.ones(4), link=link)
    rows = Rows(container(X), None, view, torch.float64, torch.device("cpu"))
    expected = np.where(of_counts, np.log1p(X / sizes[:, None]), X)
    for batch, part in (
        (rows.part(slice(3, 20)), slice(3, 20)),
        (rows.take(torch.tensor([7, 2])), [7, 2]),
        (convert(container(X), view, torch.float64, torch.device("cpu")), slice(None)),
    ):
        np.testing.assert_array_equal(batch.target, X[part])
        np.testing.assert_allclose(batch.inputs, expected[part])
        np.testing.assert_allclose(batch.offset, np.log(sizes)[part][:, None] * of_counts)
    divided = shown(per_library(container(X), link, X.mean(0)), link)[:]
    assert sparse.issparse(divided) == (container is sparse.csr_array)
    np.testing.assert_allclose(divided.toarray() if sparse.issparse(divided) else divided, expected)


class GaussianByColumn(Gaussian):
    """A Gaussian that names the identity for each column: a mixed view that must change nothing."""

    link = ("identity",) * 4

    def view(self, moments, inputs):
        return replace(super().view(moments, inputs), link=self.link)


def test_start_by_column_is_the_start_of_the_whole_table():
    estimator = VariationalAutoencoder(2, likelihood=GaussianByColumn(), max_iter=0).fit(X)
    assert estimator.score(X) == pytest.approx(PCA(2).fit(X).score(X))
