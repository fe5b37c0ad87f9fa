"""Tables as they come: columns of every kind go in as frames, and frames come out."""

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from scipy.stats import ks_2samp
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.datasets import load_iris, load_wine
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skvae import Autoencoder, VariationalAutoencoder
from skvae.likelihoods import (
    Bernoulli,
    Categorical,
    Columns,
    Gaussian,
    LogNormal,
    NegativeBinomial,
    Ordinal,
    StudentT,
)
from skvae.starts import prepare

N = 240


def draws(seed=0):
    return np.random.default_rng(seed)


def mixed(n=N):
    """A frame with a column of every type, on which one latent has some effect."""
    rng = draws()
    z = rng.standard_normal(n)
    grade = np.digitize(z + 0.5 * rng.standard_normal(n), [-1, 0, 1])
    sizes = ["S", "M", "L", "XL"]
    when = pd.Timestamp("2024-03-01") + pd.to_timedelta(np.round(200 + 30 * z), unit="h")
    return pd.DataFrame(
        {
            "weight": (70 + 10 * z + rng.standard_normal(n)).astype(np.float32),
            "visits": rng.poisson(np.exp(3 + z)),
            "price": np.exp(2 + 1.5 * z + 0.2 * rng.standard_normal(n)),
            "sex": np.where(z + rng.standard_normal(n) > 0, "male", "female"),
            "member": z + rng.standard_normal(n) > 0.3,
            "grade": pd.Categorical([sizes[g] for g in grade], sizes[::-1], ordered=True),
            "town": pd.Categorical(rng.choice(["Ulm", "Bonn"], n), ["Kiel", "Ulm", "Bonn"]),
            "rooms": pd.array(1 + grade, dtype="Int64"),
            "when": when,
            "zoned": when.tz_localize("UTC").tz_convert("Europe/Berlin"),
            "floors": np.full(n, 3),
        }
    )


FRAME = mixed()


def in_polars(frame):
    columns = {str(name): frame[name] for name in frame}
    types = {"grade": pl.Enum(["XL", "L", "M", "S"]), "town": pl.Categorical}
    for name in types:
        columns[name] = frame[name].astype(str)
    table = pl.DataFrame({name: list(column) for name, column in columns.items()})
    table = table.with_columns(pl.col(name).cast(kind) for name, kind in types.items())
    return table.with_columns(pl.col("^when$").cast(pl.Date))


def make(**params):
    return VariationalAutoencoder(
        **{"n_components": 2, "likelihood": "auto", "max_iter": 0, "random_state": 0, **params}
    )


def in_library(table, library):
    return table.to_pandas() if library == "polars" else table


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


# ------------------------------------------------------------------ which likelihood


def integers(values):
    return np.resize(values, N)


AUTO = {
    "sex": (FRAME["sex"], Categorical(min_frequency=5)),
    "member": (FRAME["member"], Categorical(min_frequency=5)),
    "town": (FRAME["town"], Categorical(min_frequency=5)),
    "grade": (FRAME["grade"], Ordinal()),
    "rooms": (FRAME["rooms"], Ordinal()),
    "when": (FRAME["when"], Gaussian(noise="feature")),
    "constant": (FRAME["floors"], Categorical()),
    "two values": (integers([0.0, 2.5]), Categorical(min_frequency=5)),
    "eleven values": (integers(range(11)), Categorical(min_frequency=5)),
    "counts": (FRAME["visits"], NegativeBinomial()),
    "large whole numbers": (1000 + 3 * integers(range(80)), Gaussian(noise="feature")),
    "skewed": (FRAME["price"], LogNormal()),
    "skewed with a zero": (FRAME["price"] - FRAME["price"].min(), Gaussian(noise="feature")),
    "a few ordinals": (np.where(np.arange(N) < 3, np.arange(N), 3.5), Ordinal()),
    "numbers": (FRAME["weight"], Gaussian(noise="feature")),
}


@pytest.mark.parametrize(("column", "expected"), AUTO.values(), ids=AUTO.keys())
def test_auto_goes_by_type_and_values(column, expected):
    frame = pd.DataFrame({"one": np.asarray(FRAME["weight"]), "other": np.asarray(column)})
    frame["other"] = column
    chosen = make().fit(frame).likelihood_
    owner = {name: likelihood for _, likelihood, names in chosen.columns for name in names}
    assert repr(owner["other"]) == repr(expected)


