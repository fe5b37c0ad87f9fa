"""What a user asks of the estimator: transform, sample, score, streams, searches, warm starts."""

import logging
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skvae import VariationalAutoencoder

# Few epochs keep these tests short, so training is rarely done when max_iter ends.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WINE, CANCER, IRIS = (scale(load().data) for load in (load_wine, load_breast_cancer, load_iris))
BITS = (load_digits().data[:300] > 7).astype(float)


def make(**params):
    return VariationalAutoencoder(
        **{"n_components": 3, "hidden_layer_sizes": (32,), "max_iter": 10, "random_state": 0}
        | params
    )


def from_random():
    """The usual networks; they take more steps than those that start at PCA."""
    return make(init="random", learning_rate_init=1e-2, max_iter=150, n_iter_no_change=150)


def small_net(n_in, n_out):
    """A user's network with running statistics, which are no parameters."""
    return torch.nn.Sequential(
        torch.nn.Linear(n_in, 8),
        torch.nn.BatchNorm1d(8),
        torch.nn.Tanh(),
        torch.nn.Linear(8, n_out),
    )


FITTED = {
    "gaussian": lambda: (make().fit(WINE), WINE),
    "bernoulli": lambda: (make(likelihood="bernoulli").fit(BITS), BITS),
    "whitened": lambda: (make(whiten=True).fit(WINE), WINE),
    "user networks": lambda: (make(encoder=small_net, decoder=small_net).fit(WINE), WINE),
    "random start": lambda: (from_random().fit(WINE), WINE),
    "more latents than features": lambda: (make(n_components=6).fit(IRIS), IRIS),
}


@pytest.fixture(scope="module", params=FITTED.values(), ids=FITTED.keys())
def fitted(request):
    return request.param()


def squared_error(estimator, X):
    return ((estimator.inverse_transform(estimator.transform(X)) - X) ** 2).sum(1).mean()


# -------------------------------------------------------------- against PCA


@pytest.mark.parametrize("n", [2, 5, 10])
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_trained_model_is_not_below_pca(load, n):
    """Within 1 %, which the rows held out may cost."""
    train, test = train_test_split(load().data, test_size=0.3, random_state=0)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    vae, pca = VariationalAutoencoder(n, random_state=0).fit(train), PCA(n).fit(train)
    assert vae.score(test) >= pca.score(test) - 0.01 * abs(pca.score(test))
    assert squared_error(vae, test) <= 1.01 * squared_error(pca, test)


def test_nonlinear_table_is_far_above_pca():
    """Rows near a circle have one dimension where PCA sees two."""
    rng = np.random.RandomState(0)
    angle = rng.uniform(0.0, 2.0 * np.pi, 600)
    X = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.05 * rng.normal(size=(600, 2))
    vae = VariationalAutoencoder(2, learning_rate_init=1e-2, max_iter=60, random_state=0)
    assert vae.fit(X[:400]).score(X[400:]) > PCA(2).fit(X[:400]).score(X[400:]) + 0.2


# ---------------------------------------------------------------- row by row


