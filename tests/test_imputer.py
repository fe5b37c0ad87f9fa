"""The imputer: scikit-learn's contract, and fills that are the model's."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvae import VAEImputer, VariationalAutoencoder
from skvae.estimators._holdout import choose_by_hidden_cells
from skvae.likelihoods import Gaussian

WINE = StandardScaler().fit_transform(load_wine().data)
HIDDEN = np.random.RandomState(0).rand(*WINE.shape) < 0.2
WITH_GAPS = np.where(HIDDEN, np.nan, WINE)
FRAME = pd.DataFrame(
    {
        "sex": ["female", "male", None, "male"] * 15,
        "age": np.where(np.arange(60) % 7 == 0, np.nan, 20.0 + np.arange(60)),
        "class": pd.array([1, 2, 3, None, 2, 1] * 10, dtype="Int64"),
    },
    index=np.arange(100, 160),
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def start(**params):
    return VariationalAutoencoder(likelihood=Gaussian("feature"), max_iter=0, **params)


def in_polars(frame):
    cells = {name: [None if pd.isna(v) else v for v in frame[name]] for name in frame}
    return pl.DataFrame(cells)


def make(**params):
    return VAEImputer(**{"estimator": start(), "n_components": 3, "random_state": 0, **params})


def error(filled):
    return np.square(filled - WINE)[HIDDEN].mean()


def test_it_fills_with_what_its_estimator_imputes():
    imputer = make().fit(WITH_GAPS)
    filled = imputer.transform(WITH_GAPS)
    np.testing.assert_array_equal(filled[~HIDDEN], WINE[~HIDDEN])
    np.testing.assert_array_equal(filled, imputer.estimator_.impute(WITH_GAPS))
    np.testing.assert_array_equal(make().fit_transform(WITH_GAPS), filled)


@pytest.fixture(scope="module")
def default():
    return VAEImputer(random_state=0).fit(WITH_GAPS)


def test_the_default_beats_regressions_in_turn(default):
    filled = default.transform(WITH_GAPS)
    assert error(filled) < error(IterativeImputer(random_state=0).fit_transform(WITH_GAPS))


def test_number_of_latents_is_that_of_the_data():
    """Four latents and little noise: fewer explain less, and more nothing else."""
    rng = np.random.RandomState(0)
    X = rng.randn(400, 4) @ rng.randn(4, 12) + 0.3 * rng.randn(400, 12)
    X[rng.rand(*X.shape) < 0.2] = np.nan
    seeds = map(np.random.RandomState, range(3))
    chosen = [choose_by_hidden_cells(start(), X, None, rng)["n_components"] for rng in seeds]
    assert np.median(chosen) == 4
    assert 4 <= min(chosen) <= max(chosen) <= 6
    assert make(n_components="auto", random_state=1).fit(X).n_components_ == chosen[1]
    assert make(n_components=None, estimator=start(n_components=5)).fit(X).n_components_ == 5


def test_the_start_is_kept_where_training_fills_no_better(default):
    """A table of noise has nothing to be learned."""
    rng = np.random.RandomState(2)
    noise = rng.randn(200, 6)
    noise[rng.rand(200, 6) < 0.2] = np.nan
    assert VAEImputer(random_state=0).fit(noise).estimator_.max_iter == 0
    assert default.estimator_.max_iter == 100


def test_draws_spread_as_the_model_says():
    imputer = make(strategy="sample").fit(WITH_GAPS)
    draws = []
    for seed in range(30):
        draws.append(imputer.set_params(random_state=seed).transform(WITH_GAPS))
        np.testing.assert_array_equal(draws[-1][~HIDDEN], WINE[~HIDDEN])
    np.testing.assert_array_equal(imputer.transform(WITH_GAPS), draws[-1])
    mean, std = np.mean(draws, 0), np.std(draws, 0)
    assert (std[HIDDEN] > 0).all()
    expected = make().fit(WITH_GAPS).transform(WITH_GAPS)
    z = (mean - expected)[HIDDEN] / (std[HIDDEN] / np.sqrt(30))
    assert np.abs(z).mean() < 1.0
    # The hidden cells are hardly farther from the mean than the draws are.
    assert (np.abs(WINE - mean)[HIDDEN] < 2.0 * std[HIDDEN]).mean() > 0.85


@pytest.mark.parametrize("make_frame", [lambda df: df, in_polars], ids=["pandas", "polars"])
def test_frames_come_back_as_they_came(make_frame):
    frame = make_frame(FRAME)
    for strategy in ("mean", "sample"):
        filled = VAEImputer(
            VariationalAutoencoder(likelihood="auto", max_iter=3),
            n_components=2,
            strategy=strategy,
            random_state=0,
        ).fit_transform(frame)
        assert type(filled) is type(frame)
        if isinstance(frame, pl.DataFrame):
            assert filled.schema == frame.schema
            assert filled.null_count().to_numpy().sum() == 0
        else:
            pd.testing.assert_series_equal(filled.dtypes, frame.dtypes)
            assert filled.index.equals(frame.index)
        assert set(filled["sex"]) == {"female", "male"}
        assert set(filled["class"]) <= {1, 2, 3}
        there = FRAME["age"].notna().to_numpy()
        assert (filled["age"].to_numpy()[there] == FRAME["age"].to_numpy()[there]).all()


@pytest.mark.parametrize("strategy", ["mean", "sample"])
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_numbers_come_back_under_one_likelihood(library, strategy):
    frame = pd.DataFrame(WITH_GAPS, columns=[f"c{j}" for j in range(13)])
    frame = in_polars(frame) if library == "polars" else frame.set_index(np.arange(178) + 7)
    filled = make(strategy=strategy).fit_transform(frame)
    assert type(filled) is type(frame)
    np.testing.assert_array_equal(filled.to_numpy()[~HIDDEN], WINE[~HIDDEN])
    assert np.isfinite(filled.to_numpy()).all()
    expected = make(strategy=strategy).fit_transform(WITH_GAPS)
    np.testing.assert_allclose(filled.to_numpy(), expected)
    if library == "pandas":
        assert filled.index.equals(frame.index)


@pytest.mark.parametrize("value", [-1, -9.5, "?", None, pd.NA])
@pytest.mark.parametrize("as_frame", [False, True])
def test_what_stands_for_missing_cells(value, as_frame):
    expected = make().fit_transform(WITH_GAPS)
    objects = WITH_GAPS.astype(object)
    objects[HIDDEN] = value
    X = objects if isinstance(value, str | type(None) | type(pd.NA)) else objects.astype(float)
    if as_frame:
        X = pd.DataFrame(X, columns=[f"c{j}" for j in range(13)])
    if isinstance(value, str):
        X = X.astype(object)
    filled = make(missing_values=value).fit_transform(X)
    np.testing.assert_allclose(np.asarray(filled, dtype=float), expected, atol=1e-6)


def test_indicators_mark_gaps_and_put_them_back():
    imputer = make(add_indicator=True).fit(WITH_GAPS)
    both = imputer.transform(WITH_GAPS)
    np.testing.assert_array_equal(both[:, 13:], HIDDEN)
    np.testing.assert_array_equal(imputer.inverse_transform(both), WITH_GAPS)
    names = imputer.get_feature_names_out()
    assert names[0] == "x0"
    assert names[13] == "missingindicator_x0"
    assert imputer.set_output(transform="pandas").transform(WITH_GAPS).columns.tolist() == [*names]
    frame = make(estimator=None, add_indicator=True).set_params(
        estimator=VariationalAutoencoder(likelihood="auto", max_iter=0)
    )
    marked = frame.fit_transform(FRAME)
    assert marked.columns.tolist() == frame.get_feature_names_out().tolist()
    np.testing.assert_array_equal(marked["missingindicator_age"], FRAME["age"].isna())


@pytest.mark.parametrize("as_frame", [False, True])
def test_columns_without_cells_are_dropped_unless_they_are_to_be_kept(as_frame):
    X = WITH_GAPS.copy()
    X[:, 4] = np.nan
    X = pd.DataFrame(X, columns=[f"c{j}" for j in range(13)]) if as_frame else X
    dropped = make().fit(X)
    assert dropped.transform(X).shape == (178, 12)
    assert len(dropped.get_feature_names_out()) == 12
    kept = make(keep_empty_features=True).fit(X)
    filled = kept.transform(X)
    assert filled.shape == (178, 13)
    assert len(kept.get_feature_names_out()) == 13
    if as_frame:
        assert filled.columns.tolist() == X.columns.tolist()
        assert filled["c4"].isna().all()
    else:
        assert (filled[:, 4] == 0.0).all()


def test_it_works_in_pipelines_and_searches():
    pipeline = make_pipeline(make(), StandardScaler(), PCA(2)).fit(WITH_GAPS)
    assert pipeline.transform(WITH_GAPS).shape == (178, 2)
    search = GridSearchCV(
        make_pipeline(make(), PCA(2)), {"vaeimputer__n_components": [1, 3]}, cv=2
    ).fit(WITH_GAPS)
    assert search.best_params_["vaeimputer__n_components"] in (1, 3)


def test_new_rows_and_saved_imputers():
    imputer = make().fit(WITH_GAPS[:100])
    again = pickle.loads(pickle.dumps(imputer))
    filled = imputer.transform(WITH_GAPS[100:])
    np.testing.assert_array_equal(again.transform(WITH_GAPS[100:]), filled)
    np.testing.assert_allclose(imputer.transform(WITH_GAPS[100:101])[0], filled[0], atol=1e-9)
    skops = pytest.importorskip("skops.io")
    from skvae import trusted_types

    loaded = skops.loads(skops.dumps(imputer), trusted=trusted_types())
    np.testing.assert_array_equal(loaded.transform(WITH_GAPS[100:]), filled)


@pytest.mark.parametrize(
    ("params", "X", "message"),
    [
        ({"strategy": "median"}, WITH_GAPS, "'strategy' parameter of VAEImputer"),
        ({"n_draws": 0}, WITH_GAPS, "'n_draws' parameter of VAEImputer"),
        ({"n_components": "mle"}, WITH_GAPS, "'n_components' parameter of VAEImputer"),
        ({"estimator": PCA()}, WITH_GAPS, "'estimator' parameter of VAEImputer"),
        ({}, np.full((5, 3), np.nan), "All cells of the 5 rows are missing"),
        ({}, np.where(HIDDEN, np.inf, WINE), "infinity"),
        ({}, WINE[:0], "minimum of 2 is required"),
        ({}, sparse.csr_array(WINE), "(?i)sparse"),
    ],
)
def test_bad_input_is_refused(params, X, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(**params).fit(X)


def test_a_failed_fit_loses_nothing():
    imputer = make().fit(WITH_GAPS)
    before = pickle.dumps(imputer)
    with pytest.raises(ValueError, match="All cells"):
        imputer.fit(np.full((5, 3), np.nan))
    assert pickle.dumps(imputer) == before
    assert not hasattr(imputer, "inverse_transform")
    with pytest.raises(ValueError, match="expecting 13 features"):
        imputer.transform(WINE[:, :5])
