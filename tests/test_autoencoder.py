"""The deterministic autoencoder: PCA at its start, and what its options say that they do."""

import itertools
import pickle

import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler
from test_latent import gradient_by_differences
from test_laws import N_FEATURES, N_LATENTS, N_ROWS, close, make_batch, make_model, normal, uniform

from skvae import Autoencoder, VariationalAutoencoder, trusted_types
from skvae.corruptions import GaussianNoise, Masking
from skvae.fitting import _compiled
from skvae.fitting._steps import ComposedStep, WrittenStep, build_step
from skvae.likelihoods import Bernoulli, Gaussian
from skvae.posteriors import Deterministic
from skvae.priors import StandardNormal
from skvae.regularizers import (
    Contractive,
    DecoderGradient,
    LatentNorm,
    MaximumMeanDiscrepancy,
    SparseActivity,
    Sum,
    squared_jacobian_norm,
)
from skvae.starts._boltzmann import Machine, contrast, unroll, upward

IRIS, WINE, DIGITS = load_iris().data, load_wine().data, load_digits().data / 16
# Few epochs keep these tests short, so training is rarely done when max_iter ends.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def make(n_components=2, **params):
    return Autoencoder(n_components, **{"max_iter": 5, "random_state": 0, **params})


def error(model, X):
    """Squared error of a reconstructed row."""
    return np.square(model.inverse_transform(model.transform(X)) - X).sum(1).mean()


def points(likelihood=None, hidden=(5,)):
    """A float64 model of random parameters whose posterior is a point."""
    return make_model(likelihood or Gaussian(), hidden, posterior=Deterministic())


# ------------------------------------------------------------------ the start


@pytest.mark.parametrize("X", [IRIS, WINE], ids=["iris", "wine"])
@pytest.mark.parametrize("n_components", [1, 3])
def test_start_is_pca(X, n_components):
    autoencoder, pca = make(n_components, max_iter=0).fit(X), PCA(n_components).fit(X)
    Z = pca.transform(X)
    np.testing.assert_allclose(autoencoder.transform(X), Z, atol=1e-5 * np.abs(Z).max())
    rebuilt = autoencoder.inverse_transform(autoencoder.transform(X))
    np.testing.assert_allclose(rebuilt, pca.inverse_transform(Z), rtol=1e-5)
    # Parameters are float32.
    np.testing.assert_allclose(autoencoder.components_, pca.components_, atol=1e-5)
    np.testing.assert_allclose(autoencoder.explained_variance_, pca.explained_variance_, rtol=1e-4)
    np.testing.assert_allclose(
        autoencoder.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=1e-4
    )


def test_noise_starts_at_the_mean_squared_error():
    """So that no epoch gains by a better noise alone. PCA's covariance divides by n - 1."""
    autoencoder = make(max_iter=0).fit(WINE)
    n, d = WINE.shape
    expected = error(PCA(2).fit(WINE), WINE) / d * n / (n - 1)
    np.testing.assert_allclose(autoencoder.noise_variance_, expected, rtol=1e-4)


def test_surplus_latents_carry_nothing():
    autoencoder = make(6, max_iter=0).fit(IRIS)
    assert autoencoder.n_active_components_ == 4
    np.testing.assert_array_equal(autoencoder.explained_variance_[4:], 0.0)
    np.testing.assert_allclose(
        autoencoder.inverse_transform(autoencoder.transform(IRIS)), IRIS, atol=1e-4
    )


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
@pytest.mark.parametrize("n_components", [2, 4])
def test_reconstruction_is_not_below_pcas(name, n_components):
    """Of other rows than those of the fit, at the default settings."""
    table = {"wine": load_wine, "breast_cancer": load_breast_cancer}[name]().data
    X, X_test = train_test_split(table, random_state=0)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    autoencoder = Autoencoder(n_components, random_state=0).fit(X)
    assert error(autoencoder, X_test) < 1.01 * error(PCA(n_components).fit(X), X_test)


def test_training_bends():
    X, X_test = train_test_split(DIGITS, random_state=0)
    autoencoder = make(8, max_iter=40).fit(X)
    assert error(autoencoder, X_test) < 0.6 * error(PCA(8).fit(X), X_test)


# ------------------------------------------------------------------ the score


