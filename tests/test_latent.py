"""Priors, posteriors and regularisers, in any combination that makes sense."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from test_distributions import exact_evidence, within_standard_errors
from test_laws import (
    N_FEATURES,
    N_LATENTS,
    N_ROWS,
    close,
    make_batch,
    make_model,
    normal,
    randomise,
    standard_normal,
)

from skvae import VariationalAutoencoder
from skvae.fitting._steps import TERMS, ComposedStep, WrittenStep, build_step
from skvae.likelihoods import Gaussian
from skvae.objectives import ELBO, ImportanceWeighted, closed_form_kl
from skvae.posteriors import Deterministic, DiagonalNormal, FullCovarianceNormal, Normal
from skvae.posteriors import Flow as FlowPosterior
from skvae.priors import Flow, MixtureOfGaussians, StandardNormal, VampPrior
from skvae.regularizers import (
    DIP,
    Aggregate,
    MaximumMeanDiscrepancy,
    TotalCorrelation,
    squared_discrepancy,
)
from skvae.schedules import GECO, Capacity, KLController, WarmUp
from skvae.tables import Batch

IRIS, WINE = load_iris().data, load_wine().data
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PRIORS = [StandardNormal(), MixtureOfGaussians(3), VampPrior(4), Flow(2, (6,))]
POSTERIORS = [DiagonalNormal(), FullCovarianceNormal(), FlowPosterior(2, (6,), 2)]
OBJECTIVES = [ELBO(), ELBO(free_bits=0.2), ImportanceWeighted(3)]
REGULARIZERS = [
    None,
    TotalCorrelation(),
    DIP("I"),
    DIP("II"),
    MaximumMeanDiscrepancy(),
    MaximumMeanDiscrepancy(kernel="gaussian"),
]


def fits(prior, posterior, regularizer=None):
    """Whether the components say that they go together."""
    try:
        prior.check(posterior)
        if regularizer is not None:
            regularizer.check(posterior)
    except ValueError:
        return False
    return True


PAIRS = [pair for pair in itertools.product(PRIORS, POSTERIORS) if fits(*pair)]
COMBINATIONS = [
    (prior, posterior, objective, regularizer)
    for prior, posterior, objective, regularizer in itertools.product(
        PRIORS, POSTERIORS, OBJECTIVES, REGULARIZERS
    )
    if fits(prior, posterior, regularizer)
    # Flows are slow: each with one regulariser and both kinds of objective.
    and (
        (not isinstance(prior, Flow) and not isinstance(posterior, FlowPosterior))
        or (regularizer in (None, REGULARIZERS[4]) and objective in OBJECTIVES[::2])
    )
]


def make(prior=None, posterior=None, objective=None, regularizer=None, hidden=(5,)):
    """A float64 model of random parameters with these components."""
    model = make_model(Gaussian(), hidden, prior=prior, posterior=posterior)
    model.objective, model.regularizer = objective or ELBO(), regularizer
    return model


# -------------------------------------------------------------------- gradients


def gradient_by_differences(model, loss, direction):
    """Slope along a direction, by central differences."""
    start, step, ends = model.flat.values.clone(), 1e-6, []
    for sign in (1.0, -1.0):
        model.flat.values.copy_(start + sign * step * direction)
        ends.append(loss())
    model.flat.values.copy_(start)
    return (ends[0] - ends[1]) / (2 * step)


@pytest.mark.parametrize(("prior", "posterior", "objective", "regularizer"), COMBINATIONS, ids=repr)
def test_gradient_is_the_slope_of_the_loss(prior, posterior, objective, regularizer):
    """Of every combination. The doubly reparameterised one is that in expectation only: there the
    parameters that the draws do not move are compared."""
    model, batch = make(prior, posterior, objective, regularizer), make_batch(weighted=True)
    with torch.no_grad():  # as rows of the data are, away from the splines' ends
        model.flat.values.mul_(0.5)
    eps = normal(objective.n_draws, N_ROWS, N_LATENTS, seed=7)

    def loss():
        generator = torch.Generator().manual_seed(3)
        return float(ComposedStep(model, 0.0, generator)(batch, eps, 1.5)[0])

    loss()
    gradient = model.flat.grads.clone()
    doubly = isinstance(objective, ImportanceWeighted)
    moved = [model.encoder, model.of_posterior] + [model.of_prior] * isinstance(prior, VampPrior)
    for seed in range(2):
        direction = 0.1 * normal(len(gradient), seed=100 + seed)
        if doubly:
            for view in itertools.chain(*(block.params for block in moved)):
                offset = view.storage_offset()
                direction[offset : offset + view.numel()] = 0.0
        slope = gradient_by_differences(model, loss, direction)
        np.testing.assert_allclose(float(gradient @ direction), slope, rtol=2e-5, atol=2e-6)


def test_any_part_but_the_plain_ones_takes_the_composed_step():
    for objective in (ELBO(), ImportanceWeighted()):
        assert isinstance(build_step(make(objective=objective)), WrittenStep)
    for parts in (
        {"prior": MixtureOfGaussians()},
        {"posterior": FullCovarianceNormal()},
        {"objective": ELBO(free_bits=0.1)},
        {"objective": ImportanceWeighted(), "prior": MixtureOfGaussians()},
        {"objective": ImportanceWeighted(), "posterior": FullCovarianceNormal()},
        {"objective": ImportanceWeighted(), "regularizer": DIP()},
        {"regularizer": DIP()},
    ):
        assert isinstance(build_step(make(**parts)), ComposedStep)


# ------------------------------------------------------------------- posteriors


@torch.no_grad()
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("beta", [1.0, 2.0])
@pytest.mark.parametrize("posterior", POSTERIORS, ids=repr)
def test_bound_is_below_the_evidence(posterior, beta, seed):
    model = make(posterior=posterior, hidden=())
    randomise(model.flat, model.networks, seed=1000 * seed)
    inputs = normal(20, N_FEATURES, seed=seed)
    batch = Batch(inputs=inputs, target=inputs)
    bounds = torch.stack(
        [model.bound(batch, eps[None], beta) for eps in normal(100, 1, N_LATENTS, seed=seed)]
    )
    gap = exact_evidence(model, batch) - bounds.numpy()
    error = gap.std(0) / np.sqrt(len(gap))
    assert (gap.mean(0) >= -5.0 * error).all()


@torch.no_grad()
def test_full_covariance_normal_is_scipys():
    posterior = FullCovarianceNormal()
    q = posterior(normal(N_ROWS, posterior.n_raw(N_LATENTS)), N_LATENTS)
    z = q.transform(normal(5, N_ROWS, N_LATENTS, seed=1))
    for i in range(N_ROWS):
        covariance = (q.factor[i] @ q.factor[i].t()).numpy()
        expected = scipy.stats.multivariate_normal(q.mean[i], covariance)
        np.testing.assert_allclose(q.log_prob(z)[:, i], expected.logpdf(z[:, i]), rtol=1e-9)
        np.testing.assert_allclose(q.variance[i], covariance.diagonal(), rtol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("posterior", POSTERIORS, ids=repr)
def test_density_of_a_draw_is_that_of_its_noise_over_the_jacobian(posterior):
    """log q(z(eps)) = log N(eps) - log |dz/deps|."""
    model = make(posterior=posterior)
    q = model.encode(make_batch().inputs[:1])
    eps = normal(N_LATENTS, seed=5)
    with torch.enable_grad():
        jacobian = torch.autograd.functional.jacobian(
            lambda e: q.transform(e[None, None])[0, 0], eps
        )
    expected = scipy.stats.norm.logpdf(eps).sum() - float(torch.linalg.slogdet(jacobian)[1])
    found = q.log_prob(q.transform(eps[None, None]))[0, 0]
    np.testing.assert_allclose(float(found), expected, rtol=1e-6)


@torch.no_grad()
def test_closed_form_kl_of_full_covariance_is_monte_carlo():
    posterior, prior = FullCovarianceNormal(), standard_normal()
    q = posterior(normal(N_ROWS, posterior.n_raw(N_LATENTS)), N_LATENTS)
    z = q.transform(normal(50_000, N_ROWS, N_LATENTS, seed=1))
    log_ratio = q.log_prob(z) - prior.log_prob(z)
    assert within_standard_errors(log_ratio.numpy(), closed_form_kl(q, prior)[:, 0].numpy())


@torch.no_grad()
def test_raw_output_gives_the_moments():
    mean, log_variance = normal(N_ROWS, N_LATENTS), normal(N_ROWS, N_LATENTS, seed=1)
    for posterior in POSTERIORS:
        q = posterior(posterior.raw_output(mean, log_variance), N_LATENTS, _start(posterior))
        # A flow's moments are means over 32 quasi-random draws.
        loose = isinstance(posterior, FlowPosterior)
        close(q.mean, mean, atol=0.15 if loose else 1e-10)
        close(q.variance, log_variance.exp(), rtol=0.2 if loose else 1e-10)


def _start(component):
    shapes = component.parameter_shapes(N_LATENTS)
    parameters = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
    component.start(parameters, N_LATENTS, torch.Generator().manual_seed(0))
    return parameters


# ----------------------------------------------------------------------- priors


def two_sample_statistic(x, y):
    share = torch.full_like(x[:, 0], 1.0 / len(x))
    return float(squared_discrepancy(x, y, share, lambda d, k: (-d / k).exp()))


@torch.no_grad()
@pytest.mark.parametrize("prior", PRIORS, ids=repr)
def test_samples_of_a_prior_follow_its_density(prior):
    """Weighting draws of a wide normal by the density gives draws that no kernel tells apart."""
    model = make(prior)
    density = model.prior_density()
    generator = torch.Generator().manual_seed(0)
    drawn = density.sample(500, generator)
    assert drawn.shape == (500, N_LATENTS)
    scale = 2.0 * drawn.std(0)
    wide = drawn.mean(0) + scale * normal(100_000, N_LATENTS, seed=1)
    log_wide = torch.distributions.Normal(drawn.mean(0), scale).log_prob(wide).sum(1)
    weight = (density.log_prob(wide) - log_wide).exp()
    # It integrates to one, within the error of the sum.
    assert within_standard_errors(weight.numpy(), 1.0)
    other = wide[torch.multinomial(weight, 500, replacement=True, generator=generator)]
    observed = two_sample_statistic(drawn / scale, other / scale)
    both = torch.cat([drawn, other]) / scale
    permuted = []
    for _ in range(50):
        order = torch.randperm(1000, generator=generator)
        permuted.append(two_sample_statistic(both[order[:500]], both[order[500:]]))
    assert observed <= 1.5 * max(permuted)


@torch.no_grad()
def test_mixture_is_scipys():
    density = make(MixtureOfGaussians(3)).prior_density()
    z = normal(7, N_LATENTS, seed=3)
    std = (0.5 * density.log_variance).exp()
    components = scipy.stats.norm.logpdf(z[:, None], density.mean, std).sum(-1)
    expected = scipy.special.logsumexp(components + density.log_weight.numpy(), 1)
    np.testing.assert_allclose(density.log_prob(z), expected, rtol=1e-9)


@torch.no_grad()
def test_vamp_prior_is_the_mean_of_the_pseudo_inputs_posteriors():
    model = make(VampPrior(4))
    q = model.encode(model.of_prior.params[0])
    z = normal(7, N_LATENTS, seed=3)
    expected = torch.logsumexp(q.log_prob(z[:, None]), 1) - np.log(4)
    close(model.prior_density().log_prob(z), expected)


@quiet
@pytest.mark.parametrize("prior", ["mixture_of_gaussians", "flow"])
def test_start_with_a_learned_prior_is_near_pca(prior):
    """A flow starts as the identity; a mixture near the standard normal."""
    vae = VariationalAutoencoder(2, prior=prior, max_iter=0, random_state=0).fit(IRIS)
    pca = PCA(2).fit(IRIS)
    np.testing.assert_allclose(vae.transform(IRIS), pca.transform(IRIS), atol=1e-5)
    tolerance = 1e-5 if prior == "flow" else 0.5
    assert abs(vae.score(IRIS) - pca.score(IRIS)) < tolerance


@quiet
@pytest.mark.parametrize("prior", [MixtureOfGaussians(10), VampPrior(20), Flow(1, (16,))], ids=repr)
def test_learned_prior_reaches_more_likelihood(prior):
    """Iris has two clusters, which no standard normal latents have."""
    settings = {"n_components": 2, "max_iter": 120, "random_state": 0, "early_stopping": False}
    plain = VariationalAutoencoder(**settings).fit(IRIS)
    learned = VariationalAutoencoder(prior=prior, **settings).fit(IRIS)
    assert learned.score(IRIS) > plain.score(IRIS) + 0.1
    assert not hasattr(learned, "kl_per_component_")


# ----------------------------------------------------------------- regularisers


def aggregate(mean, log_variance, seed=0, prior=None):
    q = Normal(mean, log_variance)
    z = q.transform(normal(1, *mean.shape, seed=seed))[0]
    share = torch.full_like(mean[:, 0], 1.0 / len(mean))
    generator = torch.Generator().manual_seed(seed)
    # These read neither the rows nor the networks.
    return Aggregate(
        q=q,
        prior=prior or standard_normal(),
        z=z,
        weight=share,
        generator=generator,
        inputs=z,
        encode=None,
        decode=None,
    )


def correlated(n_rows, correlation):
    """Normal means of a pairwise correlation, with posteriors of variance 0.25."""
    common, own = normal(n_rows, 1), normal(n_rows, N_LATENTS, seed=1)
    mean = np.sqrt(correlation) * common + np.sqrt(1.0 - correlation) * own
    return aggregate(mean, torch.full_like(mean, np.log(0.25)))


def test_total_correlation_ranks_dependence_and_is_zero_without():
    values = [float(TotalCorrelation(1.0).penalty(correlated(1000, c))) for c in (0, 0.4, 0.8)]
    assert values == sorted(values)
    # The exact one is that of a normal distribution, of covariance C + 0.25 I.
    for value, c in zip(values, (0, 0.4, 0.8), strict=True):
        covariance = np.full((N_LATENTS, N_LATENTS), c) + (1.25 - c) * np.eye(N_LATENTS)
        exact = 0.5 * (np.log(covariance.diagonal()).sum() - np.linalg.slogdet(covariance)[1])
        assert abs(value - exact) < 0.08


def test_dip_is_the_covariances_distance_from_the_identity():
    latents = correlated(50, 0.5)
    mean = latents.q.mean.numpy()
    for kind, diagonal in (("I", 100.0), ("II", 10.0)):
        covariance = np.cov(mean.T, ddof=0) + (kind == "II") * 0.25 * np.eye(N_LATENTS)
        apart = covariance - np.diag(covariance.diagonal())
        expected = 10.0 * (apart**2).sum() + diagonal * ((covariance.diagonal() - 1) ** 2).sum()
        np.testing.assert_allclose(float(DIP(kind).penalty(latents)), expected, rtol=1e-10)


@pytest.mark.parametrize("kernel", ["inverse_multiquadratic", "gaussian"])
def test_discrepancy_is_zero_for_the_prior_and_grows_with_the_distance(kernel):
    def mean_and_error(shift):
        values = [
            float(
                MaximumMeanDiscrepancy(1.0, kernel).penalty(
                    aggregate(
                        normal(50, N_LATENTS, seed=s) + shift,
                        torch.full((50, N_LATENTS), -30.0, dtype=torch.float64),
                        seed=1000 + s,
                    )
                )
            )
            for s in range(200)
        ]
        return np.mean(values), np.std(values) / np.sqrt(len(values))

    none, error = mean_and_error(0.0)
    assert abs(none) < 5.0 * error  # unbiased
    near, far = mean_and_error(0.5)[0], mean_and_error(1.0)[0]
    assert 5.0 * error < near < far


def test_weight_is_a_repeated_row():
    mean, log_variance = normal(6, N_LATENTS), normal(6, N_LATENTS, seed=1)
    count = torch.tensor([1, 2, 1, 3, 1, 1])
    latents = aggregate(mean, log_variance)
    weighted = replace(latents, weight=count / count.sum().double())
    index = torch.repeat_interleave(torch.arange(6), count)
    repeated = replace(
        latents,
        q=Normal(mean[index], log_variance[index]),
        z=latents.z[index],
        weight=torch.full((9,), 1 / 9, dtype=torch.float64),
    )
    for regularizer in (TotalCorrelation(), DIP("I"), DIP("II")):
        close(regularizer.penalty(weighted), regularizer.penalty(repeated))


@quiet
@pytest.mark.parametrize(
    ("weak", "strong", "penalty"),
    [
        (DIP("II", 0.0), DIP("II", 50.0), DIP("II", 1.0)),
        (TotalCorrelation(0.0), TotalCorrelation(20.0), TotalCorrelation(1.0)),
    ],
    ids=["dip", "total correlation"],
)
def test_regularizer_does_what_it_says(weak, strong, penalty):
    def left(regularizer):
        vae = VariationalAutoencoder(
            3, regularizer=regularizer, max_iter=60, early_stopping=False, random_state=0
        ).fit(IRIS)
        mean, std = map(torch.from_numpy, vae.encode(IRIS))
        return float(penalty.penalty(aggregate(mean, 2.0 * std.log())))

    assert left(strong) < 0.5 * left(weak)


@quiet
def test_wasserstein_autoencoders_points_follow_the_prior():
    settings = {
        "n_components": 2,
        "posterior": "deterministic",
        "beta": 0,
        "random_state": 0,
        "max_iter": 60,
    }
    vae = VariationalAutoencoder(regularizer=MaximumMeanDiscrepancy(1000.0), **settings).fit(WINE)
    points, _ = vae.encode(WINE)
    drawn = normal(len(points), 2, seed=9)
    assert two_sample_statistic(torch.from_numpy(points), drawn) < 0.05
    assert vae.sample(3).shape == (3, 13)


# ------------------------------------------------------------ deterministic points


def test_points_start_as_pca_itself():
    vae = VariationalAutoencoder(2, posterior="deterministic", beta=0, max_iter=0).fit(WINE)
    pca = PCA(2).fit(WINE)
    Z = pca.transform(WINE)
    np.testing.assert_allclose(vae.transform(WINE), Z, atol=1e-5 * np.abs(Z).max())
    np.testing.assert_allclose(
        vae.inverse_transform(vae.transform(WINE)), pca.inverse_transform(Z), rtol=1e-5
    )


@quiet
def test_points_have_no_likelihood_and_no_prior():
    vae = VariationalAutoencoder(2, posterior=Deterministic(), beta=0, max_iter=3, random_state=0)
    vae.fit(IRIS)
    for method in (vae.score, vae.score_samples):
        with pytest.raises(ValueError, match=r"Deterministic\(\) is a point.*diagonal_normal"):
            method(IRIS)
    with pytest.raises(ValueError, match=r"latent_density=GaussianMixture"):
        vae.sample()
    vae.set_params(latent_density=GaussianMixture(2)).fit(IRIS)
    assert vae.sample(4, random_state=0).shape == (4, 4)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"posterior": "deterministic"}, r"'deterministic' is a point.*Got beta=1\.0. Set beta=0"),
        (
            {"posterior": "deterministic", "beta": 0, "objective": "importance_weighted"},
            r"ImportanceWeighted\(\) needs a posterior with a density",
        ),
        ({"prior": "vamp", "posterior": "full_covariance_normal"}, r"VampPrior mixes normal"),
        (
            {"regularizer": "total_correlation", "posterior": "full_covariance_normal"},
            r"TotalCorrelation needs a posterior of independent normal latents",
        ),
        ({"prior": MixtureOfGaussians(0)}, r"'n_mixed' .* at least 1\. Got 0"),
        ({"prior": VampPrior(2.5)}, r"'n_pseudo_inputs' .* int .* Got 2\.5"),
        ({"prior": Flow(hidden_layer_sizes=(8, 0))}, r"'hidden_layer_sizes' .* Got \(8, 0\)"),
        ({"posterior": FlowPosterior(0)}, r"'n_layers' .* at least 1\. Got 0"),
        ({"regularizer": DIP("III")}, r"'kind' .* 'I', 'II'\. Got 'III'"),
        ({"regularizer": MaximumMeanDiscrepancy(-1)}, r"'weight' .* at least 0\. Got -1"),
        ({"prior": "normal"}, r"'prior' parameter .* Got 'normal'"),
        ({"beta": KLController(-1.0)}, r"'nats' .* at least 0\. Got -1"),
    ],
)
def test_what_does_not_go_together_says_so(params, message):
    with pytest.raises(ValueError, match=message):
        VariationalAutoencoder(2, **params).fit(IRIS)


# ------------------------------------------------------------------ adaptive beta


@quiet
@pytest.mark.parametrize(
    ("schedule", "term", "target"),
    [
        (KLController(1.0), "kl", 1.0),
        (KLController(3.0), "kl", 3.0),
        (Capacity(2.5, 40), "kl", 2.5),
        (GECO(12.0), "log_likelihood", -12.0),
        (GECO(15.0), "log_likelihood", -15.0),
    ],
    ids=repr,
)
def test_adaptive_schedule_reaches_its_set_point(schedule, term, target):
    X = (WINE - WINE.mean(0)) / WINE.std(0)
    vae = VariationalAutoencoder(
        3, hidden_layer_sizes=(32,), beta=schedule, max_iter=150, random_state=0
    ).fit(X)
    assert vae.n_iter_ == 150
    assert vae.validation_scores_ is None
    assert abs(np.mean(vae.history_[term][-5:]) / target - 1.0) < 0.05


@quiet
def test_history_has_every_term():
    vae = VariationalAutoencoder(2, beta=WarmUp(4), max_iter=8, random_state=0).fit(WINE)
    assert set(vae.history_) == set(TERMS)
    assert {len(values) for values in vae.history_.values()} == {vae.n_iter_}
    h = {name: np.array(values) for name, values in vae.history_.items()}
    assert (np.diff(h["beta"][:4]) > 0).all()
    np.testing.assert_allclose(h["beta"][4:], 1.0)
    np.testing.assert_allclose(h["loss"][4:], (h["kl"] - h["log_likelihood"])[4:], rtol=1e-6)
    # In X's units, as score is.
    assert abs(-h["loss"][-1] - vae.score(WINE)) < 0.02 * abs(vae.score(WINE))
    assert abs(vae.best_validation_score_ - vae.score(WINE)) < 0.05 * abs(vae.score(WINE))


@quiet
def test_stream_goes_on_with_an_adaptive_beta():
    vae = VariationalAutoencoder(2, beta=KLController(1.0), random_state=0)
    for _ in range(4):
        vae.partial_fit(IRIS)
    beta = vae.history_["beta"]
    assert len(beta) == 4
    assert (np.diff(beta) != 0).all()


# -------------------------------------------------------------------- grid search


@quiet
def test_grid_search_reaches_every_choice():
    vae = VariationalAutoencoder(2, hidden_layer_sizes=(8,), max_iter=3, random_state=0)
    grid = [
        {"prior": ["standard_normal", VampPrior(5)], "beta": [1.0, WarmUp(2), KLController(1.0)]},
        {"objective": [ImportanceWeighted()], "objective__n_draws": [2, 3]},
        {"regularizer": [DIP()], "regularizer__off_diagonal": [1.0, 5.0]},
        {"posterior": ["full_covariance_normal"], "prior": [MixtureOfGaussians(2)]},
    ]
    search = GridSearchCV(vae, grid, cv=2, error_score="raise").fit(IRIS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    again = clone(search.best_estimator_).fit(IRIS)
    np.testing.assert_array_equal(again.transform(IRIS), search.transform(IRIS))
