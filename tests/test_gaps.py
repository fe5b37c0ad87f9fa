"""Missing cells: exact on the linear model, and taken by every estimator that takes rows alone."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.stats
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvae import Autoencoder, VariationalAutoencoder, metrics
from skvae.fitting import _plan
from skvae.likelihoods import Categorical, Gaussian
from skvae.objectives import ELBO, ImportanceWeighted
from skvae.posteriors import FullCovarianceNormal
from skvae.starts import PrincipalComponents

WINE = StandardScaler().fit_transform(load_wine().data)
WITH_GAPS = np.where(np.random.RandomState(0).rand(*WINE.shape) < 0.6, WINE, np.nan)
WITH_GAPS[5] = np.nan
OBSERVED = ~np.isnan(WITH_GAPS)

NOISES = pytest.mark.parametrize("noise", ["shared", "feature"])
FITTED_TO = pytest.mark.parametrize("X", [WINE, WITH_GAPS], ids=["complete", "with gaps"])


@pytest.fixture(autouse=True)
def double_precision(monkeypatch):
    monkeypatch.setattr(_plan, "TRAINING_DTYPE", torch.float64)


def make(noise="shared", **params):
    params = {"n_components": 4, "max_iter": 0, "random_state": 0, **params}
    return VariationalAutoencoder(likelihood=Gaussian(noise), **params)


def linear_model(start):
    """Mean and covariance of the normal distribution that a start is."""
    return start.mean_, start.get_covariance()


def log_density(X, mean, covariance):
    """Log-density of each row's observed cells, by SciPy."""
    return np.array(
        [
            scipy.stats.multivariate_normal.logpdf(row[o], mean[o], covariance[np.ix_(o, o)])
            if o.any()
            else 0.0
            for row, o in zip(X, ~np.isnan(X), strict=True)
        ]
    )


def conditional(row, mean, covariance):
    """Mean and covariance of a row's gaps, given its other cells."""
    m = np.isnan(row)
    slopes = covariance[np.ix_(m, ~m)] @ np.linalg.inv(covariance[np.ix_(~m, ~m)])
    return (
        mean[m] + slopes @ (row - mean)[~m],
        covariance[np.ix_(m, m)] - slopes @ covariance[np.ix_(~m, m)],
    )


def maximise_probabilistic_pca(X, n_components, n_rounds=3000):
    """Likelihood of probabilistic PCA of rows with gaps, by the textbook's rounds, a row a time."""
    d = X.shape[1]
    mean, covariance = np.nanmean(X, 0), np.diag(np.nanvar(X, 0))
    for _ in range(n_rounds):
        filled, spread = np.empty_like(X), np.zeros((d, d))
        for i, row in enumerate(X):
            m = np.isnan(row)
            filled[i] = row
            if m.any():
                filled[i, m], own = conditional(row, mean, covariance)
                spread[np.ix_(m, m)] += own
        mean = filled.mean(0)
        total = (filled - mean).T @ (filled - mean) + spread
        values, vectors = np.linalg.eigh(total / len(X))
        noise = values[: d - n_components].mean()
        loadings = vectors[:, -n_components:] * np.sqrt(values[-n_components:] - noise)
        former, covariance = covariance, loadings @ loadings.T + noise * np.eye(d)
        if np.abs(covariance - former).max() < 1e-10:
            break
    return log_density(X, mean, covariance).mean()


# ------------------------------------------------------------------ the linear model


@NOISES
@FITTED_TO
def test_a_single_draw_gives_the_exact_density_before_training(X, noise):
    start = make(noise).fit(X)
    exact = log_density(WITH_GAPS, *linear_model(start))
    np.testing.assert_allclose(start.score_samples(WITH_GAPS, n_draws=1), exact, atol=1e-9)


def test_score_before_training_is_that_of_probabilistic_pca():
    X = WITH_GAPS[:60, :6]
    exact = maximise_probabilistic_pca(X, 2)
    assert make(n_components=2).fit(X).score(X) == pytest.approx(exact, abs=1e-6)


def test_without_gaps_it_is_the_score_of_pca():
    assert make().fit(WINE).score(WINE) == pytest.approx(PCA(4).fit(WINE).score(WINE), abs=1e-9)


