"""Rows that are generated like UCI's Adult: what classifiers learn from them, beside TVAE.

The CSV files go in as pandas reads them, without the rows that have gaps. Classifiers of the income
are trained on as many generated rows as there are training rows, and judged by the test file: F1 of
">50K", the mean over a logistic regression, a tree and a forest, and the forest's AUC. The other
measures are those of SDMetrics. Shape: 1 minus the Kolmogorov-Smirnov distance of a number, or the
total variation distance of a category. Pair trend: 1 minus half the difference of two numbers'
correlations, or 1 minus the total variation distance of a contingency table, numbers cut at
training rows' deciles (SDMetrics cuts ten equal widths, into one of which go nearly all capital
gains). "nearer": share of 3000 generated rows that are nearer to one of 15,060 training rows than
to the test rows, of which there are as many; half if nothing is copied. "real" is the training rows
themselves. ``--validate`` does all of this within the training file, a fifth of which is the test:
there settings are compared, by ``--set`` as in ``quality``.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import ks_2samp
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, pairwise_distances_argmin_min, roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from benchmarks.common import Report, data_file, result_name, setting, timed_fit
from skvae import VariationalAutoencoder

NAMES = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
    *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week"),
    *("native-country", "income"),
)
MODELS = ("real", "skvae", "TVAE")
N_NEAR = 3000
FORMATS = {
    "rows": "s",
    "mean F1": ".4f",
    "least": ".4f",
    "most": ".4f",
    "logistic": ".3f",
    "tree": ".3f",
    "forest": ".3f",
    "AUC": ".3f",
    "shapes": ".4f",
    "pairs": ".4f",
    "nearer": ".3f",
    "epochs": ".0f",
    "seconds": ".0f",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40, help="of skvae (default: 40)")
    parser.add_argument("--validate", action="store_true", help="leave the test file alone")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="other parameters of the VAE"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")


def run(args: argparse.Namespace) -> Report:
    """Generate, judge, and take the means over seeds."""
    changed = dict(map(setting, args.set))
    names = [name for name in args.models if name != "TVAE" or importlib.util.find_spec("ctgan")]
    jobs = [(name, seed) for seed in range(args.seeds) for name in names]
    own = {"max_iter": args.epochs, **changed}
    made = Parallel(args.jobs, return_as="generator")(
        delayed(measure)(*job, own, args.validate) for job in jobs
    )
    records: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for (name, seed), record in zip(jobs, made, strict=True):
        print(name, seed, record, file=sys.stderr, flush=True)
        records[name].append(record)
    rows = [mean_over_seeds(name, records[name]) for name in names]
    means = {row["rows"]: row["mean F1"] for row in rows}
    summary = {
        f"F1 over real's, {name}": means[name] / means["real"]
        for name in names
        if "real" in names and name != "real"
    }
    only = [] if set(args.models) == set(MODELS) else args.models
    parts = ["adult", *only, *["validation"] * args.validate]
    return Report(result_name(parts, changed), FORMATS, rows, summary)


def load(validate: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test rows; with ``validate`` both are of the training file."""
    about: dict[str, Any] = {
        "names": NAMES,
        "skipinitialspace": True,
        "na_values": "?",
        "skip_blank_lines": True,
    }
    train = pd.read_csv(data_file("adult_train.csv"), **about).dropna(ignore_index=True)
    if validate:
        return train_test_split(train, test_size=0.2, random_state=0, stratify=train["income"])
    test = pd.read_csv(data_file("adult_test.csv"), comment="|", **about).dropna(ignore_index=True)
    test["income"] = test["income"].str.rstrip(".")
    return train, test


def generate(
    name: str, train: pd.DataFrame, seed: int, changed: dict[str, Any]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """As many rows as ``train`` has, with the seconds and epochs of the fit."""
    if name == "real":
        return train, {"seconds": np.nan, "epochs": np.nan}
    if name == "skvae":
        defaults = {
            "likelihood": "auto",
            "latent_density": GaussianMixture(30),
            "beta": 0.3,
            "early_stopping": False,
            "device": "cpu",
            "random_state": seed,
        }
        model = VariationalAutoencoder(16, **{**defaults, **changed})
        seconds, epochs = timed_fit(model, train).seconds, float(model.n_iter_)
        return model.sample(len(train), random_state=seed), {"seconds": seconds, "epochs": epochs}
    from ctgan import TVAE

    model = TVAE(enable_gpu=False)
    model.set_random_state(seed)
    categories = train.select_dtypes(exclude="number").columns.tolist()
    seconds = timed_fit(model, train, categories).seconds
    return model.sample(len(train)), {"seconds": seconds, "epochs": float(model.epochs)}


def measure(name: str, seed: int, changed: dict[str, Any], validate: bool) -> dict[str, float]:
    """Generate rows, and judge them."""
    train, test = load(validate)
    rows, record = generate(name, train, seed, changed)
    record |= classify(rows, test, seed)
    if name != "real":
        record |= {
            "shapes": float(np.mean(shapes(train, rows))),
            "pairs": float(np.mean(pair_trends(train, rows))),
            "nearer": nearer_to_training(train, test, rows, seed),
        }
    return record


def encoder() -> Any:
    """Numbers in units of their deviation, and indicators of categories."""
    return make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )


def classify(rows: pd.DataFrame, test: pd.DataFrame, seed: int) -> dict[str, float]:
    """F1 and AUC on the test rows of classifiers that are trained on ``rows``."""
    encode = encoder().fit(rows.drop(columns="income"))
    X, X_test = (encode.transform(part.drop(columns="income")) for part in (rows, test))
    y, y_test = rows["income"] == ">50K", test["income"] == ">50K"
    classifiers = {
        "logistic": LogisticRegression(max_iter=1000),
        "tree": DecisionTreeClassifier(max_depth=15, random_state=seed),
        "forest": RandomForestClassifier(40, random_state=seed),
    }
    scores = {}
    for name, classifier in classifiers.items():
        scores[name] = float(f1_score(y_test, classifier.fit(X, y).predict(X_test)))
    auc = roc_auc_score(y_test, classifiers["forest"].predict_proba(X_test)[:, 1])
    return {"mean F1": float(np.mean(list(scores.values()))), **scores, "AUC": float(auc)}


def shapes(real: pd.DataFrame, rows: pd.DataFrame) -> list[float]:
    """Similarity of each column's distribution."""
    numbers = real.select_dtypes("number").columns
    return [
        1.0 - ks_2samp(real[name], rows[name]).statistic
        if name in numbers
        else overlap(real[name], rows[name])
        for name in real.columns
    ]


def pair_trends(real: pd.DataFrame, rows: pd.DataFrame) -> list[float]:
    """Similarity of each pair of columns' relation."""
    numbers = real.select_dtypes("number").columns
    cut, cut_rows = real.copy(), rows.copy()
    for name in numbers:
        deciles = np.unique(np.quantile(real[name], np.arange(1, 10) / 10))
        cut[name], cut_rows[name] = (np.digitize(part[name], deciles) for part in (real, rows))
    trends = []
    for pair in map(list, combinations(real.columns, 2)):
        if set(pair) <= set(numbers):
            one, other = (np.corrcoef(part[pair], rowvar=False)[0, 1] for part in (real, rows))
            # A generated column that is constant has no correlation.
            trends.append(1.0 - 0.5 * abs(one - np.nan_to_num(other)))
        else:
            trends.append(overlap(cut[pair], cut_rows[pair]))
    return trends


def overlap(real: Any, rows: Any) -> float:
    """1 minus the total variation distance between the values' frequencies."""
    one, other = (part.value_counts(normalize=True) for part in (real, rows))
    return 1.0 - 0.5 * float(one.sub(other, fill_value=0.0).abs().sum())


def nearer_to_training(
    train: pd.DataFrame, test: pd.DataFrame, rows: pd.DataFrame, seed: int
) -> float:
    """Share of generated rows whose nearest row is a training row; equal distances are a half."""
    n = min(len(train), len(test))
    encode = encoder().fit(train)
    queries = encode.transform(rows.sample(min(N_NEAR, len(rows)), random_state=seed))
    train_distance, test_distance = (
        pairwise_distances_argmin_min(queries, encode.transform(part.sample(n, random_state=seed)))[
            1
        ].round(6)
        for part in (train, test)
    )
    nearer, equal = train_distance < test_distance, train_distance == test_distance
    return float(np.mean(nearer + 0.5 * equal))


def mean_over_seeds(name: str, records: list[dict[str, float]]) -> dict[str, Any]:
    """Give a row of the table."""
    means = {
        key: float(np.mean([record.get(key, np.nan) for record in records]))
        for key in FORMATS
        if key not in ("rows", "least", "most")
    }
    each = [record["mean F1"] for record in records]
    return {"rows": name, **means, "least": min(each), "most": max(each), "seeds": records}