def test_score_is_the_likelihood_of_the_reconstruction():
    autoencoder = make().fit(WINE)
    residual = WINE - autoencoder.inverse_transform(autoencoder.transform(WINE))
    noise = autoencoder.noise_variance_
    expected = -0.5 * (residual**2 / noise + np.log(2 * np.pi * noise)).sum(1)
    np.testing.assert_allclose(autoencoder.score_samples(WINE), expected, rtol=1e-6)
    weight = np.arange(len(WINE))
    np.testing.assert_allclose(
        autoencoder.score(WINE, sample_weight=weight), np.average(expected, weights=weight)
    )


def test_score_is_what_training_maximises():
    autoencoder = make(early_stopping=False, max_iter=100).fit(IRIS)
    assert autoencoder.score(IRIS) > make(max_iter=0).fit(IRIS).score(IRIS)
    np.testing.assert_allclose(
        autoencoder.history_["loss"], np.negative(autoencoder.history_["log_likelihood"])
    )


def test_points_are_decoded():
    autoencoder = make().fit(IRIS)
    np.testing.assert_allclose(
        autoencoder.decode(autoencoder.encode(IRIS)),
        autoencoder.inverse_transform(autoencoder.transform(IRIS)),
        rtol=1e-10,
    )
    whitened = clone(autoencoder).set_params(whiten=True).fit(IRIS).transform(IRIS)
    np.testing.assert_allclose(whitened.std(0, ddof=1), 1.0, rtol=1e-6)


def test_sample_needs_a_distribution_of_the_points():
    autoencoder = make(regularizer=LatentNorm()).fit(IRIS)
    with pytest.raises(ValueError, match=r"latent_density=GaussianMixture\(10\)"):
        autoencoder.sample()
    autoencoder.set_params(latent_density=GaussianMixture(3)).fit(IRIS)
    drawn = autoencoder.sample(2000, random_state=0)
    np.testing.assert_allclose(drawn.mean(0), IRIS.mean(0), atol=0.15)
    wasserstein = make(regularizer=LatentNorm() + MaximumMeanDiscrepancy()).fit(IRIS)
    assert wasserstein.sample(3).shape == (3, 4)


# ------------------------------------------------------------------ corruption


def corrupted(corruption, inputs, scale=2.0):
    generator = torch.Generator().manual_seed(0)
    mean = normal(inputs.shape[1], seed=5)
    return corruption.corrupt(inputs, mean, scale, generator), mean


def test_masked_cells_are_the_means():
    inputs = normal(2000, N_FEATURES)
    result, mean = corrupted(Masking(0.25), inputs)
    masked = result != inputs
    assert torch.equal(result[masked], mean.expand_as(inputs)[masked])
    assert abs(masked.double().mean() - 0.25) < 0.02


def test_noise_has_its_deviation_in_the_units_of_X():
    inputs = normal(2000, N_FEATURES)
    before = inputs.clone()
    result, _ = corrupted(GaussianNoise(0.3), inputs, scale=2.0)
    assert abs((result - inputs).std() - 0.15) < 0.01
    assert abs((result - inputs).mean()) < 0.01
    assert torch.equal(inputs, before)


@pytest.mark.parametrize("corruption", [GaussianNoise(0.0), Masking(0.0)], ids=repr)
def test_no_corruption_is_the_plain_fit(corruption, monkeypatch):
    """It draws, and so shuffles other batches: one batch of all rows has one order."""
    monkeypatch.setattr(_compiled, "find_kernels", lambda: None)  # a corruption's steps have none
    settings = {"batch_size": len(IRIS), "early_stopping": False}
    plain, denoising = make(**settings).fit(IRIS), make(corruption=corruption, **settings).fit(IRIS)
    np.testing.assert_allclose(plain.transform(IRIS), denoising.transform(IRIS), atol=1e-3)


def test_target_and_held_out_rows_are_not_corrupted(monkeypatch):
    seen = []
    written = WrittenStep.__call__

    def spy(self, batch, *args):
        seen.append((batch.inputs.clone(), batch.target.clone()))
        return written(self, batch, *args)

    monkeypatch.setattr(WrittenStep, "__call__", spy)
    denoising = make(corruption=Masking(0.9), max_iter=2).fit(IRIS)
    start = make(max_iter=0).fit(IRIS)
    share = np.mean([float((inputs != target).double().mean()) for inputs, target in seen])
    assert abs(share - 0.9) < 0.05
    # Rows that are masked at random would score far below.
    assert denoising.validation_scores_[0] > start.score(IRIS) - 2.0


