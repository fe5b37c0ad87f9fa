"""Before its first step the model is PCA."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.sparse import csr_array
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skvae import Autoencoder, VariationalAutoencoder
from skvae.fitting._fit import gained
from skvae.fitting._trainer import Trainer
from skvae.likelihoods import Gaussian
from skvae.starts import PrincipalComponents
from skvae.training import DivergenceError

RAW = {
    "wine": load_wine().data,
    "breast cancer": load_breast_cancer().data,
    "iris": load_iris().data,
    "digits": load_digits().data / 16,
}
TABLES = RAW | {f"{name} scaled": StandardScaler().fit_transform(X) for name, X in RAW.items()}
# Below the rank, so that PCA's covariance has an inverse.
SIZES = {"wine": [1, 2, 5, 12], "breast cancer": [1, 5, 25], "iris": [1, 2, 3], "digits": [2, 30]}
CASES = [(table, n) for table in TABLES for n in SIZES[table.removesuffix(" scaled")]]
cases = pytest.mark.parametrize(("table", "n"), CASES)
tables = pytest.mark.parametrize("X", TABLES.values(), ids=TABLES.keys())


def small_net(n_in, n_out):
    """A user's network; started, its last layer is anything but zero."""
    return torch.nn.Sequential(
        torch.nn.Linear(n_in, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, n_out)
    )


# What must not be heard before the first step.
SILENT = {
    "hidden layers": {"hidden_layer_sizes": (256,)},
    "deep layers": {"hidden_layer_sizes": (32, 16), "activation": "tanh"},
    "user networks": {"encoder": small_net, "decoder": small_net},
    "validation": {"early_stopping": True},
    "seed": {"random_state": 7},
}


def start(n, **params):
    """An estimator that takes no step."""
    return VariationalAutoencoder(
        n,
        **{
            "hidden_layer_sizes": (),
            "max_iter": 0,
            "early_stopping": False,
            "random_state": 0,
            **params,
        },
    )


def assert_close(actual, expected):
    """Up to 1e-4 of the largest entry.

    Parameters in float32 cost 1e-7; where a raw table's variances differ by ten orders of
    magnitude, so that the least of them is near the rounding of the largest, a few digits more.
    """
    assert np.shape(actual) == np.shape(expected)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * scale)


def assert_is_pca(vae, pca, X):
    """Signs included, on rows that neither may have seen."""
    assert_close(vae.transform(X), pca.transform(X))
    assert_close(vae.inverse_transform(vae.transform(X)), pca.inverse_transform(pca.transform(X)))
    assert_close(vae.score(X), pca.score(X))
    assert_close(vae.score_samples(X), pca.score_samples(X))
    assert_close(vae.mean_, pca.mean_)
    assert_close(vae.components_, pca.components_)
    assert_close(vae.explained_variance_, pca.explained_variance_)
    assert_close(vae.explained_variance_ratio_, pca.explained_variance_ratio_)
    assert_close(vae.noise_variance_, np.full(np.shape(vae.noise_variance_), pca.noise_variance_))
    assert_close(vae.singular_values_, pca.singular_values_)
    assert_close(vae.get_covariance(), pca.get_covariance())
    assert vae.n_components_ == pca.n_components_
    assert vae.n_samples_ == pca.n_samples_
    assert vae.n_iter_ == 0


@cases
def test_start_is_pca(table, n):
    train, test = TABLES[table][::2], TABLES[table][1::2]
    assert_is_pca(start(n).fit(train), PCA(n, svd_solver="full").fit(train), test)


@pytest.mark.parametrize("params", SILENT.values(), ids=SILENT.keys())
@pytest.mark.parametrize(("table", "n"), [("breast cancer scaled", 5), ("wine", 2)])
def test_start_is_pca_whatever_stands_beside_the_linear_path(table, n, params):
    train, test = TABLES[table][::2], TABLES[table][1::2]
    assert_is_pca(start(n, **params).fit(train), PCA(n, svd_solver="full").fit(train), test)


