"""Default settings against PCA on standardised tables: likelihood, squared error, neighbours.

A quarter of the rows is the test; three splits and seeds. A data set without classes has no
accuracy. Other settings than the defaults are compared by ``--set``, such as
``--set learning_rate_init=1e-3 "hidden_layer_sizes=(128, 128)"``.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks.common import (
    BUNDLED,
    EXTRA,
    Report,
    load_table,
    result_name,
    setting,
    squared_error,
    timed_fit,
)
from skvae import VariationalAutoencoder

SIZES = (2, 8)
N_SEEDS = 3
FORMATS = {
    "data": "s",
    "latents": "d",
    "LL PCA": ".2f",
    "LL VAE": ".2f",
    "worst LL %": "+z.2f",
    "error PCA": ".3f",
    "error VAE": ".3f",
    "accuracy PCA": ".3f",
    "accuracy VAE": ".3f",
    "seconds": ".1f",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--extra", action="store_true", help="the data sets of SKVAE_DATA, too")
    parser.add_argument("--init", default="auto", choices=["auto", "pca", "random"])
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="other parameters of the VAE"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")


def run(args: argparse.Namespace) -> Report:
    """Fit everything and take the means over seeds."""
    names = (*BUNDLED, *EXTRA) if args.extra else BUNDLED
    changed = {} if args.init == "auto" else {"init": args.init}
    changed |= dict(map(setting, args.set))
    # As many latents as features leave PCA no error to compare with.
    cases = [(name, k) for name in names for k in SIZES if k < load_table(name)[0].shape[1]]
    jobs = [(name, k, seed) for name, k in cases for seed in range(N_SEEDS)]
    records = Parallel(args.jobs)(delayed(compare)(*job, changed) for job in jobs)
    rows = [
        mean_over_seeds(*case, records[i * N_SEEDS : (i + 1) * N_SEEDS])
        for i, case in enumerate(cases)
    ]
    name = result_name(["quality", *["extra"] * args.extra], changed)
    return Report(name, FORMATS, rows, summarise(records))


def compare(name: str, n_components: int, seed: int, changed: dict[str, Any]) -> dict[str, float]:
    """Fit both on one split; keep what is measured on its test rows."""
    X, y = load_table(name)
    X, X_test, y, y_test = train_test_split(X, y, random_state=seed)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    models: dict[str, Any] = {
        "PCA": PCA(n_components),
        "VAE": VariationalAutoencoder(n_components, random_state=seed, **changed),
    }
    record: dict[str, float] = {}
    for label, model in models.items():
        fit = timed_fit(model, X)
        record[f"LL {label}"] = model.score(X_test)
        record[f"error {label}"] = squared_error(model, X_test)
        accuracy = np.nan
        if name != "diabetes":
            neighbours = KNeighborsClassifier(n_neighbors=5).fit(model.transform(X), y)
            accuracy = neighbours.score(model.transform(X_test), y_test)
        record[f"accuracy {label}"] = accuracy
    return {**record, "seconds": fit.seconds, "warned": int(bool(fit.messages))}


def relative_gain(record: dict[str, float]) -> float:
    """Log-likelihood over PCA's, in percent of its size."""
    return 100.0 * (record["LL VAE"] - record["LL PCA"]) / abs(record["LL PCA"])


def mean_over_seeds(name: str, n_components: int, records: list[dict[str, float]]) -> dict:
    """Give a row of the table."""
    means = {key: float(np.mean([r[key] for r in records])) for key in records[0]}
    return {
        "data": name.replace("_", " "),
        "latents": n_components,
        **means,
        "worst LL %": min(map(relative_gain, records)),
        "seeds": records,
    }


def summarise(records: list[dict[str, float]]) -> dict[str, float]:
    """Give the lines below the table."""
    column = {key: np.array([r[key] for r in records]) for key in records[0]}
    return {
        "mean gain in log-likelihood (nats per row)": np.mean(column["LL VAE"] - column["LL PCA"]),
        "worst log-likelihood against PCA's (%)": min(map(relative_gain, records)),
        "geometric mean of the error over PCA's": np.exp(
            np.mean(np.log(column["error VAE"] / column["error PCA"]))
        ),
        "mean gain in accuracy": np.nanmean(column["accuracy VAE"] - column["accuracy PCA"]),
        "seconds in all fits": column["seconds"].sum(),
        "fits that warned": column["warned"].sum(),
    }
