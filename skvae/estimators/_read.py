"""Rows of a fit: checked, as numbers, with the likelihood that they are to have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from skvae._core.checks import shown
from skvae._sklearn.compat import column_indices
from skvae._sklearn.estimator import check_weight
from skvae._sklearn.rows import check_rows, check_table
from skvae.estimators._components import LIKELIHOODS, resolve
from skvae.estimators._words import cannot_go_on
from skvae.inference import Fitted
from skvae.likelihoods import Columns, Likelihood
from skvae.tables import Table, library_of, read_raw_table


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a fit reads of X.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_numbers)
        Rows that have a weight, as numbers.
    weight : ndarray of shape (n_samples,) or None
        Their weights, all positive.
    likelihood : Likelihood
        Of the numbers, an object of the fit's own.
    table : Table or None
        How columns became numbers, unless X is its own.
    """

    X: Any
    weight: np.ndarray | None
    likelihood: Likelihood
    table: Table | None = None


def by_columns(value: Any) -> Columns | None:
    """Give what asks for a likelihood by columns; None if one takes X as it is."""
    if isinstance(value, str) and value == "auto":
        return Columns()
    if isinstance(value, list):
        return Columns(value)
    likelihood = resolve(value, LIKELIHOODS)
    if isinstance(likelihood, Columns):
        return likelihood
    if likelihood.coding.kind == "number":
        return None
    return Columns([(value if isinstance(value, str) else "all", likelihood, slice(None))])


def is_table(model: Any, X: Any) -> bool:
    """Say whether a model takes X by columns, or without one whether some hold no numbers."""
    if model is not None:
        return by_columns(model.likelihood) is not None
    return library_of(X) is not None and any(c.kind != "number" for c in read_raw_table(X).columns)


def read_rows(estimator: Any, X: Any, sample_weight: Any, past: Fitted | None) -> Read:
    """Read X for a fit.

    Parameters
    ----------
    estimator : estimator
        Its ``likelihood`` says what columns are; it remembers, or compares, their names.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Rows.
    sample_weight : array-like of shape (n_samples,) or None
        Row weights.
    past : Fitted or None
        What is fitted already, and goes on.

    Returns
    -------
    read : Read
        What the fit takes.
    """
    columns, n_least = by_columns(estimator.likelihood), 2 if past is None else 1
    options: dict[str, Any] = {"reset": past is None, "ensure_min_samples": n_least}
    if columns is None:
        X = check_rows(estimator, X, **options)
    else:
        X = check_table(estimator, X, **options)
    asked = None if columns is None else columns.asked(partial(_select, X))
    if past is not None and asked != (None if past.table is None else past.table.asked):
        then = past.architecture.likelihood.chosen
        raise ValueError(cannot_go_on("likelihood", then, estimator.likelihood))
    weight = kept = None
    if sample_weight is not None:
        weight, positive = check_weight(sample_weight, X, n_least)
        kept = None if positive.all() else positive
    if columns is None:
        rows = X if kept is None else X[kept]
        return Read(X=rows, weight=weight, likelihood=resolve(estimator.likelihood, LIKELIHOODS))
    raw_table = read_raw_table(X)
    raw_table = raw_table if kept is None else raw_table.take(kept)
    if past is None or past.table is None:
        likelihood, table = columns.resolve(partial(_select, X), raw_table, _named, weight)
    else:
        likelihood, table = past.architecture.likelihood, past.table
    return Read(X=table.encode(raw_table), weight=weight, likelihood=likelihood, table=table)


def _select(X: Any, selector: Any) -> list[int]:
    """Give positions of columns that are selected as in ``ColumnTransformer``."""
    if isinstance(selector, slice) and selector == slice(None):
        return list(range(X.shape[1]))
    return list(column_indices(X, selector(X) if callable(selector) else selector))


def _named(value: Any) -> Likelihood:
    """Give the likelihood of an entry, by its alias or as a clone."""
    aliases = sorted(LIKELIHOODS)
    if isinstance(value, Likelihood) or (isinstance(value, str) and value in aliases):
        return resolve(value, LIKELIHOODS)
    raise ValueError(
        f"A likelihood of columns is an object of skvae.likelihoods or one of {aliases}. Got "
        f"{shown(value)}."
    )