def test_denoising_reconstructs_noisy_rows_better():
    noisy = DIGITS + 0.3 * np.random.RandomState(0).standard_normal(DIGITS.shape)

    def left(**params):
        model = make(8, max_iter=30, early_stopping=False, **params).fit(DIGITS)
        return np.square(model.inverse_transform(model.transform(noisy)) - DIGITS).sum(1).mean()

    assert left(corruption=GaussianNoise(0.3)) < 0.9 * left()


# ---------------------------------------------------------------- regularisers

NEW = [
    Contractive(),
    Contractive(n_projections=None),
    DecoderGradient(),
    DecoderGradient(n_projections=2),
    LatentNorm(),
    LatentNorm(order=1),
    SparseActivity(),
    Contractive() + (LatentNorm() + DecoderGradient()),
]


@pytest.mark.parametrize("likelihood", [Gaussian(), Bernoulli()], ids=repr)
@pytest.mark.parametrize("regularizer", [None, *NEW], ids=repr)
def test_gradient_is_the_slope_of_the_loss(regularizer, likelihood):
    model, batch = points(likelihood), make_batch(weighted=True)
    model.regularizer = regularizer
    eps = normal(1, N_ROWS, N_LATENTS)

    def loss():
        generator = torch.Generator().manual_seed(3)
        return float(ComposedStep(model, 0.0, generator)(batch, eps, 0.0)[0])

    loss()
    gradient = model.flat.grads.clone()
    for seed in range(2):
        direction = 0.1 * normal(len(gradient), seed=100 + seed)
        slope = gradient_by_differences(model, loss, direction)
        np.testing.assert_allclose(float(gradient @ direction), slope, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("draws", [1, 2])
def test_written_step_is_the_composed_one(draws):
    written, composed = points(), points()
    batch, eps = make_batch(weighted=True), normal(draws, N_ROWS, N_LATENTS)
    step = build_step(written, 0.1)
    assert isinstance(step, WrittenStep)
    terms = torch.tensor(step(batch, eps, 0.0), dtype=torch.float64)
    close(terms, ComposedStep(composed, 0.1)(batch, eps, 0.0))
    close(written.flat.grads, composed.flat.grads)


def test_contraction_is_the_encoders_jacobian():
    model, batch = points(hidden=(6, 5)), make_batch()
    eps = normal(1, N_ROWS, N_LATENTS)

    def encode(x):
        return model.encode(x[None]).mean[0]

    exact = sum(torch.autograd.functional.jacobian(encode, x).square().sum() for x in batch.inputs)
    model.regularizer = Contractive(1.0, n_projections=None)
    penalty = model.regularization(model.draws(batch, eps), batch, torch.Generator())
    close(penalty, exact / N_ROWS)


def test_decoders_gradient_is_its_jacobian():
    model, batch = points(Bernoulli()), make_batch()
    draws = model.draws(batch, normal(1, N_ROWS, N_LATENTS))

    def decode(z):
        return model.decode(z[None])[0].sigmoid()

    exact = sum(
        torch.autograd.functional.jacobian(decode, z).square().sum() for z in draws.z[0].detach()
    )
    model.regularizer = DecoderGradient(1.0, n_projections=None)
    penalty = model.regularization(draws, batch, torch.Generator())
    close(penalty, 0.5 * exact / N_ROWS)


def test_projections_are_unbiased():
    weight, x = normal(5, 4), normal(3, 4, seed=1)

    def function(x):
        return torch.tanh(x @ weight.t())

    generator = torch.Generator().manual_seed(0)
    exact = squared_jacobian_norm(function, x, None, generator)
    draws = torch.stack([squared_jacobian_norm(function, x, 1, generator) for _ in range(4000)])
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - exact).abs() < 4.5 * error).all()


