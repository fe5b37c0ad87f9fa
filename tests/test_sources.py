"""Sources are rows like any others, read from where they lie, piece by piece."""

import inspect
import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from walking import (
    ESTIMATORS,
    FITS,
    LABELS,
    X,
    arguments,
    bits,
    fits,
    fitted,
    fitting,
    outcomes,
    reads,
    small,
)

from skvae import (
    Autoencoder,
    CanonicalCorrelatedAutoencoder,
    VAEImputer,
    VAEOutlierDetector,
    VariationalAutoencoder,
)
from skvae._core import sources as core
from skvae._core.sources import Picked, Rest, Stored
from skvae.callbacks import Checkpoint
from skvae.fitting import _fit
from skvae.sources import Feather, Parquet, Sliced, Source, Zarr
from skvae.tables import _blocks, _rows
from skvae.tables._rows import Rows, shuffled_pieces

# Few epochs keep these tests short, so training is rarely done when max_iter ends.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Kept(Source):
    """Rows of an array, in pieces of uneven sizes, that counts what is read of them."""

    def __init__(self, array, edges=None, names=None):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        n = len(array)
        self.edges = np.unique([0, n // 7, n // 3, n // 2, n]) if edges is None else edges
        self.feature_names, self.n_read = names, 0

    def read(self, start, stop):
        self.n_read += stop - start
        return self.array[start:stop]


@pytest.fixture
def tiny(monkeypatch):
    """Nothing is kept in memory as a whole: a table of some rows is what one of 20 GB is."""
    monkeypatch.setattr(_rows, "_RESIDENT_CELLS", 0)
    monkeypatch.setattr(core, "PIECE_CELLS", 16)
    monkeypatch.setattr(core, "KEPT_BYTES", 2048)
    monkeypatch.setattr(_rows, "KEPT_BYTES", 2048)
    monkeypatch.setattr(_blocks, "BLOCK_CELLS", 64)
    monkeypatch.setattr(_rows, "BLOCK_CELLS", 64)


def table(n=300, d=6, seed=0):
    rng = np.random.RandomState(seed)
    return rng.standard_normal((n, 2)) @ rng.standard_normal((2, d)) + 0.3 * rng.randn(n, d)


# ------------------------------------------------------------------ every estimator

# What they give or need is as large as the table.
REFUSED = {
    (VariationalAutoencoder, "impute"),
    (Autoencoder, "impute"),
    (VAEOutlierDetector, "explain"),
    (VAEOutlierDetector, "fit"),
    (VAEOutlierDetector, "fit_predict"),
}


def as_source(array):
    return Kept(array) if array is X else array


@pytest.mark.parametrize(("estimator", "name"), FITS)
def test_every_method_takes_a_source_or_refuses_it(estimator, name):
    """A table that fits in memory is converted whole, so that the fit is the array's to the bit."""
    model, y = fits(estimator)[name]
    expected = dict(outcomes(fitted(estimator, name), y))
    if (estimator, "fit") in REFUSED:
        model.fit(X)
    else:
        model.fit(Kept(X), y)
    found = {}
    for key in expected:
        method = getattr(model, key, None)
        if (estimator, key) in REFUSED:
            with pytest.raises(ValueError, match=r"Got a Kept of 40 rows\. Give"):
                method(Kept(X))
            continue
        names = [key] if method is not None else []
        found |= dict(outcomes(model, y, names=names, convert=as_source))
    assert {(estimator, key) for key in expected.keys() - found.keys()} <= REFUSED
    assert [key for key in found if bits(found[key]) != bits(expected[key])] == []


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_fit_takes_a_source_or_refuses_it(estimator):
    for method in fitting(estimator):
        y = next(iter(fits(estimator).values()))[1]
        model, other = (next(iter(fits(estimator).values()))[0] for _ in range(2))
        call = getattr(model, method)
        given = arguments(call, model, y, as_source)
        if (estimator, method) in REFUSED:
            with pytest.raises(ValueError, match=r"up to 20 rounds.* Got a Kept of 40 rows\. Fit"):
                call(**given)
            assert not hasattr(model, "n_features_in_")
            continue
        call(**given)
        getattr(other, method)(**arguments(call, other, y))
        assert bits(reads(model)(X)) == bits(reads(other)(X))


def test_imputer_refuses_a_source():
    imputer = VAEImputer(small(VariationalAutoencoder), n_components=1)
    with pytest.raises(ValueError, match="Fit a VariationalAutoencoder to it"):
        imputer.fit(Kept(X))
    imputer.fit(X)
    for call in (imputer.transform, imputer.fit_transform):
        with pytest.raises(ValueError, match="Got a Kept of 40 rows"):
            call(Kept(X))


@pytest.mark.parametrize("likelihood", ["auto", "categorical", [("all", "poisson", [0, 1])]])
def test_likelihood_by_columns_refuses_a_source(likelihood):
    with pytest.raises(ValueError, match="one likelihood for all columns"):
        small(VariationalAutoencoder, likelihood=likelihood).fit(Kept(X))


def test_given_cells_are_no_source():
    with pytest.raises(ValueError, match="given are cells of few rows"):
        fitted(VariationalAutoencoder, "plain").sample(given=Kept(X))


# ------------------------------------------------------------------ larger than memory


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("estimator", [VariationalAutoencoder, Autoencoder])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_start_is_the_arrays(estimator, weighted):
    """The moments are sums over blocks, which add up in another order only."""
    rows = table()
    weight = np.arange(len(rows)) % 3.0 if weighted else None
    ours = estimator(3, max_iter=0).fit(Kept(rows), sample_weight=weight)
    theirs = estimator(3, max_iter=0).fit(rows, sample_weight=weight)
    np.testing.assert_allclose(ours.transform(Kept(rows)), theirs.transform(rows), atol=1e-5)
    np.testing.assert_allclose(ours.score(Kept(rows)), theirs.score(rows), rtol=1e-6)
    assert ours.n_samples_ == theirs.n_samples_


def curved(n):
    """Rows on a parabola, sorted along it, that no line comes near."""
    t = np.linspace(-3, 3, n)[:, None]
    return np.hstack([t, t**2]) + 0.1 * np.random.RandomState(0).standard_normal((n, 2))


@pytest.mark.usefixtures("tiny")
def test_training_by_pieces_beats_the_start_on_sorted_rows():
    rows = curved(2000)
    model = VariationalAutoencoder(1, hidden_layer_sizes=(32,), max_iter=20, random_state=0)
    start = model.set_params(max_iter=0).fit(rows).score(rows)
    in_memory = model.set_params(max_iter=20).fit(rows).score(rows)
    by_pieces = model.fit(Kept(rows, edges=np.arange(0, 2001, 50))).score(rows)
    assert by_pieces > start + 0.5 * (in_memory - start)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("estimator", [VariationalAutoencoder, CanonicalCorrelatedAutoencoder])
def test_a_fit_is_the_same_each_time(estimator):
    y = None if estimator is VariationalAutoencoder else LABELS
    first, second = (reads(small(estimator).fit(Kept(X), y))(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.usefixtures("tiny")
def test_stream_of_sources():
    rows = table()
    model = VariationalAutoencoder(2, random_state=0)
    for part in np.split(rows, 3):
        model.partial_fit(Kept(part))
    assert model.n_samples_ == len(rows)
    assert np.isfinite(model.score(Kept(rows)))


@pytest.mark.usefixtures("tiny")
def test_gaps_of_a_source_are_gaps():
    rows = table()
    rows[np.random.RandomState(1).rand(*rows.shape) < 0.1] = np.nan
    ours = VariationalAutoencoder(2, max_iter=0).fit(Kept(rows))
    theirs = VariationalAutoencoder(2, max_iter=0).fit(rows)
    np.testing.assert_allclose(ours.transform(Kept(rows)), theirs.transform(rows), atol=1e-4)
    assert np.isnan(ours.sample(200, missing=True, random_state=0)).any()


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("likelihood", ["poisson", "bernoulli", "log_normal"])
def test_domain_is_checked_block_by_block(likelihood):
    counts = np.random.RandomState(0).randint(0, 2, (300, 4)).astype(float)
    rows = counts + 1.0 if likelihood == "log_normal" else counts
    VariationalAutoencoder(2, likelihood=likelihood, max_iter=1).fit(Kept(rows))
    rows[250, 1] = -0.5
    with pytest.raises(ValueError, match=r"column 1|-0\.5"):
        VariationalAutoencoder(2, likelihood=likelihood, max_iter=1).fit(Kept(rows))


def test_memory_does_not_grow_with_the_table(monkeypatch):
    """NumPy's share of it: 24 MB are fitted to in half of that or less."""
    monkeypatch.setattr(_rows, "_RESIDENT_CELLS", 0)
    for module in (core, _rows):
        monkeypatch.setattr(module, "KEPT_BYTES", 2**20)
    for module in (_blocks, _rows):
        monkeypatch.setattr(module, "BLOCK_CELLS", 2**15)
    monkeypatch.setattr(core, "PIECE_CELLS", 2**13)
    monkeypatch.setattr(_blocks, "_HELD_ROWS", 1000)

    class Made(Source):
        shape, dtype = (200_000, 30), np.dtype(np.float32)

        def read(self, start, stop):
            return np.sin(np.arange(start, stop, dtype=np.float32)[:, None] + 0.7 * np.arange(30))

    model = VariationalAutoencoder(
        2, hidden_layer_sizes=(8,), batch_size=4096, max_iter=1, random_state=0
    )
    model.fit(Made()[:1000])
    tracemalloc.start()
    model.fit(Made())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000 * 30 * 4 / 2


# ------------------------------------------------------------------ the order of rows


def epoch(edges, n_batches, seed=0):
    return list(shuffled_pieces(edges, 100, n_batches, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("edges", [[0, 1000], [0, 3, 500, 501, 1000], range(0, 1001, 10)])
@pytest.mark.parametrize("n_batches", [1, 7, 1000])
def test_each_row_comes_once_in_batches_of_nearly_equal_size(edges, n_batches, monkeypatch):
    monkeypatch.setattr(_rows, "KEPT_BYTES", 20_000)
    batches = epoch(np.asarray(edges), n_batches)
    sizes = {len(batch) for batch in batches}
    assert len(batches) == n_batches
    assert max(sizes) - min(sizes) <= 1
    np.testing.assert_array_equal(torch.cat(batches).sort().values, np.arange(1000))


def test_order_is_the_generators_which_moves_once():
    edges = np.arange(0, 1001, 10)
    first, again, other = epoch(edges, 7), epoch(edges, 7), epoch(edges, 7, seed=1)
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    next(shuffled_pieces(edges, 100, 7, generators[0]))
    list(shuffled_pieces(edges, 100, 7, generators[1]))
    assert torch.equal(*(torch.randn(3, generator=generator) for generator in generators))


def test_batches_mix_many_pieces():
    first = epoch(np.arange(0, 100_001, 100), 1000)[0]
    assert len((first // 100).unique()) > 40


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("held", [[], [0, 5, 299]], ids=["all rows", "some left out"])
def test_each_row_is_read_once_in_an_epoch(held):
    source = Kept(table(), edges=np.arange(0, 301, 10))
    stored = Stored(source, np.float64)
    X = Picked(stored, Rest(np.array(held, dtype=int), 300)) if held else stored
    view = VariationalAutoencoder(2, max_iter=0).fit(source.array)._fitted.view
    stored.is_complete = True
    rows = Rows(X, None, view, torch.float64, torch.device("cpu"))
    source.n_read = 0
    for index in rows.epoch(16, torch.Generator().manual_seed(0)):
        expected = view.targets(source.array[np.setdiff1d(np.arange(300), held)[index]])
        np.testing.assert_allclose(rows.take(index).target, expected)
    assert source.n_read == 300


def test_rows_that_are_kept_are_bounded(monkeypatch):
    monkeypatch.setattr(core, "PIECE_CELLS", 16)
    monkeypatch.setattr(core, "KEPT_BYTES", 4096)
    stored = Stored(Kept(table(2000), edges=np.arange(0, 2001, 8)), np.float64)
    for index in np.random.RandomState(0).randint(0, 2000, (50, 20)):
        np.testing.assert_array_equal(stored[index], stored.source.array[index])
        assert sum(piece.nbytes for piece in stored._kept.values()) == stored._n_bytes <= 4096


def test_rest_is_all_rows_but_some():
    rng = np.random.RandomState(0)
    for n_left_out in (0, 1, 50, 99):
        left_out = np.sort(rng.choice(100, n_left_out, replace=False))
        rest, expected = Rest(left_out, 100), np.setdiff1d(np.arange(100), left_out)
        assert len(rest) == len(expected)
        np.testing.assert_array_equal(rest[:], expected)
        np.testing.assert_array_equal(rest[5 : len(rest) // 2], expected[5 : len(rest) // 2])
        edges = np.array([0, 13, 50, 100])
        np.testing.assert_array_equal(rest.position(edges), np.searchsorted(expected, edges))


def test_held_out_rows_of_a_large_source_are_few(monkeypatch):
    monkeypatch.setattr(_blocks, "_HELD_ROWS", 20)
    most = _blocks.most_held(Stored(Kept(table()), np.float64))
    training, held = _fit.split(300, 0.1, np.random.RandomState(0), most)
    assert len(held) == 20
    assert sorted([*training[:], *held]) == list(range(300))
    assert _blocks.most_held(table()) is None


# ------------------------------------------------------------------ what users do with one

INDICES = [
    slice(None),
    slice(3, 30),
    slice(30, 3),
    slice(35, 2, -4),
    slice(-5, None),
    [0, 39, 7, 7],
    [-1, 2],
    np.arange(40) % 3 == 0,
    [],
]


@pytest.mark.parametrize("rows", INDICES, ids=str)
def test_a_source_is_indexed_like_an_array(rows):
    rows = np.array(rows, dtype=int) if isinstance(rows, list) else rows
    for array in (X, X.astype(np.int32), X.astype(np.float32)):
        np.testing.assert_array_equal(Kept(array)[rows], array[rows], strict=True)


def test_one_row_and_rows_beyond():
    np.testing.assert_array_equal(Kept(X)[-2], X[-2])
    assert len(Kept(X)) == 40
    for rows in (40, [-41], [0, 40]):
        with pytest.raises(IndexError, match="There are 40 rows"):
            Kept(X)[rows]


def test_no_array_is_made_of_a_source_unasked():
    for call in (np.asarray, LogisticRegression().fit):
        with pytest.raises(TypeError, match="Give rows of it"):
            call(Kept(X), *[LABELS[:, 0]] * (call is not np.asarray))


def test_splits_of_a_source_are_arrays():
    train, test = train_test_split(Kept(X), random_state=0)
    expected = train_test_split(X, random_state=0)
    np.testing.assert_array_equal(train, expected[0])
    np.testing.assert_array_equal(test, expected[1])


@pytest.mark.parametrize(
    ("cell", "estimator", "message"),
    [
        (np.inf, VariationalAutoencoder, "infinity, first in row 23, feature 4"),
        (-np.inf, CanonicalCorrelatedAutoencoder, "infinity, first in row 23, feature 4"),
        (np.nan, CanonicalCorrelatedAutoencoder, "NaN, first in row 23, feature 4"),
    ],
)
def test_cells_that_must_not_be_are_found(cell, estimator, message):
    bad, y = X.copy(), LABELS if estimator is CanonicalCorrelatedAutoencoder else None
    bad[23, 4] = cell
    model = small(estimator).fit(Kept(X), y)
    before = model.transform(X)
    for call in (lambda: model.fit(Kept(bad), y), lambda: model.transform(Kept(bad))):
        with pytest.raises(ValueError, match=message):
            call()
    np.testing.assert_array_equal(model.transform(X), before)


def test_numbers_whose_sum_overflows_are_no_infinity():
    large = np.full((40, 5), 1e38, np.float32) * np.linspace(0.5, 1, 40, dtype=np.float32)[:, None]
    stored = Stored(Kept(large), np.float32, is_checked=True)
    stored.survey()
    assert stored.is_complete


def test_what_a_source_says_is_checked():
    model = small(VariationalAutoencoder).fit(X)
    with pytest.raises(ValueError, match="X has 4 features"):
        model.transform(Kept(X[:, :4]))
    with pytest.raises(ValueError, match="minimum of 2 is required by VariationalAutoencoder"):
        model.fit(Kept(X[:1], edges=[0, 1]))
    with pytest.raises(ValueError, match=r"edges of Kept must rise from 0 to its 40 rows"):
        model.fit(Kept(X, edges=[0, 30]))
    short = Kept(X)
    short.read = lambda start, stop: X[start : stop - 1]
    with pytest.raises(ValueError, match=r"Kept.read\(0, .*must give an array of shape"):
        model.fit(short)


def test_names_of_features_are_remembered_and_compared():
    names = ["a", "b", "c", "d", "e"]
    model = small(VariationalAutoencoder).fit(Kept(X, names=names))
    assert list(model.feature_names_in_) == names
    model.transform(Kept(X, names=names))
    with pytest.raises(ValueError, match="Got 'z' as feature 4, which was 'e'"):
        model.transform(Kept(X, names=["a", "b", "c", "d", "z"]))
    assert not hasattr(model.fit(Kept(X)), "feature_names_in_")


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.uint8, bool])
def test_results_have_the_type_that_an_arrays_have(dtype):
    rows = (10 * np.abs(table())).astype(dtype)
    ours = VariationalAutoencoder(2, max_iter=0).fit(Kept(rows))
    theirs = VariationalAutoencoder(2, max_iter=0).fit(rows)
    assert ours.components_.dtype == theirs.components_.dtype
    np.testing.assert_allclose(
        ours.transform(Kept(rows)), theirs.transform(rows), atol=1e-4, strict=True
    )


def test_checkpoint_tells_one_source_from_another(tmp_path):
    model = small(VariationalAutoencoder).set_callbacks(Checkpoint(tmp_path / "fit"))
    expected = small(VariationalAutoencoder).fit(X).transform(X)
    for _ in range(2):
        np.testing.assert_array_equal(model.fit(Kept(X)).transform(X), expected)
    with pytest.raises(ValueError, match="is of a fit to another X"):
        model.fit(Kept(X + 1.0))


def test_nothing_of_the_source_is_kept():
    model = small(VariationalAutoencoder).fit(Kept(X))
    assert b"Kept" not in pickle.dumps(model)


# ------------------------------------------------------------------ adapters


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_sliced_reads_a_memory_map(tmp_path, dtype):
    rows = (10 * table()).astype(dtype)
    np.save(tmp_path / "rows.npy", rows)
    source = Sliced(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    check_adapter(source, rows)
    block = source.read(3, 9)
    assert block.flags.owndata


def test_sliced_refuses_what_is_no_table_of_numbers():
    for bad in (X[0], X.astype(str), np.empty((0, 3))):
        with pytest.raises(ValueError, match="table of numbers"):
            Sliced(bad)


def check_adapter(source, rows):
    """It gives the rows, is pickled without them, and is fitted to as they are."""
    assert source.shape == rows.shape
    for index in (slice(None), slice(7, 201), np.array([299, 0, 130])):
        np.testing.assert_array_equal(source[index], rows[index], strict=True)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source))[:], rows)
    model = VariationalAutoencoder(2, max_iter=0)
    with_rows = model.fit(rows).transform(rows)
    np.testing.assert_allclose(model.fit(source).transform(source), with_rows, atol=1e-5)


def arrow_writers():
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def write_feather(written, path):
        with pyarrow.OSFile(str(path), "wb") as file:
            with pyarrow.ipc.new_file(file, written.schema) as writer:
                writer.write_table(written, max_chunksize=40)

    def write_parquet(written, path):
        parquet.write_table(written, path, row_group_size=40)

    return pyarrow, {Parquet: write_parquet, Feather: write_feather}


@pytest.mark.parametrize("adapter", [Parquet, Feather])
class TestArrow:
    def test_reads_files_by_groups(self, adapter, tmp_path):
        pyarrow, writers = arrow_writers()
        rows = table().astype(np.float32)
        suffix = adapter._suffixes[0]
        for number, part in enumerate(np.split(rows, [90])):
            written = pyarrow.table([*part.T.copy()], names=list("abcdef"))
            writers[adapter](written, tmp_path / f"{number}{suffix}")
        files = [tmp_path / f"{number}{suffix}" for number in range(2)]
        for path in (tmp_path, str(tmp_path), files):
            source = adapter(path)
            assert source.edges.tolist() == [0, 40, 80, 90, 130, 170, 210, 250, 290, 300]
            assert source.feature_names == list("abcdef")
            check_adapter(source, rows)
        np.testing.assert_array_equal(adapter(files[1])[:], rows[90:])
        picked = adapter(tmp_path, columns=["f", "b"])
        np.testing.assert_array_equal(picked[[250, 3]], rows[[250, 3]][:, [5, 1]])

    def test_nulls_are_gaps_and_numbers_of_any_type_are_read(self, adapter, tmp_path):
        pyarrow, writers = arrow_writers()
        written = pyarrow.table(
            {"a": [1, None, 3], "b": [True, False, None], "c": [0.5, None, float("nan")]}
        )
        writers[adapter](written, tmp_path / "file")
        source = adapter(tmp_path / "file")
        nan = np.nan
        expected = np.array([[1, 1, 0.5], [nan, 0, nan], [3, nan, nan]])
        np.testing.assert_array_equal(source[:], expected, strict=True)

    def test_what_is_no_table_of_numbers_is_refused(self, adapter, tmp_path):
        pyarrow, writers = arrow_writers()
        suffix = adapter._suffixes[0]
        writers[adapter](pyarrow.table({"a": [1.0], "s": ["x"]}), tmp_path / f"0{suffix}")
        with pytest.raises(ValueError, match=r"Column 's' is of type string.*columns=\['a'\]"):
            adapter(tmp_path)
        with pytest.raises(ValueError, match="columns names 'q', which is no column"):
            adapter(tmp_path, columns=["q"])
        assert adapter(tmp_path, columns=["a"]).shape == (1, 1)
        writers[adapter](pyarrow.table({"b": [1.0]}), tmp_path / f"1{suffix}")
        with pytest.raises(ValueError, match="has no column 'a'"):
            adapter(tmp_path, columns=["a"])
        (tmp_path / "none").mkdir()
        with pytest.raises(ValueError, match="path holds no file"):
            adapter(tmp_path / "none")

    def test_frame_of_the_same_columns_is_read_after_it(self, adapter, tmp_path):
        pandas = pytest.importorskip("pandas")
        pyarrow, writers = arrow_writers()
        frame = pandas.DataFrame(table(), columns=list("abcdef"))
        written = pyarrow.table({name: frame[name].to_numpy() for name in frame})
        writers[adapter](written, tmp_path / "file")
        model = VariationalAutoencoder(2, max_iter=0).fit(adapter(tmp_path / "file"))
        expected = VariationalAutoencoder(2, max_iter=0).fit(frame).transform(frame)
        np.testing.assert_allclose(model.transform(frame), expected, atol=1e-5)


def test_zarr_reads_by_chunks(tmp_path):
    zarr = pytest.importorskip("zarr")
    rows = table().astype(np.float32)
    path = tmp_path / "rows.zarr"
    array = zarr.create_array(path, shape=rows.shape, chunks=(70, 6), dtype="float32")
    array[:] = rows
    for source in (Zarr(path), Zarr(str(path)), Sliced(array)):
        assert source.edges.tolist() == [0, 70, 140, 210, 280, 300]
        check_adapter(source, rows)
    shards = zarr.create_array(
        tmp_path / "shards.zarr", shape=(300, 6), chunks=(10, 6), shards=(100, 6), dtype="float64"
    )
    assert Sliced(shards).edges.tolist() == [0, 100, 200, 300]


@pytest.mark.parametrize(
    ("adapter", "module"), [(Parquet, "pyarrow"), (Feather, "pyarrow"), (Zarr, "zarr")]
)
def test_what_is_not_installed_is_named(adapter, module, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ImportError, match=f"{adapter.__name__} needs {module}. Install it"):
        adapter("anywhere")


def test_every_adapter_is_a_source():
    from skvae import sources

    classes = [getattr(sources, name) for name in sources.__all__]
    assert all(inspect.isclass(c) and issubclass(c, Source) for c in classes)
