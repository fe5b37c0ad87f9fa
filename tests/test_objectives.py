"""Objectives are the bounds that they claim to be, and their gradients point the same way."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from test_distributions import exact_evidence, linear_model, within_standard_errors
from test_laws import N_LATENTS, close, make_batch, make_model, normal

from skvae import VariationalAutoencoder
from skvae.likelihoods import Bernoulli, Gaussian
from skvae.objectives import ELBO, ImportanceWeighted, closed_form_kl

IRIS = load_iris().data


def importance_weighted(model, n_draws):
    model.objective = ImportanceWeighted(n_draws)
    return model


@torch.no_grad()
@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_one_draw_is_the_plain_bound_in_expectation(beta):
    model, batch = make_model(Gaussian()), make_batch()
    eps = normal(20_000, 1, N_LATENTS)
    plain = model.bound(batch, eps, beta)
    importance_weighted(model, 1)
    single = torch.stack([model.bound(batch, e[None], beta) for e in eps[:5000]])
    assert within_standard_errors(single.numpy(), plain.numpy())


@torch.no_grad()
@pytest.mark.parametrize("beta", [1.0, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_importance_weighted_bound_rises_with_the_draws_and_stays_below_the_evidence(seed, beta):
    model, batch = linear_model(seed)
    importance_weighted(model, 5)
    means = []
    for n_draws in (1, 2, 8):
        groups = normal(400 * n_draws, 1, N_LATENTS, seed=seed).split(n_draws)
        values = torch.stack([model.bound(batch, eps, beta) for eps in groups]).mean(1)
        means.append((values.mean(), values.std() / len(values) ** 0.5))
    for (low, _), (high, error) in itertools.pairwise(means):
        assert high >= low - 5.0 * error
    best, error = means[-1]
    assert best <= exact_evidence(model, batch).mean() + 5.0 * error


@torch.no_grad()
def test_importance_weighted_bound_is_log_evidence():
    model, batch = make_model(Bernoulli()), make_batch()
    eps = normal(7, len(batch.inputs), N_LATENTS)
    importance_weighted(model, 7)
    close(model.bound(batch, eps, 1.0), model.log_evidence(batch, eps))


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_doubly_reparameterised_gradient_is_the_plain_one_in_expectation(beta):
    """Tucker et al. (2019): the same mean, and less noise in the encoder's part."""
    model, batch = make_model(Gaussian(), hidden=()), make_batch().part(slice(4))
    encoder = slice(0, model.encoder.params[0].numel())

    def gradient(value):
        model.flat.grads.zero_()
        value.mean().backward()
        return model.flat.grads.clone().numpy()

    importance_weighted(model, 3)
    doubly, plain = [], []
    for eps in normal(3 * 2000, len(batch.inputs), N_LATENTS).split(3):
        doubly.append(gradient(model.bound(batch, eps, beta)))
        q = model.encode(batch.inputs)
        z = q.transform(eps)
        log_ratio = q.log_prob(z) - model.prior_density().log_prob(z)
        log_w = model.log_likelihood(z, batch) - beta * log_ratio
        plain.append(gradient(torch.logsumexp(log_w, 0)))
    doubly, plain = np.array(doubly), np.array(plain)
    assert doubly[:, encoder].var() < plain[:, encoder].var()
    # Common draws make the difference's error small.
    assert within_standard_errors(doubly - plain, 0.0)


def test_free_bits_leave_a_latent_alone_below_them():
    model, batch = make_model(Gaussian()), make_batch()
    eps = normal(1, len(batch.inputs), N_LATENTS)
    with torch.no_grad():
        kl = closed_form_kl(model.encode(batch.inputs), model.prior_density()).mean(0)
        plain = model.bound(batch, eps, 2.0).mean()
        for free in (0.0, float(kl.sort().values[1]) * 1.001, 1e3):
            model.objective = ELBO(free_bits=free)
            expected = plain + 2.0 * (kl.sum() - kl.clamp_min(free).sum())
            close(model.bound(batch, eps, 2.0).mean(), expected)
    model.objective = ELBO(free_bits=1e3)
    model.flat.grads.zero_()
    (-model.bound(batch, eps, 1.0)).mean().backward()
    free = model.flat.grads.clone()
    model.flat.grads.zero_()
    model.objective = ELBO()
    (-model.bound(batch, eps, 0.0)).mean().backward()
    close(free, model.flat.grads)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_grid_search_reaches_into_an_objective():
    vae = VariationalAutoencoder(
        2, objective=ImportanceWeighted(), hidden_layer_sizes=(8,), max_iter=3, random_state=0
    )
    grid = [
        {"objective": [ELBO(), "importance_weighted"]},
        {"objective__n_draws": [2, 3]},
    ]
    search = GridSearchCV(vae, grid, cv=2, error_score="raise").fit(IRIS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.cv_results_["params"][3] == {"objective__n_draws": 3}


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (ELBO(free_bits=-1.0), r"'free_bits' .* at least 0\. Got -1\.0"),
        (ImportanceWeighted(n_draws=0), r"'n_draws' .* at least 1\. Got 0"),
        (ImportanceWeighted(n_draws=2.5), r"'n_draws' .* int .* Got 2\.5"),
    ],
)
def test_objective_outside_its_domain_is_named(objective, message):
    with pytest.raises(ValueError, match=message):
        VariationalAutoencoder(2, objective=objective).fit(IRIS)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_importance_weighting_trains():
    """More draws reach at least the likelihood of one on the rows that they train on."""
    settings = {"n_components": 2, "max_iter": 60, "random_state": 0, "early_stopping": False}
    one = VariationalAutoencoder(**settings).fit(IRIS)
    many = VariationalAutoencoder(**settings, objective=ImportanceWeighted(8)).fit(IRIS)
    assert many.score(IRIS) > one.score(IRIS) - 0.05
    assert many.get_params()["objective__n_draws"] == 8
