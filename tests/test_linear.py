"""PCA's conveniences: covariance and precision, singular values, dtypes, a share of variance."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from skvae import Autoencoder, VariationalAutoencoder
from skvae.likelihoods import Gaussian

IRIS = load_iris().data
TABLES = {
    "iris": IRIS,
    "wine": load_wine().data,
    "digits": load_digits().data,
    "cancer": StandardScaler().fit_transform(load_breast_cancer().data),
    "wide": np.random.RandomState(0).normal(size=(20, 50)) * np.linspace(1, 3, 50),
}
both = pytest.mark.parametrize(
    "base", [VariationalAutoencoder, Autoencoder], ids=lambda base: base.__name__
)
short = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def start(base, n_components, **params):
    return base(n_components, hidden_layer_sizes=(), max_iter=0, random_state=0, **params)


# Parameters are float32: what passes through them has seven digits.
def assert_close(actual, expected, scale=None):
    scale = np.abs(expected).max() if scale is None else scale
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6 * scale)


@both
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("table", TABLES)
def test_start_has_the_covariance_and_singular_values_of_pca(base, whiten, k, table):
    X = TABLES[table]
    k = min(k, X.shape[1])
    pca, ours = PCA(k, svd_solver="full").fit(X), start(base, k, whiten=whiten).fit(X)
    assert_close(ours.get_covariance(), pca.get_covariance())
    assert_close(ours.singular_values_, pca.singular_values_)
    assert ours.n_samples_ == len(X)


@both
def test_start_has_the_precision_of_pca(base):
    X = TABLES["wine"]
    pca, ours = PCA(4).fit(X), start(base, 4).fit(X)
    assert_close(ours.get_precision(), pca.get_precision())


@both
def test_all_components_give_the_sample_covariance(base):
    assert_close(start(base, None).fit(IRIS).get_covariance(), np.cov(IRIS, rowvar=False))


@short
@pytest.mark.parametrize(
    "estimator",
    [
        VariationalAutoencoder(3, max_iter=5, random_state=0),
        VariationalAutoencoder(3, max_iter=5, random_state=0, likelihood=Gaussian("feature")),
        VariationalAutoencoder(3, max_iter=5, random_state=0, likelihood="bernoulli"),
        VariationalAutoencoder(3, max_iter=5, random_state=0, beta=100.0, init="random"),
        Autoencoder(3, max_iter=5, random_state=0),
        Autoencoder(3, max_iter=5, random_state=0, likelihood=Gaussian("feature")),
        Autoencoder(3, max_iter=5, random_state=0, likelihood="bernoulli"),
    ],
    ids=str,
)
def test_a_trained_model_has_a_covariance_and_its_inverse(estimator):
    X = (
        np.random.RandomState(0).uniform(size=(200, 4)) @ np.full((4, 6), 0.15)
        + 0.2 * IRIS.max() / 8
    )
    X = np.clip(X + 0.1 * np.random.RandomState(1).normal(size=X.shape), 0.0, 1.0)
    estimator.fit(X)
    covariance, precision = estimator.get_covariance(), estimator.get_precision()
    np.testing.assert_allclose(covariance, covariance.T, rtol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > 0
    np.testing.assert_allclose(covariance @ precision, np.eye(6), atol=1e-9)


def test_covariance_follows_from_what_is_published():
    """For one shared noise it is PCA's formula."""
    vae = VariationalAutoencoder(2, max_iter=0, random_state=0).fit(IRIS)
    C, v, s = vae.components_, vae.explained_variance_, vae.noise_variance_
    expected = C.T @ np.diag(v - s) @ C + s * np.eye(4)
    np.testing.assert_allclose(vae.get_covariance(), expected, rtol=1e-12)


def test_the_covariance_is_that_of_the_draws():
    vae = start(VariationalAutoencoder, 2).fit(IRIS)
    drawn = vae.sample(200_000, random_state=0)
    # A variance of n draws has the relative standard error sqrt(2 / n), 0.3 % here.
    np.testing.assert_allclose(np.cov(drawn, rowvar=False), vae.get_covariance(), atol=0.05)


def test_whitening_changes_neither_score_nor_covariance():
    plain, white = (
        start(VariationalAutoencoder, 2, whiten=whiten).fit(IRIS) for whiten in (False, True)
    )
    assert plain.score(IRIS) == white.score(IRIS)
    np.testing.assert_array_equal(plain.get_covariance(), white.get_covariance())


