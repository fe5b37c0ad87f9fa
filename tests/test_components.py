"""Components at their edges: one latent, one row, collapsed latents, a factory that has changed."""

import copy
import math
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from skvae import Autoencoder, CanonicalCorrelatedAutoencoder, VariationalAutoencoder
from skvae._core.flat import FlatParameters
from skvae._core.flow import SplineFlow
from skvae.likelihoods import Gaussian
from skvae.posteriors import Flow as FlowPosterior
from skvae.priors import Flow, VampPrior
from skvae.schedules import Cyclical, WarmUp

# Few epochs keep these tests short, so training is rarely done when max_iter ends.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = load_iris().data


def make(**params):
    return VariationalAutoencoder(**{"max_iter": 3, "random_state": 0, **params})


# ---------------------------------------------------------------- flows


def bent(n_features, n_context, n_layers, hidden, share=0.3):
    """A flow whose parameters are some way off its start, in float64."""
    flow = SplineFlow(n_features, n_context, n_layers, hidden)
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.zeros(shape, dtype=torch.float64) for shape in flow.shapes]
    flow.start(parameters, generator)
    for p in parameters:
        p += share * torch.randn(p.shape, generator=generator, dtype=torch.float64)
    return flow, parameters


flows = pytest.mark.parametrize("n_features", [1, 2, 3])
layers = pytest.mark.parametrize("n_layers", [1, 2, 3])
hidden = pytest.mark.parametrize("hidden", [(), (6,), (6, 5)], ids=str)
contexts = pytest.mark.parametrize("n_context", [0, 2])


@flows
@layers
@hidden
@contexts
def test_flow_is_a_bijection_that_starts_as_the_identity(n_features, n_layers, hidden, n_context):
    generator = torch.Generator().manual_seed(1)
    x = 2.0 * torch.randn(5, 7, n_features, generator=generator, dtype=torch.float64)
    context = torch.randn(5, 7, n_context, generator=generator, dtype=torch.float64)
    context = context if n_context else None
    flow, parameters = bent(n_features, n_context, n_layers, hidden, share=0.0)
    same, log_determinant = flow(x, context, parameters)
    # The identity of a spline of eight bins, but for the rounding of its knots.
    torch.testing.assert_close(same, x, rtol=0.0, atol=1e-9)
    torch.testing.assert_close(log_determinant, torch.zeros(5, 7).double(), rtol=0.0, atol=1e-9)
    flow, parameters = bent(n_features, n_context, n_layers, hidden)
    y, log_determinant = flow(x, context, parameters)
    assert (y - x).abs().max() > 0.01
    back, minus = flow(y, context, parameters, inverse=True)
    torch.testing.assert_close(back, x, rtol=0.0, atol=1e-8)
    torch.testing.assert_close(minus, -log_determinant, rtol=0.0, atol=1e-7)
    point = x[0, 0]
    there = None if context is None else context[0, 0]
    jacobian = torch.autograd.functional.jacobian(lambda p: flow(p, there, parameters)[0], point)
    expected = torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(log_determinant[0, 0], expected, rtol=0.0, atol=1e-8)


def test_density_of_one_latent_integrates_to_one():
    flow, parameters = bent(1, 0, 3, ())

    z = torch.linspace(-9.0, 9.0, 20_001, dtype=torch.float64)[:, None]
    x, log_determinant = flow(z, None, parameters)
    log_p = log_determinant - 0.5 * x.square().sum(1) - 0.5 * math.log(2.0 * math.pi)
    # The trapezoid rule over kinks of the density's slope: of the order of a step's square.
    assert torch.trapezoid(log_p.exp(), z[:, 0]).item() == pytest.approx(1.0, abs=1e-5)
    assert log_determinant.abs().max() > 0.1


@layers
@pytest.mark.parametrize("sizes", [(), (6,)], ids=str)
@pytest.mark.parametrize("objective", ["elbo", "importance_weighted"])
def test_one_latent_takes_a_flow(n_layers, sizes, objective):
    for component in (
        {"prior": Flow(n_layers, sizes)},
        {"posterior": FlowPosterior(n_layers, sizes, 2)},
        {"prior": Flow(n_layers, sizes), "posterior": FlowPosterior(n_layers, sizes, 2)},
    ):
        vae = make(n_components=1, objective=objective, max_iter=1, **component).fit(X)
        assert vae.transform(X).shape == (150, 1)
        assert np.isfinite(vae.score_samples(X, n_draws=8)).all()
        assert vae.sample(4, random_state=0).shape == (4, 4)
        again = pickle.loads(pickle.dumps(vae))
        np.testing.assert_array_equal(again.transform(X), vae.transform(X))


