"""A graph gives what the estimator gives, through onnxruntime."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from mixed import FRAME, make
from scipy import special
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvae import (
    Autoencoder,
    CanonicalCorrelatedAutoencoder,
    VAEImputer,
    VAEOutlierDetector,
    VariationalAutoencoder,
    posteriors,
    priors,
)
from skvae.likelihoods import Categorical
from skvae.nn import Convolutional, ResidualDense
from skvae.onnx import register_converters, to_onnx
from skvae.onnx._export import graph_of
from skvae.onnx._operators import (
    OperatorsOfOnnx,
    cholesky,
    clamp,
    find,
    log_gamma,
    solve_lower,
)
from skvae.tables import read_raw_table

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

# Models here are hardly trained.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# What holds for float32, as a share of the largest value.
CLOSE = 1e-4

WINE = StandardScaler().fit_transform(load_wine().data)[:, :5].astype(np.float32)
LIKELIHOODS = {
    "gaussian": WINE,
    "student_t": WINE,
    "laplace": WINE,
    "nonparanormal": WINE,
    "log_normal": np.exp(WINE),
    "bernoulli": (WINE > 0).astype(np.float32),
    "continuous_bernoulli": special.expit(WINE),
    "beta": special.expit(WINE),
    "poisson": np.round(np.exp(WINE)),
    "negative_binomial": np.round(np.exp(WINE)),
    "zero_inflated_negative_binomial": np.round(np.exp(WINE)),
    "ordinal": np.round(WINE).clip(-1, 1),
}
# Few operators, which an export takes its time for.
FLOWS = {
    "prior": priors.Flow(n_layers=1, hidden_layer_sizes=(4,)),
    "posterior": posteriors.Flow(n_layers=1, hidden_layer_sizes=(4,), n_context=2),
}
PRIORS = ["standard_normal", "mixture_of_gaussians", "vamp", "flow"]
POSTERIORS = ["diagonal_normal", "full_covariance_normal", "flow"]
METHODS = ["transform", "inverse_transform", "score_samples", "impute"]


def with_gaps(X):
    rows, columns = np.indices(X.shape)
    return np.where((rows + 2 * columns) % 7 == 0, np.nan, X)


def fitted(likelihood="gaussian", n_components=1, gaps=False, **params):
    X = LIKELIHOODS[likelihood]
    params = {"hidden_layer_sizes": (8,), "max_iter": 2, "early_stopping": False, **params}
    params |= {name: flow for name, flow in FLOWS.items() if params.get(name) == "flow"}
    vae = VariationalAutoencoder(n_components, likelihood=likelihood, random_state=0, **params)
    return vae.fit(with_gaps(X) if gaps else X)


def rows_for(likelihood):
    """Rows of a likelihood; of normal scores off the knots, where the density jumps."""
    X = LIKELIHOODS[likelihood]
    return X + np.float32(1e-3) if likelihood == "nonparanormal" else X


def given_to(estimator, method, X):
    return estimator.transform(X).astype(np.float32) if method == "inverse_transform" else X


STRINGS = {"sex", "grade", "town"}


def numbers_of(frame):
    """Cells of a frame as numbers and strings, by the names of its columns."""
    cells = {}
    for raw in read_raw_table(frame).columns:
        are_strings = raw.name in STRINGS
        empty, kind = ("", object) if are_strings else (np.nan, np.float64)
        values = [empty if v is None or v != v else v for v in raw.values]
        cells[raw.name] = np.array(values, dtype=kind)
    return cells


def run(model, rows):
    """Results of a model by name, for an array or a frame."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ports = [port.name for port in session.get_inputs()]
    if isinstance(rows, pd.DataFrame):
        cells = numbers_of(rows)
        feeds = {name: cells[name] for name in ports}
    else:
        feeds = {ports[0]: np.asarray(rows, np.float32)}
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds), strict=True))


def assert_close(found, wanted):
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    scale = np.nanmax(np.abs(wanted), initial=0.0)
    np.testing.assert_allclose(found, wanted, rtol=CLOSE, atol=CLOSE * scale)


