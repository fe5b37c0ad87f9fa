"""Tables as they come: columns of every kind go in as frames, and frames come out."""

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from mixed import FRAME, N, draws, in_polars, make
from scipy import sparse
from sklearn.datasets import load_iris, load_wine
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline

from skvae import Autoencoder, VariationalAutoencoder
from skvae.likelihoods import (
    Bernoulli,
    Categorical,
    Gaussian,
    Ordinal,
    StudentT,
)

# ------------------------------------------------------------------ in and out


@pytest.mark.parametrize("read", [lambda frame: frame, in_polars], ids=["pandas", "polars"])
@pytest.mark.parametrize("estimator", [VariationalAutoencoder, Autoencoder])
def test_frames_come_back_as_they_went_in(read, estimator):
    table = read(FRAME)
    density = {} if estimator is VariationalAutoencoder else {"latent_density": normal_latents()}
    model = estimator(2, likelihood="auto", max_iter=0, random_state=0, **density).fit(table)
    for rows in (model.inverse_transform(model.transform(table)), model.sample(500)):
        assert type(rows) is type(table)
        assert list(rows.columns) == list(table.columns)
        for name in table.columns:
            assert rows[name].dtype == table[name].dtype, name
            seen, given = set(rows[name].to_list()), table[name].to_list()
            if name in ("sex", "member", "grade", "town", "rooms", "floors"):
                assert seen <= set(given), name
            else:
                assert min(given) <= min(seen), name
                assert max(seen) <= max(given), name
    assert list(rows["visits"]) == [int(count) for count in rows["visits"]]
    hours = {moment.minute + moment.second + moment.microsecond for moment in rows["zoned"]}
    assert hours == {0}


def normal_latents():
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(1, random_state=0)


def test_rows_are_scored_and_embedded_in_either_library():
    pandas, polars = make().fit(FRAME), make().fit(in_polars(FRAME.drop(columns="when")))
    assert pandas.n_features_in_ == FRAME.shape[1]
    assert polars.feature_names_in_.tolist() == [str(name) for name in FRAME.drop(columns="when")]
    without = make().fit(FRAME.drop(columns="when"))
    table = in_polars(FRAME.drop(columns="when"))
    np.testing.assert_allclose(
        polars.score_samples(table), without.score_samples(FRAME.drop(columns="when")), rtol=1e-5
    )
    np.testing.assert_allclose(
        np.abs(polars.transform(table)),
        np.abs(without.transform(FRAME.drop(columns="when"))),
        rtol=1e-3,
        atol=1e-4,
    )


def test_arrays_of_objects_come_back_as_such():
    X = FRAME[["sex", "weight", "visits"]].to_numpy(dtype=object)
    model = make().fit(X)
    rows = model.sample(20, random_state=0)
    assert rows.dtype == object
    assert set(rows[:, 0]) <= {"male", "female"}
    assert all(count == int(count) for count in rows[:, 2])


def test_arrays_of_numbers_come_back_as_such():
    X, _ = load_wine(return_X_y=True)
    for kind in (np.float64, np.float32):
        rows = make().fit(X.astype(kind)).sample(20, random_state=0)
        assert rows.dtype == kind
        assert (rows >= X.min(0).astype(kind)).all()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("table", [True, False], ids=["table", "array"])
def test_set_output_gives_frames(library, table):
    frame = load_iris(as_frame=True).data
    if table:
        model = make().fit(frame)
    else:
        model = make(likelihood="gaussian").fit(frame.to_numpy())
        assert type(model.sample(2)) is np.ndarray
    model.set_output(transform=library)
    Z = model.transform(frame if table else frame.to_numpy())
    for rows in (model.inverse_transform(Z), model.sample(3), model.decode(np.zeros((1, 2)))):
        assert type(rows).__module__.partition(".")[0] == library
        names = [*frame] if table else [f"x{j}" for j in range(4)]
        assert list(rows.columns) == names


def test_other_library_has_the_same_kinds_of_columns():
    frame = FRAME[["visits", "sex", "when"]]
    rows = make().fit(frame).set_output(transform="polars").sample(5)
    assert rows.schema == {"visits": pl.Int64, "sex": pl.String, "when": pl.Datetime("us")}
    table = pl.DataFrame({name: list(frame[name]) for name in frame})
    rows = make().fit(table).set_output(transform="pandas").sample(5)
    assert [column.kind for column in rows.dtypes] == ["i", "O", "M"]


