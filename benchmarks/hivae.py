"""Missing cells of mixed columns: HI-VAE's tables at 30 %, beside scikit-learn's imputers.

The tables of HI-VAE (Nazabal et al. 2020), Adult's first 6000 rows, go in as frames of numbers and
categories and are filled by ``impute``. The error is theirs: of a number the root mean square over
its range, of a category the share of wrong ones, of an order the mean distance over its number of
levels, and of these the mean over columns. "declared" takes one of a few sets of likelihoods for
the types that they declare, "auto" what ``likelihood="auto"`` chooses. How many latents there are
is chosen by the start's error on a tenth of the observed cells, in the mean over three splits, and
the set then by that of a trained model on one of these; cells that the error is taken of choose
nothing. Each is given before training ("start"), after it with the defaults and
``ImportanceWeighted(10)``, and without held-out rows for 100 epochs ("all rows"). scikit-learn's
imputers fill columns as factor analysis of mixed data codes them.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from benchmarks.common import Report, data_file, timed_fit
from benchmarks.gaps import OWN, least_error
from skvae import VariationalAutoencoder
from skvae.likelihoods import (
    Categorical,
    Columns,
    Gaussian,
    Likelihood,
    LogNormal,
    NegativeBinomial,
    Nonparanormal,
    Ordinal,
)
from skvae.objectives import ImportanceWeighted

TABLES = ("breast", "wine", "adult")
CHOICES = ("declared", "auto")
LATENTS = (2, 4, 6, 8, 10)
GAUSSIAN = Gaussian("feature")
# Of what is declared an order, a positive number or a count. LogNormal takes those above 0.
LIKELIHOODS: dict[str, dict[str, Likelihood]] = {
    "Gaussian": {"ordinal": GAUSSIAN, "pos": GAUSSIAN, "count": GAUSSIAN},
    "Ordinal, LogNormal": {
        "ordinal": Ordinal(),
        "pos": LogNormal("feature"),
        "count": NegativeBinomial(),
    },
    "Ordinal, Nonparanormal": {
        "ordinal": Ordinal(),
        "pos": Nonparanormal(),
        "count": GAUSSIAN,
    },
    "Ordinal, Gaussian": {"ordinal": Ordinal(), "pos": GAUSSIAN, "count": GAUSSIAN},
}
IMPUTERS = {
    "IterativeImputer": IterativeImputer(random_state=0),
    "KNNImputer": KNNImputer(),
    "SimpleImputer": SimpleImputer(),
}
FORMATS = {
    "table": "s",
    "method": "s",
    "error": ".4f",
    "likelihood": "s",
    "latents": ".0f",
    "epoch": ".0f",
    "epochs run": ".0f",
    "fit, s": ".1f",
    "impute, s": ".1f",
}


# Gives rows, and what it took.
Fill = Callable[[], tuple[np.ndarray, dict[str, Any]]]


class Mixed(NamedTuple):
    """A table with what is declared of it.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_columns)
        Numbers, and of a level its number.
    kinds : list of {"real", "pos", "count", "ordinal", "cat"}
        Of the columns.
    known : ndarray of bool of shape (n_samples, n_columns)
        Cells that the data have.
    """

    X: np.ndarray
    kinds: list[str]
    known: np.ndarray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--percent", type=int, default=30, choices=(10, 30, 50))
    parser.add_argument("--choices", nargs="+", default=list(CHOICES), choices=CHOICES)


def run(args: argparse.Namespace) -> Report:
    """Fill the same cells by each method."""
    rows: list[dict[str, Any]] = []
    for name in args.tables:
        table, observed = load(name, args.percent)
        judged = table.known & ~observed
        for method, fill in methods(table, observed, args.choices).items():
            filled, record = fill()
            about = {"table": name, "method": method, "error": error(table, filled, judged)}
            rows.append({**dict.fromkeys(FORMATS), **about, **record})
            print(rows[-1], file=sys.stderr, flush=True)
    only = [] if args.tables == list(TABLES) else args.tables
    only += [] if args.choices == list(CHOICES) else args.choices
    return Report("_".join(["hivae", str(args.percent), *only]), FORMATS, rows)


def load(name: str, percent: int) -> tuple[Mixed, np.ndarray]:
    """Read a table and which of its cells are observed."""
    with np.load(data_file(f"mixed_{name}.npz")) as file:
        X, kinds = file["X"], [line.split(",")[0] for line in file["types"][1:]]
        known = ~np.isnan(X)
        if "missing_true" in file:
            known[tuple(file["missing_true"].T)] = False
        observed = known.copy()
        observed[tuple(file[f"missing{percent}"].T)] = False
    most = 6000 if name == "adult" else None
    return Mixed(X[:most], kinds, known[:most]), observed[:most]


def error(table: Mixed, filled: np.ndarray, judged: np.ndarray) -> float:
    """Mean over columns of the error on cells, in HI-VAE's units."""
    errors = []
    for x, y, kind, known, cells in zip(
        table.X.T, filled.T, table.kinds, table.known.T, judged.T, strict=True
    ):
        difference = (y - x)[cells]
        if not len(difference):
            continue
        if kind == "cat":
            errors.append((difference != 0.0).mean())
        elif kind == "ordinal":
            errors.append(np.abs(difference).mean() / len(np.unique(x[known])))
        else:
            errors.append(np.sqrt(np.square(difference).mean()) / np.ptp(x[known]))
    return float(np.mean(errors))