@pytest.mark.parametrize("units", ["own", "others"])
@pytest.mark.parametrize(
    ("table", "n"), [("wine scaled", 2), ("breast cancer scaled", 5), ("iris scaled", 1)]
)
def test_start_of_own_noises_is_factor_analysis(table, n, units):
    """The score of its best solution, but for the shrinkage of its noises, in whatever units."""
    X = TABLES[table]
    train, test = X[::2], X[1::2]
    unit = np.ones(X.shape[1]) if units == "own" else np.logspace(-2, 3, X.shape[1])
    vae = start(n, likelihood=Gaussian(noise="feature")).fit(train * unit)
    factors = FactorAnalysis(n, max_iter=20000, tol=1e-4).fit(train)
    for rows in (train, test):
        score = vae.score(rows * unit) + np.log(unit).sum()
        assert score > factors.score(rows) - 0.01 * X.shape[1]
        assert score > PCA(n).fit(train).score(rows)
    # What the loadings leave of each variance is noise: the linear model has that covariance.
    variances = np.diag(vae.get_covariance()) / (train * unit).var(0)
    np.testing.assert_allclose(variances, 1.0, rtol=0.1)


def test_points_start_as_many_latents_as_the_bound_does():
    """Where the likelihood fixes the noise, an axis below it is none for a point either."""
    X = (TABLES["digits"] > 0.5).astype(float)
    params = {"likelihood": "bernoulli", "max_iter": 0, "hidden_layer_sizes": ()}
    models = [cls(60, **params).fit(X) for cls in (Autoencoder, VariationalAutoencoder)]
    points, bound = (model._fitted.model(torch.float64).decoder.linear for model in models)
    n_started = int(bound.any(0).sum())
    assert 0 < n_started < 60
    assert int(points.any(0).sum()) == n_started


@cases
def test_whitened_start_is_whitened_pca(table, n):
    """Whitening changes the latent coordinates only.

    The score is the plain PCA's: scikit-learn's own, of a whitened PCA, scales the axes twice.
    """
    train, test = TABLES[table][::2], TABLES[table][1::2]
    vae = start(n, whiten=True).fit(train)
    pca = PCA(n, whiten=True, svd_solver="full").fit(train)
    latents = pca.transform(test)
    assert_close(vae.transform(test), latents)
    assert_close(vae.inverse_transform(latents), pca.inverse_transform(latents))
    assert_close(vae.components_, pca.components_)
    assert_close(vae.score(test), PCA(n, svd_solver="full").fit(train).score(test))


@pytest.mark.parametrize("raced", [False, True])
def test_start_is_kept_where_no_epoch_is_better(raced, monkeypatch):
    """The held-out rows then serve, too: the start is that of all rows."""
    if raced:
        monkeypatch.setattr("skvae.starts._principal._RACE_COMPONENTS", 1)
        monkeypatch.setattr("skvae.starts._principal._RACE_ROWS", 1)
    X = TABLES["breast cancer scaled"]
    vae = VariationalAutoencoder(5, learning_rate_init=1e-30, max_iter=2, random_state=0).fit(X)
    pca = PCA(5).fit(X)
    assert_close(vae.components_, pca.components_)
    assert_close(vae.score(X), pca.score(X))


@pytest.mark.parametrize("max_iter", [0, 1], ids=["no epoch", "no better epoch"])
def test_random_start_is_not_pca(max_iter):
    X = TABLES["wine scaled"]
    params = {"init": "random", "early_stopping": True, "learning_rate_init": 1e-30}
    vae = start(2, max_iter=max_iter, hidden_layer_sizes=(64,), **params).fit(X)
    assert vae.score(X) < PCA(2).fit(X).score(X) - 1.0


@pytest.mark.parametrize("init", ["pca", "random"])
def test_only_pcas_start_has_a_linear_path_beside_hidden_layers(init):
    """Far out, tanh units are at their bounds, and all that goes on growing is a linear path."""
    X = TABLES["wine scaled"]
    vae = start(2, init=init, activation="tanh", hidden_layer_sizes=(8,), max_iter=3).fit(X)
    near, far = vae.decode([[1e6, 1e6]]), vae.decode([[1e7, 1e7]])
    assert np.allclose(near, far) == (init == "random")


