"""All public estimators fitted in all the ways that differ in what is kept, and all their methods.

The walks are by name and signature: a method or a function of skvae.metrics that is new is called,
or fails here because nobody said what to give it.
"""

import inspect

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.mixture import GaussianMixture

import skvae
from skvae import Autoencoder, CanonicalCorrelatedAutoencoder, VariationalAutoencoder, metrics

X = np.random.RandomState(0).standard_normal((40, 5)) @ np.diag([4, 3, 2, 1, 1])
CLASSES = (X[:, 0] > 0).astype(int)
LABELS = (X[:, :3] > 0).astype(int)
WEIGHT = np.random.RandomState(1).uniform(1, 2, len(X))

SMALL = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
PUBLIC = [getattr(skvae, name) for name in skvae.__all__]
ESTIMATORS = [p for p in PUBLIC if inspect.isclass(p) and issubclass(p, BaseEstimator)]

# Of scikit-learn's own: they take no rows.
_PLUMBING = {
    "get_feature_names_out",
    "get_metadata_routing",
    "get_params",
    "set_callbacks",
    "set_output",
    "set_params",
}


class BatchNormNet(torch.nn.Sequential):
    """A user's network; its running statistics are buffers, not parameters."""

    def __init__(self, n_in, n_out):
        super().__init__(
            torch.nn.Linear(n_in, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, n_out)
        )


def small(estimator, **params):
    """An estimator whose fit takes milliseconds."""
    return estimator(**{**SMALL, **params})


def fits(estimator, **params):
    """Every way to fit it that keeps something else, by name, not yet done."""
    if estimator is CanonicalCorrelatedAutoencoder:
        linear = {"hidden_layer_sizes": (), "label_hidden_layer_sizes": (), **params}
        return {
            "classes": (small(estimator, **params), CLASSES),
            "label sets": (small(estimator, **params), LABELS),
            "sparse label sets": (small(estimator, threshold="label", **params), csr_array(LABELS)),
            "no hidden layer": (small(estimator, **linear), LABELS),
        }
    networks = {"encoder": BatchNormNet, "decoder": BatchNormNet}
    ways = {
        "plain": {},
        "no hidden layer": {"hidden_layer_sizes": ()},
        "user's networks": networks,
        "latent density": {"latent_density": GaussianMixture(2)},
    }
    if estimator is VariationalAutoencoder:
        ways["vamp prior"] = {"prior": "vamp"}
    return {name: (small(estimator, **{**way, **params}), None) for name, way in ways.items()}


FITS = [(estimator, name) for estimator in ESTIMATORS for name in fits(estimator)]


def fitted(estimator, name, rows=X, **params):
    """One of FITS, done."""
    model, y = fits(estimator, **params)[name]
    return model.fit(rows) if y is None else model.fit(rows, y)


def arguments(function, model, y, convert=lambda array: array):
    """Rows, latents, targets and weights to call a public function with, after ``convert``."""
    latents = np.zeros((3, getattr(model, "n_components_", 2)))
    latents[1:] = [[1.0], [-1.0]]
    decodes = function.__name__ in ("inverse_transform", "decode")
    values = {
        "X": convert(latents if decodes else X),
        "Z": convert(np.tile(latents, (4, 1))),
        "Y": convert(LABELS),
        "y": convert(CLASSES if y is None else y),
        "sample_weight": convert(WEIGHT),
        "factors": convert(np.arange(24).reshape(12, 2) % 3),
        "estimator": model,
        "random_state": 0,
        "n_samples": 3,
        "n_draws": 4,
        "n_bins": 3,
    }
    parameters = inspect.signature(function).parameters.values()
    unknown = [p.name for p in parameters if p.name not in values and p.default is p.empty]
    unknown = [name for name in unknown if name not in ("self", "fit_params", "params")]
    assert unknown == [], f"say what {function.__name__} is to be given"
    return {p.name: values[p.name] for p in parameters if p.name in values}


def methods(estimator):
    """Names of all public methods that a user calls with data."""
    names = {name for name, _ in inspect.getmembers(estimator, callable) if name[0] != "_"}
    requests = {name for name in names if name.endswith("_request")}
    return sorted(names - _PLUMBING - requests)


def metric_functions():
    """All public functions of skvae.metrics."""
    functions = [getattr(metrics, name) for name in metrics.__all__]
    return [function for function in functions if inspect.isfunction(function)]


def applicable(estimator, name):
    """Say whether a function makes sense of what the estimator is."""
    if name == "encode_labels":
        return estimator is CanonicalCorrelatedAutoencoder
    if name in ("log_likelihood", "bound_terms"):
        return estimator is VariationalAutoencoder
    if name == "active_units":
        return estimator in (VariationalAutoencoder, Autoencoder)
    return True


def outcomes(model, y, names, convert=lambda array: array):
    """Call each method, and each function of skvae.metrics; yield its name and its result."""
    kind = type(model)
    # A point has no prior to draw from; exclusive classes are no label sets.
    left_out = set()
    if kind is Autoencoder and model.latent_density is None:
        left_out.add("sample")
    if y is not None and y.ndim == 1:
        left_out.add("encode_labels")
    for name in names:
        if name not in left_out:
            method = getattr(model, name)
            yield name, method(**arguments(method, model, y, convert))
    for function in metric_functions():
        if applicable(kind, function.__name__):
            yield function.__name__, function(**arguments(function, model, y, convert))
