"""Distributions are SciPy's, and bounds are bounds."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.special import expit
from test_laws import (
    N_FEATURES,
    N_LATENTS,
    N_ROWS,
    likelihoods,
    make_model,
    normal,
    pca_model,
    randomise,
    standard_normal,
    uniform,
)

from skvae._core.math import normal_draws, soft_bound
from skvae.likelihoods import Bernoulli, Gaussian, Poisson, StudentT, log_constant
from skvae.objectives import closed_form_kl
from skvae.posteriors import DiagonalNormal
from skvae.tables import Batch, Moments


def within_standard_errors(sample, expected, n_errors=5.0):
    """Means over the first axis are within 5 standard errors: one chance in two million."""
    error = np.std(sample, axis=0) / math.sqrt(len(sample))
    return np.all(np.abs(np.mean(sample, axis=0) - expected) <= n_errors * error + 1e-12)


def test_closed_form_kl_is_monte_carlo():
    prior = standard_normal()
    q = DiagonalNormal()(normal(N_ROWS, 2 * N_LATENTS), N_LATENTS)
    closed_form = closed_form_kl(q, prior)
    assert closed_form.shape == (N_ROWS, N_LATENTS)
    z = q.transform(normal(50_000, N_ROWS, N_LATENTS, seed=1))
    log_ratio = q.log_prob(z) - prior.log_prob(z)
    assert within_standard_errors(log_ratio.numpy(), closed_form.sum(1).numpy())


def test_kl_is_zero_at_the_prior_only():
    posterior, prior = DiagonalNormal(), standard_normal()
    assert not closed_form_kl(posterior(torch.zeros(1, 2 * N_LATENTS), N_LATENTS), prior).any()
    q = posterior(normal(50, 2 * N_LATENTS), N_LATENTS)
    assert (closed_form_kl(q, prior) > 0).all()


def test_posterior_and_prior_are_scipys_normal():
    posterior, prior = DiagonalNormal(), standard_normal()
    mean, log_variance = normal(N_ROWS, N_LATENTS), normal(N_ROWS, N_LATENTS, seed=1)
    q = posterior(posterior.raw_output(mean, log_variance), N_LATENTS)
    z = normal(5, N_ROWS, N_LATENTS, seed=2)
    std = (0.5 * log_variance).exp()
    expected = scipy.stats.norm.logpdf(z, mean, std).sum(-1)
    np.testing.assert_allclose(q.log_prob(z), expected, rtol=1e-10)
    np.testing.assert_allclose(prior.log_prob(z), scipy.stats.norm.logpdf(z).sum(-1), rtol=1e-10)


@pytest.mark.parametrize("n_draws", [128, 1024])
def test_sobol_draws_are_standard_normal(n_draws):
    draws = normal_draws(n_draws, 5, seed=3).numpy()
    # A scrambled net is far closer than independent draws, whose mean misses by n^-1/2.
    np.testing.assert_allclose(draws.mean(0), 0.0, atol=3.0 / n_draws)
    np.testing.assert_allclose(draws.var(0), 1.0, atol=20.0 / n_draws)
    np.testing.assert_allclose(np.corrcoef(draws.T), np.eye(5), atol=0.15)
    np.testing.assert_array_equal(draws, normal_draws(n_draws, 5, seed=3))
    assert (draws != normal_draws(n_draws, 5, seed=4).numpy()).all()


def test_draws_in_more_dimensions_than_sobol_has_are_standard_normal():
    draws = normal_draws(4, torch.quasirandom.SobolEngine.MAXDIM + 1, seed=3).numpy()
    assert within_standard_errors(draws.ravel(), 0.0)
    assert within_standard_errors(draws.ravel() ** 2, 1.0)


# The same distribution in SciPy, given raw output and the scale that the shared log is of.
SCIPY = {
    Gaussian: lambda _, raw, scale: scipy.stats.norm(raw, scale),
    Bernoulli: lambda _, raw: scipy.stats.bernoulli(expit(raw)),
    Poisson: lambda _, raw: scipy.stats.poisson(np.exp(raw)),
    StudentT: lambda likelihood, raw, scale: scipy.stats.t(likelihood.df, raw, scale),
}


def scipy_distribution(likelihood, raw, params):
    scales = [soft_bound(p).mul(0.5).exp().numpy() for p in params]
    return SCIPY[type(likelihood)](likelihood, raw.numpy(), *scales)


def log_density(likelihood, raw, target, observed, params):
    """Log p(x|z) with the part that no parameter moves."""
    log_p = likelihood.log_prob(raw, target, observed, params)
    return log_p + log_constant(likelihood, target, observed)


def shared_parameters(likelihood):
    return [normal(*s, seed=2) for s in likelihood.parameter_shapes(N_FEATURES)]


@likelihoods
def test_log_prob_mean_and_variance_are_scipys(likelihood):
    raw, params = normal(3, N_ROWS, N_FEATURES), shared_parameters(likelihood)
    target = (normal(N_ROWS, N_FEATURES, seed=1) > 0).double()
    expected = scipy_distribution(likelihood, raw, params)
    of_cells = getattr(expected, "logpdf", None) or expected.logpmf
    np.testing.assert_allclose(
        log_density(likelihood, raw, target, None, params),
        of_cells(target.numpy()).sum(-1),
        rtol=1e-10,
    )
    np.testing.assert_allclose(likelihood.mean(raw, params), expected.mean(), rtol=1e-10)
    variance = likelihood.variance(raw, params).expand_as(raw)
    np.testing.assert_allclose(variance, expected.var(), rtol=1e-10)


@likelihoods
def test_density_integrates_to_one(likelihood):
    """One cell is observed at a time, the only way that a density of several is one of it."""
    raw, params = normal(1, 1, N_FEATURES), shared_parameters(likelihood)
    if isinstance(likelihood, (Bernoulli, Poisson)):
        support = torch.arange(2.0 if likelihood.of_probabilities else 200.0).double()
        width = torch.ones_like(support)
    else:
        # The trapezoid rule is exact to rounding for a smooth density within its range. That of
        # u with x = sinh(u) reaches as far as a density with heavy tails.
        u = torch.linspace(-12.0, 12.0, 20_001, dtype=torch.float64)
        support, width = u.sinh(), u.cosh() * (u[1] - u[0])
    target = support[:, None].expand(-1, N_FEATURES)
    for cell in torch.eye(N_FEATURES).double():
        log_p = log_density(
            likelihood, raw.expand(1, len(support), -1), target, cell.expand_as(target), params
        )
        np.testing.assert_allclose(float((log_p.exp() * width).sum()), 1.0, rtol=1e-8)


@likelihoods
def test_sample_has_the_stated_mean_and_variance(likelihood):
    raw, params = normal(N_FEATURES), shared_parameters(likelihood)
    rng = np.random.default_rng(0)
    arrays = [p.numpy() for p in params]
    drawn = likelihood.sample(raw.expand(50_000, -1).numpy(), arrays, rng)
    mean, variance = likelihood.mean(raw, params), likelihood.variance(raw, params)
    assert within_standard_errors(drawn, mean.numpy())
    assert within_standard_errors((drawn - mean.numpy()) ** 2, variance.numpy())


@likelihoods
def test_start_gives_the_noise(likelihood):
    params = shared_parameters(likelihood)
    nothing, noise = torch.empty(0, dtype=torch.float64), np.array([0.037])
    likelihood.start_noise(params, nothing, noise, response=None)
    if params:
        np.testing.assert_allclose(likelihood.variance(normal(4), params), 0.037, rtol=1e-12)


# What the encoder is shown, and its slope in x.
LINKS = {"identity": lambda x: (x, np.ones_like(x)), "log1p": lambda x: (np.log1p(x), 1 / (1 + x))}


@likelihoods
def test_response_is_the_likelihood_at_the_mean(likelihood):
    """Its natural parameter has that mean; spread and gain are of that variance, up to the noise.

    With V the variance of x at the mean, a canonical link's Fisher scoring moves the natural
    parameter by (x - mean) / V, a whitened residual by V^(-1/2); and what the encoder is shown has
    the spread V^(1/2) times its slope in x.
    """
    mean = uniform(N_FEATURES).numpy()
    inputs, slope = LINKS[likelihood.link](mean)

    def moments(mean):
        return Moments(mean=mean, variance=1.0 + mean, total_weight=50.0, count=50.0)

    view = likelihood.view(moments(mean), moments(inputs))
    response = likelihood.response(view, moments(mean), moments(inputs))
    natural, params = torch.from_numpy(response.natural), shared_parameters(likelihood)
    found = view.back(likelihood.mean(natural, params).numpy())
    np.testing.assert_allclose(found, mean, rtol=1e-10)
    if response.noise == "unit":
        variance = likelihood.variance(natural, params).numpy()
        np.testing.assert_allclose(response.gain**-2, variance, rtol=1e-10)
        np.testing.assert_allclose(response.spread, np.sqrt(variance) * slope, rtol=1e-10)


# ---------------------------------------------------- the linear Gaussian model


def linear_model(seed):
    """A linear Gaussian model of random parameters with its rows as one batch."""
    model = make_model(Gaussian(), hidden=())
    randomise(model.flat, model.networks, seed=1000 * seed)
    inputs = normal(40, N_FEATURES, seed=seed)
    return model, Batch(inputs=inputs, target=inputs)


def exact_evidence(model, batch):
    """Log N(u; b, WW' + s2 I) of each row."""
    loadings = model.decoder.linear.detach().numpy()
    variance = model.likelihood.variance(None, model.shared.params).item()
    covariance = loadings @ loadings.T + variance * np.eye(N_FEATURES)
    bias = model.decoder.output_bias.numpy()
    return scipy.stats.multivariate_normal(bias, covariance).logpdf(batch.target.numpy())


def sigma_points():
    """Draws over which the mean of any quadratic is its mean under the standard normal."""
    points = math.sqrt(N_LATENTS) * torch.eye(N_LATENTS, dtype=torch.float64)
    return torch.cat([points, -points]).unsqueeze(1)


@torch.no_grad()
@pytest.mark.parametrize("beta", [1.0, 1.5, 4.0])
@pytest.mark.parametrize("seed", range(10))
def test_bound_is_below_the_evidence(seed, beta):
    model, batch = linear_model(seed)
    gap = exact_evidence(model, batch) - model.bound(batch, sigma_points(), beta).numpy()
    assert (gap >= -1e-9).all()


@torch.no_grad()
def test_bound_is_the_evidence_at_the_pca_start():
    model, batch = pca_model()
    bound = model.bound(batch, sigma_points(), 1.0)
    np.testing.assert_allclose(bound, exact_evidence(model, batch), rtol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("n_draws", [1, 2, 7, 100])
def test_log_evidence_is_exact_at_the_pca_start_whatever_the_draws(n_draws):
    model, batch = pca_model()
    eps = normal(n_draws, 1, N_LATENTS, seed=n_draws)
    np.testing.assert_allclose(
        model.log_evidence(batch, eps), exact_evidence(model, batch), rtol=1e-10
    )


@torch.no_grad()
@pytest.mark.parametrize("seed", range(3))
def test_log_evidence_rises_with_the_draws(seed):
    """By Jensen's inequality it is at least the mean over the halves of its draws."""
    model, batch = linear_model(seed)
    eps = normal(64, 1, N_LATENTS, seed=seed)
    whole = model.log_evidence(batch, eps)
    halves = [model.log_evidence(batch, half) for half in eps.chunk(2)]
    assert (whole >= torch.stack(halves).mean(0) - 1e-12).all()


@torch.no_grad()
@pytest.mark.parametrize("seed", range(3))
def test_log_evidence_tends_to_the_exact_one(seed):
    model, batch = pca_model()
    # A little off the start, so that the weights differ; a wider posterior keeps them bounded.
    for view in model.flat.views:
        view.add_(0.03 * normal(*view.shape, seed=seed))
    model.encoder.output_bias[N_LATENTS:] += 0.7
    exact = exact_evidence(model, batch)

    def miss(n_draws):
        eps = normal_draws(n_draws, N_LATENTS, seed=seed).unsqueeze(1)
        return np.abs(model.log_evidence(batch, eps).numpy() - exact).mean()

    assert miss(2**14) < 0.02
    assert miss(2**14) < miss(2**4)
