"""What is written out by hand is what autograd, and a naive loop, make of the definition."""

import functools
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.sparse import csr_array
from scipy.special import expit, log_expit
from torch import Tensor

from skvae._core.flat import bind, shared_arrays
from skvae._core.math import (
    LOG_VARIANCE_BOUND,
    soft_bound,
    soft_bound_inverse,
    soft_bound_vjp,
    sum_log,
)
from skvae.fitting import Plan
from skvae.fitting._steps import ComposedStep, PartedStep, WrittenStep, build_step
from skvae.fitting._trainer import Trainer
from skvae.likelihoods import Bernoulli, Gaussian, Poisson, StudentT
from skvae.model import Architecture, Model
from skvae.nn import ACTIVATIONS, DenseNetwork
from skvae.objectives import ELBO, ImportanceWeighted, closed_form_kl, written_latent
from skvae.posteriors import DiagonalNormal, Normal
from skvae.priors import IsotropicNormal, StandardNormal
from skvae.schedules import Constant
from skvae.starts import PrincipalComponents, prepare
from skvae.tables import Batch, Rows, View
from skvae.training import Adam, Budget, Watcher

LIKELIHOODS = {
    "gaussian shared": Gaussian(),
    "gaussian feature": Gaussian(noise="feature"),
    "bernoulli": Bernoulli(),
    "poisson": Poisson(),
    "student t": StudentT(df=5.0),
}
# Without hidden layers there is no activation.
NETWORKS = [((), "identity"), *itertools.product([(5,), (7, 4)], ACTIVATIONS)]
N_FEATURES, N_LATENTS, N_ROWS = 4, 3, 6

likelihoods = pytest.mark.parametrize("likelihood", LIKELIHOODS.values(), ids=LIKELIHOODS.keys())
activations = pytest.mark.parametrize("activation", ACTIVATIONS)
networks = pytest.mark.parametrize(("hidden", "activation"), NETWORKS, ids=str)

# Two float64 orders of the same few dozen operations differ by some 1e-14.
close = functools.partial(torch.testing.assert_close, rtol=1e-10, atol=1e-10)


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return normal(*shape, seed=seed).sigmoid()


def targets(likelihood, *shape: int, seed: int = 0) -> Tensor:
    """Targets in the likelihood's domain: counts where it takes counts, else cells in [0, 1]."""
    values = uniform(*shape, seed=seed)
    return (8.0 * values).floor() if isinstance(likelihood, Poisson) else values


def standard_normal() -> IsotropicNormal:
    return IsotropicNormal(N_LATENTS, torch.empty(0, dtype=torch.float64))


def randomise(flat, networks, seed=0, size=0.7):
    """Give every parameter a value of order one; what is no parameter stays zero."""
    with torch.no_grad():
        for k, view in enumerate(flat.views):
            view.copy_(size * normal(*view.shape, seed=seed + k))
        for network in networks:
            if isinstance(network, DenseNetwork):
                network.params[-1][network.n_linear :, : network.n_seen] = 0.0


# ---------------------------------------------------------------- pullbacks


def assert_pullback_is_autograd(block, x, input_gradient=True):
    """The pullback gives autograd's input gradient, and writes autograd's parameter gradients."""
    flat = bind([block], torch.float64, "cpu")
    randomise(flat, [block])
    leaf = x.clone().requires_grad_()
    y = block.forward(leaf)
    dy = normal(*y.shape, seed=99)
    (y * dy).sum().backward()
    expected = flat.grads.clone()

    for view in flat.grad_views:
        view.fill_(torch.nan)
    with torch.no_grad():
        written, pull = block.vjp(x.numpy().copy())
        close(torch.from_numpy(written), y.detach())
        dx = pull(dy.numpy().copy())
    close(flat.grads, expected)
    if input_gradient:
        close(torch.from_numpy(dx), leaf.grad)


@networks
@pytest.mark.parametrize("n_linear", [0, 2, 5])
def test_network_without_constants(activation, hidden, n_linear):
    assert_pullback_is_autograd(DenseNetwork(4, 5, n_linear, hidden, activation), normal(6, 4))


