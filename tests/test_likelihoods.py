"""Every likelihood keeps the laws, SciPy has the same densities, and users can write their own."""

import inspect
import math
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from scipy.sparse import csr_array
from scipy.special import expit, ndtri
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA

from skvae import VariationalAutoencoder, likelihoods, testing
from skvae.likelihoods import (
    Bernoulli,
    Beta,
    Categorical,
    CellLikelihood,
    ContinuousBernoulli,
    Gaussian,
    Joint,
    Laplace,
    Likelihood,
    LogNormal,
    NegativeBinomial,
    Nonparanormal,
    Ordinal,
    Poisson,
    Response,
    StudentT,
    ZeroInflatedNegativeBinomial,
    logged_view,
    soft_bound,
    soft_bound_inverse,
)
from skvae.starts import PrincipalComponents, prepare

IRIS = load_iris().data


def by_one_latent(mean, spread, n_samples=4000, n_features=6):
    """Logs of rates that one latent moves: the same spread in every column, signs in turn."""
    # Quantiles of the normal, so that the latent has its variance at any number of rows.
    z = ndtri((np.arange(n_samples) + 0.5) / n_samples)
    signs = np.where(np.arange(n_features) % 2, -1.0, 1.0)
    return math.log(mean) + spread * z[:, None] * signs


def counts(mean=2.0, spread=0.5, n_samples=300, n_features=4):
    rate = np.exp(by_one_latent(mean, spread, n_samples, n_features))
    return np.random.default_rng(0).poisson(rate).astype(float)


def counts_of_sizes(n_samples=300, n_features=6):
    """Counts whose rows differ tenfold in their totals, which no latent moves."""
    rng = np.random.default_rng(1)
    sizes = 10.0 ** rng.uniform(-0.5, 0.5, (n_samples, 1))
    return rng.poisson(sizes * np.exp(by_one_latent(5.0, 0.5, n_samples, n_features))).astype(float)


def drawn(likelihood, location, noise=0.05):
    """Draws of a likelihood of this noise around these logs of the mean."""
    parameters = [np.full(1, math.log(noise))] * len(likelihood.parameter_shapes(1))
    extra = np.full((len(location), likelihood.width(location.shape[1]).extra), -1.0)
    raw = np.hstack([location, extra])
    return likelihood.sample(raw, parameters, np.random.default_rng(0))


def over_dispersed(likelihood, mean):
    """Counts of some dispersion."""
    return drawn(likelihood, by_one_latent(mean, 0.7, 1000, 6), noise=0.3)


# ------------------------------------------------------- likelihoods as a user writes them


class Gamma(CellLikelihood):
    """Numbers above 0 of mean m and variance m^2 a; no slopes, so the step is composed."""

    has_domain = True
    link = "log1p"
    check = LogNormal.check
    recentred = NegativeBinomial.recentred

    def parameter_shapes(self, n_targets):
        return [(1,)]

    def view(self, moments, inputs):
        return logged_view(moments, inputs)

    def response(self, view, moments, inputs):
        natural, ones = np.log(moments.mean), np.ones_like(moments.mean)
        return Response(natural=natural, spread=expit(natural), gain=ones, noise="shared")

    def log_prob_of_each(self, raw, target, logs):
        size = (-logs[0]).exp()
        rest = size * (logs[0] + raw[0]) + torch.lgamma(size)
        return (size - 1.0) * target.log() - size * target * (-raw[0]).exp() - rest

    def mean_of_each(self, raw, logs):
        return raw[0].exp()

    def variance_of_each(self, raw, logs):
        return (2.0 * raw[0] + logs[0]).exp()

    def sample_of_each(self, raw, logs, rng):
        size = np.exp(-logs[0])
        return (rng.gamma(size, 1.0 / size, raw[0].shape) * np.exp(raw[0])).astype(raw.dtype)


# ------------------------------------------------------- all laws for all likelihoods

POSITIVE = np.exp(by_one_latent(2.0, 0.4, 300, 4)) * np.exp(
    0.3 * np.random.default_rng(0).standard_normal((300, 4))
)
LIT = (IRIS > IRIS.mean(0)).astype(float)

LEVELS = (3, 2, 4, 3)


