"""Training, with no autoencoder in sight: the optimiser, the loop, the rows and the threads."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, csr_matrix

from skvae._core.flat import FlatParameters
from skvae.tables import Rows, View, pick, shuffled, weighted_moments
from skvae.training import Adam, Budget, Watcher, limit_threads, train

NOT_FINITE = [math.nan, math.inf, -math.inf]
DTYPES = [torch.float32, torch.float64]
RATE = 1e-2
EPSILON = 1e-6  # of the optimiser: above the rounding of gradients that are zero
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)

# ---------------------------------------------------------------- the optimiser


def make_adam(dtype=torch.float64, n_parameters=3):
    flat = FlatParameters([(n_parameters,), (2, 5)], dtype)
    flat.values.copy_(torch.linspace(-1.0, 1.0, len(flat.values)))
    return Adam(flat)


def gradients(n_steps, size, dtype=torch.float64):
    """Gradients of about one length, so that none is clipped."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(n_steps, size, generator=generator, dtype=dtype)
    return draws / draws.norm(dim=1, keepdim=True)


def take(adam, *steps, rate=RATE):
    for gradient in steps:
        adam.flat.grads.copy_(gradient)
        adam.step(rate)


def snapshot(adam):
    return [t.clone() for t in (adam.flat.values, *adam.state.values())]


def assert_same_bits(one, other):
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b)


@dtypes
@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("n_before", [0, 1, 5])
def test_step_that_is_not_finite_changes_nothing_and_is_counted(value, n_before, dtype):
    adam = make_adam(dtype)
    good = gradients(n_before + 3, len(adam.flat.values), dtype)
    take(adam, *good[:n_before])
    before = snapshot(adam)
    bad = good[0].clone()
    bad[7] = value
    take(adam, bad, bad)
    assert_same_bits(snapshot(adam), before)
    assert adam.n_skipped == 2

    take(adam, *good[n_before:])
    unhurt = make_adam(dtype)
    take(unhurt, *good)
    assert_same_bits(snapshot(adam), snapshot(unhurt))


def torch_adam(adam, steps, rates):
    """Parameters after the same steps of torch's own, unfused Adam."""
    leaf = adam.flat.values.clone().requires_grad_()
    optimizer = torch.optim.Adam([leaf], eps=EPSILON, foreach=False)
    for gradient, rate in zip(steps, rates, strict=True):
        leaf.grad = gradient.clone()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return leaf.detach()