def methods(table: Mixed, observed: np.ndarray, choices: Sequence[str]) -> dict[str, Fill]:
    """Give the methods, each a function without parameters."""
    held_error = partial(error_when_held, table, observed)
    starts = [("Ordinal, Gaussian", k, OWN["start"]) for k in LATENTS]
    _, k, _ = least_error(starts, observed, held_error)
    # Sets that differ in this table.
    differ = {
        str([of_kind.get(kind) for kind in table.kinds]): name
        for name, of_kind in LIKELIHOODS.items()
    }
    likelihood_of = {"auto": "auto"}
    if "declared" in choices:
        trained = [(name, k, OWN["skvae"]) for name in differ.values()]
        likelihood_of["declared"], _, _ = least_error(trained, observed, held_error, n_splits=1)
    found: dict[str, Fill] = {
        f"{name}, {choice}": partial(by_model, table, observed, likelihood_of[choice], k, own)
        for choice in choices
        for name, own in OWN.items()
    }
    for name, imputer in IMPUTERS.items():
        fill = by_column if name == "SimpleImputer" else by_codes
        found[name] = partial(fill, table, observed, imputer)
    return found


# ------------------------------------------------------------------------ skvae


def error_when_held(
    table: Mixed, observed: np.ndarray, candidate: tuple[str, int, dict[str, Any]], held: np.ndarray
) -> float:
    """Error of a model on held-out cells."""
    filled, _ = by_model(table, observed & ~held, *candidate, n_draws=20)
    return error(table, filled, held)


def by_model(
    table: Mixed,
    observed: np.ndarray,
    name: str,
    k: int,
    own: dict[str, Any],
    n_draws: int = 100,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fill by a model, and say what it took."""
    of_kind = LIKELIHOODS.get(name, {"ordinal": Ordinal()})
    frame = as_frame(table, observed, of_kind)
    vae = VariationalAutoencoder(
        k,
        likelihood=name if name == "auto" else columns_of(table, frame, of_kind),
        objective=ImportanceWeighted(10),
        random_state=0,
        device="cpu",
        **own,
    )
    seconds = timed_fit(vae, frame).seconds
    began = time.perf_counter()
    filled = vae.impute(frame, n_draws=n_draws).astype(float).to_numpy()
    record = {
        "likelihood": name,
        "latents": k,
        "epoch": vae.best_epoch_,
        "epochs run": vae.n_iter_,
        "fit, s": seconds,
        "impute, s": time.perf_counter() - began,
    }
    return filled, record


def as_frame(table: Mixed, observed: np.ndarray, of_kind: dict[str, Likelihood]) -> pd.DataFrame:
    """Give the observed cells, categories as such, and orders where they are none's numbers."""
    frame = pd.DataFrame(np.where(observed, table.X, np.nan)).add_prefix("c")
    for name, kind in zip(frame, table.kinds, strict=True):
        if kind == "cat" or (kind == "ordinal" and isinstance(of_kind[kind], Ordinal)):
            frame[name] = pd.Categorical(frame[name], ordered=kind == "ordinal")
    return frame


def columns_of(table: Mixed, frame: pd.DataFrame, of_kind: dict[str, Likelihood]) -> Columns:
    """Say the likelihood of each column by the declared types."""
    entries = []
    for name, kind in zip(frame, table.kinds, strict=True):
        own = {"cat": Categorical(), "real": GAUSSIAN, **of_kind}[kind]
        if isinstance(own, LogNormal) and frame[name].min() <= 0.0:
            own = GAUSSIAN
        entries.append((name, own, [name]))
    return Columns(entries)


# ----------------------------------------------------------------- scikit-learn


def by_column(
    table: Mixed, observed: np.ndarray, imputer: SimpleImputer
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fill by the most frequent level, the median of an order, or the mean."""
    strategies = {"cat": "most_frequent", "ordinal": "median"}
    X = np.where(observed, table.X, np.nan)
    began = time.perf_counter()
    columns = [
        clone(imputer).set_params(strategy=strategies.get(kind, "mean")).fit_transform(x[:, None])
        for x, kind in zip(X.T, table.kinds, strict=True)
    ]
    return np.hstack(columns), {"fit, s": time.perf_counter() - began}


def by_codes(table: Mixed, observed: np.ndarray, imputer: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Fill the columns of factor analysis of mixed data; positive numbers have their logs taken."""
    kinds = np.array(table.kinds)
    X = np.where(observed, table.X, np.nan)
    logged = np.isin(kinds, ["pos", "count"])
    X[:, logged] = np.log1p(X[:, logged])
    mean, std = np.nanmean(X, 0), np.nanstd(X, 0)
    codes = (X - mean) / std
    levels = {j: np.unique(X[observed[:, j], j]) for j in np.flatnonzero(kinds == "cat")}
    parts, roots = [], {}
    for j, column in enumerate(codes.T):
        if j in levels:
            is_level = np.where(observed[:, j, None], X[:, j, None] == levels[j], np.nan)
            share = np.nanmean(is_level, 0)
            roots[j] = np.sqrt(share)
            parts.append((is_level - share) / roots[j])
        else:
            parts.append(column[:, None])
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        made = imputer.fit_transform(np.hstack(parts))
    seconds = time.perf_counter() - began
    split = np.split(made, np.cumsum([part.shape[1] for part in parts])[:-1], axis=1)
    filled = table.X.copy()
    for j, part in enumerate(split):
        if j in levels:
            column = levels[j][(roots[j] ** 2 + roots[j] * part).argmax(1)]
        else:
            column = part[:, 0] * std[j] + mean[j]
            column = np.expm1(column) if logged[j] else column
            column = column.clip(table.X[observed[:, j], j].min(), table.X[observed[:, j], j].max())
            column = np.round(column) if kinds[j] == "ordinal" else column
        filled[:, j] = np.where(observed[:, j], table.X[:, j], column)
    return filled, {"fit, s": seconds}