def levels(tilt):
    """Codes of categories on which one latent has an effect; those tilted are rarer by the last."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((400, 1))

    def column(n):
        logits = z * rng.standard_normal(n) - tilt * np.arange(n)
        return np.r_[np.arange(n), (logits + rng.gumbel(size=(400, n))).argmax(1)[n:]]

    return np.column_stack([column(n) for n in LEVELS])


def indicators(codes):
    return np.hstack([np.eye(n)[code] for n, code in zip(LEVELS, codes.T, strict=True)])


def ordinal(codes):
    return Ordinal().for_levels([np.bincount(code) for code in codes.T])


# Of each class: its objects, rows of their domain, and what is outside of it.
CASES = {
    Gaussian: [
        (Gaussian(), IRIS, ()),
        (Gaussian(noise="feature"), IRIS * [1, 10, 100, 1], ()),
        (Gaussian(noise="row"), IRIS * [1, 10, 100, 1], ()),
    ],
    Bernoulli: [(Bernoulli(), LIT, (-0.01, 1.01)), (Bernoulli(), IRIS / 8, (-0.01, 1.01))],
    Beta: [
        (Beta(), drawn(Beta(), by_one_latent(mean, 1.0, 300, 4), noise), (-0.5, 0, 1, 1.5))
        for mean, noise in ((0.02, 100.0), (1.0, 2.0), (20.0, 40.0))
    ],
    ContinuousBernoulli: [
        (ContinuousBernoulli(), drawn(ContinuousBernoulli(), by_one_latent(mean, 3.0, 300, 4)), out)
        for mean, out in ((0.01, (-0.5, 1.5)), (1.0, (-0.5, 1.5)), (100.0, (-0.5, 1.5)))
    ],
    Poisson: [
        (Poisson(), counts(), (-1, 0.5)),
        (Poisson(), counts(0.1), (-1, 0.5)),
        (Poisson(library_size=True), counts_of_sizes(), (-1, 0.5)),
    ],
    StudentT: [(StudentT(df), IRIS, ()) for df in (2.2, 4.0, 30.0)],
    LogNormal: [
        (LogNormal(), POSITIVE, (-1, 0)),
        (LogNormal(noise="feature"), POSITIVE * [1e-3, 1, 1, 1e3], (-1, 0)),
    ],
    Laplace: [(Laplace(), IRIS * [1, 10, 100, 1], ())],
    NegativeBinomial: [
        (NegativeBinomial(library_size=True), counts_of_sizes(), (-1, 0.5)),
        *(
            (NegativeBinomial(), over_dispersed(NegativeBinomial(), mean), (-1, 0.5))
            for mean in (0.05, 1.0, 100.0)
        ),
    ],
    ZeroInflatedNegativeBinomial: [
        (ZeroInflatedNegativeBinomial(library_size=True), counts_of_sizes(), (-1, 0.5)),
        *(
            (
                ZeroInflatedNegativeBinomial(),
                over_dispersed(ZeroInflatedNegativeBinomial(), mean),
                (-1, 0.5),
            )
            for mean in (0.05, 1.0, 100.0)
        ),
    ],
    Gamma: [(Gamma(), POSITIVE, (-1, 0))],
    Nonparanormal: [(Nonparanormal(), IRIS, ())],
    Categorical: [
        (Categorical(n_levels=LEVELS), indicators(levels(tilt)), (-1, 0.5, 2)) for tilt in (0, 1.5)
    ],
    Ordinal: [
        (ordinal(codes), codes.astype(float), (-1, 0.5, 9)) for codes in (levels(0), levels(1.5))
    ],
    Joint: [
        (
            Joint(
                [
                    (Gaussian(), 4),
                    (Poisson(), 2),
                    (Categorical(n_levels=LEVELS), sum(LEVELS)),
                    (Gaussian(noise="row"), 1),
                    (Gaussian(noise="feature"), 3),
                ]
            ),
            np.hstack([IRIS, counts()[:150, :2], indicators(levels(0))[:150], 9 * IRIS]),
            (),
        )
    ],
}
LISTED = [case for cases in CASES.values() for case in cases]

every = pytest.mark.parametrize(
    ("likelihood", "X", "outside"), LISTED, ids=[f"{case[0]}" for case in LISTED]
)


def below(cls):
    """All subclasses that are no bases, however deep."""
    deeper = [c for child in cls.__subclasses__() for c in (child, *below(child))]
    return {c for c in deeper if not inspect.isabstract(c) and is_where_it_says(c)}


def is_where_it_says(cls):
    """Another test has a class that lies about its module."""
    return getattr(sys.modules.get(cls.__module__), cls.__name__, None) is cls


def test_no_likelihood_escapes_the_laws():
    ours = {c for c in below(Likelihood) if c.__module__.startswith(("skvae.", __name__))}
    assert ours == set(CASES)
    public = [getattr(likelihoods, name) for name in likelihoods.__all__]
    assert {c for c in ours if c.__module__.startswith("skvae.")} <= set(public)


def laws():
    """The public checks of likelihoods, which take one and rows."""
    return [
        getattr(testing, name)
        for name in testing.__all__
        if list(inspect.signature(getattr(testing, name)).parameters)[:2] == ["likelihood", "X"]
        and name != "check_likelihood"
    ]


@every
@pytest.mark.parametrize("law", laws(), ids=lambda law: law.__name__)
def test_law_holds(law, likelihood, X, outside):
    takes_outside = "outside" in inspect.signature(law).parameters
    law(likelihood, X, **({"outside": outside} if takes_outside else {}))


def test_check_likelihood_runs_all_laws(monkeypatch):
    called = []
    for law in laws():
        name = law.__name__
        monkeypatch.setattr(
            f"skvae.testing._likelihoods.{name}", lambda *_, name=name, **__: called.append(name)
        )
    testing.check_likelihood(Gaussian(), IRIS)
    assert sorted(called) == sorted(law.__name__ for law in laws())


def test_a_likelihood_of_ones_own_passes():
    testing.check_likelihood(Gamma(), POSITIVE, outside=(-1.0, 0.0))


# ------------------------------------------------------- SciPy's densities


# By the class: SciPy's distribution for raw output and, if there are some, shared logs.
SCIPY = {
    Gaussian: lambda _, raw, log: scipy.stats.norm(raw, np.exp(0.5 * log)),
    StudentT: lambda own, raw, log: scipy.stats.t(own.df, raw, np.exp(0.5 * log)),
    Laplace: lambda _, raw, log: scipy.stats.laplace(raw, np.exp(log)),
    LogNormal: lambda _, raw, log: scipy.stats.lognorm(np.exp(0.5 * log), scale=np.exp(raw)),
    Bernoulli: lambda _, raw, log: scipy.stats.bernoulli(expit(raw)),
    Beta: lambda _, raw, log: scipy.stats.beta(np.exp(log) * expit(raw), np.exp(log) * expit(-raw)),
    Poisson: lambda _, raw, log: scipy.stats.poisson(np.exp(raw)),
    NegativeBinomial: lambda _, raw, log: scipy.stats.nbinom(
        np.exp(-log), 1.0 / (1.0 + np.exp(raw + log))
    ),
    # Of a logit below 0 it is an exponential distribution that ends at 1.
    ContinuousBernoulli: lambda _, raw, log: scipy.stats.truncexpon(-raw, scale=-1.0 / raw),
}


@pytest.mark.parametrize(
    "likelihood",
    [
        *(Gaussian(), Gaussian(noise="feature"), Bernoulli(), Poisson(), Laplace(), Beta()),
        *(LogNormal(), LogNormal(noise="feature"), NegativeBinomial(), ContinuousBernoulli()),
        *(StudentT(df) for df in (2.1, 3.0, 4.0, 10.0, 1e6)),
    ],
    ids=str,
)
def test_density_and_moments_are_scipys(likelihood):
    rng = np.random.default_rng(0)
    raw = rng.standard_normal((3, 5, 4)) * [2.0, 1.0, 1.0, 1.0]
    if isinstance(likelihood, ContinuousBernoulli):
        raw = -np.abs(raw)
    params = [torch.from_numpy(rng.standard_normal(s)) for s in likelihood.parameter_shapes(4)]
    logs = [soft_bound(p).numpy() for p in params]
    expected = SCIPY[type(likelihood)](likelihood, raw, *(logs or [None]))
    target = expected.rvs(raw.shape, random_state=0)[0].astype(float)
    log_density = getattr(expected, "logpdf", None) or expected.logpmf
    leaf, rows = torch.from_numpy(raw), torch.from_numpy(target)
    found = likelihood.log_prob(leaf, rows, None, params)
    found = found + likelihoods.log_constant(likelihood, rows, None)
    # Of 1e6 degrees of freedom the normaliser is a difference of two numbers of some 6e6.
    np.testing.assert_allclose(found, log_density(target).sum(-1), rtol=1e-9)
    np.testing.assert_allclose(likelihood.mean(leaf, params), expected.mean(), rtol=1e-9)
    variance = likelihood.variance(leaf, params).expand_as(leaf)
    np.testing.assert_allclose(variance, expected.var(), rtol=1e-8)


def test_zeros_of_the_inflated_counts_are_mixed_with_scipys():
    rng = np.random.default_rng(0)
    raw, log = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal(4)
    target = rng.integers(0, 3, (5, 4)).astype(float)
    counted = expit(-raw[1]) * SCIPY[NegativeBinomial](None, raw[0], log).pmf(target)
    expected = np.log(counted + (target == 0) * expit(raw[1])).sum(-1)
    joint = torch.from_numpy(np.concatenate([raw[0], raw[1]], -1))
    params = [soft_bound_inverse(torch.from_numpy(log))]
    likelihood = ZeroInflatedNegativeBinomial()
    found = likelihood.log_prob(joint, torch.from_numpy(target), None, params)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@every
def test_no_output_overflows(likelihood, X, outside, sign):
    """However far off a network is, in the float32 that it is trained in."""
    if isinstance(likelihood, Gamma):
        return  # a user's, which bounds nothing
    view = prepare(X, None, likelihood, 1).view
    target = torch.from_numpy(view.targets(X[:5]).astype(np.float32))
    raw = torch.full((2, 5, sum(likelihood.width(view.n_targets))), sign * 1e4)
    for far in (-1e4, 1e4):
        params = [torch.full(shape, far) for shape in likelihood.parameter_shapes(view.n_targets)]
        leaves = [leaf.clone().requires_grad_() for leaf in (raw, *params)]
        log_p = likelihood.log_prob(leaves[0], target, None, leaves[1:])
        (log_p.sum() + likelihood.mean(leaves[0], leaves[1:]).sum()).backward()
        rng = np.random.default_rng(0)
        drawn = likelihood.sample(raw.numpy(), [p.numpy() for p in params], rng)
        moments = likelihood.mean(raw, params), likelihood.variance(raw, params)
        for result in (log_p, *(leaf.grad for leaf in leaves), *moments, torch.from_numpy(drawn)):
            assert torch.isfinite(result).all()


def test_categories_are_scipys_multinomial():
    rng, codes = np.random.default_rng(0), levels(0)[:50]
    raw = 2.0 * rng.standard_normal((50, sum(LEVELS)))
    likelihood = Categorical(n_levels=LEVELS)
    leaf, target = torch.from_numpy(raw), torch.from_numpy(indicators(codes))
    found, expected, start = likelihood.log_prob(leaf[None], target, None, [])[0], 0.0, 0
    for n in LEVELS:
        p = scipy.special.softmax(raw[:, start : start + n], 1)
        one = scipy.stats.multinomial(1, p)
        expected = expected + one.logpmf(target.numpy()[:, start : start + n])
        np.testing.assert_allclose(likelihood.mean(leaf, [])[:, start : start + n], p)
        start += n
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_large_logits_of_categories_do_not_overflow(scale):
    rng, target = np.random.default_rng(0), indicators(levels(0)[:50]).astype(np.float32)
    raw = (scale * rng.standard_normal((1, 50, sum(LEVELS)))).astype(np.float32)
    likelihood = Categorical(n_levels=LEVELS)
    log_p, pull = likelihood.log_prob_vjp(raw, target, None, [], [])
    expected = likelihood.log_prob(torch.from_numpy(raw), torch.from_numpy(target), None, [])
    np.testing.assert_allclose(log_p, expected, rtol=1e-5, atol=1e-6 * scale)
    assert np.isfinite(pull(np.ones((1, 50), np.float32))).all()


def test_places_are_differences_of_logistic_distributions():
    rng, codes = np.random.default_rng(0), levels(0)[:50]
    likelihood = ordinal(codes)
    parameters = [torch.zeros(shape).double() for shape in likelihood.parameter_shapes(4)]
    likelihood.start_noise(parameters, None, None, None)
    raw = 2.0 * rng.standard_normal((50, 4))
    leaf = torch.from_numpy(raw)
    found = likelihood.log_prob(leaf[None], torch.from_numpy(codes).double(), None, parameters)[0]
    expected, means, squares = np.zeros(50), np.zeros((50, 4)), np.zeros((50, 4))
    for j, n in enumerate(LEVELS):
        share = np.bincount(codes[:, j]) / 50
        edges = np.r_[-np.inf, scipy.special.logit(np.cumsum(share)[:-1]), np.inf]
        mass = np.diff(scipy.stats.logistic.cdf(edges - raw[:, [j]]), axis=1)
        expected += np.log(mass[np.arange(50), codes[:, j]])
        means[:, j], squares[:, j] = mass @ np.arange(n), mass @ np.arange(n) ** 2
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(likelihood.mean(leaf, parameters), means, rtol=1e-9)
    variance = likelihood.variance(leaf, parameters)
    np.testing.assert_allclose(variance, squares - means**2, rtol=1e-8)


# ------------------------------------------------------- the start


def started_spread(likelihood, X):
    """Standard deviations of the location that the start's decoder gives each column."""
    prepared = prepare(X, None, likelihood, 1)
    principal, response = prepared.principal(), prepared.response
    signal = np.sqrt(principal.eigenvalues - principal.noise_variance)
    unit = 1.0 if principal.unit is None else principal.unit
    linear = np.square((principal.vectors * signal)[:, 0] * response.gain * unit)
    by_hand = np.sqrt(likelihood.location_variance(linear, response))
    vae = VariationalAutoencoder(1, likelihood=likelihood, max_iter=0).fit(X)
    linear = vae._fitted.model(torch.float64).decoder.linear[:, 0].abs().numpy()
    np.testing.assert_allclose(linear, by_hand, rtol=1e-5)
    return linear