@pytest.mark.parametrize("method", ["transform", "score_samples"])
def test_row_does_not_depend_on_its_neighbours(fitted, method):
    estimator, X = fitted
    batch = getattr(estimator, method)(X)
    alone = np.concatenate([getattr(estimator, method)(X[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, batch[:20], rtol=1e-7, atol=1e-7)
    backwards = getattr(estimator, method)(X[::-1])[::-1]
    np.testing.assert_allclose(backwards, batch, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("method", ["transform", "score_samples", "encode"])
def test_inference_is_repeatable(fitted, method):
    estimator, X = fitted
    np.testing.assert_array_equal(getattr(estimator, method)(X), getattr(estimator, method)(X))


def test_blocks_of_rows_do_not_show(fitted, monkeypatch):
    estimator, X = fitted
    latents, scores = estimator.transform(X), estimator.score_samples(X)
    rows = estimator.inverse_transform(latents)
    monkeypatch.setattr("skvae.inference._fitted.BLOCK_CELLS", 7 * 256)
    np.testing.assert_allclose(estimator.transform(X), latents, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(estimator.score_samples(X), scores, rtol=1e-7)
    np.testing.assert_allclose(estimator.inverse_transform(latents), rows, rtol=1e-7, atol=1e-7)


def test_score_is_the_mean_of_score_samples(fitted):
    estimator, X = fitted
    values, weight = estimator.score_samples(X), np.arange(len(X))
    assert isinstance(estimator.score(X), float)
    np.testing.assert_allclose(estimator.score(X), values.mean())
    np.testing.assert_allclose(
        estimator.score(X, sample_weight=weight), np.average(values, weights=weight)
    )


def test_a_hundred_draws_are_enough():
    estimator = make(max_iter=50, n_components=2).fit(CANCER)
    hundred, thousand = (estimator.score_samples(CANCER, n_draws=n).mean() for n in (100, 1000))
    assert hundred - 0.02 < thousand < hundred + 0.1


# -------------------------------------------------------------------- latents


def test_inverse_transform_decodes_the_unshrunk_mean(fitted):
    estimator, X = fitted
    mean, std = estimator.encode(X)
    unshrunk = mean / (1.0 - (std**2).mean(0)).clip(0.1)
    rows = estimator.inverse_transform(estimator.transform(X))
    np.testing.assert_allclose(rows, estimator.decode(unshrunk), rtol=1e-6, atol=1e-6)


def test_sorted_latents_are_decoded_as_what_they_were():
    """From a random start the order of the variance explained is not that of the networks."""
    estimator = from_random().fit(WINE)
    assert (np.diff(estimator._fitted.report.order) < 0).any()
    # PCA leaves a third of the variance; a latent in another's place would add to all of it.
    assert squared_error(estimator, WINE) < 0.6 * WINE.var(0).sum()
    mean, _ = estimator.encode(WINE)
    assert ((estimator.decode(mean) - WINE) ** 2).sum(1).mean() < 0.6 * WINE.var(0).sum()


def test_encode_gives_a_posterior_for_each_row(fitted):
    estimator, X = fitted
    mean, std = estimator.encode(X)
    assert mean.shape == std.shape == (len(X), estimator.n_components_)
    assert (std > 0).all()
    # E_x[q(z|x)] is near the prior, so neither part has more variance than it by much.
    assert (mean.var(0) + (std**2).mean(0) < 1.5).all()


def test_latents_are_sorted_by_the_variance_they_explain(fitted):
    estimator, X = fitted
    assert (np.diff(estimator.explained_variance_) <= 0).all()
    assert 0 < estimator.explained_variance_ratio_.sum() < 1.1
    assert estimator.components_.shape == (estimator.n_components_, X.shape[1])
    assert (estimator.kl_per_component_ >= -1e-9).all()
    assert estimator.n_active_components_ == np.count_nonzero(estimator.explained_variance_)


@pytest.mark.parametrize("table", [WINE, CANCER], ids=["wine", "cancer"])
def test_whitened_latents_have_about_unit_variance(table):
    latents = make(whiten=True, max_iter=30).fit(table).transform(table)
    np.testing.assert_allclose(latents.std(0), 1.0, atol=0.35)


# --------------------------------------------------------------------- sample


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("observation_noise", [True, False])
def test_sample_has_the_rows_asked_for(n, dtype, observation_noise):
    estimator = make().fit(WINE.astype(dtype))
    rows = estimator.sample(n, random_state=0, observation_noise=observation_noise)
    assert rows.shape == (n, WINE.shape[1])
    assert rows.dtype == dtype


def test_sample_repeats_with_its_seed_only(fitted):
    estimator, _ = fitted
    first = estimator.sample(5, random_state=0)
    np.testing.assert_array_equal(first, estimator.sample(5, random_state=0))
    np.testing.assert_array_equal(first, estimator.sample(5, random_state=np.random.RandomState(0)))
    assert (first != estimator.sample(5, random_state=1)).any()
    assert (estimator.sample(5) != estimator.sample(5)).any()


def test_sample_without_observation_noise_is_less_spread():
    estimator = make().fit(WINE)
    noisy = estimator.sample(4000, random_state=0)
    means = estimator.sample(4000, random_state=0, observation_noise=False)
    np.testing.assert_allclose(noisy.var(0) - means.var(0), estimator.noise_variance_, atol=0.1)
    assert (noisy.var(0) > means.var(0)).all()


def test_samples_of_the_start_have_pcas_moments():
    estimator, pca = make(max_iter=0).fit(WINE), PCA(3).fit(WINE)
    rows = estimator.sample(20_000, random_state=0)
    # Moments of 20,000 normal rows of unit variance are within 5 standard errors of 0.01.
    np.testing.assert_allclose(rows.mean(0), pca.mean_, atol=0.05)
    np.testing.assert_allclose(np.cov(rows.T), pca.get_covariance(), atol=0.05)


@pytest.mark.parametrize(
    ("table", "params"),
    [(WINE, {}), (CANCER, {}), (BITS, {"likelihood": "bernoulli"})],
    ids=["wine", "cancer", "digits"],
)
def test_samples_of_a_trained_model_have_the_datas_moments(table, params):
    rows = make(max_iter=50, n_components=5, **params).fit(table).sample(4000, random_state=0)
    np.testing.assert_allclose(rows.mean(0), table.mean(0), atol=0.25)
    np.testing.assert_allclose(rows.std(0), table.std(0), atol=0.3)


def test_bernoulli_samples_are_bits_or_probabilities():
    estimator = make(likelihood="bernoulli").fit(BITS)
    assert set(np.unique(estimator.sample(50, random_state=0))) == {0.0, 1.0}
    p = estimator.sample(50, random_state=0, observation_noise=False)
    assert ((p >= 0) & (p <= 1)).all()
    assert len(np.unique(p)) > 50


# ------------------------------------------------------ types, names, searches


def test_float32_stays_float32():
    X = WINE.astype(np.float32)
    estimator = make().fit(X)
    latents = estimator.transform(X)
    for result in (
        latents,
        estimator.inverse_transform(latents),
        estimator.score_samples(X),
        *estimator.encode(X),
        estimator.sample(3),
    ):
        assert result.dtype == np.float32
    double = estimator.transform(X.astype(float))
    assert double.dtype == np.float64
    np.testing.assert_allclose(latents, double, rtol=1e-4, atol=1e-4)


def test_integers_are_taken_as_float64():
    X = load_digits().data.astype(int)
    estimator = make(max_iter=1).fit(X)
    assert estimator.transform(X).dtype == np.float64
    np.testing.assert_array_equal(estimator.transform(X), estimator.transform(X.astype(float)))


def test_data_frame_in_and_out():
    frame = load_wine(as_frame=True).data
    estimator = make().set_output(transform="pandas").fit(frame)
    latents = estimator.transform(frame)
    names = [f"variationalautoencoder{k}" for k in range(3)]
    assert isinstance(latents, pd.DataFrame)
    assert list(latents.columns) == names == list(estimator.get_feature_names_out())
    assert latents.index.equals(frame.index)
    assert list(estimator.feature_names_in_) == list(frame.columns)


def test_search_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), make(max_iter=3))
    grid = {
        "variationalautoencoder__n_components": np.arange(1, 4),
        "variationalautoencoder__beta": [0.5, 1.0],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(load_wine().data)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert search.best_score_ == scores.max()
    n_best = search.best_params_["variationalautoencoder__n_components"]
    assert search.transform(load_wine().data).shape == (178, n_best)


# --------------------------------------------------- streams and warm starts


def test_stream_improves_on_its_start():
    order = np.random.RandomState(0).permutation(len(CANCER))
    train, test = CANCER[order[:400]], CANCER[order[400:]]
    chunks = np.array_split(train, 4)
    estimator = make(batch_size=20)
    start = make(max_iter=0).fit(chunks[0]).score(test)
    for epoch in range(15):
        for chunk in chunks:
            estimator.partial_fit(chunk)
        if epoch == 0:
            assert estimator.n_iter_ == 4
    assert estimator.score(test) > start + 1.0
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 60
    with pytest.raises(ValueError, match="features"):
        estimator.partial_fit(test[:, :-1])


def test_stream_goes_on_from_a_fit():
    estimator = make(n_components=5).fit(CANCER)
    before = estimator.score(CANCER)
    for _ in range(5):
        estimator.partial_fit(CANCER)
    assert estimator.n_iter_ == 15
    assert estimator.score(CANCER) > before - 1.0


@pytest.mark.parametrize("n_rows", [1, 2])
def test_stream_of_few_rows_keeps_its_latents(n_rows):
    """What a latent explains is read off many rows, not off the last call's."""
    estimator = make().partial_fit(WINE)
    latents, active = estimator.transform(WINE), estimator.n_active_components_
    estimator.partial_fit(WINE[:n_rows])
    assert estimator.n_active_components_ == active
    np.testing.assert_allclose(estimator.transform(WINE), latents, atol=0.1 * np.abs(latents).max())


def test_warm_start_goes_on():
    params = {
        "max_iter": 15,
        "early_stopping": False,
        "n_components": 5,
        "learning_rate_init": 3e-3,
    }
    first = make(warm_start=True, **params).fit(CANCER)
    curve = list(first.loss_curve_)
    first.fit(CANCER)
    assert first.loss_curve_[-15] < (curve[0] + curve[-1]) / 2
    assert first.loss_curve_[-1] < curve[-1]
    # The first call to a warm start is like any other.
    np.testing.assert_array_equal(make(**params).fit(CANCER).loss_curve_, curve)


CHANGES = {
    "hidden_layer_sizes": (16, 16),
    "activation": "tanh",
    "n_components": 2,
    "likelihood": "bernoulli",
    "encoder": small_net,
    "decoder": small_net,
}


@pytest.mark.parametrize(("name", "value"), CHANGES.items(), ids=CHANGES.keys())
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_warm_start_names_what_changed(name, value, method):
    estimator = make(warm_start=True).fit(BITS).set_params(**{name: value})
    with pytest.raises(ValueError, match=name):
        getattr(estimator, method)(BITS)
    # Without a warm start it is a new fit.
    estimator.set_params(warm_start=False).fit(BITS)


def test_warm_start_names_a_changed_integer_of_numpy():
    estimator = make(warm_start=True).fit(IRIS).set_params(n_components=np.int64(2))
    with pytest.raises(ValueError, match="n_components"):
        estimator.fit(IRIS)


@pytest.mark.parametrize(
    "params",
    [{"beta": 2.0}, {"learning_rate_init": 1e-4}, {"max_iter": 2}, {"whiten": True}],
    ids=str,
)
def test_warm_start_allows_another_way_to_train(params):
    estimator = make(warm_start=True).fit(WINE).set_params(**params).fit(WINE)
    assert np.isfinite(estimator.score(WINE))


def test_last_epoch_is_kept_without_early_stopping():
    """At a wild learning rate no epoch is as good as the start."""
    params = {"learning_rate_init": 0.1, "max_iter": 3}
    start = make(max_iter=0).fit(CANCER).score(CANCER)
    last = make(early_stopping=False, **params).fit(CANCER)
    assert last.n_iter_ == 3
    assert last.validation_scores_ is None
    assert last.best_validation_score_ is None
    assert last.score(CANCER) < start - 1.0
    best = make(early_stopping=True, **params).fit(CANCER)
    assert len(best.validation_scores_) == 4
    assert best.best_validation_score_ == max(best.validation_scores_)
    np.testing.assert_allclose(best.score(CANCER), start, rtol=1e-4)


TABLES_KEPT = {"iris": (IRIS, 200, True), "digits": (load_digits().data, 20, False)}


@pytest.mark.parametrize(
    ("table", "max_iter", "is_start"), TABLES_KEPT.values(), ids=TABLES_KEPT.keys()
)
def test_kept_epoch_is_named_with_its_value_in_one_line(table, max_iter, is_start, caplog):
    """On iris no epoch is proved better than PCA, whichever has the highest held-out value."""
    with caplog.at_level(logging.INFO, "skvae"):
        vae = VariationalAutoencoder(2, max_iter=max_iter, random_state=0).fit(table)
    scores = vae.validation_scores_
    assert (vae.best_epoch_ == 0) == is_start
    assert vae.best_validation_score_ == scores[vae.best_epoch_]
    (record,) = (record for record in caplog.records if record.name == "skvae")
    assert record.levelno == logging.INFO
    if is_start:
        expected = f"after {vae.n_iter_} epochs, 10 of them without a gain"
        assert "; kept PCA" in record.getMessage()
    else:
        gain = f"{vae.best_validation_score_ - scores[0]:+.4f} nats per row over PCA"
        expected = f"{vae.n_iter_} epochs done; kept epoch {vae.best_epoch_}, {gain}"
    assert expected in record.getMessage()


# --------------------------------------------------------------- user networks


@pytest.mark.parametrize("networks", [["encoder"], ["decoder"], ["encoder", "decoder"]], ids=str)
def test_user_networks_train_and_survive_a_pickle(networks):
    params = dict.fromkeys(networks, small_net)
    estimator = make(max_iter=40, learning_rate_init=1e-2, **params).fit(CANCER)
    assert estimator.score(CANCER) > make(max_iter=0).fit(CANCER).score(CANCER) + 0.5
    copy = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(copy.transform(CANCER), estimator.transform(CANCER))
    np.testing.assert_array_equal(copy.score_samples(CANCER), estimator.score_samples(CANCER))
    # The running means are the training rows', not the zeros that they begin with.
    means = [v for name, v in estimator._fitted.buffers.items() if name.endswith("running_mean")]
    assert len(means) == len(networks)
    assert all(mean.any() for mean in means)


def wrong_width(n_in, n_out):
    return torch.nn.Linear(n_in, n_out + 1)


def no_module(n_in, n_out):
    return "a network"


@pytest.mark.parametrize("factory", [wrong_width, no_module])
def test_wrong_user_network_is_named_with_what_it_must_be(factory):
    with pytest.raises(ValueError, match=f"(?s){factory.__name__}.*must return"):
        make(encoder=factory).fit(WINE)


def test_large_table_is_read_where_it_lies(monkeypatch, tmp_path):
    """A memory map that is not converted whole trains as well as one that is."""
    np.save(tmp_path / "X.npy", CANCER)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    settings = {"n_components": 3, "max_iter": 20, "random_state": 0}
    whole = VariationalAutoencoder(**settings).fit(X)
    monkeypatch.setattr("skvae.tables._rows._RESIDENT_CELLS", 0)
    lying = VariationalAutoencoder(**settings).fit(X)
    # The order of the rows is another.
    np.testing.assert_allclose(lying.score(X), whole.score(X), rtol=0.02)
    assert lying.n_iter_ > 1
    np.testing.assert_array_equal(lying.mean_, whole.mean_)
