"""Labels: from the y of a fit to present, absent and missing ones.

A label is 1 where it is present, 0 where it is absent and -1 where nobody knows.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.multiclass import check_classification_targets

from skvae._core.checks import shown
from skvae._sklearn.caller import warn
from skvae._sklearn.compat import is_pandas_na
from skvae._sklearn.rows import check_values
from skvae.tables import pick

_INDICATORS = (
    "A y of two axes must be an indicator matrix of 1 (present) and 0 (absent), with NaN or -1 "
    "where a label is missing. Got {}. For lists of labels use "
    "sklearn.preprocessing.MultiLabelBinarizer, and for several classes a column "
    "sklearn.multioutput.MultiOutputClassifier."
)

_COLLECTIONS = (
    "{} must not hold lists or sets of labels. Got {}. Pass an indicator matrix, which "
    "sklearn.preprocessing.MultiLabelBinarizer makes of them."
)


class Labels(NamedTuple):
    """The labels of rows.

    Attributes
    ----------
    values : ndarray or CSR matrix of shape (n_samples, n_labels), int8
        1, 0, or -1 for a missing one.
    classes : ndarray
        Classes of a one-dimensional y, or 0, 1, ... for the columns of an indicator matrix.
    exclusive : bool
        Whether y is one-dimensional: a row then has one label.
    """

    values: Any
    classes: np.ndarray
    exclusive: bool

    def part(self, index: Any) -> Labels:
        """Rows at ``index``."""
        return self._replace(values=self.values[index])

    def dense(self, index: Any) -> np.ndarray:
        """Values of the rows at ``index``, as an array."""
        values = self.values[index]
        return values.toarray() if sparse.issparse(values) else values

    def n_rows(self, value: int) -> np.ndarray:
        """Count the rows in which each label is present (1), or is missing (-1), (n_labels,)."""
        return np.asarray((self.values == value).sum(0)).ravel()


class Table(NamedTuple):
    """Rows in X's units with their labels, and with weights or None."""

    X: Any
    labels: Labels
    weight: np.ndarray | None

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    def part(self, index: np.ndarray) -> Table:
        """Rows at ``index``, where they lie."""
        weight = None if self.weight is None else self.weight[index]
        return Table(pick(self.X, index), self.labels.part(index), weight)


def check_target(y: Any, estimator: str) -> Any:
    """Give y as an array of one axis or two, or as a CSR matrix.

    Raises
    ------
    ValueError
        If there is no y, it has other axes, or its rows are lists or sets of labels.
    """
    if y is None:
        raise ValueError(
            f"{estimator} requires y to be passed, but the target y is None. Pass an indicator "
            f"matrix, or one class per row."
        )
    _refuse_ragged(y, "y")
    y = check_values(
        _unmasked(y),
        "y",
        accept_sparse="csr",
        ensure_2d=False,
        dtype=None,
        ensure_all_finite=False,
        allow_nd=True,
    )
    if y.ndim not in (1, 2):
        raise ValueError(f"y must have one axis or two. Got the shape {y.shape}.")
    _refuse_collections(y, "y")
    if sparse.issparse(y) or y.ndim == 1 or y.shape[1] > 1:
        return y
    warn(
        "A column-vector y was passed when a 1d array was expected. Please change the shape of y "
        "to (n_samples,), for example using ravel().",
        DataConversionWarning,
    )
    return y.ravel()


def _refuse_ragged(y: Any, name: str) -> None:
    if not isinstance(y, list | tuple):
        return
    try:
        np.asarray(y)
    except ValueError:  # rows of several lengths make no array
        row = next((row for row in y if _is_collection(row)), y)
        raise ValueError(_COLLECTIONS.format(name, reprlib.repr(row))) from None


def _refuse_collections(y: Any, name: str) -> None:
    if sparse.issparse(y) or y.dtype.kind != "O":
        return
    for cell in y.flat:
        if _is_collection(cell):
            raise ValueError(_COLLECTIONS.format(name, reprlib.repr(cell)))


def _is_collection(value: Any) -> bool:
    many = isinstance(value, Collection) or getattr(value, "ndim", 0) > 0
    return many and not isinstance(value, str | bytes)


def _is_missing(value: Any) -> bool:
    """Say whether a cell of an object array is None, pandas' NA, or differs from itself as NaN."""
    return value is None or is_pandas_na(value) or bool(value != value)


def _unmasked(y: Any) -> Any:
    """Write NaN where a masked array hides a label."""
    return y.astype(object).filled(np.nan) if np.ma.is_masked(y) else y


def read_labels(y: Any) -> Labels:
    """Read a checked y of either kind.

    Parameters
    ----------
    y : {ndarray, CSR matrix} of shape (n_samples, n_labels) or (n_samples,)
        An indicator matrix, where NaN, None, NA or -1 is a missing label, or one class per row.

    Raises
    ------
    ValueError
        If y is neither, or has nothing to tell apart.
    """
    if y.ndim == 1:
        return _read_classes(y)
    values = read_indicators(y)
    data = values.data if sparse.issparse(values) else values
    n_absent = values.shape[0] * values.shape[1] - np.count_nonzero(data)
    if n_absent == 0 or not (data == 1).any():
        kind = "absent label (0)" if n_absent == 0 else "present label (1)"
        raise ValueError(
            f"y has no {kind} at all, so there is nothing to tell apart. In an indicator matrix -1 "
            f"is a missing label: write 0 for one that is known to be absent."
        )
    return Labels(values, np.arange(y.shape[1]), exclusive=False)