@pytest.mark.parametrize("n_parameters", [3, 40_000])
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_adam_is_torchs_where_nothing_is_clipped(dtype, rtol, n_parameters):
    adam = make_adam(dtype, n_parameters)
    steps = gradients(50, len(adam.flat.values), dtype)
    rates = np.linspace(RATE, 1e-4, len(steps)).tolist()
    expected = torch_adam(adam, steps, rates)
    for gradient, rate in zip(steps, rates, strict=True):
        take(adam, gradient, rate=rate)
    torch.testing.assert_close(adam.flat.values, expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("n_before", [0, 3])
def test_gradient_of_zero_is_one_like_any_other(n_before):
    """A model at its optimum has it."""
    adam = make_adam()
    steps = gradients(n_before + 4, len(adam.flat.values))
    steps[n_before] = 0.0
    expected = torch_adam(adam, steps, [RATE] * len(steps))
    take(adam, *steps)
    torch.testing.assert_close(adam.flat.values, expected, rtol=1e-12, atol=1e-12)
    assert adam.n_skipped == 0


@pytest.mark.parametrize("length", [10.0, 1e3, 1e12])
def test_outlier_counts_as_five_typical_gradients(length):
    adam = make_adam()
    steps = gradients(21, len(adam.flat.values))
    take(adam, *steps[:-1])
    first = adam.first.clone()
    take(adam, length * steps[-1])
    # The typical length is kept in float32.
    torch.testing.assert_close(
        adam.first, 0.9 * first + 0.1 * 5.0 * steps[-1], rtol=1e-6, atol=1e-7
    )
    assert adam.typical_norm < 1.1


def test_device_judges_a_gradient_as_the_cpu_does():
    """Clipping in 0-d tensors and in numbers, over norms that are typical, wild and not finite."""
    on_cpu, on_device = make_adam(), make_adam()
    for norm in [math.nan, 0.0, 2.0, 3.0, 100.0, math.inf, 0.0, 1e-3, 40.0]:
        skip, scale = on_cpu._judge_number(norm)
        also_skip, also_scale = on_device._judge_tensor(torch.tensor(norm))
        assert (skip is not None) == bool(also_skip)
        if skip is None:
            assert (1.0 if scale is None else float(scale)) == pytest.approx(float(also_scale))
        for name in ("count", "typical_norm"):
            assert float(on_cpu.state[name]) == pytest.approx(float(on_device.state[name]))
    assert float(on_cpu.n_skipped) == float(on_device.n_skipped) == 2.0


def test_threshold_follows_gradients_that_grow():
    adam = make_adam()
    (direction,) = gradients(1, len(adam.flat.values))
    take(adam, direction, *[100.0 * direction] * 150)
    torch.testing.assert_close(float(adam.flat.grads.norm()), 100.0)


# ---------------------------------------------------------------------- the loop


class Script:
    """One parameter that rises by one a step, and held-out values as they are written down."""

    def __init__(self, scores=None, losses=(1.0,), gradient=-1.0):
        self.flat = FlatParameters([(1,)], torch.float64)
        self.adam = Adam(self.flat)
        self.losses, self.gradient, self.rates = losses, gradient, []
        self.scores = None if scores is None else iter(scores)

    def take_epoch(self, n_done, rate):
        for k, loss in enumerate(self.losses):
            self.flat.grads[0] = self.gradient if math.isfinite(loss) else math.nan
            self.rates.append(rate(k))
            self.adam.step(rate(k))
            yield torch.tensor([loss])
            if math.isfinite(loss):
                self.flat.values[0] = self.flat.values[0].round() + 1.0

    def evaluate(self):
        score = next(self.scores)
        if isinstance(score, type):
            raise score
        return score

    def run(self, max_iter, tol=0.1, n_iter_no_change=3, annealed=True, n_cooldown=0):
        return train(
            self.take_epoch,
            None if self.scores is None else self.evaluate,
            [self.flat.values],
            self.adam,
            Budget(
                max_iter=max_iter,
                learning_rate_init=1e-3,
                tol=tol,
                n_iter_no_change=n_iter_no_change,
                annealed=annealed,
                n_cooldown=n_cooldown,
            ),
            len(self.losses),
            Watcher(),
        )

    @property
    def epoch_of_parameters(self):
        return int(self.flat.values[0]) // len(self.losses)


# Held-out values, the start's first -> epochs taken, epoch kept, whether they still rose.
SCRIPTS = {
    "the last is the best": ([0, 1, 2, 3], 3, 3, True),
    "one between is the best": ([0, 1, 3, 2], 3, 2, False),
    "the start is the best": ([5, 1, 2, 3], 3, 0, False),
    "the start is as good": ([5, 5, 5], 2, 0, False),
    "three without a gain": ([0, 9, 8, 8, 8, 99], 4, 1, False),
    "gains below the tolerance": ([0, 0.03, 0.06, 0.09, 99], 3, 3, False),
    "small gains that add up": ([0, 0.06, 0.12, 0.18, 0.24, 0.3], 5, 5, False),
    "not finite": ([-math.inf, -math.inf, 1.0], 2, 2, True),
    "no epoch": ([0], 0, 0, False),
}


@pytest.mark.parametrize(
    ("scores", "n_epochs", "best", "still_rising"), SCRIPTS.values(), ids=SCRIPTS.keys()
)
def test_best_epoch_remains(scores, n_epochs, best, still_rising):
    script = Script(scores)
    outcome = script.run(max_iter=len(scores) - 1)
    assert len(outcome.terms) == n_epochs
    assert outcome.scores == scores[: n_epochs + 1]
    assert outcome.best_epoch == best == script.epoch_of_parameters
    if n_epochs:
        assert outcome.still_rising == still_rising
    assert not outcome.interrupted


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_patience_is_the_number_of_epochs_without_a_gain(patience):
    outcome = Script([0, 1, *[0] * 20]).run(max_iter=21, n_iter_no_change=patience)
    assert len(outcome.terms) == 1 + patience
    assert outcome.best_epoch == 1


@pytest.mark.parametrize(
    ("scores", "n_cooled", "best"),
    [
        ([0, 5, 4, 4, 4, 6, 7, 3], 3, 6),
        ([0, 5, 4, 4, 4, 1, 1, 1], 3, 1),
        ([0, -1, -1, -1, 9], 0, 0),
    ],
    ids=["a better one in it", "none better in it", "the start is the best"],
)
def test_cooldown_follows_the_best_epoch(scores, n_cooled, best):
    script = Script(scores)
    outcome = script.run(max_iter=50, n_cooldown=3)
    assert outcome.n_cooldown == n_cooled
    assert len(outcome.terms) == min(4, 3 + bool(n_cooled)) + n_cooled
    assert outcome.best_epoch == best
    assert not outcome.still_rising
    # Epochs of a cooldown go on from epoch 1, which was the best when training stopped.
    assert script.epoch_of_parameters == (best if best <= 1 else best - 3)


def test_cooldown_anneals_from_the_rate_of_the_best_epoch():
    script = Script([0, 5, 4, 4, 4, 1, 1, 1])
    script.run(max_iter=50, n_cooldown=3)
    first, *_, last = script.rates[4:]
    assert first == script.rates[1]
    assert first > 0.0
    assert last == pytest.approx(first * 0.25)


def test_cooldown_ends_with_max_iter():
    outcome = Script([0, 5, 4, 4, 4, 6]).run(max_iter=5, n_cooldown=3)
    assert (len(outcome.terms), outcome.n_cooldown) == (5, 1)


def test_last_epoch_remains_without_held_out_rows():
    script = Script()
    outcome = script.run(max_iter=7)
    assert outcome.scores == []
    assert outcome.best_epoch == script.epoch_of_parameters == 7


def test_interrupted_training_keeps_the_best_epoch():
    script = Script([0, 1, 3, 2, KeyboardInterrupt, 9])
    outcome = script.run(max_iter=20)
    assert outcome.interrupted
    assert outcome.best_epoch == script.epoch_of_parameters == 2


@pytest.mark.parametrize("value", NOT_FINITE)
def test_training_with_no_finite_step_says_what_to_do(value):
    script = Script([0.0, 0.0], losses=(value, value))
    with pytest.raises(ValueError, match=r"Scale X .*learning_rate_init.*0\.001"):
        script.run(max_iter=3)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_loss_of_an_epoch_is_the_mean_of_its_finite_steps(value):
    outcome = Script(losses=(1.0, value, 3.0)).run(max_iter=4)
    assert outcome.terms == [[2.0]] * 4
    assert outcome.n_skipped == 4


def test_learning_rate_falls_along_half_a_cosine():
    script = Script(losses=(1.0,) * 5)
    script.run(max_iter=8)
    phase = np.pi * np.arange(40) / 40
    np.testing.assert_allclose(script.rates, 1e-3 * (1 + np.cos(phase)) / 2, rtol=1e-6)


def test_learning_rate_of_a_stream_stays():
    script = Script(losses=(1.0,) * 5)
    script.run(max_iter=2, annealed=False)
    np.testing.assert_allclose(script.rates, 1e-3, rtol=1e-6)


# ---------------------------------------------------------------------- the rows

CONTAINERS = [np.asarray, csr_array, csr_matrix]
containers = pytest.mark.parametrize("container", CONTAINERS)


def counts(n_rows=57, n_features=6):
    """A table of many zeros."""
    return np.random.RandomState(0).poisson(0.7, (n_rows, n_features)).astype(float)


def make_view(n_features, shift=0.0, scale=1.0):
    return View(
        mean=np.zeros(n_features),
        total_variance=1.0,
        shift=np.broadcast_to(shift, n_features),
        scale=np.broadcast_to(scale, n_features),
    )


def make_rows(X, weight=None, dtype=torch.float32, shift=0.0, scale=1.0):
    return Rows(X, weight, make_view(X.shape[1], shift, scale), dtype, torch.device("cpu"))


@containers
@pytest.mark.parametrize(
    ("n_rows", "batch_size"), [(1, 1), (10, 1), (10, 3), (10, 9), (10, 10), (33, 32), (97, 32)]
)
def test_every_row_is_seen_once_an_epoch(n_rows, batch_size, container):
    X = np.column_stack([np.arange(n_rows), np.zeros(n_rows)])
    rows = make_rows(container(X), weight=1.0 + np.arange(n_rows))
    generator = torch.Generator().manual_seed(0)
    orders = []
    for _ in range(2):
        batches = [rows.take(index) for index in rows.epoch(batch_size, generator)]
        sizes = [len(batch.inputs) for batch in batches]
        assert len(sizes) == math.ceil(n_rows / batch_size)
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1
        seen = torch.cat([batch.inputs[:, 0] for batch in batches])
        weight = torch.cat([batch.weight for batch in batches])
        # Each weight goes with its row, and their mean is one.
        torch.testing.assert_close(weight, (1.0 + seen) / (1.0 + seen).mean())
        np.testing.assert_array_equal(np.sort(seen), np.arange(n_rows))
        orders.append(seen.tolist())
    assert n_rows == 1 or orders[0] != orders[1]


@dtypes
@pytest.mark.parametrize("container", CONTAINERS[1:])
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_rows_are_the_dense_ones(container, dtype, weighted):
    X = counts()
    given = {
        "weight": 1.0 + np.arange(len(X)) if weighted else None,
        "dtype": dtype,
        "shift": np.linspace(-1.0, 2.0, X.shape[1]),
        "scale": 3.7,
    }
    dense, sparse = make_rows(X, **given), make_rows(container(X), **given)
    index = torch.tensor([5, 0, 5, 56])
    parts = [(index, [rows.take(index) for rows in (dense, sparse)])]
    for (where, one), (same, other) in zip(dense.all(), sparse.all(), strict=True):
        assert where == same
        parts.append((where, (one, other)))
    for where, (one, other) in parts:
        expected = (X[where] - given["shift"]) / given["scale"]
        np.testing.assert_array_equal(one.inputs, expected.astype(one.inputs.numpy().dtype))
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.target, other.target)
        assert (one.weight is None) == (other.weight is None) == (not weighted)
        if weighted:
            assert torch.equal(one.weight, other.weight)