@NOISES
@FITTED_TO
def test_imputed_cells_are_the_conditional_means(X, noise):
    start = make(noise).fit(X)
    filled = start.impute(WITH_GAPS)
    np.testing.assert_array_equal(filled[OBSERVED], WITH_GAPS[OBSERVED])
    for row, full in zip(WITH_GAPS[:20], filled, strict=False):
        expected, _ = conditional(row, *linear_model(start))
        np.testing.assert_allclose(full[np.isnan(row)], expected, atol=1e-9)


def test_a_row_without_cells_is_the_prior():
    start = make().fit(WITH_GAPS)
    mean, std = start.encode(WITH_GAPS[5:6])
    np.testing.assert_allclose(mean, 0.0, atol=1e-12)
    np.testing.assert_allclose(std, 1.0, atol=1e-12)
    assert start.score_samples(WITH_GAPS[5:6]) == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(start.impute(WITH_GAPS[5:6])[0], start.mean_, atol=1e-9)


@FITTED_TO
def test_given_draws_are_of_the_conditional_distribution(X):
    """Along random directions, against draws of the exact one: Kolmogorov and Smirnov."""
    start, row = make().fit(X), WITH_GAPS[0]
    mean, covariance = conditional(row, *linear_model(start))
    drawn = start.sample(4000, given=row[None], random_state=0)
    np.testing.assert_array_equal(drawn[:, OBSERVED[0]], np.tile(row[OBSERVED[0]], (4000, 1)))
    rng = np.random.default_rng(0)
    exact = rng.multivariate_normal(mean, covariance, 4000)
    for _ in range(10):
        along = rng.standard_normal(len(mean))
        test = scipy.stats.ks_2samp(drawn[:, np.isnan(row)] @ along, exact @ along)
        assert test.pvalue > 0.001
    assert len(np.unique(drawn, axis=0)) == 4000


@pytest.mark.parametrize("n_components", [4, 40], ids=["a triangle", "a diagonal"])
@pytest.mark.parametrize("objective", [ELBO(), ImportanceWeighted(3)], ids=["elbo", "weighted"])
def test_a_row_does_not_depend_on_its_neighbours(n_components, objective):
    params = {"n_components": n_components, "max_iter": 3, "objective": objective}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vae = make(**params).fit(WITH_GAPS)
    whole = vae.score_samples(WITH_GAPS), vae.transform(WITH_GAPS), vae.impute(WITH_GAPS)
    for i in (0, 5, 9):
        row = WITH_GAPS[i : i + 1]
        alone = vae.score_samples(row), vae.transform(row), vae.impute(row)
        for one, many in zip(alone, whole, strict=True):
            np.testing.assert_allclose(one[0], many[i], atol=1e-9)
    # Nor does a complete row on the gaps of others.
    mixed = np.vstack([WINE[:3], WITH_GAPS[:3]])
    np.testing.assert_allclose(vae.transform(mixed)[:3], vae.transform(WINE[:3]), atol=1e-9)
    np.testing.assert_allclose(vae.score_samples(mixed)[:3], vae.score_samples(WINE[:3]), atol=1e-9)


def test_weights_are_repeated_rows():
    weight = np.random.RandomState(0).randint(0, 4, len(WINE))
    weighted = make().fit(WITH_GAPS, sample_weight=weight)
    repeated = make().fit(np.repeat(WITH_GAPS, weight, 0))
    np.testing.assert_allclose(weighted.get_covariance(), repeated.get_covariance(), atol=1e-4)
    assert weighted.score(WITH_GAPS) == pytest.approx(repeated.score(WITH_GAPS), abs=1e-5)


# ------------------------------------------------------------------ every estimator

