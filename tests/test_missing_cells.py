"""Tables with missing cells: read as numbers with NaN, and written as the gaps they were."""

import datetime
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from mixed import FRAME, N, draws, in_polars

from skvae import VariationalAutoencoder
from skvae.estimators._read import _named, _select
from skvae.likelihoods import Categorical, Columns, Gaussian, Nonparanormal, Ordinal
from skvae.nn import ACTIVATIONS
from skvae.tables import read_raw_table, write_columns

GAP = np.arange(N) % 4 == 1
LEVELS = np.resize(["a", "b", "c"], N).tolist()
DAYS = pd.date_range("2024-03-01", periods=N, freq="h")
NUMBERS = draws().standard_normal(N)


def gapped(cells, null=None):
    return [null if gap else cell for cell, gap in zip(cells, GAP, strict=True)]


def read(X, columns=(), weight=None):
    """Source, likelihood and table of a fit to X."""
    source = read_raw_table(X)
    return source, *Columns(columns).resolve(partial(_select, X), source, _named, weight)


def numbers_of(source, table):
    """Encoded numbers, and what a model could make of them: no gaps."""
    numbers = table.encode(source)
    return numbers, np.nan_to_num(numbers)


def there_and_back(X, columns=()):
    source, _, table = read(X, columns)
    numbers, decoded = numbers_of(source, table)
    return table.decode(decoded, missing=table.missing(numbers))