def assert_same(model, estimator, method, X):
    """A graph's results on many rows, and on one, are the estimator's."""
    for rows in (X, X[:1]):
        wanted, results = getattr(estimator, method)(rows), run(model, rows)
        if isinstance(wanted, pd.DataFrame):
            cells = numbers_of(wanted)
            for name, found in results.items():
                own = cells[name.partition(".")[2]]
                if own.dtype == object:
                    assert found.tolist() == own.tolist()
                else:
                    assert_close(found, own)
        else:
            (found,) = results.values()
            assert_close(found, wanted)


# ------------------------------------------------------------------ in torch, all combinations


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_functions_are_the_methods_for_each_likelihood(likelihood, gaps):
    check_functions(fitted(likelihood, 2, gaps=gaps), rows_for(likelihood))


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("prior", PRIORS)
def test_functions_are_the_methods_for_each_prior_and_posterior(prior, posterior):
    if prior == "vamp" and posterior != "diagonal_normal":
        return  # the two do not go together
    check_functions(fitted("gaussian", 2, gaps=True, prior=prior, posterior=posterior), WINE)


def check_functions(vae, X):
    """What is traced equals the methods on rows with gaps and on rows without."""
    for method in METHODS:
        graph = graph_of(vae, method)
        for rows, gaps in ((X, False), (with_gaps(X), True)):
            given = np.asarray(given_to(vae, method, rows), np.float32)
            with OperatorsOfOnnx(), torch.no_grad():
                (found,) = graph.compute([torch.from_numpy(given)], gaps)
            assert_close(found.numpy(), getattr(vae, method)(given))


# ------------------------------------------------------------------ through onnxruntime


@pytest.mark.parametrize(
    ("likelihood", "prior", "posterior", "method"),
    [
        ("gaussian", "standard_normal", "flow", "transform"),
        ("gaussian", "standard_normal", "diagonal_normal", "inverse_transform"),
        ("laplace", "vamp", "diagonal_normal", "impute"),
        ("bernoulli", "flow", "diagonal_normal", "score_samples"),
        ("beta", "mixture_of_gaussians", "full_covariance_normal", "score_samples"),
    ],
)
def test_graph_of_an_array(likelihood, prior, posterior, method):
    X, n_components = rows_for(likelihood), 2 if "flow" in prior + posterior else 1
    vae = fitted(likelihood, n_components, prior=prior, posterior=posterior)
    model = to_onnx(vae, method=method)
    onnx.checker.check_model(model)
    assert_same(model, vae, method, given_to(vae, method, X))
    if method != "inverse_transform":
        assert_same(model, vae, method, with_gaps(X))


@pytest.mark.parametrize("method", ["score_samples", "impute"])
def test_graph_of_every_likelihood(method):
    """A column of each, for an export takes as long for one."""
    cells = {name: rows_for(name)[:, j % 5] for j, name in enumerate(LIKELIHOODS)}
    frame = pd.DataFrame(cells).astype(np.float64)
    likelihood = [(name, name, [name]) for name in LIKELIHOODS]
    params = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
    vae = VariationalAutoencoder(1, likelihood=likelihood, early_stopping=False, **params)
    model = to_onnx(vae.fit(frame), method=method)
    onnx.checker.check_model(model)
    assert_same(model, vae, method, frame)
    assert_same(model, vae, method, frame.mask(np.isnan(with_gaps(frame.to_numpy()))))


@pytest.mark.parametrize(
    ("network", "method"),
    [
        (Convolutional((5, 4, 3), channels=(4, 6), hidden_layer_sizes=(8,)), "transform"),
        (Convolutional((7, 9), channels=(4, 6), hidden_layer_sizes=()), "inverse_transform"),
        (ResidualDense(8), "score_samples"),
    ],
    ids=repr,
)
def test_graph_of_networks_for_images(network, method):
    n_features = int(np.prod(getattr(network, "image_shape", 64)))
    X = (load_digits().data[:60, :n_features] / 16).astype(np.float32)
    params = {"encoder": network, "decoder": network, "max_iter": 2, "early_stopping": False}
    vae = VariationalAutoencoder(3, random_state=0, **params).fit(X)
    assert_same(to_onnx(vae, method=method), vae, method, given_to(vae, method, X))


def test_graph_of_an_array_with_gaps_at_fit():
    X = with_gaps(WINE)
    X[:, 3] = np.nan  # a column without a cell
    vae = VariationalAutoencoder(2, hidden_layer_sizes=(8,), max_iter=2, random_state=0).fit(X)
    assert_same(to_onnx(vae, method="impute"), vae, "impute", X)