@networks
@pytest.mark.parametrize("constants", [("shift",), ("scale",), ("shift", "scale")], ids=str)
def test_network_with_constants(activation, hidden, constants):
    """As an encoder has them; its input needs no gradient."""
    network = DenseNetwork(4, 6, 3, hidden, activation, input_gradient=False)
    for seed, name in enumerate(constants):
        setattr(network, name, normal(4, seed=seed))
    assert_pullback_is_autograd(network, normal(6, 4), input_gradient=False)


@likelihoods
@pytest.mark.parametrize("draws", [1, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_log_prob_vjp(likelihood, draws, masked):
    raw, target = normal(draws, 6, 4), targets(likelihood, 6, 4, seed=4)
    observed = (normal(6, 4, seed=1) > 0).double() if masked else None
    params = [normal(*s, seed=2).requires_grad_() for s in likelihood.parameter_shapes(4)]
    leaf = raw.clone().requires_grad_()
    log_p = likelihood.log_prob(leaf, target, observed, params)
    d = normal(draws, 6, seed=3)
    (log_p * d).sum().backward()

    grads = [torch.ones_like(p) for p in params]
    before = raw.clone(), target.clone()
    mask = None if observed is None else observed.numpy()
    written, pull = likelihood.log_prob_vjp(
        raw.numpy(), target.numpy(), mask, shared_arrays(params), shared_arrays(grads)
    )
    close(torch.from_numpy(written), log_p.detach())
    close(torch.from_numpy(pull(d.numpy())), leaf.grad)
    for grad, param in zip(grads, params, strict=True):
        close(grad, param.grad)
    assert torch.equal(raw, before[0])
    assert torch.equal(target, before[1])


@pytest.mark.parametrize("draws", [1, 3])
def test_written_latent(draws):
    posterior, prior = DiagonalNormal(), StandardNormal()
    raw, eps = normal(6, 2 * N_LATENTS), normal(draws, 6, N_LATENTS, seed=1)
    d_z, d_kl = normal(draws, 6, N_LATENTS, seed=2), normal(6, seed=3)
    leaf = raw.clone().requires_grad_()
    q = posterior(leaf, N_LATENTS)
    z, kl = q.transform(eps), closed_form_kl(q, standard_normal()).sum(1)
    ((z * d_z).sum() + (kl * d_kl).sum()).backward()

    written_z, written_kl, pull = written_latent(posterior, prior)(raw.numpy(), eps.numpy())
    close(torch.from_numpy(written_z), z.detach())
    close(torch.from_numpy(written_kl), kl.detach())
    close(torch.from_numpy(pull(d_z.numpy(), d_kl.numpy())), leaf.grad)


# ------------------------------------------------------------ log-variances

# From the identity near 0 to saturation; beyond 700 exp alone would overflow.
RAW_LOG_VARIANCES = torch.tensor([-1e4, -200.0, -30.0, -1.0, 0.0, 1e-3, 2.0, 50.0, 1e4]).double()


@pytest.mark.parametrize("n_columns", [1, 64, 65, 127, 784, 3001, 20_000])
def test_sum_log_is_that_of_single_numbers(n_columns):
    x = np.random.default_rng(0).uniform(0.5, 1.0, (2, 3, n_columns)).astype(np.float32)
    x[0, 0], x[1, 1] = 0.5, 1.0  # the ends
    single = np.log(x.astype(float)).sum(-1)
    np.testing.assert_allclose(sum_log(x), single, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(sum_log(x.astype(float)), single, rtol=1e-13)


def test_soft_bound_vjp():
    leaf = RAW_LOG_VARIANCES.clone().requires_grad_()
    value = soft_bound(leaf)
    value.sum().backward()
    written, pull = soft_bound_vjp(RAW_LOG_VARIANCES.numpy())
    close(torch.from_numpy(written), value.detach())
    close(torch.from_numpy(pull(np.ones(len(written)))), leaf.grad)


def test_soft_bound_is_a_bounded_monotone_identity_near_zero():
    value = soft_bound(RAW_LOG_VARIANCES)
    assert (value.abs() <= LOG_VARIANCE_BOUND).all()
    assert (value.diff() >= 0).all()
    small = torch.linspace(-0.1, 0.1, 21, dtype=torch.float64)
    # The third-order term of 40 tanh(x / 40) is x^3 / 4800.
    close(soft_bound(small), small, atol=3e-7)


def test_soft_bound_inverse():
    log_variance = torch.linspace(-0.98, 0.98, 41, dtype=torch.float64) * LOG_VARIANCE_BOUND
    close(soft_bound(soft_bound_inverse(log_variance)), log_variance)
    assert torch.isfinite(soft_bound_inverse(torch.tensor([-1e9, 1e9]))).all()


# -------------------------------------------------------------------- steps

NUMPY_ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "logistic": expit,
    "identity": lambda x: x,
    "silu": lambda x: x * expit(x),
    "gelu": lambda x: x * scipy.stats.norm.cdf(x),
}


def make_model(
    likelihood,
    hidden=(5,),
    activation="tanh",
    encoder=None,
    decoder=None,
    prior=None,
    posterior=None,
    linear_path=True,
):
    """A float64 model of random parameters, whose encoder shifts and scales."""
    architecture = Architecture(
        n_inputs=N_FEATURES,
        n_targets=N_FEATURES,
        n_components=N_LATENTS,
        hidden_layer_sizes=hidden,
        activation=activation,
        encoder=encoder,
        decoder=decoder,
        likelihood=likelihood,
        prior=prior or StandardNormal(),
        posterior=posterior or DiagonalNormal(),
        objective=ELBO(),
        regularizer=None,
        linear_path=linear_path,
    )
    model = Model(architecture, torch.float64, "cpu", torch.Generator().manual_seed(0))
    model.encoder.shift, model.encoder.scale = normal(N_FEATURES), normal(N_FEATURES, seed=1).exp()
    # Rates are exponentials: at 0.7 some leave float64 no digits for the counts beside them.
    randomise(model.flat, model.networks, size=0.3 if isinstance(likelihood, Poisson) else 0.7)
    return model


def make_batch(likelihood=LIKELIHOODS["gaussian shared"], weighted=False, masked=False):
    """Rows that are their own targets, unless a link would tell them apart."""
    target = targets(likelihood, N_ROWS, N_FEATURES, seed=4)
    return Batch(
        inputs=target if likelihood.link == "identity" else target.log1p(),
        target=target,
        observed=(normal(N_ROWS, N_FEATURES, seed=5) > -0.5).double() if masked else None,
        weight=normal(N_ROWS, seed=6).exp() if weighted else None,
    )


# Row weights, masked cells, beta, alpha / n, draws.
STEP_SETTINGS = list(
    itertools.product([False, True], [False, True], [0.0, 1.0, 2.5], [0.0, 0.3], [1, 3])
)


@networks
@likelihoods
def test_written_step_is_composed_step(activation, likelihood, hidden):
    model = make_model(likelihood, hidden, activation)
    for weighted, masked, beta, penalty, draws in STEP_SETTINGS:
        assert_steps_agree(model, make_batch(likelihood, weighted, masked), beta, penalty, draws)


@likelihoods
def test_written_step_of_weighted_draws_is_the_composed_one(likelihood):
    model = make_model(likelihood)
    model.objective = ImportanceWeighted()
    for weighted, masked, beta, penalty, draws in STEP_SETTINGS:
        assert_steps_agree(model, make_batch(likelihood, weighted, masked), beta, penalty, draws)


FACTORS = {
    "triangle": torch.linalg.cholesky(
        (spread := normal(N_ROWS, N_LATENTS, 5, seed=11)) @ spread.transpose(1, 2)
    ),
    "diagonal": normal(N_ROWS, N_LATENTS, seed=11).exp(),
}


@pytest.mark.parametrize("factor", FACTORS.values(), ids=FACTORS.keys())
@pytest.mark.parametrize("objective", [ELBO(), ImportanceWeighted()], ids=["elbo", "weighted"])
def test_written_step_of_rows_with_gaps_is_the_composed_one(factor, objective):
    model = make_model(LIKELIHOODS["gaussian shared"])
    model.objective = objective
    for weighted, beta, draws in itertools.product([False, True], [0.0, 1.0, 2.5], [1, 3]):
        batch = replace(make_batch(weighted=weighted, masked=True), factor=factor)
        assert_steps_agree(model, batch, beta, draws=draws)


def test_divergence_of_rows_with_gaps_is_that_of_their_normal_distributions():
    mean, log_variance = normal(N_ROWS, N_LATENTS), normal(N_ROWS, N_LATENTS, seed=1)
    for factor in FACTORS.values():
        q = Normal(mean, log_variance).stretched(factor)
        full = factor if factor.ndim == 3 else factor.diag_embed()
        scale = full * (0.5 * log_variance).exp()[:, None, :]
        exact = torch.distributions.MultivariateNormal(mean, scale_tril=scale)
        prior = torch.distributions.MultivariateNormal(
            torch.zeros(N_LATENTS).double(), torch.eye(N_LATENTS).double()
        )
        kl = closed_form_kl(q, IsotropicNormal(N_LATENTS, mean))
        assert kl.shape == mean.shape
        close(kl.sum(1), torch.distributions.kl_divergence(exact, prior))
        z = q.transform(normal(4, 1, N_LATENTS, seed=2))
        close(q.log_prob(z), exact.log_prob(z))
        close(q.detached().log_prob(z), exact.log_prob(z))


def test_weights_of_draws_do_not_overflow():
    log_p = np.array([[1e4, -1e4], [1e4 + 1.0, -1e4]])
    value, v, _ = ImportanceWeighted(2).weigh(log_p, np.zeros((2, 2)), 1.0)
    expected = torch.logsumexp(torch.from_numpy(log_p), 0) - math.log(2.0)
    np.testing.assert_allclose(value, expected)
    np.testing.assert_allclose(v.sum(0), 1.0)


def assert_steps_agree(model, batch, beta=1.0, penalty=0.0, draws=1):
    """Terms and gradient of every step are the composed one's, which are returned."""
    eps = normal(draws, N_ROWS, N_LATENTS, seed=7)
    results = []
    steps = [step(model, penalty) for step in (WrittenStep, ComposedStep)]
    for step in (*steps, PartedStep(model, penalty, n_parts=3)):
        for view in model.flat.grad_views:
            view.fill_(torch.nan)  # what an earlier step left is of no account
        terms = step(batch, eps, torch.tensor(beta, dtype=torch.float64))
        results.append((torch.as_tensor(terms, dtype=torch.float64), model.flat.grads.clone()))
    written, composed, parted = results
    close(written, composed)
    close(parted, composed)
    return composed


@likelihoods
def test_offset_moves_the_location(likelihood):
    """The same for all rows, it is the decoder's bias: in value, and so in slope."""
    model, batch = make_model(likelihood), make_batch(likelihood, weighted=True)
    offset, bias = normal(N_FEATURES, seed=8), model.decoder.output_bias[:N_FEATURES]
    shifted = replace(batch, offset=offset.expand(N_ROWS, N_FEATURES))
    moved = assert_steps_agree(model, shifted)
    with torch.no_grad():
        bias += offset
    close(moved, assert_steps_agree(model, batch))


@likelihoods
@pytest.mark.parametrize("width", [1, N_FEATURES])
def test_gradient_of_an_offset_is_that_of_the_location(likelihood, width):
    """One number a row, as the log of a library size, or one for each column."""
    model, batch = make_model(likelihood), make_batch(likelihood)
    offset = normal(N_ROWS, width, seed=8)
    assert_steps_agree(model, replace(batch, offset=offset), draws=3)
    raw = normal(3, N_ROWS, sum(model.width))
    leaf = offset.clone().requires_grad_()
    moved = model.located(raw, replace(batch, offset=leaf))
    location, extra = moved.split(tuple(model.width), -1)
    close(location - raw[..., : model.width.location], offset.expand_as(location))
    close(extra, raw[..., model.width.location :])
    d = normal(*moved.shape, seed=9)
    (moved * d).sum().backward()
    each = d[..., : model.width.location].sum(0)
    close(leaf.grad, each if width > 1 else each.sum(1, keepdim=True))


@pytest.mark.parametrize("n_rows", [1, 2])
def test_parts_may_be_empty(n_rows):
    model, batch = make_model(Gaussian()), make_batch().part(slice(n_rows))
    eps = normal(1, n_rows, N_LATENTS)
    results = []
    for step in (WrittenStep(model), PartedStep(model, 0.0, 3)):
        terms = torch.tensor(step(batch, eps, 1.0))
        results.append((terms, model.flat.grads.clone()))
    close(*results)


def naive_network(network, x):
    """Output of a network for one row, in NumPy."""
    x = x if network.shift is None else x - network.shift.numpy()
    x = x if network.scale is None else x * network.scale.numpy()
    activate = next(f for n, f in NUMPY_ACTIVATIONS.items() if ACTIVATIONS[n] == network.activation)
    *hidden, _ = (block.detach().numpy() for block in network.params)
    *_, (last, _) = network.weights
    h = x if hidden else x[:0]
    for block in hidden:
        h = activate(block[:, :-1] @ h + block[:, -1])
    y = network.output_bias.numpy() + last.detach().numpy() @ h
    y[: network.n_linear] += network.linear.numpy() @ x
    return y


def bounded(log):
    """Soft bound of a shared log."""
    return 40.0 * np.tanh(log.detach().numpy() / 40.0)


# Log-density of each cell by SciPy, given raw output, target and the shared logs.
NAIVE_LOG_PROB = {
    Gaussian: lambda _, raw, x, s: scipy.stats.norm.logpdf(x, raw, np.exp(0.5 * s)),
    # Grey targets take the cross-entropy.
    Bernoulli: lambda _, raw, x: x * log_expit(raw) + (1.0 - x) * log_expit(-raw),
    Poisson: lambda _, raw, x: scipy.stats.poisson.logpmf(x, np.exp(raw)),
    StudentT: lambda own, raw, x, s: scipy.stats.t.logpdf(x, own.df, raw, np.exp(0.5 * s)),
}


def naive_log_prob(model, raw, target):
    """Log-density of each cell."""
    logs = [bounded(log) for log in model.shared.params]
    return NAIVE_LOG_PROB[type(model.likelihood)](model.likelihood, raw, target, *logs)


def naive_loss(model, batch, eps, beta):
    """Minus the weighted bound over the rows, one row and one draw at a time."""
    total = 0.0
    for i, x in enumerate(batch.inputs.numpy()):
        mean, raw_log_variance = np.split(naive_network(model.encoder, x), 2)
        variance = np.exp(40.0 * np.tanh(raw_log_variance / 40.0))
        kl = 0.5 * (variance + mean**2 - 1.0 - np.log(variance)).sum()
        log_p = 0.0
        for draw in eps[:, i].numpy():
            raw = naive_network(model.decoder, mean + np.sqrt(variance) * draw)
            cells = naive_log_prob(model, raw, batch.target[i].numpy())
            log_p += (cells * (1.0 if batch.observed is None else batch.observed[i].numpy())).sum()
        weight = 1.0 if batch.weight is None else float(batch.weight[i])
        total += weight * (log_p / len(eps) - beta * kl)
    return -total / len(batch.inputs)


@networks
@likelihoods
@pytest.mark.parametrize("plain", [True, False])
def test_step_is_the_naive_loss_and_its_slope(activation, likelihood, hidden, plain):
    """A random direction sees an error in any one parameter's gradient."""
    model = make_model(likelihood, hidden, activation)
    batch = make_batch(likelihood, weighted=not plain, masked=not plain)
    beta, penalty, draws = (1.0, 0.0, 1) if plain else (2.5, 0.3, 3)
    eps = normal(draws, N_ROWS, N_LATENTS, seed=7)
    loss = build_step(model, penalty)(batch, eps, beta)[0]
    if likelihood.constant(batch.target) is not None:  # which no step takes
        constant = model.constant(batch)
        loss -= float((constant if plain else constant * batch.weight).mean())
    np.testing.assert_allclose(loss, naive_loss(model, batch, eps, beta), rtol=1e-10)

    start, direction = model.flat.values.clone(), torch.zeros_like(model.flat.values)
    for seed in range(3):
        direction.copy_(normal(len(direction), seed=100 + seed))
        slope = float(model.flat.grads @ direction)
        step, ends = 1e-6, []
        for sign in (1.0, -1.0):
            model.flat.values.copy_(start + sign * step * direction)
            squares = sum(float(w.detach().square().sum()) for w, _ in model.weights)
            ends.append(naive_loss(model, batch, eps, beta) + penalty / 2.0 * squares)
        model.flat.values.copy_(start)
        # Central differences: rounding of the loss over the step, 1e-15 |loss| / 1e-6.
        tolerance = 1e-7 * max(1.0, abs(loss))
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), slope, 1e-6, tolerance)