def test_flow_of_one_latent_finds_two_clusters():
    """One feature of two clumps: a normal prior cannot follow them, a spline can."""
    rng = np.random.RandomState(0)
    clumps = (rng.randint(2, size=200) * 2.0 - 1.0 + 0.1 * rng.randn(200))[:, None]
    options = {"n_components": 1, "max_iter": 40, "early_stopping": False}
    plain = make(**options).fit(clumps).score(clumps)
    bent = make(prior=Flow(2, ()), learning_rate_init=0.01, **options).fit(clumps).score(clumps)
    assert bent > plain + 0.3


# ------------------------------------------------------- a batch of one row


class BatchNormed(torch.nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(
            torch.nn.Linear(n_in, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, n_out)
        )


class NormedByTheBatchAlways(torch.nn.Sequential):
    def __init__(self, n_in, n_out):
        norm = torch.nn.BatchNorm1d(8, track_running_stats=False)
        super().__init__(torch.nn.Linear(n_in, 8), norm, torch.nn.Linear(8, n_out))


class LayerNormed(torch.nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(torch.nn.Linear(n_in, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, n_out))


ONE = np.eye(150)[3]
ONE_ROW = {
    "batch_size=1": (
        lambda est: est.set_params(batch_size=1).fit(X),
        r"batch_size=1 for 135 rows.*batch_size to at least 3",
    ),
    "an odd row": (
        lambda est: est.set_params(batch_size=2, early_stopping=False).fit(X[:5]),
        r"batch_size=2 for 5 rows.*batch_size to at least 3",
    ),
    "a stream of one": (
        lambda est: est.partial_fit(X[:60]).partial_fit(X[:1]),
        r"one row with a weight above zero.*at least two",
    ),
    "one weight": (
        lambda est: est.partial_fit(X[:60]).partial_fit(X, sample_weight=ONE),
        r"one row with a weight above zero.*at least two",
    ),
    "a warm start": (
        lambda est: est.set_params(warm_start=True, early_stopping=False).fit(X).fit(X[:1]),
        r"one row with a weight above zero.*at least two",
    ),
}


@pytest.mark.parametrize("estimator", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize("side", ["encoder", "decoder"])
@pytest.mark.parametrize(("call", "remedy"), ONE_ROW.values(), ids=ONE_ROW.keys())
def test_batch_norm_of_one_row_says_so(estimator, side, call, remedy):
    model = estimator(2, max_iter=2, random_state=0, **{side: BatchNormed})
    with pytest.raises(
        ValueError, match=rf"{side}=.*BatchNormed.*batch of one row.*LayerNorm.*{remedy}"
    ):
        call(model)
    call(estimator(2, max_iter=2, random_state=0, **{side: LayerNormed}))


@pytest.mark.parametrize("n", range(2, 12))
def test_batches_of_three_leave_no_row_alone(n):
    make(encoder=BatchNormed, batch_size=3, early_stopping=False, max_iter=1).fit(X[:n])


def test_failed_row_leaves_the_stream_as_it_was():
    vae = make(encoder=BatchNormed).partial_fit(X)
    before = vae.transform(X)
    with pytest.raises(ValueError, match="one row"):
        vae.partial_fit(X[:1])
    np.testing.assert_array_equal(vae.transform(X), before)
    assert vae.transform(X[:1]).shape == (1, 2)


def test_batch_statistics_of_one_row_to_transform():
    vae = make(encoder=NormedByTheBatchAlways).fit(X)
    with pytest.raises(ValueError, match=r"batch of one row.*at least two.*LayerNorm"):
        vae.transform(X[:1])


def test_one_pseudo_input_is_a_batch_of_one_row():
    with pytest.raises(ValueError, match="batch of one row") as caught:
        make(encoder=BatchNormed, prior=VampPrior(1)).fit(X)
    assert "batch_size" not in str(caught.value)


# ---------------------------------------------------- schedules of a stream


@pytest.mark.parametrize("schedule", [WarmUp(300), Cyclical(100, 4)], ids=repr)
def test_stream_takes_a_schedule_of_any_length(schedule):
    vae = make(beta=schedule, max_iter=200)
    for _ in range(3):
        vae.partial_fit(X)
    assert vae.history_["beta"] == pytest.approx(
        [np.mean([schedule.value(k + j / 5) for j in range(5)]) for k in range(3)], rel=1e-6
    )


def test_fit_refuses_a_schedule_only_where_it_compares_epochs():
    with pytest.raises(ValueError, match=r"WarmUp\(n_epochs=300\).*300 epochs.*max_iter=3"):
        make(beta=WarmUp(300)).fit(X)
    make(beta=WarmUp(300), early_stopping=False).fit(X)
    make(beta=WarmUp(300), max_iter=0).fit(X)
    make(beta=WarmUp(300), init="random").fit(X[:3])  # too few to hold any out
    streamed = make(beta=WarmUp(300), warm_start=True).partial_fit(X)
    before = streamed.transform(X)
    with pytest.raises(ValueError, match="no epoch could be chosen"):
        streamed.fit(X)
    np.testing.assert_array_equal(streamed.transform(X), before)


# -------------------------------------------------- whitening and collapse

# Without held-out rows the start, where nothing has collapsed, is no candidate.
ALL_EPOCHS = {"n_components": 4, "beta": 20.0, "early_stopping": False, "max_iter": 60}
COLLAPSED = {
    "by beta": lambda whiten: make(whiten=whiten, **ALL_EPOCHS).fit(X),
    "all": lambda whiten: make(beta=1e4, whiten=whiten, init="random").fit(X),
    "one feature's noise": lambda whiten: make(
        whiten=whiten, likelihood=Gaussian("feature"), **ALL_EPOCHS
    ).fit(X),
    "bernoulli": lambda whiten: make(whiten=whiten, likelihood="bernoulli", **ALL_EPOCHS).fit(
        X / X.max()
    ),
    "points": lambda whiten: Autoencoder(
        2, whiten=whiten, max_iter=1, random_state=0, init="random", early_stopping=False
    ).fit(X),
    "a constant X": lambda whiten: make(whiten=whiten).fit(np.ones((30, 4))),
    "a stream": lambda whiten: make(n_components=4, beta=20.0, whiten=whiten).partial_fit(X),
    "large units": lambda whiten: make(whiten=whiten, **ALL_EPOCHS).fit(1e6 * X),
}


def in_units_of(model):
    """X in the units of the fit; by rounding a probability may come out above one."""
    most = 1.0 if model.likelihood_.of_probabilities else None
    return (X * (model.mean_.mean() / X.mean())).clip(0.0, most)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("fit", COLLAPSED.values(), ids=COLLAPSED.keys())
def test_whitening_changes_no_reconstruction(fit, dtype):
    plain, whitened = fit(False), fit(True)
    rows = in_units_of(plain).astype(dtype)
    codes = whitened.transform(rows)
    # Some hundred roundings, of numbers as large as the rows'.
    tolerance = 300 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        whitened.inverse_transform(codes),
        plain.inverse_transform(plain.transform(rows)),
        rtol=tolerance,
        atol=tolerance * np.abs(rows).max(),
    )


@pytest.mark.parametrize(
    "name", ["by beta", "all", "one feature's noise", "bernoulli", "points", "large units"]
)
def test_whitened_collapsed_latents_stay_small(name):
    model = COLLAPSED[name](True)
    dead = model.explained_variance_ == 0
    assert 0 < dead.sum()
    assert model.transform(in_units_of(model))[:, dead].std(0).max() < 0.5


# --------------------------------------- a factory that builds another module

built = {"now": BatchNormed}


def changing(n_in, n_out):
    """A factory whose code changes between a fit and its use."""
    return built["now"](n_in, n_out)


def sequence(*modules):
    return lambda n_in, n_out: torch.nn.Sequential(
        *(copy.deepcopy(m) if isinstance(m, torch.nn.Module) else m(n_in, n_out) for m in modules)
    )


def linear(a, b):
    return lambda n_in, n_out: torch.nn.Linear(a or n_in, b or n_out)


class OtherName(torch.nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.inner = BatchNormed(n_in, n_out)

    def forward(self, x):
        return self.inner(x)


class OtherBuffer(BatchNormed):
    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self[1].running_mean = torch.zeros(())  # it would be broadcast

    def forward(self, x):
        return self[2](self[0](x))


class IntegerBuffer(BatchNormed):
    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self[1].running_mean = torch.zeros(8, dtype=torch.int64)

    def forward(self, x):
        return self[2](self[0](x))


CHANGES = {
    "wider": sequence(linear(0, 40), torch.nn.BatchNorm1d(40), linear(40, 0)),
    "narrower, in the same padding": sequence(linear(0, 7), torch.nn.BatchNorm1d(7), linear(7, 0)),
    "deeper": sequence(linear(0, 8), torch.nn.BatchNorm1d(8), linear(8, 8), linear(8, 0)),
    "no buffers": LayerNormed,
    "no parameters": sequence(linear(0, 8), torch.nn.BatchNorm1d(8, affine=False), linear(8, 0)),
    "other names": OtherName,
    "another buffer": OtherBuffer,
    "an integer buffer": IntegerBuffer,
}
USES = {
    "transform": lambda est: est.transform(X),
    "inverse_transform": lambda est: est.inverse_transform(np.zeros((3, 2))),
    "score": lambda est: est.score(X),
    "sample": lambda est: est.sample(2),
    "encode": lambda est: est.encode(X),
    "decode": lambda est: est.decode(np.zeros((3, 2))),
    "partial_fit": lambda est: est.partial_fit(X),
    "warm start": lambda est: est.set_params(warm_start=True).fit(X),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
@pytest.mark.parametrize("side", ["encoder", "decoder"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_changed_factory_is_refused_at_first_use(change, side, use, monkeypatch):
    vae = make(max_iter=1, **{side: changing}).fit(X)
    saved = pickle.dumps(vae)
    monkeypatch.setitem(built, "now", change)
    with pytest.raises(ValueError, match=f"not the one that was fitted.*{side}.*fit it anew"):
        use(pickle.loads(saved))
    monkeypatch.undo()
    np.testing.assert_array_equal(pickle.loads(saved).transform(X), vae.transform(X))


def test_change_says_what_had_which_shape(monkeypatch):
    vae = make(max_iter=1, encoder=changing).fit(X)
    monkeypatch.setitem(built, "now", CHANGES["wider"])
    message = "had encoder module.0.weight of shape (8, 4), it has encoder module.0.weight of shape"
    with pytest.raises(ValueError, match=re.escape(message)):
        vae.transform(X)
    # Nor does a fit anew read what was fitted before.
    assert vae.fit(X).transform(X).shape == (150, 2)


@pytest.mark.parametrize("length", [0, 1, 16, -16, -1, 1000])
@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_parameters_of_another_length_are_refused(length, use):
    vae = make(max_iter=1).fit(X)
    parameters = vae._fitted.parameters
    parameters = np.resize(parameters, length % (len(parameters) + 1000))
    vae._fitted = replace(vae._fitted, parameters=parameters)
    with pytest.raises(ValueError, match=r"fitted parameters have the shape.*fit it anew"):
        use(vae)


@pytest.mark.parametrize("change", [-16, 16])
def test_classifier_of_another_length_is_refused(change):
    labels = (X[:, :2] > X[:, :2].mean(0)).astype(int)
    model = CanonicalCorrelatedAutoencoder(max_iter=1, n_folds=1, random_state=0).fit(X, labels)
    values = model._fitted.parameters
    model._fitted = replace(model._fitted, parameters=np.resize(values, len(values) + change))
    for use in (model.predict, model.transform, lambda X: model.encode_labels(labels)):
        with pytest.raises(ValueError, match="fitted parameters have the shape"):
            use(X)


def test_flat_parameters_of_another_length_are_refused():
    for values in (torch.zeros(15), torch.zeros(17), torch.zeros(16, 1), torch.zeros(())):
        with pytest.raises(ValueError, match=r"shape \(16,\)"):
            FlatParameters([(2, 3)], torch.float32, values=values)
    FlatParameters([(2, 3)], torch.float32, values=torch.zeros(16))