def mixed_with_gaps():
    frame = FRAME.copy()
    every = np.arange(len(frame))
    frame["sex"] = frame["sex"].where(every % 4 > 0, None)
    frame.loc[every % 5 == 0, "weight"] = np.nan
    # A level that fit does not see counts as missing, and stays as it is.
    frame["town"] = frame["town"].astype(object).where(every % 7 > 0, "Rom")
    return frame


@pytest.mark.parametrize("method", METHODS)
def test_functions_of_a_mixed_table(method):
    vae = make(max_iter=2).fit(FRAME)
    graph = graph_of(vae, method)
    for frame, gaps in ((FRAME, False), (mixed_with_gaps(), True)):
        rows = given_to(vae, method, frame)
        wanted = getattr(vae, method)(rows)
        if method == "inverse_transform":
            tensors = [torch.from_numpy(rows)]
        else:
            cells = numbers_of(frame)
            tensors = [torch.from_numpy(placed(port, cells[port.name])) for port in graph.inputs]
        with OperatorsOfOnnx(), torch.no_grad():
            results = graph.compute(tensors, gaps)
        if not isinstance(wanted, pd.DataFrame):
            assert_close(results[0].numpy(), wanted)
            continue
        cells = numbers_of(wanted)
        for port, result in zip(graph.outputs, results, strict=True):
            own = cells[port.name.partition(".")[2]]
            if port.strings is None:
                assert_close(result.numpy(), own)
            else:
                found = np.array(port.strings)[result.numpy()]
                is_level = np.isin(own, port.strings)
                assert (found == own)[is_level].all()


def placed(port, cells):
    if port.places is None:
        return cells
    return np.array([port.places.get(cell, port.unknown) for cell in cells])


def test_graph_of_a_mixed_table():
    vae = make(max_iter=2).fit(FRAME)
    model = to_onnx(vae, method="impute")
    onnx.checker.check_model(model)
    assert_same(model, vae, "impute", FRAME)
    assert_same(model, vae, "impute", mixed_with_gaps())
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["feature_names"]) == list(FRAME)
    assert json.loads(facts["levels"])["grade"] == ["XL", "L", "M", "S"]


def test_graph_gives_rows_of_a_mixed_table():
    vae = make().fit(FRAME)
    Z = vae.transform(FRAME).astype(np.float32)
    assert_same(to_onnx(vae, method="inverse_transform"), vae, "inverse_transform", Z)


def test_graph_of_an_autoencoder():
    model = Autoencoder(2, hidden_layer_sizes=(8,), max_iter=2, random_state=0).fit(WINE)
    assert_same(to_onnx(model, method="score_samples"), model, "score_samples", WINE)


def test_graph_of_an_imputer():
    X = with_gaps(WINE)
    X[:, 3] = np.nan
    vae = VariationalAutoencoder(2, hidden_layer_sizes=(), max_iter=0)
    imputer = VAEImputer(
        vae, n_components=2, add_indicator=True, keep_empty_features=True, random_state=0
    ).fit(X)
    assert_same(to_onnx(imputer), imputer, "transform", X)


def test_graph_of_a_detector():
    X = with_gaps(WINE)
    detector = VAEOutlierDetector(1, max_iter=0, contamination=0.1, random_state=0).fit(X)
    scores = detector.decision_function(X)
    (found,) = run(to_onnx(detector, method="decision_function"), X).values()
    assert_close(found, scores)
    with OperatorsOfOnnx():
        (labels,) = graph_of(detector, "predict").compute([torch.from_numpy(X).float()], True)
    is_clear = np.abs(scores) > 1e-4
    assert (labels.numpy() == detector.predict(X))[is_clear].all()


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("labels", "transform"),
        ("labels", "predict"),
        ("labels", "predict_proba"),
        ("classes", "predict"),
        ("classes", "decision_function"),
    ],
)
def test_graph_of_a_classifier(kind, method):
    y = WINE[:, :3] > 0 if kind == "labels" else np.array(["a", "b", "c"])[load_wine().target]
    model = CanonicalCorrelatedAutoencoder(
        hidden_layer_sizes=(8,), max_iter=2, n_folds=1, early_stopping=False, threshold=0.4
    ).fit(WINE, y.astype(int) if kind == "labels" else y)
    (found,) = run(to_onnx(model, method=method), WINE).values()
    wanted = getattr(model, method)(WINE)
    if found.dtype == object:
        assert found.tolist() == wanted.tolist()
    else:
        assert_close(found, wanted)


