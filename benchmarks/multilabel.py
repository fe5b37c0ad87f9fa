"""Multi-label F1 on official splits, beside scikit-learn's models with the same tuned threshold.

Tables are standardised; the 0/1 words of tmc2007 and medical stay as they are. Every other model
is given at 0.5 and at one threshold for all labels that is tuned by the same function on the same
number of folds as ours, and then fitted on all training rows; the penalty of a logistic regression
is chosen by the same F1. A second time the training labels miss at random: ours is told so, the
others are given zeros. "known" is the mean of micro-F1 and of a macro-F1 over those labels alone
that both training and test rows have. ``--ablation`` compares variants of ours.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.special import logit
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks.common import Report, data_file, result_name
from skvae import CanonicalCorrelatedAutoencoder
from skvae.multilabel._threshold import tune_threshold, tune_thresholds

DATA = ("emotions", "scene", "yeast", "tmc2007", "medical")
WORDS = ("tmc2007", "medical")
OURS = "skvae"
FORMATS = {
    "data": "s",
    "model": "s",
    "micro": ".3f",
    "macro": ".3f",
    "known": ".3f",
    "micro at .5": ".3f",
    "macro at .5": ".3f",
    "micro lost": "+.3f",
    "macro lost": "+.3f",
    "seconds": ".1f",
}
# Terms are compared from the start at random, where nothing else teaches Fx, with one threshold.
PLAIN = {"init": "random", "threshold": "shared", "max_iter": 100, "n_iter_no_change": 15}
TERMS: dict[str, dict[str, Any]] = {
    "random start": {},
    "the paper's objective": {"direct_weight": 0.0},
    "without the direct term, no dropout": {
        "direct_weight": 0.0,
        "dropout": 0.0,
        "input_dropout": 0.0,
    },
    "without pairs": {"pair_weight": 0.0},
    "without correlation": {"correlation_weight": 0.0},
    "direct term alone": {"pair_weight": 0.0, "correlation_weight": 0.0},
    "without dropout": {"dropout": 0.0, "input_dropout": 0.0},
    "one held-out part": {"n_folds": 1},
}
ABLATION: dict[str, dict[str, Any]] = {
    "default": {},
    "linear start": {"init": "linear"},
    **{name: {**PLAIN, **changed} for name, changed in TERMS.items()},
    "one threshold for all labels": {"threshold": "shared"},
}
# Numbers of present rows at which a label's own threshold weighs as much as the shared one.
PRIORS = (10.0, 30.0, 50.0, 100.0, 300.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--data", nargs="+", default=DATA, choices=DATA)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--missing", type=float, default=0.3, help="share of missing labels")
    parser.add_argument(
        "--missing-seeds", type=int, default=5, help="seeds of the fits with missing labels"
    )
    parser.add_argument("--models", nargs="+", help="models to fit (default: all)")
    parser.add_argument("--ablation", action="store_true", help="variants of ours alone")
    parser.add_argument(
        "--thresholds", action="store_true", help="how far to shrink a label's threshold, alone"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")


def run(args: argparse.Namespace) -> Report:
    """Fit everything and take the means over seeds."""
    if args.thresholds:
        rows = [compare_thresholds(data) for data in args.data]
        return Report("multilabel_thresholds", {**dict.fromkeys(rows[0], ".3f"), "data": "s"}, rows)
    names = args.models or (list(ABLATION) if args.ablation else [*others(0), OURS])
    shares = [0.0] if args.ablation else [0.0, args.missing]
    cases = [(data, name) for data in args.data for name in names]
    jobs = [
        (*case, seed, share, args.ablation)
        for case in cases
        for seed in range(args.seeds)
        for share in (shares if seed < args.missing_seeds else shares[:1])
    ]
    records = []
    for record in Parallel(args.jobs, return_as="generator")(delayed(measure)(*j) for j in jobs):
        print(*jobs[len(records)][:4], record, file=sys.stderr, flush=True)
        records.append(record)
    rows = []
    for case in cases:
        own = [(job[3], r) for job, r in zip(jobs, records, strict=True) if job[:2] == case]
        groups = [[r for share, r in own if share == wanted] for wanted in shares]
        rows.append(mean_over_seeds(*case, *groups))
    if args.ablation:
        return Report("multilabel_ablation", FORMATS, rows)
    only = [] if list(args.data) == list(DATA) else args.data
    name = result_name(["multilabel", *only, *(args.models or [])], {})
    return Report(name, FORMATS, rows, summarise(rows))


def load(name: str) -> tuple[np.ndarray, ...]:
    """Rows and labels of training, then of test: the official split."""
    with np.load(data_file(f"multilabel_{name}.npz")) as file:
        X, Y, X_test, Y_test = (file[k] for k in ("X_train", "Y_train", "X_test", "Y_test"))
    if name not in WORDS:
        scaler = StandardScaler().fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
    return X, Y.astype(int), X_test, Y_test.astype(int)


def others(seed: int) -> dict[str, list[Any]]:
    """Models to compare with; of several the held-out F1 chooses one."""
    logistic = [LogisticRegression(C=C, max_iter=300) for C in (0.1, 1.0, 10.0, 100.0)]
    return {
        "one against rest": [OneVsRestClassifier(model) for model in logistic],
        "classifier chain": [ClassifierChain(model) for model in logistic],
        "MLPClassifier": [MLPClassifier((256,), early_stopping=True, random_state=seed)],
        "random forest": [RandomForestClassifier(random_state=seed)],
    }


def measure(data: str, name: str, seed: int, share: float, ablation: bool) -> dict[str, float]:
    """Fit one model and judge it by the test rows."""
    X, Y, X_test, Y_test = load(data)
    missing = np.random.default_rng(seed).random(Y.shape) < share
    warnings.simplefilter("ignore", ConvergenceWarning)
    began = time.perf_counter()
    if ablation or name == OURS:
        changed = ABLATION[name] if ablation else {}
        model = CanonicalCorrelatedAutoencoder(random_state=seed, **changed)
        model.fit(X, np.where(missing, -1, Y))
        threshold, probability = model.threshold_, model.predict_proba(X_test)
    else:
        Y = np.where(missing, 0, Y)
        trials = [(*tuned(model, X, Y, seed), model) for model in others(seed)[name]]
        threshold, _, model = max(trials, key=lambda trial: trial[1])
        probability = probabilities(model, X, Y, X_test)
    record = {"seconds": time.perf_counter() - began}
    for suffix, cut in (("", threshold), (" at .5", 0.5)):
        for average in ("micro", "macro"):
            value = f1_score(Y_test, probability > cut, average=average, zero_division=0)
            record[average + suffix] = float(value)
    known = np.flatnonzero((Y == 1).any(0) & (Y_test == 1).any(0))
    predicted = (probability > threshold)[:, known]
    macro = f1_score(Y_test[:, known], predicted, average="macro", zero_division=0)
    record["known"] = 0.5 * (record["micro"] + float(macro))
    return record


def compare_thresholds(data: str) -> dict[str, Any]:
    """Tune thresholds on half of some training rows, and judge by the other half, ten times."""
    X, Y, _, _ = load(data)
    kept = np.random.default_rng(0).permutation(len(X))[:3000]
    X, Y = X[kept], Y[kept].astype(np.int8)
    model, score = others(0)["one against rest"][1], np.empty(Y.shape)
    for fitted, held in KFold(3, shuffle=True, random_state=0).split(X):
        score[held] = probabilities(clone(model), X[fitted], Y[fitted], X[held])
    score = logit(np.clip(score, 1e-6, 1.0 - 1e-6))
    found: dict[str, list[float]] = {}
    for half, rest in ShuffleSplit(10, test_size=0.5, random_state=0).split(X):
        shared, _ = tune_threshold(score[half], Y[half], None)
        cuts: dict[str, Any] = {"shared": shared}
        for prior in PRIORS:
            cuts[f"{prior:g}"] = tune_thresholds(score[half], Y[half], None, prior)[0]
        cuts["own"] = tune_thresholds(score[half], Y[half], None, 0.0)[0]
        there = Y[rest].any(0)
        for name, cut in cuts.items():
            each = f1_score(Y[rest], score[rest] > cut, average=None, zero_division=0)
            micro = f1_score(Y[rest], score[rest] > cut, average="micro", zero_division=0)
            found.setdefault(name, []).append(0.5 * (micro + each[there].mean()))
    return {"data": data, **{name: float(np.mean(values)) for name, values in found.items()}}


def tuned(model: Any, X: np.ndarray, Y: np.ndarray, seed: int) -> tuple[float, float]:
    """Tune a threshold, and give its F1: by three folds, or by one part where rows are many."""
    folds: Any = KFold(3, shuffle=True, random_state=seed)
    if len(X) > 5000:
        folds = ShuffleSplit(1, test_size=0.15, random_state=seed)
    parts = list(folds.split(X))
    scores = [probabilities(clone(model), X[kept], Y[kept], X[held]) for kept, held in parts]
    index = np.concatenate([held for _, held in parts])
    return tune_threshold(np.concatenate(scores), Y[index], None)


def probabilities(model: Any, X: np.ndarray, Y: np.ndarray, X_test: np.ndarray) -> np.ndarray:
    """Fit a model, and give the probability of each label of the test rows, (rows, n_labels).

    It is zero for a label that no training row has, of which a chain knows nothing to do.
    """
    result = np.zeros((len(X_test), Y.shape[1]))
    present = np.flatnonzero(Y.any(0))
    values = model.fit(X, Y[:, present]).predict_proba(X_test)
    if isinstance(values, list):  # a forest gives a pair of columns for each label
        values = np.column_stack(
            [1.0 - p[:, list(c).index(0)] for p, c in zip(values, model.classes_, strict=True)]
        )
    result[:, present] = values
    return result


def mean_over_seeds(
    data: str, name: str, whole: list[dict], missing: list[dict] | None = None
) -> dict[str, Any]:
    """Give a row of the table."""
    row: dict[str, Any] = {key: float(np.mean([r[key] for r in whole])) for key in whole[0]}
    for average in ("micro", "macro"):
        lost = np.nan
        if missing:  # of the same seeds
            pairs = zip(whole, missing, strict=False)
            lost = float(np.mean([r[average] - m[average] for r, m in pairs]))
        row[f"{average} lost"] = lost
    return {"data": data, "model": name, **row, "seeds": whole, "seeds, missing": missing}


def summarise(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means over data sets: ranks at the tuned threshold and at 0.5, and what is lost."""
    data = list(dict.fromkeys(row["data"] for row in rows))
    names = list(dict.fromkeys(row["model"] for row in rows))
    summary = {}
    for average in ("micro", "macro"):
        # Ours has its own threshold; the others stand twice.
        columns = [(name, suffix) for name in names for suffix in ("", " at .5")]
        columns = [column for column in columns if column != (OURS, " at .5")]
        values = [
            [
                row[average + suffix]
                for name, suffix in columns
                for row in rows
                if row["data"] == d and row["model"] == name
            ]
            for d in data
        ]
        ranks = rankdata(-np.array(values), axis=1).mean(0)
        for (name, suffix), rank in zip(columns, ranks, strict=True):
            summary[f"mean rank in {average} F1, {name}{suffix}"] = float(rank)
    for average in ("micro", "macro"):
        for name in names:
            lost = [row[f"{average} lost"] for row in rows if row["model"] == name]
            summary[f"mean loss of {average} F1 by missing labels, {name}"] = float(np.mean(lost))
    return summary