FRAME = pd.DataFrame(WITH_GAPS, columns=[f"c{j}" for j in range(13)])
CONTAINERS = {
    "array": WITH_GAPS,
    "float32": WITH_GAPS.astype(np.float32),
    "list": [[None if np.isnan(v) else v for v in row] for row in WITH_GAPS.tolist()],
    "csr": sparse.csr_array(np.where(OBSERVED, WITH_GAPS, np.nan)),
    "pandas": FRAME,
    "pandas nullable": FRAME.convert_dtypes(),
    "pandas objects": FRAME.astype(object).where(FRAME.notna(), pd.NA),
    "polars": pl.DataFrame(FRAME.to_dict("list"), nan_to_null=True),
}
ESTIMATORS = [
    VariationalAutoencoder(3, max_iter=5, random_state=0),
    VariationalAutoencoder(3, max_iter=5, random_state=0, objective=ImportanceWeighted(3)),
    VariationalAutoencoder(3, max_iter=5, random_state=0, init="random"),
    VariationalAutoencoder(3, max_iter=5, random_state=0, posterior=FullCovarianceNormal()),
    VariationalAutoencoder(3, max_iter=5, random_state=0, prior="mixture_of_gaussians"),
    VariationalAutoencoder(3, max_iter=5, random_state=0, regularizer="total_correlation"),
    VariationalAutoencoder(3, max_iter=5, random_state=0, likelihood="student_t"),
    VariationalAutoencoder(3, max_iter=5, random_state=0, likelihood="auto"),
    Autoencoder(3, max_iter=5, random_state=0),
    Autoencoder(3, max_iter=5, random_state=0, corruption="masking"),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("X", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_gaps_come_in_any_container(X):
    vae = make().fit(X)
    expected = make().fit(WITH_GAPS)
    atol = 1e-4 if X is CONTAINERS["float32"] else 1e-9
    np.testing.assert_allclose(vae.transform(X), expected.transform(WITH_GAPS), atol=atol)
    filled = vae.impute(X)
    assert type(filled) is type(X) or isinstance(X, list)
    filled = filled.toarray() if sparse.issparse(filled) else np.asarray(filled, dtype=float)
    np.testing.assert_allclose(filled, expected.impute(WITH_GAPS), atol=atol)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_every_estimator_takes_gaps(estimator):
    estimator = clone(estimator)
    weight = np.arange(len(WINE)) % 3
    for fit in ("fit", "partial_fit"):
        estimator = clone(estimator)
        getattr(estimator, fit)(WITH_GAPS, sample_weight=weight)
        estimator.partial_fit(WITH_GAPS[:50])
        Z = estimator.transform(WITH_GAPS)
        assert np.isfinite(Z).all()
        assert np.isfinite(estimator.score(WITH_GAPS))
        assert np.isfinite(estimator.inverse_transform(Z)).all()
        filled = estimator.impute(WITH_GAPS)
        assert np.isfinite(filled).all()
        again = pickle.loads(pickle.dumps(estimator))
        np.testing.assert_array_equal(again.transform(WITH_GAPS), Z)
        np.testing.assert_array_equal(again.impute(WITH_GAPS), filled)


def test_a_fit_goes_on_with_gaps():
    vae = make("feature", max_iter=20, warm_start=True, early_stopping=False).fit(WITH_GAPS)
    first = vae.loss_curve_
    again = vae.fit(WITH_GAPS).loss_curve_
    assert again[0] < np.mean(first[:5])


def test_training_raises_the_likelihood_of_held_out_cells():
    """Half of breast cancer's cells are there; training has to fill the others better."""
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    hidden = np.random.RandomState(0).rand(*X.shape) < 0.5
    holey = np.where(hidden, np.nan, X)
    errors = []
    for max_iter in (0, 60):
        vae = VariationalAutoencoder(
            8, likelihood=Gaussian("feature"), max_iter=max_iter, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            filled = vae.fit(holey).impute(holey, n_draws=100)
        errors.append(np.square(filled - X)[hidden].mean())
    assert errors[1] < errors[0] < 0.3


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t", "poisson", "log_normal", "beta"])
def test_a_column_without_cells_is_passed_over(likelihood):
    X = load_iris().data / 10.0 if likelihood != "poisson" else np.round(load_iris().data)
    empty = X.copy()
    empty[:, 1] = np.nan
    params = {"likelihood": likelihood, "max_iter": 0, "random_state": 0}
    vae = VariationalAutoencoder(2, **params).fit(empty)
    without = VariationalAutoencoder(2, **params).fit(np.delete(X, 1, axis=1))
    # Later cells of it are not looked at, and it is not filled.
    np.testing.assert_allclose(vae.transform(X), vae.transform(empty))
    np.testing.assert_allclose(vae.score_samples(X), vae.score_samples(empty))
    assert vae.score(empty) == pytest.approx(without.score(np.delete(X, 1, axis=1)), abs=0.1)
    assert np.isnan(vae.impute(empty)[:, 1]).all()
    assert np.isnan(vae.sample(3)[:, 1]).all()


def test_masks_reach_the_nonlinear_path_alone_before_training():
    vae = make().fit(WITH_GAPS)
    assert vae._fitted.view.n_masks == 13
    assert make().fit(WINE)._fitted.view.n_masks == 0


def test_gaps_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), make()).fit(WITH_GAPS)
    assert pipeline.transform(WITH_GAPS).shape == (178, 4)


def test_part_of_the_latents_starts_with_gaps():
    start = make(init=PrincipalComponents(2)).fit(WITH_GAPS)
    exact = log_density(WITH_GAPS, *linear_model(start))
    np.testing.assert_allclose(start.score_samples(WITH_GAPS, n_draws=1), exact, atol=1e-9)


def test_metrics_take_gaps():
    """On the linear model the bound's terms add up to the exact evidence."""
    start = make().fit(WITH_GAPS)
    terms = metrics.bound_terms(start, WITH_GAPS)
    kl = terms.mutual_information + terms.total_correlation + terms.dimension_wise_kl
    assert terms.reconstruction - kl == pytest.approx(start.score(WITH_GAPS), abs=1e-9)
    estimate = metrics.log_likelihood(start, WITH_GAPS).estimate
    np.testing.assert_allclose(estimate, start.score_samples(WITH_GAPS), atol=1e-9)
    assert metrics.active_units(start, WITH_GAPS).all()


def test_metrics_take_blocks_with_and_without_gaps(monkeypatch):
    start, rows = make().fit(WITH_GAPS), np.vstack([WINE[:64], WITH_GAPS[:64]])
    whole = metrics.bound_terms(start, rows)
    monkeypatch.setattr("skvae.inference._fitted.BLOCK_CELLS", 64 * 256)
    for value, expected in zip(metrics.bound_terms(start, rows), whole, strict=True):
        assert value == pytest.approx(expected, abs=1e-9)


# ------------------------------------------------------------------ tables

PASSENGERS = pd.DataFrame(
    {
        "sex": ["female", "male", "male", None] * 30,
        "class": pd.Categorical(["first", "second", "third", "third"] * 30, ordered=True),
        "age": np.where(np.arange(120) % 5 == 0, np.nan, 20.0 + np.arange(120) % 37),
        "siblings": pd.array([0, 1, 2, None, 0, 3] * 20, dtype="Int64"),
    },
    index=np.arange(1000, 1120),
)


@pytest.fixture(scope="module")
def passengers():
    vae = VariationalAutoencoder(2, likelihood="auto", max_iter=10, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return vae.fit(PASSENGERS)


def test_imputed_frames_keep_cells_types_and_index(passengers):
    filled = passengers.impute(PASSENGERS)
    assert filled.notna().all(axis=None)
    assert filled.index.equals(PASSENGERS.index)
    pd.testing.assert_series_equal(filled.dtypes, PASSENGERS.dtypes)
    for name in PASSENGERS:
        there = PASSENGERS[name].notna()
        assert (filled.loc[there, name] == PASSENGERS.loc[there, name]).all()
    assert set(filled["sex"]) == {"female", "male"}
    assert filled["age"].between(20.0, 56.0).all()


def test_given_cells_stay_and_move_the_others(passengers):
    drawn = passengers.sample(300, given={"class": "third", "age": 30}, random_state=0)
    assert (drawn["class"] == "third").all()
    assert (drawn["age"] == 30).all()
    pd.testing.assert_series_equal(drawn.dtypes, passengers.sample(1).dtypes)
    frame = pd.DataFrame({"sex": ["male", "female"]})
    drawn = passengers.sample(5, given=frame, random_state=0)
    assert drawn["sex"].tolist() == ["male"] * 5 + ["female"] * 5


def test_drawn_gaps_are_as_frequent_as_those_of_fit(passengers):
    drawn = passengers.sample(2000, missing=True, random_state=0).isna()
    np.testing.assert_allclose(drawn.mean(), PASSENGERS.isna().mean(), atol=0.04)
    together = (drawn["sex"] & drawn["siblings"]).mean()
    assert together == pytest.approx(
        (PASSENGERS.isna()["sex"] & PASSENGERS.isna()["siblings"]).mean(), abs=0.04
    )
    assert not passengers.sample(50, missing=True, given={"sex": "male"})["sex"].isna().any()


def test_unknown_levels_are_gaps_unless_they_shall_be_errors(passengers):
    other, gap = PASSENGERS[:3].copy(), PASSENGERS[:3].copy()
    other.loc[1000, "sex"], gap.loc[1000, "sex"] = "unknown", None
    np.testing.assert_array_equal(passengers.score_samples(other), passengers.score_samples(gap))
    strict = VariationalAutoencoder(
        2, likelihood=[("sex", Categorical(handle_unknown="error"), ["sex"])], max_iter=0
    ).fit(PASSENGERS)
    with pytest.raises(ValueError, match=r"'sex' holds 'unknown'.*handle_unknown='missing'"):
        strict.score_samples(other)


def test_discrete_cells_are_masses_and_gaps_count_nothing(passengers):
    """The probabilities of a row's class, its other cells being the same, sum to one."""
    rows = pd.concat([PASSENGERS[1:2]] * 3, ignore_index=True)
    rows["class"] = pd.Categorical(["first", "second", "third"], ordered=True)
    whole = scipy.special.logsumexp(passengers.score_samples(rows, n_draws=20_000))
    rows["class"] = pd.Categorical([None] * 3, categories=rows["class"].cat.categories)
    assert whole == pytest.approx(passengers.score_samples(rows, n_draws=20_000)[0], abs=0.02)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sexe": "male"}, "given names 'sexe', which is no column of fit.*'sex', 'class'"),
        ({"sex": "mal"}, "'mal' for column 'sex', which was not there at fit. Known are female"),
        ({"age": "old"}, "'old' for column 'age', which held numbers at fit. Give a number"),
        (pd.DataFrame({"height": [1.8]}), "given names 'height', which is no column"),
        (pd.DataFrame({"age": [np.inf]}), "'age' holds infinity"),
    ],
    ids=["a column", "a level", "a number", "a frame's column", "infinity"],
)
def test_given_cells_that_cannot_be_are_named(passengers, given, message):
    with pytest.raises(ValueError, match=message):
        passengers.sample(given=given)


