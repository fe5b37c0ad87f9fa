"""All public estimators fitted in all the ways that differ in what is kept, and all their methods.

The walks are by name and signature: a method or a function of skvae.metrics that is new is called,
or fails here because nobody said what to give it.
"""

import dataclasses
import hashlib
import inspect

import joblib
import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_info

import skvae
from skvae import (
    Autoencoder,
    CanonicalCorrelatedAutoencoder,
    VAEImputer,
    VAEOutlierDetector,
    VariationalAutoencoder,
    metrics,
)

X = np.random.RandomState(0).standard_normal((40, 5)) @ np.diag([4, 3, 2, 1, 1])
CLASSES = (X[:, 0] > 0).astype(int)
LABELS = (X[:, :3] > 0).astype(int)
WEIGHT = np.random.RandomState(1).uniform(1, 2, len(X))

SMALL = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
PUBLIC = [getattr(skvae, name) for name in skvae.__all__]
# What the imputer's methods take and give is no latents: tests/test_imputer.py walks it.
APART = [VAEImputer]
ESTIMATORS = [
    p for p in PUBLIC if inspect.isclass(p) and issubclass(p, BaseEstimator) and p not in APART
]
# Those whose training can be watched; the others stand around one of them.
WATCHED = [e for e in ESTIMATORS if "verbose" in inspect.signature(e).parameters]

# Of scikit-learn's own: they take no rows.
_PLUMBING = {
    "get_feature_names_out",
    "get_metadata_routing",
    "get_params",
    "set_callbacks",
    "set_output",
    "set_params",
}


class PlainNet(torch.nn.Sequential):
    """A user's network."""

    def __init__(self, n_in, n_out):
        super().__init__(torch.nn.Linear(n_in, 8), torch.nn.ReLU(), torch.nn.Linear(8, n_out))


class DropoutNet(torch.nn.Sequential):
    """A user's network that draws in training, and whose running statistics are buffers."""

    def __init__(self, n_in, n_out):
        super().__init__(
            torch.nn.Linear(n_in, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.Dropout(0.2),
            torch.nn.Linear(8, n_out),
        )


# ------------------------------------------------------------------ ways to fit


def small(estimator, /, **params):
    """An estimator whose fit takes milliseconds."""
    own = {**SMALL, **params}
    if estimator is VAEOutlierDetector:
        del own["hidden_layer_sizes"]
    return estimator(**own)


def fits(estimator, /, **params):
    """Every way to fit it that keeps something else, by name, with its y, not yet done."""
    if estimator is CanonicalCorrelatedAutoencoder:
        linear = {"hidden_layer_sizes": (), "label_hidden_layer_sizes": (), **params}
        shared = sparse.csr_array(LABELS)
        return {
            "classes": (small(estimator, **params), CLASSES),
            "label sets": (small(estimator, **params), LABELS),
            "sparse label sets": (small(estimator, threshold="label", **params), shared),
            "no hidden layer": (small(estimator, **linear), LABELS),
        }
    if estimator is VAEOutlierDetector:
        model = small(VariationalAutoencoder, encoder=DropoutNet, decoder=PlainNet)
        return {
            "plain": (small(estimator, **params), None),
            "user's networks": (small(estimator, estimator=model, **params), None),
        }
    ways = {
        "plain": {},
        "no hidden layer": {"hidden_layer_sizes": ()},
        "user's networks": {"encoder": DropoutNet, "decoder": PlainNet},
        "latent density": {"latent_density": GaussianMixture(2)},
    }
    if estimator is VariationalAutoencoder:
        ways["vamp prior"] = {"prior": "vamp", "objective": "importance_weighted"}
        ways["flow prior"] = {"prior": "flow"}
    return {name: (small(estimator, **{**way, **params}), None) for name, way in ways.items()}


FITS = [(estimator, name) for estimator in ESTIMATORS for name in fits(estimator)]


def fitted(estimator, name, rows=X, **params):
    """One of FITS, done."""
    model, y = fits(estimator, **params)[name]
    return model.fit(rows, y)


# ------------------------------------------------------------------ what to call


def methods(estimator):
    """Names of all public methods that a user calls with data."""
    names = {name for name, _ in inspect.getmembers(estimator, callable) if name[0] != "_"}
    requests = {name for name in names if name.endswith("_request")}
    # A callable attribute is no method; a class that is asked has none yet.
    found = names - _PLUMBING - requests
    return sorted(name for name in found if not name.endswith("_"))


def fitting(estimator):
    """Names of those that fit."""
    return [name for name in methods(estimator) if "fit" in name]


def reading(estimator):
    """Names of those that leave the estimator as it is."""
    return [name for name in methods(estimator) if "fit" not in name]


def metric_functions():
    """All public functions of skvae.metrics."""
    functions = [getattr(metrics, name) for name in metrics.__all__]
    return [function for function in functions if inspect.isfunction(function)]


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
        "classes": np.unique(y) if y is not None and y.ndim == 1 else None,
        "factors": convert(np.arange(24).reshape(12, 2) % 3),
        "estimator": model,
        "random_state": 0,
        "n_samples": 3,
        "n_draws": 4,
        "n_bins": 3,
    }
    parameters = inspect.signature(function).parameters.values()
    unknown = [p.name for p in parameters if p.name not in values and p.default is p.empty]
    unknown = [name for name in unknown if name not in ("self", "fit_params", "params", "kwargs")]
    assert unknown == [], f"say what {function.__name__} is to be given"
    return {p.name: values[p.name] for p in parameters if p.name in values}


