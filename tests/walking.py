"""Every public estimator with every public method, for the tests that walk them all."""

import hashlib
import inspect

import numpy as np
import torch

import skvae
from skvae import metrics

X = np.random.RandomState(0).randn(80, 3) @ np.random.RandomState(1).randn(3, 6)
X = X + 0.1 * np.random.RandomState(2).randn(80, 6)
Y = (X[:, :3] > 0).astype(int)


class PlainNet(torch.nn.Sequential):
    """A user's network."""

    def __init__(self, n_in, n_out):
        super().__init__(torch.nn.Linear(n_in, 8), torch.nn.ReLU(), torch.nn.Linear(8, n_out))


class DropoutNet(torch.nn.Sequential):
    """A user's network that draws in training, and keeps buffers."""

    def __init__(self, n_in, n_out):
        super().__init__(
            torch.nn.Linear(n_in, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.Dropout(0.2),
            torch.nn.Linear(8, n_out),
        )


def public_estimators():
    """Classes of the estimators that the package exports."""
    public = (getattr(skvae, name) for name in skvae.__all__)
    return [c for c in public if inspect.isclass(c) and hasattr(c, "fit")]


def make(cls, **params):
    """One with few epochs and a fixed seed."""
    if cls is skvae.CanonicalCorrelatedAutoencoder:
        params = {"n_folds": 1, "hidden_layer_sizes": (16,), **params}
    return cls(**{"max_iter": 3, "random_state": 0, **params})


def variants():
    """Estimators by name: each class at its defaults, and those with others' code inside."""
    found = {cls.__name__: (cls, {}) for cls in public_estimators()}
    vae = skvae.VariationalAutoencoder
    found["networks"] = vae, {"encoder": DropoutNet, "decoder": PlainNet}
    found["flow"] = vae, {"prior": "flow"}
    found["vamp"] = vae, {"prior": "vamp", "objective": "importance_weighted"}
    return found


def calls(estimator):
    """Public methods that take rows, label sets or latents, as functions of nothing."""
    rows = ("transform", "encode", "score_samples", "predict", "predict_proba", "decision_function")
    found = {name: lambda name=name: getattr(estimator, name)(X) for name in rows}
    latents = np.random.RandomState(3).randn(5, estimator.n_components_)
    for name in ("inverse_transform", "decode"):
        found[name] = lambda name=name: getattr(estimator, name)(latents)
    found["score"] = lambda: estimator.score(X, Y)
    found["encode_labels"] = lambda: estimator.encode_labels(Y[:5])
    found["sample"] = lambda: estimator.sample(4, random_state=0)
    found = {name: call for name, call in found.items() if hasattr(estimator, name)}
    if hasattr(estimator, "sample") and estimator.__class__ is not skvae.Autoencoder:
        found["active_units"] = lambda: metrics.active_units(estimator, X)
        found["log_likelihood"] = lambda: metrics.log_likelihood(estimator, X, n_draws=20)
    else:
        found.pop("sample", None)  # points follow no prior
    return found


def digest(value):
    """Bits of a result."""
    parts = value if isinstance(value, tuple) else (value,)
    data = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    return hashlib.sha256(data).hexdigest()


def everything(estimator):
    """Bits of every call."""
    return {name: digest(call()) for name, call in calls(estimator).items()}


def main_job(cls, params):
    """Fit, go on with a stream where that can be done, and call everything."""
    estimator = make(cls, **params).fit(X, Y)
    found = everything(estimator)
    if hasattr(estimator, "partial_fit"):
        found |= {f"stream, {k}": v for k, v in everything(estimator.partial_fit(X)).items()}
    return found