def test_random_start_without_hidden_layers_is_linear():
    X = TABLES["wine scaled"]
    vae = start(2, init="random", hidden_layer_sizes=(), max_iter=100, learning_rate_init=1e-2)
    rows = vae.fit(X).inverse_transform(vae.transform(X))
    assert ((rows - X) ** 2).sum(1).mean() < 0.6 * X.var(0).sum()


def test_warm_start_keeps_the_networks_whatever_init_says_now():
    X = TABLES["wine scaled"]
    vae = start(2, init="random", hidden_layer_sizes=(8,), max_iter=3).fit(X)
    before = vae._fitted.parameters.shape
    vae.set_params(init="pca", warm_start=True).fit(X)
    assert vae._fitted.parameters.shape == before


def test_race_goes_on_with_its_winner(monkeypatch):
    monkeypatch.setattr("skvae.starts._principal._RACE_ROWS", 100)
    run, ran = Trainer.run, []

    def remember(self, budget):
        ran.append((self, run(self, budget)))
        return ran[-1][1]

    monkeypatch.setattr(Trainer, "run", remember)
    X = load_digits().data[:300]
    vae = VariationalAutoencoder(16, max_iter=40, random_state=0).fit(X)
    *race, (last, _) = ran
    best = max(race, key=lambda record: max(record[1].scores))
    assert len(race) == 3
    assert last is best[0]
    np.testing.assert_array_equal(vae._fitted.parameters, last.model.flat.values.numpy())


@tables
def test_leading_latents_alone_are_pca_of_as_many(X):
    vae, pca = start(3, init=PrincipalComponents(1)).fit(X), PCA(1).fit(X)
    assert vae.n_components_ == 3
    assert vae.n_active_components_ == 1
    assert_close(vae.components_[:1], pca.components_)
    assert_close(vae.score(X), pca.score(X))


def test_start_that_is_an_object_is_a_parameter_like_any_other():
    X = TABLES["wine scaled"]
    vae = start(3, init=PrincipalComponents(1))
    copy = clone(vae)
    assert copy.init is not vae.init
    assert copy.get_params()["init__n_started"] == 1
    search = GridSearchCV(vae, {"init__n_started": [1, 2, 3]}, cv=2, error_score="raise").fit(X)
    best = search.best_params_["init__n_started"]
    expected = [cross_val_score(PCA(n), X, cv=2).mean() for n in (1, 2, 3)]
    assert_close(search.cv_results_["mean_test_score"], expected)
    assert search.best_estimator_.n_active_components_ == best
    assert vae.init.n_started == 1


# ------------------------------------------------------- number of components


@tables
@pytest.mark.parametrize("n_components", [0.1, 0.5, 0.9, 0.999, None, "mle"])
def test_number_of_components_is_pcas(X, n_components):
    pca = PCA(n_components, svd_solver="full").fit(X)
    vae = start(n_components).fit(X)
    assert vae.n_components_ == pca.n_components_
    assert vae.transform(X[:3]).shape == (3, pca.n_components_)


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_integer_of_numpy_is_an_integer(n_components):
    """A search over np.arange hands them out."""
    X = TABLES["iris"]
    vae, same = start(np.int64(n_components)).fit(X), start(n_components).fit(X)
    np.testing.assert_array_equal(vae.transform(X), same.transform(X))


@pytest.mark.parametrize("surplus", [0, 1, 4])
@pytest.mark.parametrize(("table", "rank"), [("iris", 4), ("wine scaled", 13), ("digits", 61)])
def test_surplus_latents_start_at_the_prior(table, rank, surplus):
    """Constant pixels leave digits a rank of 61; iris and wine have as many as features."""
    X = TABLES[table]
    vae, pca = start(rank + surplus).fit(X), PCA(rank, svd_solver="full").fit(X)
    latents = vae.transform(X)
    assert_close(latents[:, :rank], pca.transform(X))
    assert_close(vae.inverse_transform(latents), X)
    assert_close(vae.explained_variance_[:rank], pca.explained_variance_)
    assert not vae.explained_variance_[rank:].any()
    assert vae.n_active_components_ == rank
    mean, std = vae.encode(X)
    np.testing.assert_allclose(mean[:, rank:], 0.0, atol=1e-6)
    np.testing.assert_allclose(std[:, rank:], 1.0, atol=1e-6)
    assert np.isfinite(vae.score_samples(X)).all()
    if rank == X.shape[1]:  # the sample covariance itself
        assert_close(vae.score(X), pca.score(X))