def root_mean_square(values):
    return np.sqrt(np.mean(np.square(values)))


@pytest.mark.parametrize("spread", [0.147, 0.5])
@pytest.mark.parametrize("mean", [1.0, 100.0])
@pytest.mark.parametrize("likelihood", [LogNormal(), NegativeBinomial(), Gamma()], ids=str)
def test_start_has_the_spread_of_the_log_mean(likelihood, mean, spread):
    # Of counts around 1 the latent is a fiftieth of a column's variance.
    X = drawn(likelihood, by_one_latent(mean, spread, 40_000))
    assert root_mean_square(started_spread(likelihood, X)) == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize("spread", [0.147, 0.5])
@pytest.mark.parametrize(("mean", "least"), [(1.0, 0.6), (10.0, 0.9), (100.0, 0.9)])
def test_poisson_starts_with_the_spread_of_the_log_mean_or_less(mean, least, spread):
    """The noise of small counts is taken as more than it is, and their latent as less."""
    X = drawn(Poisson(), by_one_latent(mean, spread, 40_000))
    assert least < root_mean_square(started_spread(Poisson(), X)) / spread < 1.15


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_predicted_noise_starts_as_factor_analysis(unit):
    X = IRIS * unit
    predicted, constant = (
        VariationalAutoencoder(2, likelihood=Gaussian(noise=noise), max_iter=0).fit(X)
        for noise in ("row", "feature")
    )
    assert predicted.score(X) == pytest.approx(constant.score(X), abs=1e-5)
    np.testing.assert_allclose(predicted.noise_variance_, constant.noise_variance_, rtol=1e-5)