def test_entries_go_before_auto():
    frame = FRAME[["sex", "weight", "visits", "price"]]
    likelihood = [
        ("heavy", "student_t", ["weight"]),
        ("log", LogNormal(), make_column_selector("p")),
    ]
    chosen = make(likelihood=likelihood).fit(frame).likelihood_
    assert isinstance(chosen, Columns)
    assert {name: names for name, _, names in chosen.columns} == {
        "categorical": ["sex"],
        "heavy": ["weight"],
        "negative_binomial": ["visits"],
        "log": ["price"],
    }
    again = make(likelihood=chosen).fit(frame)
    assert again.score(frame) == make(likelihood=likelihood).fit(frame).score(frame)


@pytest.mark.parametrize("names", [["a", "b", "c"], [2, 0, 1], None], ids=["str", "int", "array"])
def test_likelihood_that_was_used_can_be_given_again(names):
    rng = draws()
    X = np.column_stack([rng.standard_normal((N, 2)), np.resize([3.0, 3.0, 5.0], N)])
    X = X if names is None else pd.DataFrame(X, columns=names)
    one = make(likelihood=[("categorical", StudentT(), [0]), ("b", StudentT(), [1])]).fit(X)
    entries = one.likelihood_.columns
    assert [name for name, *_ in entries] == ["categorical", "b", "categorical_auto"]
    two = make(likelihood=one.likelihood_).fit(X)
    assert two.score(X) == one.score(X)
    assert repr(two.likelihood_) == repr(one.likelihood_)


@pytest.mark.parametrize("wrap", [list, Columns], ids=["list", "Columns"])
def test_likelihoods_of_columns_are_parameters(wrap):
    model = make(likelihood=wrap([("heavy", Gaussian(), ["weight"])]))
    assert model.get_params()["likelihood__heavy__noise"] == "shared"
    model.set_params(likelihood__heavy__noise="feature")
    assert model.get_params()["likelihood__heavy"].noise == "feature"
    copied = clone(model).set_params(likelihood__heavy=StudentT(df=3.0))
    assert copied.get_params()["likelihood__heavy__df"] == 3.0
    assert model.get_params()["likelihood__heavy__noise"] == "feature"
    with pytest.raises(ValueError, match="Invalid parameter 'light'"):
        model.set_params(likelihood__light=Gaussian())


def test_one_kind_of_likelihood_is_one_block():
    frame = pd.concat([load_iris(as_frame=True).data, FRAME[["sex"]]], axis=1).iloc[:150]
    blocks = make().fit(frame)._fitted.architecture.likelihood.blocks
    assert [type(likelihood) for likelihood, _ in blocks] == [Gaussian, Categorical]
    shared = [("a", Gaussian(), [0, 1]), ("b", Gaussian(), [2, 3])]
    model = make(likelihood=shared).fit(frame)
    assert len(model._fitted.architecture.likelihood.blocks) == 3
    noise = model.noise_variance_ / np.square(1 / frame.iloc[:, :4].std(ddof=0)).reindex_like(
        pd.Series(np.zeros(6), model._names_of(model._fitted.table))
    )
    assert noise.iloc[0] == pytest.approx(noise.iloc[1])
    assert noise.iloc[2] == pytest.approx(noise.iloc[3])


# ------------------------------------------------------------------ the start


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_of_one_noise_are_pca_bit_for_bit(dtype):
    X = load_wine().data.astype(dtype)
    by_columns = make(likelihood=[("all", "gaussian", slice(None))]).fit(X)
    plain = make(likelihood="gaussian").fit(X)
    np.testing.assert_array_equal(by_columns.transform(X), plain.transform(X))
    np.testing.assert_array_equal(by_columns.score_samples(X), plain.score_samples(X))