@containers
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weighted_moments_are_those_of_repeated_rows(container, dtype):
    X = counts().astype(dtype)
    weight = np.random.RandomState(1).randint(1, 5, len(X)).astype(float)
    repeated = np.repeat(X.astype(float), weight.astype(int), axis=0)
    moments = weighted_moments(container(X), weight)
    np.testing.assert_allclose(moments.mean, repeated.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, repeated.var(0), rtol=1e-12)
    assert moments.total_weight == len(repeated)
    plain = weighted_moments(container(X), None)
    np.testing.assert_allclose(plain.mean, X.mean(0, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(plain.variance, X.var(0, dtype=float), rtol=1e-12)
    assert plain.total_weight == len(X)


CONSTANTS = [0.0, 1.0, 0.1, -1e6 / 3.0, 1e-30, 1e15 / 7.0]


@containers
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [2, 3, 1000])
def test_constant_has_no_variance(container, dtype, weighted, n_rows):
    X = np.full((n_rows, len(CONSTANTS)), CONSTANTS, dtype=dtype)
    weight = np.random.RandomState(0).uniform(0.1, 3.0, n_rows) if weighted else None
    moments = weighted_moments(container(X), weight)
    assert not moments.variance.any()
    np.testing.assert_allclose(moments.mean, X[0].astype(float), rtol=1e-12)


@containers
def test_small_variance_far_from_zero_is_not_rounded_away(container):
    X = 1e4 + 1e-3 * np.random.RandomState(0).normal(size=(500, 3))
    variance = weighted_moments(container(X), None).variance
    np.testing.assert_allclose(variance, X.var(0), rtol=1e-4)


# ------------------------------------------------------------------- the threads


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("work", "inside"), [(1.0, 1), (1e15, 2)], ids=["small", "large"])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.usefixtures("two_threads")
def test_threads_are_limited_where_a_step_is_small_and_given_back(work, inside, fails):
    for _ in itertools.repeat(None, 2):
        try:
            with limit_threads(work):
                assert torch.get_num_threads() == inside
                if fails:
                    raise RuntimeError("a step broke")
        except RuntimeError:
            assert fails
        assert torch.get_num_threads() == 2