def test_predicted_noise_finds_the_rows_that_are_noisy():
    """Its noise is twentyfold on one side of the latent, which one noise for all cannot say."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2000, 1))
    X = z * [2.0, -1.0, 1.0] + np.where(z > 0, 0.5, 0.025) * rng.standard_normal((2000, 3))
    params = {"max_iter": 60, "random_state": 0, "hidden_layer_sizes": (32,)}
    scores = [
        VariationalAutoencoder(1, likelihood=likelihood, **params).fit(X[:1500]).score(X[1500:])
        for likelihood in ("gaussian", Gaussian(noise="row"))
    ]
    assert scores[1] > scores[0] + 0.5


def test_poisson_starts_above_independent_counts():
    X = counts(2.0, 0.5, 2000, 6)
    vae = VariationalAutoencoder(1, likelihood="poisson", max_iter=0).fit(X)
    assert vae.score(X) > scipy.stats.poisson.logpmf(X, X.mean(0)).sum(1).mean() + 0.1


@pytest.mark.skipif("SKVAE_DATA" not in os.environ, reason="needs the folder SKVAE_DATA")
@pytest.mark.parametrize("n_components", [2, 8])
def test_poisson_starts_above_independent_counts_of_cells(n_components):
    X = np.load(Path(os.environ["SKVAE_DATA"]) / "counts_osmfish.npz")["X"].astype(float)
    vae = VariationalAutoencoder(n_components, likelihood="poisson", max_iter=0).fit(X)
    assert vae.score(X) >= scipy.stats.poisson.logpmf(X, X.mean(0)).sum(1).mean()


@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_library_size_is_the_offset_of_the_rate(container):
    """Without latents the model is a Poisson whose rates are the mean row's, by each row's size."""
    X = counts_of_sizes()
    sizes = X.sum(1, keepdims=True) / X.sum(1).mean()
    vae = VariationalAutoencoder(
        1, likelihood=Poisson(library_size=True), init=PrincipalComponents(0), max_iter=0
    ).fit(container(X))
    expected = scipy.stats.poisson.logpmf(X, sizes * X.mean(0)).sum(1)
    np.testing.assert_allclose(vae.score_samples(container(X)), expected, rtol=1e-4)
    np.testing.assert_allclose(vae.inverse_transform(np.zeros((1, 1)))[0], X.mean(0), rtol=1e-5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("max_iter", [0, 5])
def test_library_size_says_nothing_of_the_latents(max_iter):
    X = counts_of_sizes()
    vae = VariationalAutoencoder(
        2, likelihood=Poisson(library_size=True), max_iter=max_iter, random_state=0
    ).fit(X)
    np.testing.assert_allclose(vae.transform(3.0 * X), vae.transform(X), atol=1e-5)
    plain = VariationalAutoencoder(2, likelihood="poisson", max_iter=max_iter, random_state=0)
    assert vae.score(X) > plain.fit(X).score(X) + 1.0


def test_library_size_is_true_or_false():
    with pytest.raises(ValueError, match=r"'library_size'.*of Poisson.*Got 'log'"):
        VariationalAutoencoder(1, likelihood=Poisson(library_size="log")).fit(counts())


@pytest.mark.parametrize("noise", [7e-7, 0.1])
def test_log_normal_starts_as_pca_of_the_logarithms(noise):
    """Also where two latents explain all but what float32 tells apart."""
    rng = np.random.default_rng(0)
    logs = rng.standard_normal((200, 2)) @ rng.standard_normal((2, 5)) + 3.0
    X = np.exp(logs + noise * rng.standard_normal(logs.shape))
    vae = VariationalAutoencoder(2, likelihood=LogNormal(), max_iter=0).fit(X)
    pca = PCA(2).fit(np.log(X))
    shrunk = (pca.explained_variance_ - pca.noise_variance_) / pca.explained_variance_
    mean, _ = vae.encode(X)
    expected = pca.transform(np.log(X)) * np.sqrt(shrunk / pca.explained_variance_)
    np.testing.assert_allclose(mean, expected, atol=1e-4)


# ------------------------------------------------------- words


@pytest.mark.parametrize("container", [np.asarray, csr_array, pd.DataFrame])
@pytest.mark.parametrize("value", [0.5, -1.0])
def test_what_is_no_count_is_named_by_its_column(container, value):
    is_frame = container is pd.DataFrame

    def table(X):
        return container(X, columns=[*"abcd"]) if is_frame else container(X)

    X = counts(n_samples=60)
    vae = VariationalAutoencoder(1, likelihood="poisson", max_iter=0).fit(table(X))
    bad = X.copy()
    bad[5, 2] = value
    message = "counts.*in " + ("column 'c'" if is_frame else "column 2")
    for method in (vae.score, vae.score_samples, vae.transform, vae.encode, vae.fit):
        with pytest.raises(ValueError, match=message):
            method(table(bad))