def test_categories_alone_start_at_multiple_correspondence_analysis():
    rng = draws()
    z = rng.standard_normal((400, 1))
    codes = np.column_stack(
        [(z * rng.standard_normal(3) + rng.gumbel(size=(400, 3))).argmax(1) for _ in range(8)]
    )
    frame = pd.DataFrame(codes.astype(str))
    indicators = OneHotEncoder(sparse_output=False).fit_transform(codes)
    share = indicators.mean(0)
    vectors, values, _ = np.linalg.svd((indicators - share) / np.sqrt(share), full_matrices=False)
    raised = values**2 / 399 > 1.0
    coordinates = (vectors * values)[:, raised]
    model = make(n_components=int(raised.sum()), likelihood="categorical").fit(frame)
    latents = model.transform(frame)
    latents *= np.sign(np.sum(latents * coordinates, 0))
    # A latent's unit is its effect on the shares, which is MCA's own up to the decoder's bend.
    for found, expected in zip(latents.T, coordinates.T, strict=True):
        assert np.corrcoef(found, expected)[0, 1] > 1 - 1e-9
    assert model._fitted.view.total_variance == pytest.approx(
        np.square(values).sum() / 399, rel=1e-9
    )


def test_shared_noise_of_a_group_is_pcas():
    """Factor analysis with one noise for all columns ends at probabilistic PCA."""
    from skvae.starts._factors import noise_by_column

    X = load_wine().data / load_wine().data.std(0)
    prepared = prepare(X, None, Gaussian(), 3)
    noise = noise_by_column(prepared.residuals, np.zeros(13, int), 3)
    assert np.ptp(noise) == 0
    assert noise[0] == pytest.approx(prepared.principal().noise[0], rel=0.05)
    fixed = noise_by_column(prepared.residuals, np.r_[np.full(4, -1), np.arange(9)], 3)
    assert (fixed[:4] == 1).all()
    assert (fixed[4:] != 1).all()


@pytest.mark.parametrize("n_components", [1, 3])
def test_start_of_a_table_is_no_worse_than_independent_columns(n_components):
    from skvae.starts import PrincipalComponents

    started, independent = (
        make(n_components=n_components, init=PrincipalComponents(n)).fit(FRAME).score(FRAME)
        for n in (None, 0)
    )
    assert started > independent + 0.5


@pytest.mark.parametrize("n_components", [1, 2, 4])
@pytest.mark.parametrize("share", [0.3, 0.03, 0.003])
def test_start_does_not_pay_for_rare_levels(share, n_components):
    """Two columns that share a rare level have an eigenvalue of 2, but little to say."""
    from skvae.starts import PrincipalComponents

    rng = draws()
    level = np.where(rng.random(2000) < share, "rare", rng.choice(["x", "y"], 2000))
    noisy = np.where(rng.random(2000) < 0.9, level, "x")
    frame = pd.DataFrame({"a": level, "b": level, "c": noisy, "d": rng.choice(list("uvw"), 2000)})
    started, independent = (
        make(n_components=n_components, init=PrincipalComponents(n)).fit(frame).score(frame)
        for n in (None, 0)
    )
    assert started >= independent - 1e-6