def test_given_cells_of_arrays():
    start = make().fit(WITH_GAPS)
    assert (start.sample(4, given={2: 1.5}, random_state=0)[:, 2] == 1.5).all()
    named = make().fit(FRAME)
    assert (named.sample(4, given={"c2": 1.5}, random_state=0)[:, 2] == 1.5).all()
    with pytest.raises(ValueError, match="'c13', which is no column of fit"):
        named.sample(given={"c13": 1.5})
    with pytest.raises(ValueError, match="infinity"):
        start.sample(given=np.full((1, 13), np.inf))


def test_points_are_given_nothing():
    with pytest.raises(ValueError, match="is a point, so given cells say nothing"):
        Autoencoder(2, max_iter=0).fit(WITH_GAPS).sample(given={0: 1.0})


def test_few_effective_draws_are_warned_of(monkeypatch):
    start = make("feature", n_components=2, max_iter=30, early_stopping=False).fit(WITH_GAPS)
    far = np.full((1, 13), np.nan)
    far[0, :9] = 40.0 * (-1.0) ** np.arange(9)
    with pytest.warns(UserWarning, match="Of the draws for row 0 of given only"):
        start.sample(given=far, random_state=0)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("estimator", ESTIMATORS[::4], ids=str)
def test_infinity_stays_an_error(estimator, value):
    X = WITH_GAPS.copy()
    X[3, 2] = value
    with pytest.raises(ValueError, match=r"inf"):
        clone(estimator).fit(X)


@pytest.mark.parametrize("estimator", ESTIMATORS[::4], ids=str)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_rows_without_any_cell_cannot_be_fitted(estimator, method):
    with pytest.raises(ValueError, match=r"All cells of the .* rows to fit are missing"):
        getattr(clone(estimator), method)(np.full((20, 3), np.nan))


def test_impute_checks_its_draws():
    start = make().fit(WITH_GAPS)
    with pytest.raises(ValueError, match="n_draws == 0, must be >= 1"):
        start.impute(WITH_GAPS, n_draws=0)