PANDAS = {
    "object": pd.Series(gapped(LEVELS), dtype=object),
    "str": pd.Series(gapped(LEVELS)),
    "string": pd.Series(gapped(LEVELS), dtype="string"),
    "category": pd.Series(pd.Categorical(gapped(LEVELS), list("dabc"))),
    "ordered": pd.Series(pd.Categorical(gapped(LEVELS), list("dabc"), ordered=True)),
    "boolean": pd.Series(gapped([True, False] * (N // 2)), dtype="boolean"),
    "flags": pd.Series(gapped([True, False] * (N // 2)), dtype=object),
    "Int64": pd.Series(gapped(range(N)), dtype="Int64"),
    "few Int64": pd.Series(gapped(np.resize([1, 2, 3], N)), dtype="Int64"),
    "UInt8": pd.Series(gapped(range(N)), dtype="UInt8"),
    "float64": pd.Series(gapped(NUMBERS, np.nan)),
    "float32": pd.Series(gapped(NUMBERS, np.nan), dtype="float32"),
    "Float64": pd.Series(gapped(NUMBERS), dtype="Float64"),
    "dates": pd.Series(gapped(DAYS)),
    "zoned": pd.Series(gapped(DAYS.tz_localize("Europe/Berlin"))),
    "no objects": pd.Series([None] * N, dtype=object),
    "no strings": pd.Series([None] * N, dtype="string"),
    "no floats": pd.Series([np.nan] * N),
    "no Int64": pd.Series([None] * N, dtype="Int64"),
    "no categories": pd.Series(pd.Categorical([None] * N, ["x", "y"])),
    "no dates": pd.Series([pd.NaT] * N),
    "no zoned": pd.Series([pd.NaT] * N).dt.tz_localize("UTC"),
    "no time spans": pd.Series([None] * N, dtype="timedelta64[ns]"),
}

POLARS = {
    "String": pl.Series(gapped(LEVELS)),
    "Boolean": pl.Series(gapped([True, False] * (N // 2))),
    "Enum": pl.Series(gapped(LEVELS), dtype=pl.Enum(list("dabc"))),
    "Categorical": pl.Series(gapped(LEVELS), dtype=pl.Categorical),
    "Int64": pl.Series(gapped(range(N))),
    "UInt8": pl.Series(gapped(range(N)), dtype=pl.UInt8),
    "Float32": pl.Series(gapped(NUMBERS.tolist()), dtype=pl.Float32),
    "Float64": pl.Series(gapped(NUMBERS.tolist())),
    "Date": pl.Series(gapped([datetime.date(2024, 1, 1 + i % 31) for i in range(N)])),
    "Datetime": pl.Series(gapped(DAYS.to_pydatetime())).dt.replace_time_zone("UTC"),
    "no Int8": pl.Series([None] * N, dtype=pl.Int8),
    "no Date": pl.Series([None] * N, dtype=pl.Date),
    "no Datetime": pl.Series([None] * N, dtype=pl.Datetime("ms", "UTC")),
    "no Enum": pl.Series([None] * N, dtype=pl.Enum(["x"])),
    "no Boolean": pl.Series([None] * N, dtype=pl.Boolean),
    "no Duration": pl.Series([None] * N, dtype=pl.Duration("us")),
    "Null": pl.Series([None] * N),
}


@pytest.mark.parametrize("series", PANDAS.values(), ids=PANDAS.keys())
def test_gaps_of_pandas_come_back(series):
    frame = pd.DataFrame({"one": series, "other": NUMBERS})
    pd.testing.assert_frame_equal(there_and_back(frame), frame)


@pytest.mark.parametrize("series", POLARS.values(), ids=POLARS.keys())
def test_gaps_of_polars_come_back(series):
    table = pl.DataFrame({"one": series, "other": NUMBERS})
    back = there_and_back(table)
    assert back.schema == table.schema
    assert back.equals(table)


def test_nan_of_polars_comes_back_as_null():
    table = pl.DataFrame({"one": gapped(NUMBERS.tolist(), float("nan"))})
    assert there_and_back(table).equals(table.fill_nan(None))


@pytest.mark.parametrize("null", [None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT")], ids=repr)
def test_gaps_of_objects_come_back_as_none(null):
    cells = [gapped(LEVELS, null), gapped(NUMBERS, null), gapped([True] * N, null), [null] * N]
    X = np.empty((N, 4), dtype=object)
    X[:] = np.array(cells, dtype=object).T
    expected = np.where(np.column_stack([GAP, GAP, GAP, np.ones(N, dtype=bool)]), None, X)
    np.testing.assert_array_equal(there_and_back(X), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaps_of_arrays_come_back_as_nan(dtype):
    X = np.column_stack([gapped(NUMBERS, np.nan), NUMBERS, np.full(N, np.nan)]).astype(dtype)
    back = there_and_back(X)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, X)


# ------------------------------------------------------------------ encoding


NULLABLE = FRAME.convert_dtypes()
MORE = 60


@pytest.mark.parametrize(
    ("table", "longer"),
    [
        (NULLABLE, NULLABLE.reindex(range(N + MORE))),
        (in_polars(FRAME), pl.concat([in_polars(FRAME), in_polars(FRAME).clear(MORE)])),
    ],
    ids=["pandas", "polars"],
)
def test_columns_are_read_by_the_cells_that_are_there(table, longer):
    columns = [("pooled", Categorical(min_frequency=100), ["sex", "town"])]
    columns += [("scores", Nonparanormal(), ["weight", "price"])]
    weight = np.resize([1.0, 2.0, 3.0], N + MORE)
    source, likelihood, expected = read(table, columns, weight[:N])
    with_gaps, found, other = read(longer, columns, weight)
    assert repr(found.chosen) == repr(likelihood.chosen)
    assert repr(other) == repr(expected)
    numbers = other.encode(with_gaps)
    np.testing.assert_array_equal(numbers[:N], expected.encode(source))
    assert np.isnan(numbers[N:]).all()
    assert other.missing(numbers).sum() == MORE * len(source.names)
    assert not other.missing(numbers)[:N].any()


@pytest.mark.parametrize("table", [NULLABLE, in_polars(FRAME)], ids=["pandas", "polars"])
def test_columns_may_be_missing_entirely_in_later_rows(table):
    _, _, fitted = read(table)
    if isinstance(table, pd.DataFrame):
        rows = [table.reindex([-1, -2]), pd.DataFrame(index=[0, 1], columns=table.columns)]
    else:
        rows = [table.clear(2), pl.DataFrame({name: [None, None] for name in table.columns})]
    for later in rows:
        numbers = fitted.encode(read_raw_table(later))
        assert np.isnan(numbers).all()
        decoded = fitted.decode(np.zeros_like(numbers), missing=fitted.missing(numbers))
        assert [*decoded.dtypes] == [*table.dtypes]


@pytest.mark.parametrize("likelihood", [Categorical(), Ordinal(), Nonparanormal(), None])
def test_columns_without_a_cell_at_fit_are_numbers_of_which_nothing_is_known(likelihood):
    frame = pd.DataFrame({"none": pd.Series([None] * N, dtype=object), "other": NUMBERS})
    columns = [] if likelihood is None else [("empty", likelihood, ["none"])]
    _, found, table = read(frame, columns)
    chosen = {name: own for _, own, names in found.chosen.columns for name in names}
    kept = likelihood if isinstance(likelihood, Nonparanormal) else Gaussian(noise="feature")
    assert repr(chosen["none"]) == repr(kept)
    assert table.number_names.count("none") == 1
    later = read_raw_table(pd.DataFrame({"none": ["new", None], "other": [1.0, 2.0]}))
    numbers = table.encode(later)
    assert table.missing(numbers).tolist() == [[True, False], [True, False]]
    assert table.decode(np.zeros_like(numbers))["none"].tolist() == [None, None]
    assert table.decode(np.zeros_like(numbers), given=later)["none"].to_list()[0] == "new"


def test_rows_that_are_dropped_may_leave_a_column_without_cells():
    frame = pd.DataFrame({"one": gapped(LEVELS), "other": NUMBERS})
    source = read_raw_table(frame).take(GAP)
    _, table = Columns().resolve(partial(_select, frame), source, _named)
    assert table.missing(table.encode(source)).tolist() == [[True, False]] * int(GAP.sum())


@pytest.mark.parametrize("likelihood", [Categorical, Ordinal])
def test_unknown_levels_are_missing_or_an_error(likelihood):
    kind = pd.CategoricalDtype(["low", "mid", "high", "top"], ordered=True)
    frame = pd.DataFrame({"grade": pd.Series(np.resize(["low", "mid", "high"], N), dtype=kind)})
    later = read_raw_table(pd.DataFrame({"grade": pd.Series(["mid", None, "top"], dtype=kind)}))
    _, _, table = read(frame, [("grade", likelihood(), ["grade"])])
    assert table.missing(table.encode(later)).ravel().tolist() == [False, True, True]
    _, _, strict = read(frame, [("grade", likelihood(handle_unknown="error"), ["grade"])])
    with pytest.raises(ValueError, match=r"holds 'top' in row 2, .*handle_unknown='missing'"):
        strict.encode(later)


def test_unknown_levels_count_as_pooled_but_missing_ones_do_not():
    frame = pd.DataFrame({"town": ["Ulm"] * 20 + ["Bonn"] * 20 + ["Kiel", "Trier"]})
    pooled = Categorical(min_frequency=5, handle_unknown="error")
    _, _, table = read(frame, [("town", pooled, ["town"])])
    numbers = table.encode(read_raw_table(pd.DataFrame({"town": ["Paris", "Kiel", None]})))
    np.testing.assert_array_equal(numbers, [[0, 0, 1], [0, 0, 1], [np.nan] * 3])


def test_numbers_that_are_levels_may_be_missing():
    _, _, table = read(FRAME[["rooms", "weight"]])
    later = pd.DataFrame({"rooms": pd.array([1, None, 99], dtype="Int64"), "weight": 70.0})
    assert table.encode(read_raw_table(later))[:, table.starts[0]].tolist()[::2] == [0.0, 3.0]
    assert table.missing(table.encode(read_raw_table(later)))[:, 0].tolist() == [False, True, False]


def test_log_jacobian_counts_observed_cells():
    X = np.expm1(np.abs(draws().standard_normal((600, 2))))
    source, _, table = read(X, [("scores", Nonparanormal(), slice(None))])
    numbers = table.encode(source)
    each = [table.log_jacobian(numbers, np.eye(2)[[j] * 600]) for j in range(2)]
    np.testing.assert_allclose(each[0] + each[1], table.log_jacobian(numbers))
    one = table.encode(read_raw_table(np.where([True, False], X, np.nan)))
    np.testing.assert_array_equal(table.log_jacobian(one, ~np.isnan(one)), each[0])


# ------------------------------------------------------------------ writing


@pytest.mark.parametrize("cells", [range(N), [True, False] * (N // 2)], ids=["int64", "bool"])
def test_types_without_gaps_become_what_pandas_makes_of_them(cells):
    frame = pd.DataFrame({"one": list(cells), "other": NUMBERS})
    source, _, table = read(frame)
    missing = np.column_stack([GAP, ~GAP])
    back = table.decode(table.encode(source), missing=missing)
    expected = pd.Series(gapped(cells))
    assert back["one"].dtype == expected.dtype
    assert back["one"].equals(expected)
    pd.testing.assert_frame_equal(table.decode(table.encode(source)), frame)


@pytest.mark.parametrize("table", [NULLABLE, in_polars(FRAME)], ids=["pandas", "polars"])
def test_given_cells_are_as_they_were(table):
    source, _, fitted = read(table)
    assert fitted.decode(np.zeros((N, fitted.width)), given=source).equals(table)


def test_given_cells_go_before_missing_ones_and_the_rest_is_decoded():
    source, _, table = read(FRAME[["weight", "sex"]])
    later = read_raw_table(
        pd.DataFrame({"weight": [np.nan, 70.5, np.nan], "sex": ["male", None, None]})
    )
    missing = np.array([[False, True], [True, True], [True, False]])
    rows = table.decode(table.encode(source)[:3], missing=missing, given=later)
    decoded = FRAME[["weight", "sex"]][:3]
    assert rows["weight"].tolist()[:2] == [decoded["weight"][0], 70.5]
    assert rows["sex"].tolist()[::2] == ["male", decoded["sex"][2]]
    assert rows.isna().to_numpy().tolist() == [[False, False], [False, True], [True, False]]


UNKNOWN = {
    "object": pd.Series(LEVELS, dtype=object),
    "string": pd.Series(LEVELS, dtype="string"),
    "category": pd.Series(LEVELS, dtype="category"),
    "Enum": pl.Series(LEVELS, dtype=pl.Enum(list("abc"))),
    "String": pl.Series(LEVELS),
}


@pytest.mark.parametrize("series", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_given_levels_may_be_new(series):
    frame = pd.DataFrame if isinstance(series, pd.Series) else pl.DataFrame
    _, _, table = read(frame({"one": series}))
    rows = table.decode(np.eye(3), given=read_raw_table(frame({"one": ["new", None, "b"]})))
    assert rows["one"].to_list()[::2] == ["new", "b"]
    assert rows["one"][1] in LEVELS
    assert type(rows["one"].dtype) is type(series.dtype)


@pytest.mark.parametrize("value", [2.5, -1.0, 300.0])
@pytest.mark.parametrize("dtype", ["uint8", "UInt8", pl.UInt8], ids=str)
def test_given_numbers_are_not_bent_to_the_type_of_fit(dtype, value):
    is_polars = dtype is pl.UInt8
    frame, column = (pl.DataFrame, pl.Series) if is_polars else (pd.DataFrame, pd.Series)
    _, _, table = read(frame({"one": column(list(range(N)), dtype=dtype)}))
    given = read_raw_table(frame({"one": [value, 7.0]}))
    assert table.decode(np.zeros((2, 1)), given=given)["one"].to_list() == [value, 7.0]


GIVEN = {
    "numbers": [0.0, 1.5],
    "levels": ["", "b"],
    "flags": [False, True],
    "dates": [datetime.datetime(2024, 1, 2, 3), datetime.datetime(2024, 1, 3)],
}


@pytest.mark.parametrize("cells", GIVEN.values(), ids=GIVEN.keys())
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_columns_without_a_cell_at_fit_take_given_ones(frame, cells):
    _, _, table = read(frame({"none": [None] * N, "other": NUMBERS}))
    later = frame({"none": cells, "other": [1.0, 2.0]})
    rows = table.decode(np.zeros((2, 2)), given=read_raw_table(later))
    assert rows["none"].to_list() == later["none"].to_list()


def test_gaps_in_frames_of_the_other_library():
    names = ["visits", "sex", "when", "member", "weight"]
    source, _, table = read(FRAME[names])
    missing = np.resize([False, True], (N, 1)) & np.ones(5, dtype=bool)
    numbers = table.encode(source)
    rows = table.decode(numbers, library="polars", missing=missing)
    assert rows.schema == dict(
        zip(names, [pl.Int64, pl.String, pl.Datetime("us"), pl.Boolean, pl.Float64], strict=True)
    )
    assert [*rows.null_count().row(0)] == [N // 2] * 5
    other = pl.DataFrame({name: list(FRAME[name]) for name in names})
    _, _, table = read(other)
    rows = table.decode(numbers, library="pandas", missing=missing)
    assert [*rows.isna().sum()] == [N // 2] * 5
    assert [dtype.kind for dtype in rows.dtypes] == ["f", "O", "M", "O", "f"]


def test_missing_numbers_are_null_in_polars():
    rows = write_columns([np.array([1.0, np.nan]), np.array([np.nan, 2.0])], ["a", "b"], "polars")
    assert rows.rows() == [(1.0, None), (None, 2.0)]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gap_among_many_complete_rows(activation):
    """Rows for which the network's constants go into one product, which a gap has to leave."""
    X = draws().standard_normal((2000, 3)) @ draws().standard_normal((3, 6))
    holed = X.copy()
    holed[7, 2] = np.nan
    vae = VariationalAutoencoder(
        2, activation=activation, max_iter=2, early_stopping=False, random_state=0
    ).fit(X)
    Z = vae.transform(holed)
    assert np.isfinite(Z).all()
    np.testing.assert_allclose(Z[7], vae.transform(holed[7:8])[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.delete(Z, 7, 0), np.delete(vae.transform(X), 7, 0), atol=1e-4)