def test_pipeline_exports_whole():
    skl2onnx = pytest.importorskip("skl2onnx")
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    vae = VariationalAutoencoder(4, hidden_layer_sizes=(8,), max_iter=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), vae, LogisticRegression(max_iter=500)).fit(X, y)
    register_converters()
    model = skl2onnx.to_onnx(pipeline, X[:1], target_opset=18, options={"zipmap": False})
    results = run(model, X)
    assert_close(results["probabilities"], pipeline.predict_proba(X))
    assert (results["label"] == pipeline.predict(X)).mean() > 0.999
    with pytest.raises(ValueError, match="'target_opset' parameter must be"):
        skl2onnx.to_onnx(pipeline, X[:1], target_opset=15)


def test_graph_holds_no_path_of_this_machine():
    text = to_onnx(fitted(max_iter=0, hidden_layer_sizes=())).SerializeToString()
    assert b".py" not in text


# ------------------------------------------------------------------ operators


def test_operators_are_those_of_torch():
    generator = torch.Generator().manual_seed(0)
    x = torch.logspace(-8, 8, 400, dtype=torch.float64)
    torch.testing.assert_close(log_gamma(x), torch.lgamma(x), rtol=1e-12, atol=1e-10)
    A = torch.randn(6, 4, 9, generator=generator, dtype=torch.float64)
    square = A @ A.mT
    lower = cholesky(square)
    torch.testing.assert_close(lower, torch.linalg.cholesky(square))
    eye = torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(lower @ solve_lower(lower, eye), eye.expand(6, 4, 4))
    y = torch.tensor([-3.0, -1.0, 0.5, 2.0, torch.nan])
    for limits in ((-1.0, 1.0), (None, 1.0), (-1.0, None)):
        torch.testing.assert_close(clamp(y, *limits), y.clamp(*limits), equal_nan=True)
    knots, places = torch.tensor([0.0, 1.0, 1.0, 2.0]), torch.tensor([-1.0, 0.0, 1.0, 1.5, 3.0])
    for right in (False, True):
        found = torch.searchsorted(knots, places, right=right)
        assert torch.equal(find(knots, places, right=right), found)


# ------------------------------------------------------------------ refusals


class Odd(torch.nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = torch.nn.Linear(n_in, n_out, dtype=torch.float32)

    def forward(self, x):
        return self.layer(x) if float(x.sum()) > 0 else -self.layer(x)


def test_errors():
    with pytest.raises(ValueError, match=r"'estimator' must be one of Autoencoder, .* Got PCA"):
        to_onnx(PCA())
    with pytest.raises(NotFittedError):
        to_onnx(VariationalAutoencoder())
    vae = fitted(max_iter=0)
    with pytest.raises(ValueError, match=r"'method' parameter must be one of .* Got 'predict'"):
        to_onnx(vae, method="predict")
    with pytest.raises(ValueError, match=r"'target_opset' parameter must be None or .* Got 12"):
        to_onnx(vae, target_opset=12)
    with pytest.raises(ValueError, match=r"torch.export cannot trace the module of encoder"):
        to_onnx(fitted(max_iter=0, encoder=Odd))
    point = fitted(max_iter=0, posterior="deterministic", beta=0)
    with pytest.raises(ValueError, match="is a point, so there is no likelihood"):
        to_onnx(point, method="score_samples")
    X = with_gaps(WINE)
    imputer = VAEImputer(n_components=1, strategy="sample", random_state=0, estimator=vae).fit(X)
    with pytest.raises(ValueError, match="Set strategy='mean' to export"):
        to_onnx(imputer)
    strict = VariationalAutoencoder(
        1, likelihood=Categorical(handle_unknown="error"), max_iter=0
    ).fit(FRAME[["sex", "town"]])
    with pytest.raises(ValueError, match="'sex' has handle_unknown='error'"):
        to_onnx(strict)


def test_export_needs_its_extra(monkeypatch):
    vae = fitted(max_iter=0)
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"pip install skvae\[onnx\]"):
        to_onnx(vae)