# -------------------------------------------------------------- kinds of tables

PIXELS = load_digits().data / 16


def products(n_pixels, n_rows):
    """Products of the brightest pixels: many columns, most of them sparse or constant."""
    brightest = np.argsort(-PIXELS.mean(0), kind="stable")[:n_pixels]
    X = PolynomialFeatures(interaction_only=True, include_bias=False).fit_transform(
        PIXELS[:n_rows, brightest]
    )
    return np.where(X > 0.3, X, 0.0)


# Above 1000 features no covariance is formed: (products of so many pixels, rows).
MANY_FEATURES = {"few rows": (50, 300), "many rows": (46, 1050)}


@pytest.mark.parametrize("container", [np.asarray, csr_array])
@pytest.mark.parametrize(("n_pixels", "n_rows"), MANY_FEATURES.values(), ids=MANY_FEATURES.keys())
def test_start_is_pca_above_1000_features(n_pixels, n_rows, container):
    X = products(n_pixels, n_rows)
    assert X.shape[1] > 1000
    vae, pca = start(6).fit(container(X)), PCA(6, svd_solver="full").fit(X)
    test = X[::7]
    assert_close(vae.transform(container(test)), pca.transform(test))
    assert_close(vae.score(container(test)), pca.score(test))
    assert_close(vae.components_, pca.components_)
    assert_close(vae.noise_variance_, pca.noise_variance_)
    assert_close(vae.explained_variance_ratio_, pca.explained_variance_ratio_)


@pytest.mark.parametrize("n_components", [0.8, None])
@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_number_of_components_is_pcas_above_1000_features(container, n_components):
    X = products(46, 40)
    pca = PCA(n_components, svd_solver="full").fit(X)
    assert start(n_components).fit(container(X)).n_components_ == pca.n_components_


@pytest.mark.parametrize("container", [np.asarray, csr_array])
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_table_of_one_value_has_a_start(container, value):
    X = container(np.full((20, 1100), value))
    vae = start(2).fit(X)
    assert np.isfinite(vae.score_samples(X)).all()
    assert vae.n_active_components_ == 0


@pytest.mark.parametrize("table", ["iris", "wine", "digits"])
def test_sparse_start_is_the_dense_one(table):
    X = TABLES[table]
    vae, sparse = start(3).fit(X), start(3).fit(csr_array(X))
    assert_close(sparse.transform(csr_array(X)), vae.transform(X))
    assert_close(sparse.score(csr_array(X)), vae.score(X))
    assert_close(sparse.components_, vae.components_)


@pytest.mark.parametrize("n", [1, 5, 20])
@pytest.mark.parametrize("table", ["breast cancer scaled", "digits"])
def test_start_is_pca_with_fewer_rows_than_features(table, n):
    X = TABLES[table][:, :40]
    n_rows = 25
    assert n_rows < X.shape[1]
    assert_is_pca(start(n).fit(X[:n_rows]), PCA(n, svd_solver="full").fit(X[:n_rows]), X[n_rows:])


@pytest.mark.parametrize("container", [np.asarray, csr_array])
@pytest.mark.parametrize("table", ["iris", "wine", "breast cancer scaled"])
def test_weight_is_a_number_of_rows(table, container):
    X = TABLES[table]
    weight = np.random.RandomState(0).randint(0, 4, len(X))
    repeated = np.repeat(X, weight, axis=0)
    vae = start(3).fit(container(X), sample_weight=weight)
    assert_is_pca(vae, PCA(3, svd_solver="full").fit(repeated), X)
    assert_close(vae.score(X, sample_weight=weight), PCA(3).fit(repeated).score(repeated))


# ------------------------------------------------------------------- Bernoulli

BITS = {"binary": (PIXELS > 0.4).astype(float), "grey": PIXELS}
bits = pytest.mark.parametrize("X", BITS.values(), ids=BITS.keys())


