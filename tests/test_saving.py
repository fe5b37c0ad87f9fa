"""What is saved comes back: mapped into memory, of a bounded size, and of named classes only."""

import pickle

import joblib
import numpy as np
import pytest
import skops.io
import torch
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from walking import ESTIMATORS, FITS, X, every_bit, fits, fitted, reads, small

from skvae import Autoencoder, VariationalAutoencoder, trusted_types
from skvae.likelihoods import Gaussian
from skvae.schedules import WarmUp

# Few epochs keep these tests short, so training is rarely done when max_iter ends.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ways = pytest.mark.parametrize(("estimator", "name"), FITS)


# Ways to go on with a fitted estimator, where it has them.
WAYS_ON = [
    (estimator, name, way)
    for estimator, name in FITS
    for way in ("fit", "warm fit", "partial_fit")
    if hasattr(estimator, way.split()[-1])
    and (way != "warm fit" or "warm_start" in estimator().get_params())
]


@pytest.fixture
def torch_always_warns():
    """torch gives most warnings once a process, which would let all tests but the first pass."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


def mapped(model, path):
    joblib.dump(model, path)
    return joblib.load(path, mmap_mode="r")


def test_torch_warns_of_read_only_memory(torch_always_warns):
    """Without this the next tests would hold nothing."""
    array = np.zeros(3)
    array.flags.writeable = False
    for _ in range(2):
        with pytest.warns(UserWarning, match="not writable"):
            torch.from_numpy(array)


@ways
def test_mapped_estimator_gives_the_same_bits(estimator, name, tmp_path, torch_always_warns):
    """Any warning is an error here."""
    model, y = fits(estimator)[name]
    expected = every_bit(model.fit(X, y), y)
    assert every_bit(mapped(model, tmp_path / "model"), y) == expected


@pytest.mark.parametrize(("estimator", "name", "way"), WAYS_ON)
def test_mapped_estimator_goes_on(estimator, name, way, tmp_path, torch_always_warns):
    method, y = way.split()[-1], fits(estimator)[name][1]
    models = []
    for saved in (lambda m: m, lambda m: mapped(m, tmp_path / "model")):
        again = saved(fitted(estimator, name))
        if way == "warm fit":
            again.set_params(warm_start=True)
        getattr(again, method)(X, y)
        models.append(reads(again)(X))
    np.testing.assert_array_equal(*models)


def test_rows_mapped_into_memory_are_read_where_they_lie(tmp_path, torch_always_warns):
    for dtype in (np.float32, np.float64):
        np.save(tmp_path / "rows.npy", X.astype(dtype))
        rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
        model = small(VariationalAutoencoder).fit(rows)
        np.testing.assert_array_equal(model.transform(rows), model.transform(np.array(rows)))


def test_saved_model_is_its_parameters_and_little_else():
    """Of 5000 columns by 256 units, twice, and 10 latents: 2.7 million float32 numbers.

    Besides there are 50,000 loadings by which gaps are filled.
    """
    wide = sparse.random_array((300, 5000), density=0.01, format="csr", rng=0)
    model = VariationalAutoencoder(10, max_iter=2, random_state=0).fit(wide)
    assert len(pickle.dumps(model)) < 12.2e6


# ------------------------------------------------------------------- a stream


@pytest.mark.parametrize("estimator", [Autoencoder, VariationalAutoencoder])
def test_state_of_a_stream_is_bounded_and_its_bits_are_not_changed_by_it(estimator, monkeypatch):
    """What is kept of the history must not reach the seed of a pass, or its place in a schedule."""
    params = {} if estimator is Autoencoder else {"beta": WarmUp(6), "max_iter": 9}

    def stream():
        model, sizes = small(estimator, **params), []
        for _ in range(9):
            sizes.append(len(pickle.dumps(model.partial_fit(X).history_)))
        return model, sizes

    whole, _ = stream()
    monkeypatch.setattr("skvae.estimators._publish._KEPT_PASSES", 3)
    model, sizes = stream()
    assert sizes[-1] == sizes[3]
    assert model.n_iter_ == whole.n_iter_ == 9
    for key, values in model.history_.items():
        assert values == whole.history_[key][-3:]
    assert model.loss_curve_ == model.history_["loss"]
    np.testing.assert_array_equal(model.transform(X), whole.transform(X))


def test_history_keeps_a_thousand_passes_and_every_epoch_of_a_fit():
    model = small(VariationalAutoencoder, max_iter=1200, early_stopping=False, batch_size=40)
    model.fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == 1200
    model.partial_fit(X)
    assert model.n_iter_ == 1201
    assert {len(values) for values in model.history_.values()} == {1000}


# --------------------------------------------------------------- trusted types


def foreign(n_in, n_out):
    """What somebody else's file might name."""
    return torch.nn.Linear(n_in, n_out)


class Mine(Gaussian):
    """A likelihood of the user's."""


class Disguised(Gaussian):
    """It claims to be of this package."""

    __module__ = "skvae.likelihoods"


@pytest.mark.parametrize(("estimator", "name"), [f for f in FITS if f[1] != "user's networks"])
def test_trusted_types_are_enough(estimator, name):
    model = make_pipeline(StandardScaler().fit(X), fitted(estimator, name))
    loaded = skops.io.loads(skops.io.dumps(model), trusted=trusted_types())
    np.testing.assert_array_equal(reads(loaded)(X), reads(model)(X))


def test_trusted_types_are_this_packages_own():
    names = trusted_types()
    assert names == sorted(set(names))
    assert all(name.startswith("skvae.") for name in names)
    assert not any(name.endswith((".Mine", ".Disguised")) for name in names)
    assert {f"{e.__module__}.{e.__name__}" for e in ESTIMATORS} <= set(names)
    bases = [cls for e in ESTIMATORS for cls in e.__mro__[1:]]
    assert not {f"{cls.__module__}.{cls.__name__}" for cls in bases} & set(names)
    assert f"{Gaussian.__module__}.Gaussian" in names, "a class derived from it hides it"


def test_trusted_types_hold_every_component_that_can_be_chosen():
    from skvae.estimators._components import COMPONENTS, CORRUPTIONS, STARTS

    aliases = [*(aliases for aliases, _ in COMPONENTS.values()), CORRUPTIONS, STARTS]
    chosen = {f"{cls.__module__}.{cls.__name__}" for group in aliases for cls in group.values()}
    assert chosen <= set(trusted_types())


@pytest.mark.parametrize(
    "params", [{"encoder": foreign}, {"decoder": foreign}, {"likelihood": Mine()}]
)
def test_what_somebody_else_defines_is_refused_until_it_is_named(params):
    model = small(VariationalAutoencoder, **params).fit(X)
    dump = skops.io.dumps(model)
    (part,) = params.values()
    own = f"{__name__}.{getattr(part, '__name__', type(part).__name__)}"
    with pytest.raises(Exception, match=r"(?i)trusted") as refused:
        skops.io.loads(dump, trusted=trusted_types())
    assert own in str(refused.value)
    loaded = skops.io.loads(dump, trusted=[*trusted_types(), own])
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
