"""Missing cells, half of them at random, as they are filled: beside scikit-learn's imputers.

Cells of breast cancer and of the wine qualities are removed completely at random. Columns are
standardised by the moments of the full data, and the error is the mean squared one over removed
cells in these units, as in MIWAE (Mattei and Frellsen 2019, section 4.3), so 1 is about what the
column's mean comes to. "start" is the model before training, "skvae" its defaults with
``ImportanceWeighted(10)``, whose rows held out choose the epoch, "skvae, all rows" the same without
early stopping, for 100 epochs. Removed cells choose nothing: the number of latents is the one by
which the start best fills a tenth of the observed cells, in the mean over three such splits.
"VAEImputer" chooses it, and all else, itself. ``--share`` removes other than half of the cells.
``--validate`` removes a further tenth of the observed cells and judges by these; there settings are
compared, by ``--set`` as in ``quality``.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from benchmarks.common import Report, data_file, load_table, result_name, setting, timed_fit
from skvae import VAEImputer, VariationalAutoencoder
from skvae.likelihoods import Gaussian
from skvae.objectives import ImportanceWeighted

MASKS = {"breast": 5, "red": 3, "white": 3}
LATENTS = (2, 4, 6, 8, 10, 11, 12, 14)
OWN: dict[str, dict[str, Any]] = {
    "start": {"max_iter": 0},
    "skvae": {},
    "skvae, all rows": {"early_stopping": False, "max_iter": 100},
}
IMPUTERS: dict[str, Callable[[], Any]] = {
    "IterativeImputer": lambda: IterativeImputer(random_state=0),
    "IterativeImputer, trees": lambda: IterativeImputer(
        ExtraTreesRegressor(30, max_features="sqrt", random_state=0), max_iter=5, random_state=0
    ),
    "VAEImputer": lambda: VAEImputer(random_state=0),
    "KNNImputer": KNNImputer,
    "SimpleImputer": SimpleImputer,
}
FORMATS = {
    "table": "s",
    "method": "s",
    "error": ".4f",
    "least": ".4f",
    "most": ".4f",
    "latents": ".1f",
    "epoch": ".0f",
    "fit, s": ".1f",
    "impute, s": ".1f",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    methods = (*OWN, *IMPUTERS)
    parser.add_argument("--tables", nargs="+", default=list(MASKS), choices=MASKS)
    parser.add_argument("--masks", type=int, help="of each table (default: 5, 3 and 3)")
    parser.add_argument("--methods", nargs="+", default=methods, choices=methods)
    parser.add_argument("--share", type=float, default=0.5, help="of removed cells (default: .5)")
    parser.add_argument("--validate", action="store_true", help="judge by observed cells")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="other parameters of the VAE"
    )


def run(args: argparse.Namespace) -> Report:
    """Fill the same cells by each method, and take the means over masks."""
    changed = dict(map(setting, args.set))
    records: dict[tuple[str, str], list[dict[str, float]]] = {}
    for name in args.tables:
        X = load(name)
        for seed in range(args.masks or MASKS[name]):
            observed = ~removed(X.shape, seed, args.share)
            judged = ~observed
            if args.validate:
                judged = held_out(observed, 100 + seed)
                observed = observed & ~judged
            k = n_latents(X, observed, changed) if set(args.methods) & set(OWN) else None
            for method in args.methods:
                record = measure(method, X, observed, judged, seed, k, changed)
                print(name, seed, method, record, file=sys.stderr, flush=True)
                records.setdefault((name, method), []).append(record)
    rows = [mean_over_masks(*key, each) for key, each in records.items()]
    only = [] if args.tables == list(MASKS) and args.masks is None else args.tables
    share = [] if args.share == 0.5 else [f"{args.share:g}"]
    own = [] if set(args.methods) == {*OWN, *IMPUTERS} else args.methods
    parts = ["gaps", *only, *share, *own, *["validation"] * args.validate]
    return Report(result_name(parts, changed), FORMATS, rows)


def load(name: str) -> np.ndarray:
    """Columns in units of their standard deviation; quality is one of a wine's."""
    if name == "breast":
        X, _ = load_table("breast_cancer")
    else:
        X = np.loadtxt(data_file(f"wine_{name}.csv"), delimiter=";", skiprows=1)
    return (X - X.mean(0)) / X.std(0)