def test_fits_that_overlap_give_the_threads_back_at_the_end():
    """The first to leave restores nothing while another is inside."""
    before = torch.get_num_threads()
    one, other = limit_threads(0.0), limit_threads(0.0)
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert torch.get_num_threads() == 1
    other.__exit__(None, None, None)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("n_samples", [1, 7, 64, 1000])
def test_shuffled_rows_come_once_and_lie_close(n_samples, monkeypatch):
    monkeypatch.setattr("skvae.tables._rows._SHUFFLED_CELLS", 64 * 5 * 3)
    generator = torch.Generator().manual_seed(0)
    order = shuffled(n_samples, 3, generator)
    assert sorted(order.tolist()) == list(range(n_samples))
    if n_samples > 64 * 5:  # the first 64 runs of five rows are through before others begin
        assert len((order[: 64 * 5] // 5).unique()) == 64
        assert not torch.equal(order, shuffled(n_samples, 3, generator))


def test_first_rows_of_a_shuffle_are_uniform_over_all(monkeypatch):
    """Each row comes first equally often: a chi-square test of 100 rows in runs of five."""
    monkeypatch.setattr("skvae.tables._rows._SHUFFLED_CELLS", 64 * 5)
    generator = torch.Generator().manual_seed(0)
    first = torch.stack([shuffled(100, 1, generator)[0] for _ in range(20_000)])
    counts = torch.bincount(first, minlength=100).double()
    assert ((counts - 200.0) ** 2 / 200.0).sum() < 160.0  # 99 degrees of freedom, p = 1e-4


@pytest.mark.parametrize("picked", [False, True])
@pytest.mark.parametrize("likelihood", ["converted", "as they are"])
def test_rows_read_where_they_lie_are_the_same(picked, likelihood, monkeypatch, tmp_path):
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (50, 3))
    X[:] = np.random.default_rng(0).random(X.shape)
    X.flush()
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    index = np.arange(0, 50, 2) if picked else np.arange(50)
    given = {"shift": X.mean(0), "scale": 2.0} if likelihood == "converted" else {}
    resident = make_rows(np.array(X[index]), **given)
    monkeypatch.setattr("skvae.tables._rows._RESIDENT_CELLS", 0)
    lying = make_rows(pick(X, index) if picked else X, **given)
    assert lying.resident is None
    assert torch.equal(lying.part(slice(3, 9)).inputs, resident.part(slice(3, 9)).inputs)
    some = torch.tensor([4, 0, 21])
    assert torch.equal(lying.take(some).inputs, resident.take(some).inputs)
    seen = torch.cat([lying.take(i).inputs for i in lying.epoch(8, torch.Generator())])
    everything = resident.part(slice(None)).inputs
    assert torch.equal(seen[seen[:, 0].argsort()], everything[everything[:, 0].argsort()])
