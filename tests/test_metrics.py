"""What skvae.metrics says of models whose answer is known."""

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.decomposition import PCA

from skvae import VariationalAutoencoder
from skvae.metrics import active_units, bound_terms, log_likelihood, mutual_information_gap
from skvae.priors import MixtureOfGaussians

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS, WINE = load_iris().data, load_wine().data


@pytest.fixture(scope="module")
def trained():
    return VariationalAutoencoder(3, max_iter=40, early_stopping=False, random_state=0).fit(IRIS)


def test_active_units_are_the_latents_that_vary():
    collapsed = VariationalAutoencoder(6, beta=50.0, max_iter=60, random_state=0).fit(IRIS)
    active = active_units(collapsed, IRIS)
    assert active.sum() == collapsed.n_active_components_ < 6
    np.testing.assert_array_equal(active, collapsed.encode(IRIS)[0].var(0) > 0.01)
    assert not active_units(collapsed, IRIS, threshold=1e9).any()


def test_log_likelihood_is_exact_at_the_start():
    vae = VariationalAutoencoder(2, max_iter=0).fit(WINE)
    found = log_likelihood(vae, WINE, n_draws=50)
    np.testing.assert_allclose(found.estimate, PCA(2).fit(WINE).score_samples(WINE), rtol=1e-5)
    assert (found.standard_error < 1e-3).all()
    np.testing.assert_allclose(found.effective_sample_size, 50, rtol=1e-3)


def test_log_likelihood_knows_its_error(trained):
    few, many = log_likelihood(trained, IRIS, n_draws=200), log_likelihood(trained, IRIS)
    np.testing.assert_array_equal(few.estimate, trained.score_samples(IRIS, n_draws=200))
    assert (many.standard_error < few.standard_error).mean() > 0.9
    apart = np.abs(few.estimate - many.estimate)
    assert (apart <= 4.0 * few.standard_error + 1e-6).mean() > 0.97
    assert ((few.effective_sample_size >= 1) & (few.effective_sample_size <= 200 + 1e-6)).all()


@pytest.mark.parametrize("prior", ["standard_normal", MixtureOfGaussians(3)], ids=repr)
def test_terms_add_up_to_the_bound(prior):
    vae = VariationalAutoencoder(2, prior=prior, max_iter=20, early_stopping=False, random_state=0)
    vae.fit(WINE)
    draws = [bound_terms(vae, WINE, random_state=seed) for seed in range(20)]
    bounds = np.array([terms.bound for terms in draws])
    error = bounds.std() / np.sqrt(len(bounds))
    # The bound is below the likelihood, and near the loss of the last epoch.
    assert bounds.mean() < vae.score(WINE) + 5.0 * error
    assert abs(bounds.mean() + vae.loss_curve_[-1]) < 0.3
    if prior == "standard_normal":
        kl = np.mean([sum(terms[1:]) for terms in draws])
        assert abs(kl - vae.kl_per_component_.sum()) < 0.1
    assert all(0 <= terms.mutual_information <= np.log(len(WINE)) + 1e-9 for terms in draws)
    assert all(terms.total_correlation > -0.05 for terms in draws)


def test_terms_need_a_diagonal_posterior():
    vae = VariationalAutoencoder(2, posterior="full_covariance_normal", max_iter=0).fit(IRIS)
    with pytest.raises(ValueError, match=r"FullCovarianceNormal\(\).*diagonal_normal"):
        bound_terms(vae, IRIS)


def test_gap_is_one_for_the_factors_and_none_for_a_mixture_of_them():
    factors = np.indices((5, 4, 3)).reshape(3, -1).T
    noise = np.random.RandomState(0).normal(size=(len(factors), 2))
    assert mutual_information_gap(np.hstack([factors[:, ::-1], noise]), factors) > 0.5
    assert mutual_information_gap(factors[:, [2, 0, 1]] * -3.0, factors) == pytest.approx(1.0)
    twice = np.hstack([factors, factors])
    assert mutual_information_gap(twice, factors) == pytest.approx(0.0)
    constant = np.hstack([factors, np.ones((len(factors), 1))])
    assert mutual_information_gap(factors, constant) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="No column of factors varies"):
        mutual_information_gap(factors, np.ones((len(factors), 2)))
    with pytest.raises(ValueError, match="minimum of 2"):
        mutual_information_gap(factors[:, :1], factors)