def test_works_in_a_pipeline_and_a_search():
    frame = FRAME[["sex", "weight", "grade", "visits"]]
    likelihood = [("heavy", Gaussian(noise="feature"), ["weight"])]
    search = GridSearchCV(
        make_pipeline("passthrough", make(likelihood=likelihood)),
        {
            "variationalautoencoder__n_components": [1, 2],
            "variationalautoencoder__likelihood__heavy": [StudentT(), Gaussian()],
        },
        cv=KFold(2, shuffle=True, random_state=0),
    ).fit(frame.sort_values("sex"))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert type(search.best_estimator_[-1].sample(3)) is pd.DataFrame


# ------------------------------------------------------------------ going on


def test_a_stream_keeps_its_levels():
    model = make().partial_fit(FRAME)
    table = model._fitted.table
    model.partial_fit(FRAME[FRAME["sex"] == "male"][:20])
    assert model._fitted.table is table
    assert set(model.sample(200, random_state=0)["sex"]) == {"male", "female"}
    assert model.n_iter_ == 2


def test_warm_start_goes_on_with_the_same_columns_only():
    frame = FRAME[["sex", "weight", "visits"]]
    model = make(n_components=1, warm_start=True, max_iter=1, early_stopping=False)
    model.fit(frame).fit(frame[:100])
    assert model._fitted.table.width == 4
    with pytest.raises(ValueError, match="cannot go on with another 'likelihood'"):
        model.set_params(likelihood=[("heavy", StudentT(), ["weight"])]).fit(frame)
    assert model.sample(1).shape == (1, 3)


@pytest.mark.parametrize("name", ["sex", "grade", "visits", "price"])
def test_weights_of_a_table_are_numbers_of_rows(name):
    frame, weight = FRAME[[name, "weight"]], np.resize([1, 2, 3], N)
    likelihood = [("pooled", Categorical(min_frequency=100), ["sex"])] if name == "sex" else "auto"
    weighted = make(likelihood=likelihood).fit(frame, sample_weight=weight)
    repeated = make(likelihood=likelihood).fit(frame.loc[np.repeat(np.arange(N), weight)])
    assert weighted.score(frame) == pytest.approx(repeated.score(frame), rel=1e-5)
    np.testing.assert_allclose(
        weighted.transform(frame), repeated.transform(frame), rtol=1e-3, atol=1e-4
    )


def test_rows_without_weight_do_not_count():
    weight = np.where(FRAME["sex"] == "male", 1.0, 0.0)
    model = make(n_components=1).fit(FRAME[["sex", "weight"]], sample_weight=weight)
    assert set(model.sample(50)["sex"]) == {"male"}
    kept = FRAME.loc[weight > 0, ["sex", "weight"]]
    assert model.score(kept) == make(n_components=1).fit(kept).score(kept)


def test_saved_models_of_tables_are_the_same(tmp_path):
    skops = pytest.importorskip("skops.io")
    from skvae import trusted_types

    for table in (FRAME, in_polars(FRAME)):
        model = make().fit(table)
        skops.dump(model, tmp_path / "model.skops")
        loaded = [
            skops.load(tmp_path / "model.skops", trusted=trusted_types()),
            pickle.loads(pickle.dumps(model)),
        ]
        expected = model.sample(30, random_state=0)
        for other in loaded:
            assert other.sample(30, random_state=0).equals(expected)
            np.testing.assert_array_equal(other.transform(table), model.transform(table))


def test_metrics_and_pictures_take_tables():
    from skvae import metrics
    from skvae.display import LatentTraversalDisplay, ReconstructionDisplay
    from skvae.explorer import LatentExplorer

    frame = FRAME[["sex", "weight", "visits"]]
    model = make().fit(frame)
    assert metrics.active_units(model, frame).sum() == model.n_active_components_
    assert metrics.log_likelihood(model, frame, n_draws=2000).estimate.mean() == pytest.approx(
        model.score(frame), abs=0.15
    )
    display = ReconstructionDisplay.from_estimator(model, frame[:4])
    assert display.rows.shape == (4, 4)
    LatentTraversalDisplay.from_estimator(model, X=frame)
    page = LatentExplorer.from_estimator(model, frame).to_html()
    assert "sex=female" in page


# ------------------------------------------------------------------ what is refused