def applicable(estimator, name):
    """Say whether a function makes sense of what the estimator is."""
    if name == "encode_labels":
        return estimator is CanonicalCorrelatedAutoencoder
    if name in ("log_likelihood", "bound_terms"):
        return estimator is VariationalAutoencoder
    if name == "active_units":
        return estimator in (VariationalAutoencoder, Autoencoder)
    return True


# ------------------------------------------------------------------ what comes of it


def outcomes(model, y, names=None, convert=lambda array: array):
    """Call each method, and each function of skvae.metrics; yield its name and its result.

    Without names, the methods are those that leave the estimator as it is.
    """
    kind = type(model)
    # A point has no prior to draw from; exclusive classes are no label sets.
    left_out = set()
    if kind is Autoencoder and model.latent_density is None:
        left_out.add("sample")
    if y is not None and y.ndim == 1:
        left_out.add("encode_labels")
    for name in reading(kind) if names is None else names:
        if name not in left_out:
            method = getattr(model, name)
            yield name, method(**arguments(method, model, y, convert))
    for function in metric_functions():
        if applicable(kind, function.__name__):
            yield function.__name__, function(**arguments(function, model, y, convert))


def reads(model):
    """Give the method by which a fitted estimator says what it makes of rows."""
    return getattr(model, "transform", None) or model.score_samples


def bits(result):
    """Digest of the shape, type and bits of a result, which may be a tuple or sparse."""
    if dataclasses.is_dataclass(result):
        result = dataclasses.astuple(result)
    parts = result if isinstance(result, tuple) else (result,)
    digest = hashlib.sha256()
    for part in parts:
        array = part.toarray() if sparse.issparse(part) else np.asarray(part)
        assert not np.isnan(array).any()
        digest.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def every_bit(model, y):
    """Bits of everything that can be asked of a fitted estimator, by name."""
    return {name: bits(result) for name, result in outcomes(model, y)}


def kept(estimator):
    """Hash of all that a fit has set."""
    params = estimator.get_params(deep=False)
    return joblib.hash({k: v for k, v in vars(estimator).items() if k not in params})


def surroundings():
    """Whatever of the process a call must leave as it was."""
    pools = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    random = torch.get_rng_state().tolist(), kind, keys.tolist(), rest
    switches = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
    return pools, random, switches, sorted(np.geterr().items())


def whole_life(estimator, name):
    """Bits of everything after one of FITS, and after going on with a stream if it can."""
    model, y = fits(estimator)[name]
    found = every_bit(model.fit(X, y), y)
    if hasattr(model, "partial_fit"):
        found |= {f"stream, {k}": v for k, v in every_bit(model.partial_fit(X, y), y).items()}
    return found