# ------------------------------------------------------------- user modules


@pytest.mark.parametrize("hidden", [(), (5,), (5, 6)], ids=str)
@pytest.mark.parametrize("container", [np.asarray, csr_array])
@pytest.mark.parametrize("linear_path", [True, False])
@torch.no_grad()
def test_rows_are_mapped_where_they_lie(hidden, container, linear_path):
    """The constants in the first product give what converting the rows gives."""
    model = make_model(Bernoulli(), hidden, linear_path=linear_path)
    X = 3.0 * normal(300, N_FEATURES).relu().numpy() + 1.0
    shift, scale = normal(N_FEATURES, seed=2).numpy(), np.linspace(0.5, 1.7, N_FEATURES)
    working = torch.from_numpy((X - shift) / scale)
    for encoder_shift in (model.encoder.shift, None):
        model.encoder.shift = encoder_shift
        expected = model.encoder.forward(working).numpy()
        found = model.encoder.evaluate_rows(container(X), shift, scale)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(model.encoder.evaluate(working), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("why", ["few rows", "far from zero", "a user module"])
def test_rows_are_converted_where_that_is_better(why):
    model = make_model(Gaussian(), encoder=normalised if why == "a user module" else None)
    X = np.ones((10 if why == "few rows" else 300, N_FEATURES))
    shift = np.full(N_FEATURES, 33.0 if why == "far from zero" else 0.0)
    assert model.encoder.evaluate_rows(X, shift, np.ones(N_FEATURES)) is None


def normalised(n_in, n_out):
    """A network that knows nothing of this library, with running statistics."""
    return torch.nn.Sequential(
        torch.nn.Linear(n_in, 8),
        torch.nn.BatchNorm1d(8),
        torch.nn.Tanh(),
        torch.nn.Linear(8, n_out),
    )


@torch.no_grad()
def pca_model(encoder=None, decoder=None, hidden=()):
    """A linear Gaussian model at the PCA start of its rows, one latent at the prior."""
    model = make_model(Gaussian(), hidden, encoder=encoder, decoder=decoder)
    X = (normal(40, N_FEATURES) @ normal(N_FEATURES, N_FEATURES, seed=1)).numpy() + 2.0
    prepared = prepare(X, None, model.likelihood, N_LATENTS)
    model.see(prepared.view)
    rows = Rows(X, None, prepared.view, torch.float64, torch.device("cpu"))
    PrincipalComponents(N_LATENTS - 1).write(model, prepared, rows, seed=0)
    return model, rows.part(slice(None))


@torch.no_grad()
def test_user_module_is_silent_at_the_pca_start():
    model, batch = pca_model(encoder=normalised, decoder=normalised)
    plain, _ = pca_model()
    eps = normal(3, 1, N_LATENTS)
    torch.testing.assert_close(model.bound(batch, eps, 1.0), plain.bound(batch, eps, 1.0))


@pytest.mark.parametrize("side", ["encoder", "decoder", "both"])
def test_user_module_trains_by_the_composed_step(side):
    sides = ["encoder", "decoder"] if side == "both" else [side]
    model, batch = pca_model(hidden=(5,), **dict.fromkeys(sides, normalised))
    step, adam = build_step(model), Adam(model.flat)
    assert isinstance(step, ComposedStep)
    model.train(True)
    start = model.flat.values.clone()
    eps = normal(200, len(batch.inputs), N_LATENTS)
    losses = []
    for k in range(100):
        losses.append(step(batch, eps[2 * k : 2 * k + 2], 1.0)[0].item())
        adam.step(1e-2)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    for name in sides:
        network = getattr(model, name)
        assert network.gate.abs().min() > 0
        assert network.buffers["1.num_batches_tracked"] >= 100
    assert (model.flat.values != start).any()


def test_written_step_is_chosen_where_it_exists():
    assert isinstance(build_step(make_model(Gaussian())), WrittenStep)
    assert isinstance(build_step(make_model(Bernoulli(), hidden=())), WrittenStep)
    weighted = make_model(Gaussian())
    weighted.objective = ImportanceWeighted()
    assert isinstance(build_step(weighted), WrittenStep)
    weighted.objective = ELBO(free_bits=0.1)
    assert isinstance(build_step(weighted), ComposedStep)


# ------------------------------------------------------------------ devices


def make_trainer(device, likelihood, n_samples=37):
    """A trainer of float32 whose parameters are random, on any device."""
    model = make_model(likelihood)
    architecture = model.architecture
    values = model.flat.values.to(device, torch.float32)
    model = Model(architecture, torch.float32, device, torch.Generator())
    with torch.no_grad():
        model.flat.values.copy_(values)
    X = targets(likelihood, n_samples, N_FEATURES).numpy()
    zeros, ones = np.zeros(N_FEATURES), np.ones(N_FEATURES)
    view = View(mean=zeros, total_variance=1.0, shift=zeros, scale=ones, link=likelihood.link)
    rows = Rows(X, None, view, torch.float32, torch.device(device))
    plan = Plan(
        budget=Budget(max_iter=3, learning_rate_init=1e-2, tol=0.0, n_iter_no_change=3),
        batch_size=8,
        penalty=0.3,
        beta=Constant(1.0),
        device=device,
        bfloat16=False,
        start=PrincipalComponents(),
        validation_fraction=None,
        watcher=Watcher(),
    )
    return Trainer(model, rows, None, plan, seed=0)


def assert_same_training(one, other):
    outcomes = [trainer.run(trainer.plan.budget) for trainer in (one, other)]
    np.testing.assert_allclose(outcomes[0].terms, outcomes[1].terms, rtol=1e-5)
    # Adam divides by the gradient's size: rounding of a small gradient moves a parameter.
    close(one.model.flat.values.cpu(), other.model.flat.values.cpu(), atol=1e-4)


@likelihoods
def test_composed_training_is_written_training(likelihood):
    """What a device runs, run on the CPU: the same steps with the same noise."""
    composed, written = make_trainer("cpu", likelihood), make_trainer("cpu", likelihood)
    composed.step = ComposedStep(composed.model, written.step.penalty)
    assert isinstance(written.step, WrittenStep)
    assert_same_training(composed, written)


@likelihoods
def test_products_in_bfloat16_give_the_gradient_to_its_digits(likelihood):
    """What ``precision`` asks of a device, run on the CPU."""
    trainer = make_trainer("cpu", likelihood)
    batch, eps = trainer.rows.part(slice(0, N_ROWS)), normal(1, N_ROWS, N_LATENTS).float()
    gradients, losses = [], []
    for bfloat16 in (False, True):
        step = ComposedStep(trainer.model, 0.0, None, bfloat16)
        losses.append(float(step(batch, eps, 1.0)[0]))
        gradients.append(trainer.model.flat.grads.clone())
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)
    error = torch.linalg.vector_norm(gradients[1] - gradients[0])
    assert error < 0.02 * torch.linalg.vector_norm(gradients[0])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@likelihoods
def test_replayed_training_is_the_cpus(likelihood):
    """37 rows in batches of 8 take two graphs."""
    trainer = make_trainer("cuda", likelihood)
    assert_same_training(trainer, make_trainer("cpu", likelihood))
    assert len(trainer.replayed.graphs) == 2