REFUSED = {
    "infinity": (FRAME.assign(price=np.inf), "Column 'price' holds infinity, first in row 0"),
    "names": (
        FRAME.assign(name=[f"n{i}" for i in range(N)]),
        r"Column 'name' holds 240 different strings.*Drop it.*max_categories.*encode",
    ),
    "lists": (FRAME.assign(one=[[1]] * N), "'one' holds values of type list"),
    "two types": (FRAME.assign(one=[1, "a"] * (N // 2)), "'one' holds values of type int, str"),
    "time spans": (FRAME.assign(one=pd.to_timedelta(1, unit="h")), "'one' is of type timedelta64"),
    "decimals": (pl.DataFrame({"a": [1.0, 2.5] * 9}).cast(pl.Decimal(9, 1)), "is of type Decimal"),
    "infinity beside a gap": (FRAME.assign(price=np.resize([np.nan, np.inf], N)), "in row 1"),
    "two types beside a gap": (FRAME.assign(one=np.resize([1, None, "a"], N)), "type int, str"),
    "large integers beside a gap": (
        FRAME.assign(one=pd.array([None, *[2**60 + 1] * (N - 1)], dtype="Int64")),
        "'one' holds integers beyond",
    ),
    "large integers": (FRAME.assign(one=2**60 + FRAME["visits"]), "'one' holds integers beyond"),
    "lazy": (in_polars(FRAME).lazy(), r"Give X.collect\(\)"),
    "no rows": (FRAME[:0], "0 sample"),
    "one row": (FRAME[:1], "1 sample.*minimum of 2"),
    "no columns": (FRAME[[]], "0 feature"),
    "sparse": (sparse.csr_array(np.eye(5)), "takes a dense table"),
}


@pytest.mark.parametrize(("table", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_tables_are_refused_and_nothing_is_lost(table, message):
    model = make().fit(FRAME)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=message):
        model.fit(table)
    assert pickle.dumps(model) == before


WRONG = {
    "no tuples": (["sex"], "takes a list of tuples"),
    "twice": ([("a", Gaussian(), [0]), ("a", Gaussian(), [1])], "Names of likelihoods must differ"),
    "dunder": ([("a__b", Gaussian(), [0])], "string without '__'"),
    "alias": ([("a", "normal", ["weight"])], r"one of \[.*'gaussian'.*Got 'normal'"),
    "nested auto": ([("a", "auto", ["weight"])], "Got 'auto'"),
    "both": (
        [("a", Gaussian(), ["weight"]), ("b", StudentT(), ["weight"])],
        "Column 'weight' has two likelihoods, 'a' and 'b'",
    ),
    "no such column": ([("a", Gaussian(), ["height"])], "height"),
    "categories as numbers": (
        [("a", Gaussian(), ["sex"])],
        "'sex' holds categories.*Categorical()",
    ),
    "no order": ([("a", Ordinal(), ["town"])], "needs an order, but column 'town'"),
    "domain": ([("a", Bernoulli(), ["weight"])], "likelihood='bernoulli' .* column 'weight'"),
    "handle_unknown": (
        [("a", Categorical(handle_unknown="ignore"), ["sex"])],
        "'handle_unknown' .* one of 'missing', 'error'",
    ),
    "handle_unknown of Ordinal": (
        [("a", Ordinal(handle_unknown="ignore"), ["grade"])],
        "'handle_unknown' .* one of 'missing', 'error'",
    ),
    "min_frequency": ([("a", Categorical(min_frequency=0), ["sex"])], "min_frequency == 0"),
}


@pytest.mark.parametrize(("likelihood", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_likelihoods_of_columns_say_so(likelihood, message):
    frame = FRAME.assign(town=np.resize(["Ulm", "Bonn", "Kiel"], N))
    with pytest.raises((ValueError, TypeError), match=message):
        make(likelihood=likelihood).fit(frame)


def test_strings_are_refused_where_numbers_are_needed():
    with pytest.raises(ValueError, match=r"Column 'sex' of X holds strings.*likelihood='auto'"):
        make(likelihood="gaussian").fit(FRAME[["weight", "sex"]])
    with pytest.raises(ValueError, match=r"Column 'weight' held numbers at fit. Got levels"):
        make().fit(FRAME).transform(FRAME.assign(weight="heavy"))


def test_dates_of_any_resolution_come_back():
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(i)) for i in range(0, N)]
    table = pl.DataFrame({"day": days, "x": draws().standard_normal(N)})
    rows = make(n_components=1).fit(table).sample(50, random_state=0)
    assert rows["day"].dtype == pl.Date
    assert rows["day"].min() >= days[0]
