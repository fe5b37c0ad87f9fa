"""Outliers: areas under ROC curves of detectors, on twelve tables or with simulated contamination.

By default every detector is fitted to all rows of a table, outliers among them, and scores the same
rows. With ``--contamination`` it is fitted to rows of one class of a table, and to rows of another
that are a given share, and scores held-out rows of both. PyOD's networks are compared where PyOD is
installed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from benchmarks.common import Report, data_file, load_mnist, load_table, result_name, setting
from skvae import VAEOutlierDetector

SETS = (
    "annthyroid breastw cardio ionosphere letter optdigits pendigits pima satellite thyroid vowels "
    "wbc"
).split()
# Tables, and the classes of inliers and of outliers.
CLASSES = {
    "wine": [(0, 1), (1, 2), (2, 0)],
    "breast_cancer": [(1, 0)],
    "digits": [(c, (c + 1) % 10) for c in range(10)],
    "mnist": [(c, (c + 1) % 10) for c in range(0, 10, 2)],
}
SHARES = (0.0, 0.05, 0.2)
# Most rows of a class.
N_ROWS = 1500

Scores = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def by_detector(**parameters: Any) -> Scores:
    """Scores of the estimator, the higher the odder, of rows after a fit to others."""

    def scores(X: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
        detector = VAEOutlierDetector(random_state=seed, **parameters).fit(X)
        return -detector.score_samples(rows)

    return scores


def by_forest(X: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Isolation forest."""
    return -IsolationForest(random_state=seed).fit(X).score_samples(rows)