def mean_model_score(train, test):
    """Each feature on its own; one never seen lit, or never dark, is given a chance of 1e-3."""
    p = train.mean(0).clip(1e-3, 1 - 1e-3)
    return (xlogy(test, p) + xlogy(1 - test, 1 - p)).sum(1).mean()


@bits
@pytest.mark.parametrize(
    ("n", "hidden"), [(1, ()), (2, ()), (10, ()), (30, ()), (2, (64,))], ids=str
)
def test_bernoulli_start_is_better_than_the_mean(X, n, hidden):
    train, test = X[::4], X[1::4]
    vae = start(n, likelihood="bernoulli", hidden_layer_sizes=hidden).fit(train)
    for rows in (train, test):
        scores = vae.score_samples(rows)
        assert np.isfinite(scores).all()
        assert scores.mean() > mean_model_score(train, rows) + 0.1


@bits
def test_bernoulli_weight_is_a_number_of_rows(X):
    X = X[:400]
    weight = np.random.RandomState(0).randint(0, 4, len(X))
    weighted = start(3, likelihood="bernoulli").fit(X, sample_weight=weight)
    repeated = start(3, likelihood="bernoulli").fit(np.repeat(X, weight, axis=0))
    assert_close(weighted.components_, repeated.components_)
    assert_close(weighted.transform(X), repeated.transform(X))
    assert_close(weighted.explained_variance_ratio_, repeated.explained_variance_ratio_)


# ------------------------------------------------------------- leaving the start


def held_out(bounds, weight=None):
    """A trainer of which ``gained`` sees the held-out bounds alone."""
    return SimpleNamespace(held_out_bounds=lambda: np.asarray(bounds), held_out_weight=weight)


def test_start_is_left_for_a_gain_that_held_out_rows_prove():
    first = np.zeros(50)
    noise = np.random.RandomState(0).standard_normal(50)
    noise -= noise.mean()
    error = noise.std(ddof=1) / np.sqrt(50)
    quantile = scipy.stats.t.ppf(0.9, 49)
    assert gained(held_out(noise + 1.02 * quantile * error), first)
    assert not gained(held_out(noise + 0.98 * quantile * error), first)
    assert not gained(held_out(noise - 1.0), first)
    assert not gained(held_out(first), first)
    assert gained(held_out(first + 1.0), first)


def test_weighted_rows_prove_a_gain_as_repeated_rows_do_with_their_effective_number():
    """Rows of almost no weight prove nothing, and equal weights are as none."""
    first, gain = np.zeros(40), np.r_[np.full(38, 5.0), -1.0, -1.2]
    assert gained(held_out(gain), first)
    assert gained(held_out(gain, np.full(40, 3.0)), first)
    assert not gained(held_out(gain, np.r_[np.full(38, 1e-9), 1.0, 1.0]), first)


@pytest.mark.filterwarnings("ignore:.*validation_fraction")
def test_table_with_too_few_rows_to_hold_any_out_stays_pca():
    X = load_wine().data[::18]  # 10 rows, of which a tenth is one
    vae = VariationalAutoencoder(2, random_state=0).fit(X)
    assert vae.validation_scores_ is None
    assert vae.score(X) == pytest.approx(PCA(2).fit(X).score(X), rel=1e-6)


@pytest.mark.parametrize("n_diverging", [1, 2, 3])
def test_start_that_diverges_loses_the_race(n_diverging, monkeypatch):
    """With all three diverging the error is the user's to see."""
    X = load_digits().data[:200]
    run, calls = Trainer.run, []

    def first_ones_diverge(self, budget):
        calls.append(budget)
        if len(calls) <= n_diverging:
            raise DivergenceError("diverged")
        return run(self, budget)

    monkeypatch.setattr("skvae.starts._principal._RACE_ROWS", 100)
    monkeypatch.setattr(Trainer, "run", first_ones_diverge)
    vae = VariationalAutoencoder(16, max_iter=3, random_state=0)
    if n_diverging == 3:
        with pytest.raises(DivergenceError):
            vae.fit(X)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            vae.fit(X)
        assert len(calls) == 4
        assert np.isfinite(vae.score(X))
