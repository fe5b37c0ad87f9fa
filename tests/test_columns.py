"""Likelihoods by columns: which is chosen, where it starts, and rare levels."""

import pickle

import numpy as np
import pandas as pd
import pytest
from mixed import FRAME, N, draws, make
from scipy.stats import ks_2samp
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.datasets import load_iris, load_wine
from sklearn.preprocessing import OneHotEncoder

from skvae.likelihoods import (
    Categorical,
    Columns,
    Gaussian,
    LogNormal,
    NegativeBinomial,
    Ordinal,
    StudentT,
)
from skvae.starts import prepare

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
    model = make(likelihood=[("sex", Categorical(handle_unknown="error"), ["sex"])]).fit(frame)
    before = pickle.dumps(model)
    message = r"Column 'sex' holds 'other' in row 2, .* 'male'.*handle_unknown='missing'"
    with pytest.raises(ValueError, match=message):
        model.transform(frame[:3].assign(sex=["male", None, "other"]))
    assert pickle.dumps(model) == before
    # A number counts as the nearest level.
    near = frame[:1].assign(rooms=pd.array([9], dtype="Int64"))
    last = frame[:1].assign(rooms=pd.array([4], dtype="Int64"))
    np.testing.assert_array_equal(model.transform(near), model.transform(last))