@both
@pytest.mark.parametrize("method", ["get_covariance", "get_precision"])
def test_there_is_no_covariance_before_a_fit(base, method):
    with pytest.raises(NotFittedError):
        getattr(base(), method)()


def test_weights_count_as_rows():
    weight = 1 + np.arange(150) % 3
    weighted = start(VariationalAutoencoder, 2).fit(IRIS, sample_weight=weight)
    repeated = start(VariationalAutoencoder, 2).fit(np.repeat(IRIS, weight, axis=0))
    assert weighted.n_samples_ == repeated.n_samples_ == weight.sum()
    assert_close(weighted.singular_values_, repeated.singular_values_)


@both
def test_relative_weights_leave_the_number_of_rows(base):
    """They add up to less, and say nothing of a number."""
    assert start(base, 2).fit(IRIS, sample_weight=np.full(150, 0.01)).n_samples_ == 150


@short
@both
def test_rows_of_a_stream_add_up(base):
    stream = base(2, random_state=0).partial_fit(IRIS[:100]).partial_fit(IRIS[100:])
    assert stream.n_samples_ == 150
    assert base(2, max_iter=1, random_state=0).fit(IRIS).partial_fit(IRIS[:50]).n_samples_ == 200


@short
@both
@pytest.mark.parametrize("likelihood", ["gaussian", Gaussian("feature"), "bernoulli"], ids=str)
@pytest.mark.parametrize("max_iter", [0, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_published_arrays_have_the_type_of_x(base, likelihood, max_iter, dtype):
    X = (IRIS / 10).astype(dtype)
    estimator = base(2, likelihood=likelihood, max_iter=max_iter, random_state=0).fit(X)
    published = {
        name: value.dtype
        for name, value in vars(estimator).items()
        if isinstance(value, np.ndarray) and name[0] != "_"
    }
    assert {"mean_", "components_", "singular_values_", "explained_variance_"} <= set(published)
    assert set(published.values()) == {np.dtype(dtype)}
    assert estimator.get_covariance().dtype == dtype
    assert estimator.get_precision().dtype == dtype


@pytest.mark.parametrize("whiten", [False, True])
def test_float32_whitens_what_its_published_variance_cannot_hold(whiten):
    """A variance of 1e-50 is zero in float32."""
    X = (IRIS * 1e-25).astype(np.float32)
    Z = start(VariationalAutoencoder, 2, whiten=whiten).fit_transform(X)
    scaled = start(VariationalAutoencoder, 2, whiten=whiten).fit_transform(IRIS)
    assert_close(Z / (1.0 if whiten else 1e-25), scaled)


@pytest.mark.parametrize("table", ["iris", "wine", "digits", "cancer"])
def test_a_share_of_variance_is_decided_as_pca_decides_it(table):
    """At the sums of its ratios, and a millionth to either side."""
    X = TABLES[table]
    pca = PCA(svd_solver="full").fit(X)
    sums = pca.explained_variance_ratio_.cumsum()
    sums = sums[(sums < 1 - 1e-5)][:10]
    shares = np.concatenate([sums, sums * (1 - 1e-6), sums * (1 + 1e-6), [0.01, 0.5, 0.95]])
    theirs = [PCA(share, svd_solver="full").fit(X).n_components_ for share in shares]
    ours = [start(VariationalAutoencoder, share).fit(X).n_components_ for share in shares]
    assert ours == theirs


@both
def test_a_published_sum_asks_for_one_component_more(base):
    sums = start(base, None).fit(IRIS).explained_variance_ratio_.cumsum()
    chosen = [start(base, share).fit(IRIS).n_components_ for share in sums[:3]]
    assert chosen == [2, 3, 4]


@both
def test_inverse_transform_requests_no_metadata(base):
    """Its parameter is X, as PCA's; any other name would be taken for metadata."""
    assert not hasattr(base(), "set_inverse_transform_request")
    Z = np.zeros((3, 2))
    fitted = start(base, 2).fit(IRIS)
    np.testing.assert_array_equal(fitted.inverse_transform(X=Z), fitted.inverse_transform(Z))
    with pytest.raises(ValueError, match=r"X must have n_components_=2 columns.*Got 3"):
        fitted.inverse_transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"Z must have n_components_=2 columns.*Got 3"):
        fitted.decode(np.zeros((2, 3)))