def _read_classes(y: np.ndarray) -> Labels:
    missing = [_is_missing(v) for v in y] if y.dtype.kind == "O" else y != y
    n_missing = int(np.sum(missing))
    if n_missing:
        raise ValueError(
            f"Input y contains NaN: a class is missing (None, NaN or NA) in {n_missing} of "
            f"{len(y)} rows. Leave those rows out. Only an indicator matrix may have missing "
            f"labels; sklearn.preprocessing.MultiLabelBinarizer makes one of lists of labels."
        )
    y = check_values(y, "y", ensure_2d=False, dtype=None)
    check_classification_targets(y)
    classes, index = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y must have at least two classes. Got the one class {str(classes[0])[:80]}; "
            f"rows without a weight do not count."
        )
    values = np.zeros((len(y), len(classes)), dtype=np.int8)
    values[np.arange(len(y)), index] = 1
    return Labels(values, classes, exclusive=True)


def read_part(y: Any, classes: Any, past: tuple[np.ndarray, bool] | None) -> Labels:
    """Read a checked y of which other parts come later.

    Parameters
    ----------
    y : {ndarray, CSR matrix} of shape (n_samples, n_labels) or (n_samples,)
        An indicator matrix, or one class per row.
    classes : array-like of shape (n_classes,) or None
        All classes, needed at the first part if y is one-dimensional; or a name for each column.
    past : tuple of (classes, exclusive) or None
        What the first part has fixed.

    Raises
    ------
    ValueError
        If y has classes or columns that were not there at first, or the classes are not named.
    """
    exclusive = y.ndim == 1
    if past is not None and exclusive != past[1]:
        kinds = ("an indicator matrix", "one class per row")
        raise ValueError(f"y must be {kinds[past[1]]}, as before. Got {kinds[exclusive]}.")
    given = None if classes is None else np.unique(classes) if exclusive else np.asarray(classes)
    if exclusive:
        known = given if past is None else past[0]
        if known is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: all that y will hold."
            )
        if given is not None and not np.array_equal(given, known):
            raise ValueError(f"classes must stay {known.tolist()}. Got {given.tolist()}.")
        index = np.searchsorted(known, y).clip(max=len(known) - 1)
        if (known[index] != y).any():
            raise ValueError(
                f"y holds the class {y[known[index] != y][0]!s}, which is none of "
                f"{known.tolist()}. "
                f"Name all classes at the first call of partial_fit."
            )
        return Labels(np.eye(len(known), dtype=np.int8)[index], known, exclusive=True)
    n_labels = y.shape[1]
    expected = len(past[0]) if past is not None else n_labels if given is None else len(given)
    if n_labels != expected:
        raise ValueError(f"y must have {expected} columns, one for each label. Got {n_labels}.")
    return Labels(read_indicators(y), np.arange(n_labels), exclusive=False)


def names_of_labels(y: Any, classes: Any = None) -> np.ndarray | None:
    """Names of the columns of an indicator matrix, if all are strings."""
    names = getattr(y, "columns", classes)
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return np.array(list(names), dtype=object)


def read_indicators(y: Any) -> Any:
    """Read an indicator matrix as 1, 0 and -1, int8, sparse where y is.

    Raises
    ------
    ValueError
        If there is anything else in it.
    """
    data = y.data if sparse.issparse(y) else y
    if data.dtype.kind not in "biuf":
        data = _as_numbers(data)
    missing = (data == -1) | np.isnan(data) if data.dtype.kind == "f" else data == -1
    wrong = ~missing & (data != 0) & (data != 1)
    if wrong.any():
        raise ValueError(_INDICATORS.format(data[wrong].flat[0]))
    values = np.where(missing, -1, data).astype(np.int8)
    if not sparse.issparse(y):
        return values
    matrix = sparse.csr_array((values, y.indices, y.indptr), shape=y.shape)
    matrix.eliminate_zeros()
    return matrix


def _as_numbers(data: np.ndarray) -> np.ndarray:
    try:
        return data.astype(np.float64)
    except (TypeError, ValueError, OverflowError):  # pandas' NA is no number, nor is a name
        cells = [math.nan if _is_missing(v) else v for v in data.ravel().tolist()]
    for k, cell in enumerate(cells):
        try:
            cells[k] = float(cell)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(_INDICATORS.format(shown(cell))) from None
    return np.reshape(cells, data.shape)


def read_label_sets(y: Any, n_labels: int) -> np.ndarray:
    """Read label sets with as many columns as there are labels, as a dense array.

    Raises
    ------
    ValueError
        If the columns are others.
    """
    _refuse_ragged(y, "Y")
    y = check_values(
        _unmasked(y),
        "Y",
        accept_sparse="csr",
        ensure_2d=False,
        dtype=None,
        ensure_all_finite=False,
    )
    _refuse_collections(y, "Y")
    if y.ndim != 2:
        raise ValueError(
            f"Y must be an indicator matrix of shape (n_sets, {n_labels}). Got the shape {y.shape}."
        )
    if y.shape[1] != n_labels:
        raise ValueError(
            f"Y must have {n_labels} columns, one for each of classes_. Got {y.shape[1]}."
        )
    values = read_indicators(y)
    return values.toarray() if sparse.issparse(values) else values


def prevalence(labels: Labels, weight: np.ndarray | None) -> np.ndarray:
    """Weighted share of rows that have each label, among those where it is known."""
    weight = np.ones(labels.values.shape[0]) if weight is None else weight
    if sparse.issparse(labels.values):
        present, missing = (labels.values == v for v in (1, -1))
    else:
        present, missing = labels.values == 1, labels.values == -1
    known = weight.sum() - weight @ missing
    return np.divide(weight @ present, known, out=np.zeros(len(known)), where=known > 0)
