"""Squared error of a reconstructed test row, by PCA and by the autoencoder that starts there.

``mnist``: 784-1000-500-250-30 as Hinton and Salakhutdinov (2006), whose figures are 13.87 for PCA
and 3.00 for theirs: the sum over the pixels in [0, 1], the mean over the 10,000 test images.
``mnist_rbm`` is the same from their start, ``frey`` Frey's faces by 30 numbers, and ``tables``
standardised tables with the default settings, by three splits each. Choose with --cases; MNIST
takes a minute an epoch on a core.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.common import (
    Report,
    data_file,
    load_mnist,
    load_table,
    setting,
    squared_error,
    timed_fit,
)
from skvae import Autoencoder
from skvae.corruptions import GaussianNoise

FORMATS = {
    "data": "s",
    "numbers": "d",
    "error PCA": ".3f",
    "error": ".3f",
    "ratio": ".3f",
    "worst ratio": ".3f",
    "epochs": "d",
    "minutes": ".2f",
}
TABLES = ("digits", "wine", "breast_cancer")
SIZES = (1, 2, 4, 8)
N_SEEDS = 3
MNIST: dict[str, Any] = {
    "n_components": 30,
    "hidden_layer_sizes": (1000, 500, 250),
    "likelihood": "bernoulli",
    "activation": "silu",
    "alpha": 100.0,
    "init": "pca",
    "batch_size": 50,
    "learning_rate_init": 1e-3,
    "max_iter": 80,
    "n_iter_no_change": 80,
    "validation_fraction": 0.02,
    "random_state": 0,
    "verbose": 1,
}
FREY: dict[str, Any] = {
    "n_components": 30,
    "hidden_layer_sizes": (400,),
    "corruption": GaussianNoise(0.1),
    "max_iter": 200,
    "random_state": 0,
}
CASES = ("mnist", "mnist_rbm", "frey", "tables")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="other parameters"
    )


def run(args: argparse.Namespace) -> Report:
    """Fit PCA and the autoencoder, and judge both on the test rows."""
    changed = dict(map(setting, args.set))
    rows, ratios = [], []
    for case in args.cases:
        if case == "tables":
            found, of_tables = tables(changed)
            rows += found
            ratios += of_tables
        else:
            rows.append(images(case, changed))
    summary = {}
    if ratios:
        summary = {
            "tables: geometric mean of the error over PCA's": float(np.exp(np.log(ratios).mean())),
            "tables: worst error over PCA's": max(ratios),
        }
    name = "autoencoder" if set(args.cases) == set(CASES) else f"autoencoder_{'_'.join(args.cases)}"
    return Report(name, FORMATS, rows, summary)


def images(case: str, changed: dict[str, Any]) -> dict[str, Any]:
    """One fit of images."""
    if case == "frey":
        settings = FREY
        with np.load(data_file("frey_faces.npz")) as file:
            faces = file["X"].astype(np.float32) / 255
        X, X_test = train_test_split(faces, test_size=0.1, random_state=0)
    else:
        settings = MNIST
        if case == "mnist_rbm":
            settings = settings | {"init": "rbm", "activation": "logistic"}
        X, X_test = load_mnist()
    return compare(case, X, X_test, settings | changed)


def tables(changed: dict[str, Any]) -> tuple[list[dict[str, Any]], list[float]]:
    """Fits of tables: a row for each size, and the ratios of all."""
    rows, ratios = [], []
    for name in TABLES:
        table, _ = load_table(name)
        for k in SIZES:
            records = []
            for seed in range(N_SEEDS):
                X, X_test = train_test_split(table, random_state=seed)
                scaler = StandardScaler().fit(X)
                settings = {"n_components": k, "random_state": seed} | changed
                X, X_test = scaler.transform(X), scaler.transform(X_test)
                records.append(compare(name, X, X_test, settings))
            of_each = [record["ratio"] for record in records]
            ratios += of_each
            keys = ("error PCA", "error", "ratio", "minutes")
            means = {key: float(np.mean([record[key] for record in records])) for key in keys}
            epochs = round(np.mean([record["epochs"] for record in records]))
            rows.append(records[0] | means | {"worst ratio": max(of_each), "epochs": epochs})
    return rows, ratios


def compare(
    name: str, X: np.ndarray, X_test: np.ndarray, settings: dict[str, Any]
) -> dict[str, Any]:
    """Fit both, and give a row of the table."""
    autoencoder = Autoencoder(**settings)
    fit = timed_fit(autoencoder, X)
    pca = squared_error(PCA(settings["n_components"], random_state=0).fit(X), X_test)
    error = squared_error(autoencoder, X_test)
    return {
        "data": name.replace("_", " "),
        "numbers": settings["n_components"],
        "error PCA": pca,
        "error": error,
        "ratio": error / pca,
        "worst ratio": error / pca,
        "epochs": autoencoder.n_iter_,
        "minutes": fit.seconds / 60.0,
        "training error": squared_error(autoencoder, X[:10_000]),
        "validation scores": autoencoder.validation_scores_,
        "settings": {key: repr(value) for key, value in settings.items()},
        "warnings": fit.messages,
    }