def removed(shape: tuple[int, ...], seed: int, share: float) -> np.ndarray:
    """A share of the cells, at random."""
    n_cells = int(np.prod(shape))
    cells = np.zeros(n_cells, bool)
    cells[np.random.RandomState(seed).choice(n_cells, int(n_cells * share), replace=False)] = True
    return cells.reshape(shape)


def held_out(observed: np.ndarray, seed: int) -> np.ndarray:
    """A tenth of the observed cells, at random."""
    return observed & (np.random.RandomState(seed).rand(*observed.shape) < 0.1)


def least_error(
    candidates: Sequence[Any],
    observed: np.ndarray,
    error: Callable[[Any, np.ndarray], float],
    n_splits: int = 3,
) -> Any:
    """Candidate of the least error on held-out cells, in the mean over splits.

    Parameters
    ----------
    candidates : list
        What to choose from.
    observed : ndarray of bool of shape (n_samples, n_columns)
        Cells that are known.
    error : callable
        Of a candidate and a mask of held-out cells.
    n_splits : int, default=3
        How often cells are held out.
    """
    held = [held_out(observed, split) for split in range(n_splits)]
    return min(candidates, key=lambda candidate: np.mean([error(candidate, part) for part in held]))


def n_latents(X: np.ndarray, observed: np.ndarray, changed: dict[str, Any]) -> int:
    """Choose the number of latents by how the start fills held-out cells."""

    def error(k: int, held: np.ndarray) -> float:
        start = model(k, {**changed, **OWN["start"]}, 0)
        with_gaps = np.where(observed & ~held, X, np.nan)
        # The start is linear: one antithetic pair of draws has no error.
        filled = start.fit(with_gaps).impute(with_gaps, n_draws=2)
        return float(np.square(filled - X)[held].mean())

    return least_error([k for k in LATENTS if k < X.shape[1]], observed, error)


def model(k: int, changed: dict[str, Any], seed: int) -> VariationalAutoencoder:
    """Give an estimator."""
    own = {"objective": ImportanceWeighted(10), "random_state": seed, "device": "cpu", **changed}
    return VariationalAutoencoder(k, likelihood=Gaussian("feature"), **own)


def measure(
    method: str,
    X: np.ndarray,
    observed: np.ndarray,
    judged: np.ndarray,
    seed: int,
    k: int | None,
    changed: dict[str, Any],
) -> dict[str, float]:
    """Fill gaps by one method: error on ``judged`` cells, and what it took."""
    with_gaps = np.where(observed, X, np.nan)
    record = {"latents": np.nan, "epoch": np.nan, "epochs run": np.nan}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if method in OWN and k is not None:
            own = model(k, {**changed, **OWN[method]}, seed)
            record["fit, s"] = timed_fit(own, with_gaps).seconds
            record |= {"latents": k, "epoch": own.best_epoch_, "epochs run": own.n_iter_}
            fill = own.impute
        else:
            imputer = IMPUTERS[method]()
            record["fit, s"] = timed_fit(imputer, with_gaps).seconds
            fill = imputer.transform
        began = time.perf_counter()
        filled = fill(with_gaps)
    record["impute, s"] = time.perf_counter() - began
    return {"error": float(np.square(filled - X)[judged].mean()), **record}


def mean_over_masks(table: str, method: str, records: list[dict[str, float]]) -> dict[str, Any]:
    """Give a row of the table."""
    errors = [record["error"] for record in records]
    means = {key: float(np.mean([record[key] for record in records])) for key in records[0]}
    return {
        "table": table,
        "method": method,
        **means,
        "least": min(errors),
        "most": max(errors),
        "masks": records,
    }
