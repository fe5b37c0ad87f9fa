"""A density of the latents, fitted after training: `sample` draws from it, `score` does not."""

import numpy as np
import pytest
from scipy.stats import ks_2samp
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from skvae import VariationalAutoencoder

X = load_iris(as_frame=True).data
DENSITIES = [GaussianMixture(3), KernelDensity(bandwidth=0.2)]


def fitted(**settings):
    return VariationalAutoencoder(2, max_iter=0, random_state=0, **settings).fit(X)


@pytest.mark.parametrize("density", DENSITIES, ids=lambda d: type(d).__name__)
def test_samples_are_like_the_rows_and_the_priors_are_not(density):
    """Iris has two clusters, which one normal distribution does not."""
    vae, plain = fitted(latent_density=density), fitted()
    petal = X.to_numpy()[:, 2]
    drawn, from_prior = (v.sample(2000, random_state=0)[:, 2] for v in (vae, plain))
    near, far = (ks_2samp(petal, rows).statistic for rows in (drawn, from_prior))
    assert near < 0.13
    assert far > 0.16
    np.testing.assert_array_equal(vae.score_samples(X), plain.score_samples(X))


@pytest.mark.parametrize("density", DENSITIES, ids=lambda d: type(d).__name__)
def test_samples_follow_their_seed(density):
    vae = fitted(latent_density=density)
    one, same, other = (vae.sample(50, random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    assert density.get_params() == type(density)(**density.get_params()).get_params()
    assert not hasattr(density, "n_features_in_")


def test_density_is_fitted_to_the_aggregate_posterior():
    """Its moments are those of a draw from every row's posterior, latents as encode has them."""
    vae = fitted(latent_density=GaussianMixture(1))
    mean, std = vae.encode(X)
    variance = mean.var(0) + (std**2).mean(0)
    found = np.diag(vae.latent_density_.covariances_[0])
    # 150 draws: a variance's standard error is its 2 / 150 to the half.
    np.testing.assert_allclose(found, variance, rtol=0.35)


def test_weights_reach_the_density():
    weight = (np.arange(len(X)) < 50).astype(float) + 1e-6
    vae = VariationalAutoencoder(
        2, max_iter=0, random_state=0, latent_density=GaussianMixture(1)
    ).fit(X, sample_weight=weight)
    mean = vae.encode(X[:50])[0].mean(0)
    np.testing.assert_allclose(vae.latent_density_.means_[0], mean, atol=0.5)


def test_fit_without_a_density_forgets_the_last_one():
    vae = fitted(latent_density=GaussianMixture(2))
    vae.set_params(latent_density=None).fit(X)
    assert not hasattr(vae, "latent_density_")


def test_density_must_have_fit_and_sample():
    with pytest.raises(ValueError, match=r"'latent_density' parameter .* 'fit' and 'sample'"):
        fitted(latent_density=object())