def by_neighbours(X: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Mean distance of the nearest 3 % of the rows of fit, at least ten."""
    n = max(10, int(0.03 * len(X)))
    distance = NearestNeighbors(n_neighbors=n + 1).fit(X).kneighbors(rows)[0]
    return distance[:, 1:].mean(1) if rows is X else distance[:, :-1].mean(1)


def by_pca(X: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Density of probabilistic PCA with five latents."""
    return -PCA(min(5, X.shape[1] - 1)).fit(X).score_samples(rows)


def by_svm(X: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """One-class support vector machine."""
    return -OneClassSVM().fit(X).score_samples(rows)


def by_local_density(X: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Local outlier factor."""
    if rows is X:
        return -LocalOutlierFactor().fit(X).negative_outlier_factor_
    return -LocalOutlierFactor(novelty=True).fit(X).score_samples(rows)


def by_pyod(name: str) -> Scores:
    """Scores of a network of PyOD at its defaults."""

    def scores(X: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
        module = import_module(f"pyod.models.{name.lower()}".replace("autoencoder", "auto_encoder"))
        detector = getattr(module, name)(random_state=seed, device="cpu", verbose=0)
        return detector.fit(X).decision_function(rows)

    return scores


METHODS: dict[str, Scores] = {
    "VAEOutlierDetector": by_detector(),
    "robust=False": by_detector(robust=False),
    "max_iter=0": by_detector(max_iter=0),
    "IsolationForest": by_forest,
    "neighbours": by_neighbours,
    "PCA": by_pca,
    "OneClassSVM": by_svm,
    "LocalOutlierFactor": by_local_density,
    "PyOD VAE": by_pyod("VAE"),
    "PyOD AutoEncoder": by_pyod("AutoEncoder"),
}
# Those that draw numbers, which are run with every seed.
SEEDED = ("VAEOutlierDetector", "robust=False", "IsolationForest", "PyOD VAE", "PyOD AutoEncoder")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    methods = [name for name in METHODS if find_spec("pyod") or not name.startswith("PyOD")]
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS, help="tables")
    parser.add_argument("--seeds", type=int, default=5, help="seeds (default: 5)")
    parser.add_argument("--methods", nargs="+", default=methods, choices=METHODS, help="detectors")
    parser.add_argument(
        "--set",
        type=setting,
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="parameters of VAEOutlierDetector",
    )
    parser.add_argument(
        "--contamination", action="store_true", help="one class among rows of another instead"
    )


def run(args: argparse.Namespace) -> Report:
    """Compare detectors."""
    methods = METHODS | {"VAEOutlierDetector": by_detector(**dict(args.set))}
    if args.contamination:
        return contaminate(args, methods)
    areas: dict[str, dict[str, float]] = {name: {} for name in args.methods}
    seconds = dict.fromkeys(args.methods, 0.0)
    for table in args.sets:
        X, y = load_table(table)
        X = standardised(X, X)
        for name in args.methods:
            began, seeds = time.perf_counter(), seeds_of(name, args.seeds)
            found = [roc_auc_score(y, methods[name](X, X, seed)) for seed in seeds]
            seconds[name] += (time.perf_counter() - began) / len(seeds)
            areas[name][table] = float(np.mean(found))
    rows = [
        {"detector": name, **areas[name], "mean": np.mean(list(areas[name].values()))}
        | {"seconds": seconds[name]}
        for name in args.methods
    ]
    formats = {"detector": "s", **dict.fromkeys([*args.sets, "mean"], ".3f"), "seconds": ".1f"}
    with_pyod = any(name.startswith("PyOD") for name in args.methods)
    name = result_name(["outliers", *["pyod"] * with_pyod], dict(args.set))
    return Report(name, formats, rows)


def contaminate(args: argparse.Namespace, methods: dict[str, Scores]) -> Report:
    """Fit with a share of outliers, and score held-out rows: means over the cases of a table."""
    areas: dict[str, list[np.ndarray]] = {}
    for table in CLASSES:
        for name in args.methods:
            found = [
                [
                    roc_auc_score(y, methods[name](X, rows, seed))
                    for seed in seeds_of(name, args.seeds)
                ]
                for X, rows, y in cases(table)
            ]
            by_share = np.array(found).mean(1).reshape(-1, len(SHARES)).mean(0)
            areas.setdefault(name, []).append(by_share)
    rows = [
        {"detector": name}
        | {
            f"{table} {share:.0%}": areas[name][i][j]
            for i, table in enumerate(CLASSES)
            for j, share in enumerate(SHARES)
        }
        | {f"mean {share:.0%}": np.mean(areas[name], 0)[j] for j, share in enumerate(SHARES)}
        for name in args.methods
    ]
    formats = {key: "s" if key == "detector" else ".3f" for key in rows[0]}
    name = result_name(["outliers", "contamination"], dict(args.set))
    return Report(name, formats, rows)


def seeds_of(name: str, n_seeds: int) -> range:
    """Seeds that a detector is run with."""
    return range(n_seeds if name in SEEDED else 1)


def standardised(X: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Columns of rows that vary in X, over their standard deviations there."""
    deviation = X.std(0)
    varies = deviation > 0
    return ((rows - X.mean(0)) / np.where(varies, deviation, 1.0))[:, varies]


def cases(table: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows to fit, held-out rows, and which of the latter are outliers: pairs by shares."""
    if table == "mnist":
        images, classes = load_mnist()[0], mnist_labels()
        X = images.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(-1, 49).astype(float)
    else:
        X, classes = load_table(table)
    for inlier, outlier in CLASSES[table]:
        rng = np.random.default_rng(inlier)
        good, bad = (rng.permutation(X[classes == c])[:N_ROWS] for c in (inlier, outlier))
        half, spare = 2 * len(good) // 3, len(bad) // 2
        for share in SHARES:
            n_bad = min(round(share / (1.0 - share) * half), spare)
            fitted = np.vstack([good[:half], bad[:n_bad]])
            held_out = np.vstack([good[half:], bad[spare:]])
            y = np.arange(len(held_out)) >= len(good) - half
            yield standardised(fitted, fitted), standardised(fitted, held_out), y


def mnist_labels() -> np.ndarray:
    """Classes of the training images of MNIST."""
    with np.load(data_file("mnist.npz")) as file:
        return file["y_train"]