def test_units_of_a_column_do_not_matter():
    other = FRAME.assign(weight=FRAME["weight"] * 1000, price=FRAME["price"] / 7)
    one, two = make().fit(FRAME), make().fit(other)
    np.testing.assert_allclose(one.transform(FRAME), two.transform(other), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(one.explained_variance_, two.explained_variance_, rtol=1e-4)
    assert one.score(FRAME) - two.score(other) == pytest.approx(np.log(1000 / 7), abs=1e-3)


# ------------------------------------------------------------------ normal scores


def skewed(n=4000):
    rng = draws()
    z = rng.standard_normal((n, 1)) + 0.5 * rng.standard_normal((n, 3))
    return pd.DataFrame(np.where(z > 0, np.expm1(z), z / 5), columns=list("abc"))


def test_density_of_normal_scores_is_one_of_x():
    frame = skewed()[["a"]]
    model = make(n_components=1, likelihood="nonparanormal").fit(frame)
    x = np.linspace(-3, 60, 20_001)
    density = np.exp(model.score_samples(pd.DataFrame({"a": x})))
    assert np.trapezoid(density, x) == pytest.approx(1.0, abs=0.01)
    gaussian = make(n_components=1, likelihood="gaussian").fit(frame)
    assert model.score(frame) > gaussian.score(frame) + 0.3


def test_rows_of_normal_scores_have_the_columns_own_distribution():
    frame = skewed()
    model = make(n_components=1).fit(frame)
    assert repr(model.likelihood_.columns[0][1]) == "Nonparanormal()"
    rows = model.sample(4000, random_state=0)
    for name in frame:
        assert ks_2samp(rows[name], frame[name]).statistic < 0.05
    assert rows["a"].corr(rows["b"], "spearman") == pytest.approx(
        frame["a"].corr(frame["b"], "spearman"), abs=0.05
    )


def test_values_beyond_those_of_fit_have_scores():
    frame = skewed()
    model = make(n_components=1).fit(frame)
    far = frame[:2] * 100
    assert np.isfinite(model.score_samples(far)).all()
    assert (model.score_samples(far) < model.score_samples(frame[:2])).all()


# ------------------------------------------------------------------ rare and unknown levels


def test_rare_levels_are_pooled_and_drawn_by_frequency():
    names = np.r_[np.repeat(["Ulm", "Bonn"], 100), ["Kiel"] * 3, ["Trier"]]
    frame = pd.DataFrame({"town": names, "x": draws().standard_normal(204)})
    model = make(likelihood=[("town", Categorical(min_frequency=5), ["town"])]).fit(frame)
    assert model._names_of(model._fitted.table)[:3] == ["town=Bonn", "town=Ulm", "town=infrequent"]
    drawn = model.sample(20_000, random_state=0)["town"].value_counts(normalize=True)
    assert drawn["Kiel"] == pytest.approx(3 / 204, rel=0.3)
    assert drawn["Trier"] == pytest.approx(1 / 204, rel=0.5)
    new = frame[:2].assign(town=["Paris", "Kiel"])
    assert np.isfinite(model.score_samples(new)).all()
    assert set(model.inverse_transform(model.transform(frame))["town"]) <= {"Ulm", "Bonn", "Kiel"}


def test_largest_number_of_categories():
    frame = pd.DataFrame({"town": np.repeat(list("abcdef"), range(10, 70, 10))})
    model = make(n_components=1, likelihood=Categorical(max_categories=3)).fit(frame)
    assert model._names_of(model._fitted.table) == ["town=e", "town=f", "town=infrequent"]


def test_unknown_levels():
    frame = FRAME[["sex", "rooms", "weight"]]
    model = make().fit(frame)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=r"Column 'sex' holds 'other' in row 1, .* 'male'"):
        model.transform(frame[:3].assign(sex=["male", "other", "female"]))
    assert pickle.dumps(model) == before
    # A number counts as the nearest level.
    near = frame[:1].assign(rooms=pd.array([9], dtype="Int64"))
    last = frame[:1].assign(rooms=pd.array([4], dtype="Int64"))
    np.testing.assert_array_equal(model.transform(near), model.transform(last))


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
    "gap": (
        FRAME.assign(sex=FRAME["sex"].where(FRAME["weight"] > 60)),
        "'sex' has .* missing cells",
    ),
    "NaN": (
        FRAME.assign(price=np.where(FRAME["price"] > 2, FRAME["price"], np.nan)),
        "'price' has",
    ),
    "infinity": (FRAME.assign(price=np.inf), "Column 'price' holds infinity, first in row 0"),
    "NaT": (FRAME.assign(when=pd.NaT), "'when' has 240 missing cells"),
    "names": (
        FRAME.assign(name=[f"n{i}" for i in range(N)]),
        r"Column 'name' holds 240 different strings.*Drop it.*max_categories.*encode",
    ),
    "lists": (FRAME.assign(one=[[1]] * N), "'one' holds values of type list"),
    "two types": (FRAME.assign(one=[1, "a"] * (N // 2)), "'one' holds values of type int, str"),
    "time spans": (FRAME.assign(one=pd.to_timedelta(1, unit="h")), "'one' is of type timedelta64"),
    "decimals": (pl.DataFrame({"a": [1.0, 2.5] * 9}).cast(pl.Decimal(9, 1)), "is of type Decimal"),
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