@pytest.mark.parametrize("regularizer", NEW, ids=repr)
def test_held_out_rows_are_judged_with_the_penalty(regularizer):
    """Without gradients around it, as in training with them."""
    model, batch = points(), make_batch(weighted=True)
    model.regularizer = regularizer
    eps = normal(1, N_ROWS, N_LATENTS)
    values = []
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            generator = torch.Generator().manual_seed(1)
            values.append(model.regularization(model.draws(batch, eps), batch, generator).detach())
    close(*values)


@pytest.mark.parametrize(
    ("regularizer", "measure"),
    [
        (Contractive(3.0), Contractive(1.0, None)),
        (DecoderGradient(3.0), DecoderGradient(1.0, None)),
        (LatentNorm(3.0), LatentNorm(1.0)),
        (LatentNorm(3.0, order=1), LatentNorm(1.0, order=1)),
        (SparseActivity(30.0), SparseActivity(1.0)),
    ],
    ids=repr,
)
def test_regularizer_does_what_it_says(regularizer, measure):
    def left(regularizer):
        settings = {"early_stopping": False, "max_iter": 40, "alpha": 1.0}
        fitted = make(3, regularizer=regularizer, **settings).fit(IRIS)
        model = fitted._fitted.model(torch.float64)
        batch = fitted._fitted.batch(model, IRIS)
        model.regularizer = measure
        draws = model.draws(batch, torch.zeros(1, 1, 3, dtype=torch.float64))
        return float(model.regularization(draws, batch, torch.Generator()).detach())

    assert left(regularizer) < 0.5 * left(None)


def test_grid_search_reaches_every_part():
    search = GridSearchCV(
        make(regularizer=Sum(LatentNorm(), DecoderGradient()), corruption=GaussianNoise()),
        {"regularizer__second__weight": [0.1], "corruption__std": [0.0, 0.2], "n_components": [2]},
        cv=2,
    ).fit(IRIS)
    assert search.best_estimator_.regularizer.second.weight == 0.1


# -------------------------------------------------------- Boltzmann machines


def machines(widths, seed=0):
    return [
        Machine(
            weight=normal(above, below, seed=seed + k),
            visible=normal(below, seed=seed + 10 + k),
            hidden=normal(above, seed=seed + 20 + k),
            linear=k == len(widths) - 2,
        )
        for k, (below, above) in enumerate(itertools.pairwise(widths))
    ]


@pytest.mark.parametrize("shift", [None, normal(N_FEATURES, seed=4)], ids=["zero", "mean"])
@pytest.mark.parametrize("hidden", [(5,), (6, 4)], ids=str)
def test_unrolled_network_is_the_stacks_mean_field_pass(hidden, shift):
    model = make_model(
        Bernoulli(), hidden, "logistic", posterior=Deterministic(), linear_path=False
    )
    model.encoder.shift, model.encoder.scale = shift, None
    stack = machines([N_FEATURES, *hidden, N_LATENTS])
    unroll(model, stack)
    x = uniform(N_ROWS, N_FEATURES)
    z = upward(stack, x)
    down = z
    for machine in reversed(stack):
        down = machine.down(down)
    with torch.no_grad():
        close(model.encode(x).mean, z)
        close(model.mean(model.decode(z)), down)


def test_contrast_is_zero_where_the_machine_is_the_datas():
    """Units that do not depend on each other are their own equilibrium."""
    machine = Machine(
        weight=torch.zeros(3, N_FEATURES, dtype=torch.float64),
        visible=normal(N_FEATURES),
        hidden=normal(3, seed=1),
        linear=False,
    )
    generator = torch.Generator().manual_seed(0)
    v = machine.visible.sigmoid().expand(50, -1)
    share = torch.full((50, 1), 0.02, dtype=torch.float64)
    for slope in contrast(machine, v, share, generator):
        close(slope, torch.zeros_like(slope))


def test_boltzmann_start_finds_the_data():
    """Before the first step, and better with training than the random start is."""
    settings = {"hidden_layer_sizes": (64,), "activation": "logistic", "likelihood": "bernoulli"}
    X, X_test = train_test_split(DIGITS, random_state=0)
    start = make(8, init="rbm", max_iter=0, **settings).fit(X)
    assert error(start, X_test) < 0.6 * np.square(X_test - X.mean(0)).sum(1).mean()
    fitted = {
        init: make(8, init=init, max_iter=10, **settings).fit(X) for init in ("rbm", "random")
    }
    assert error(fitted["rbm"], X_test) < error(fitted["random"], X_test)
    stream = make(8, init="rbm", **settings).partial_fit(X)
    assert error(stream, X_test) < 1.1 * error(start, X_test)


