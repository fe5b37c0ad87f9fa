"""Graphs through onnxruntime beside the estimator, for each likelihood, prior and posterior.

Five measurements of wine, in the likelihood's domain; rows with and without gaps. A method is
exported once for each combination of the parts that it reads: ``transform`` has no prior in it, and
``inverse_transform`` no posterior either. The difference is relative to the largest value. Normal
scores are taken off the knots, where their density jumps.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit

from benchmarks.common import Report, load_table
from skvae import VariationalAutoencoder, posteriors, priors
from skvae.onnx import to_onnx

FORMATS = {
    "method": "s",
    "combinations": "d",
    "largest difference": ".1e",
    "of": "s",
    "above 1e-4": "d",
    "seconds": ".1f",
}
PRIORS: dict[str, Any] = {
    "standard_normal": "standard_normal",
    "mixture_of_gaussians": "mixture_of_gaussians",
    "vamp": "vamp",
    "flow": priors.Flow(n_layers=1, hidden_layer_sizes=(4,)),
}
POSTERIORS: dict[str, Any] = {
    "diagonal_normal": "diagonal_normal",
    "full_covariance_normal": "full_covariance_normal",
    "flow": posteriors.Flow(n_layers=1, hidden_layer_sizes=(4,), n_context=2),
}
# What each method reads of these, besides the likelihood.
READS = {
    "transform": ("posterior",),
    "inverse_transform": (),
    "score_samples": ("prior", "posterior"),
    "impute": ("prior", "posterior"),
}
CLOSE = 1e-4


# Rows in the domain of each likelihood, by the standardised measurements.
DOMAINS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gaussian": np.copy,
    "student_t": np.copy,
    "laplace": np.copy,
    "nonparanormal": np.copy,
    "log_normal": np.exp,
    "bernoulli": lambda X: (X > 0).astype(np.float32),
    "continuous_bernoulli": expit,
    "beta": expit,
    "poisson": lambda X: np.round(np.exp(X)),
    "negative_binomial": lambda X: np.round(np.exp(X)),
    "zero_inflated_negative_binomial": lambda X: np.round(np.exp(X)),
    "ordinal": lambda X: np.round(X).clip(-1, 1),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--methods", nargs="+", default=list(READS), choices=list(READS))
    parser.add_argument("--likelihoods", nargs="+", default=list(DOMAINS), choices=list(DOMAINS))


def run(args: argparse.Namespace) -> Report:
    """Export each combination, and compare."""
    warnings.simplefilter("ignore")
    wine = load_table("wine")[0][:, :5]
    wine = ((wine - wine.mean(0)) / wine.std(0)).astype(np.float32)
    first = {"prior": next(iter(PRIORS)), "posterior": next(iter(POSTERIORS))}
    found = []
    for likelihood in args.likelihoods:
        X = DOMAINS[likelihood](wine)
        for prior, posterior in itertools.product(PRIORS, POSTERIORS):
            if prior == "vamp" and posterior != "diagonal_normal":
                continue  # the two do not go together
            names = {"prior": prior, "posterior": posterior}
            methods = [
                method
                for method in args.methods
                if all(name in READS[method] or names[name] == first[name] for name in names)
            ]
            vae = fitted(likelihood, X, prior, posterior) if methods else None
            for method in methods:
                began = time.perf_counter()
                difference = compare(vae, method, likelihood, X)
                row = {"method": method, "likelihood": likelihood, **names}
                found.append(row | {"difference": difference, "s": time.perf_counter() - began})
                print(*found[-1].values(), flush=True)
    return Report("exports", FORMATS, [summary(m, found) for m in args.methods])


def fitted(likelihood: str, X: np.ndarray, prior: str, posterior: str) -> VariationalAutoencoder:
    """Fit a small model with these parts."""
    return VariationalAutoencoder(
        2,
        likelihood=likelihood,
        prior=PRIORS[prior],
        posterior=POSTERIORS[posterior],
        hidden_layer_sizes=(8,),
        max_iter=2,
        early_stopping=False,
        random_state=0,
    ).fit(X)


def compare(vae: Any, method: str, likelihood: str, X: np.ndarray) -> float:
    """Largest difference of a graph's results from the estimator's, over the largest of these."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        to_onnx(vae, method=method).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    X = X + np.float32(1e-3) if likelihood == "nonparanormal" else X
    rows, columns = np.indices(X.shape)
    gaps = np.where((rows + 2 * columns) % 7 == 0, np.float32(np.nan), X)
    worst = 0.0
    for given in (X, gaps):
        if method == "inverse_transform":
            given = vae.transform(given).astype(np.float32)
        for part in (given, given[:1]):
            wanted = getattr(vae, method)(part)
            (result,) = session.run(None, {name: part})
            error = np.abs(result - wanted).max() / np.abs(wanted).max()
            worst = max(worst, float(error) if np.isfinite(error) else np.inf)
    return worst


def summary(method: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """What is told of a method."""
    own = [row for row in found if row["method"] == method]
    worst = max(own, key=lambda row: row["difference"])
    return {
        "method": method,
        "combinations": len(own),
        "largest difference": worst["difference"],
        "of": ", ".join(worst[name] for name in ("likelihood", "prior", "posterior")),
        "above 1e-4": sum(row["difference"] > CLOSE for row in own),
        "seconds": float(np.median([row["s"] for row in own])),
        "all": own,
    }