# ------------------------------------------------------------------- the state

OPTIONS = {
    "plain": {},
    "denoising": {"corruption": "gaussian_noise"},
    "masking": {"corruption": Masking(0.1)},
    "regularised": {"regularizer": LatentNorm() + DecoderGradient()},
    "contractive": {"regularizer": "contractive", "latent_density": GaussianMixture(2)},
}
options = pytest.mark.parametrize("params", OPTIONS.values(), ids=OPTIONS.keys())


@options
def test_state_is_saved_and_its_bits_are_the_seeds(params):
    fitted = make(**params).fit(IRIS)
    Z = fitted.transform(IRIS)
    dump = skops.io.dumps(fitted)
    for other in (
        pickle.loads(pickle.dumps(fitted)),
        skops.io.loads(dump, trusted=trusted_types()),
        clone(fitted).fit(IRIS),
    ):
        np.testing.assert_array_equal(other.transform(IRIS), Z)
        np.testing.assert_array_equal(other.score_samples(IRIS), fitted.score_samples(IRIS))
    assert b"torch" not in pickle.dumps(vars(fitted))


@options
def test_stream_and_warm_start_go_on(params):
    stream = make(**params).partial_fit(IRIS).partial_fit(IRIS)
    assert stream.n_iter_ == 2
    warm = make(warm_start=True, early_stopping=False, **params).fit(IRIS)
    first = warm.history_["log_likelihood"][0]
    assert warm.fit(IRIS).history_["log_likelihood"][0] > first


def test_weights_are_repeated_rows():
    """In one batch of all rows; smaller ones are shuffled otherwise. Parameters are float32."""
    weight = np.random.RandomState(0).randint(1, 4, len(IRIS))
    repeated = np.repeat(IRIS, weight, axis=0)
    settings = {"early_stopping": False, "max_iter": 20}
    one = make(batch_size=len(IRIS), **settings).fit(IRIS, sample_weight=weight)
    other = make(batch_size=len(repeated), **settings).fit(repeated)
    np.testing.assert_allclose(one.transform(IRIS), other.transform(IRIS), atol=2e-3)


def test_parameters_of_a_density_are_absent():
    names = set(VariationalAutoencoder().get_params()) - set(Autoencoder().get_params())
    assert names == {"prior", "posterior", "objective", "beta"}
    assert not hasattr(make(1).fit(IRIS), "kl_per_component_")
    model = make().fit(IRIS)._fitted.model(torch.float64)
    assert isinstance(model.prior, StandardNormal)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"corruption": GaussianNoise(-1)}, r"'std' .* at least 0\. Got -1"),
        ({"corruption": Masking(1.0)}, r"'share' .* below 1.* Got 1\.0"),
        ({"corruption": "salt"}, r"'corruption' parameter .* Got 'salt'"),
        ({"regularizer": Contractive(-1)}, r"'weight' .* at least 0\. Got -1"),
        ({"regularizer": Contractive(n_projections=0)}, r"'n_projections' .* at least 1\. Got 0"),
        ({"regularizer": LatentNorm(order=3)}, r"'order' .* 2, 1\. Got 3"),
        ({"regularizer": SparseActivity(activity=1.5)}, r"'activity' .* between 0 and 1"),
        ({"regularizer": Sum(LatentNorm(), None)}, r"'second' .* skvae\.regularizers\. Got None"),
        ({"regularizer": LatentNorm() + LatentNorm(-1)}, r"'weight' .* at least 0\. Got -1"),
        ({"regularizer": "total_correlation"}, r"needs a posterior of independent normal"),
        ({"init": "rbm"}, r"init='rbm' .* needs activation='logistic'"),
        ({"init": "rbm", "activation": "logistic"}, r"needs likelihood='bernoulli'"),
        ({"init": "svd"}, r"'init' parameter .* Got 'svd'"),
    ],
)
def test_what_does_not_go_together_says_so(params, message):
    with pytest.raises(ValueError, match=message):
        make(**params).fit(IRIS)
