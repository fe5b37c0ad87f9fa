"""The linear start of the multi-label classifier: ridge regression of label sets, of low rank.

With u the centred features, r = y - prevalence the residuals of a row's labels and V the directions
in which the fitted residuals vary most, the code is the ridge regression of V'r on u, each
coordinate over its standard deviation; labels are scored by what the codes predict of r. Codes of
features and of label sets are then white, and as correlated as ridge regression makes them: the
linear case of the canonical-correlated autoencoder (principal label space transformation, Tai and
Lin 2012, with the residuals projected as fitted, Chen and Lin 2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, eigh, svd
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax
from sklearn.utils.extmath import svd_flip

from skvae.multilabel._labels import Labels, Table
from skvae.tables import Moments, blocks

# Rows by which penalty, scaling and rank are chosen, and cells that these rows may fill.
_CHOOSING_ROWS = 1500
_CHOOSING_CELLS = 2**25

# Features are divided by these powers of their standard deviations, whichever predicts best. A rare
# word should not count as much as a common one; sensors in several units should.
_EXPONENTS = (0.0, 0.5, 1.0)

# Ridge penalties, as multiples of the mean squared length of a row.
_PENALTIES = np.geomspace(1e-3, 1e3, 25)

# Weight of the square of the gain of scores, beside a mean loss in nats.
_GAIN_DECAY = 1e-6

# Up to so many features their covariance is factored; beyond, conjugate gradients solve.
_DENSE_FEATURES = 2000
_MOST_ITERATIONS = 30
_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearStart:
    """A linear classifier of rank n_components.

    Attributes
    ----------
    exponent : float
        Power of its standard deviation that a feature is divided by.
    axes : ndarray of shape (n_components, n_features)
        Code of a centred row u over its scale: ``axes @ u``. Rows beyond the rank are zero.
    label_axes : ndarray of shape (n_components, n_labels)
        Code of a label set: ``label_axes @ (y - prevalence)``.
    scores : ndarray of shape (n_labels, n_components)
        Scores of the labels, per unit of the code.
    bias : ndarray of shape (n_labels,)
        Scores at the mean row.
    """

    exponent: float
    axes: np.ndarray
    label_axes: np.ndarray
    scores: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class _Choice:
    """What some of the rows choose.

    ``penalty`` is what ridge regression adds to the eigenvalues of the scatter, ``fitted`` and
    ``unseen`` are the residuals that it predicts for these rows, the latter for each with the row
    itself left out, and ``dual`` the coefficients of the rows.
    """

    press: float
    exponent: float
    penalty: float
    fitted: np.ndarray
    unseen: np.ndarray
    dual: np.ndarray


def linear_start(
    table: Table,
    moments: Moments,
    scale: float,
    prevalence: np.ndarray,
    n_components: int,
    seed: int,
) -> LinearStart:
    """Fit the linear classifier that training begins at.

    At most 1500 rows, drawn by ``seed``, choose the penalty and the scaling of the features by the
    squared error of leave-one-out predictions, which ridge regression has in closed form (PRESS,
    Allen 1974), and the rank's directions; all rows are then solved for.

    Parameters
    ----------
    table : Table
        Rows with their labels and weights.
    moments : Moments
        Of the features, under these weights.
    scale : float
        What centred rows are divided by.
    prevalence : ndarray of shape (n_labels,)
        Share of the rows that have each label.
    n_components : int
        Most directions to keep.
    seed : int
        Draws the rows that choose, if there are more.

    Returns
    -------
    start : LinearStart
    """
    rows = _choosing_rows(table, seed)
    some = table if len(rows) == table.n_samples else table.part(rows)
    residuals, root = _residuals(some.labels, prevalence, some.weight)
    deviation = np.sqrt(moments.variance) / scale
    deviation[deviation == 0.0] = 1.0
    choice = min(
        (
            _choose(some.X, moments.mean, scale * deviation**power, residuals, root, power)
            for power in _EXPONENTS
        ),
        key=lambda choice: choice.press,
    )
    total = float((root**2).sum())
    left, spread, vectors = svd(root[:, None] * choice.fitted, full_matrices=False)
    vectors = svd_flip(left, vectors, u_based_decision=False)[1]
    spread = spread[:n_components] / np.sqrt(total)
    spread = spread[spread > np.sqrt(np.finfo(float).eps) * spread[:1]]
    directions = vectors[: len(spread)]  # (rank, n_labels)
    divisor = scale * deviation**choice.exponent
    if some is table:
        weights = _from_rows(table.X, moments.mean, divisor, root[:, None] * choice.dual)
        axes = weights @ directions.T
    else:
        axes = _solve(table, moments.mean, divisor, prevalence, choice.penalty, directions)
    gain, offset = _calibrate(some.labels, prevalence + choice.unseen, root**2)

    def whole(part: np.ndarray) -> np.ndarray:
        padded = np.zeros((n_components, part.shape[1]))
        padded[: len(part)] = part
        return padded

    label_spread = np.sqrt(((root[:, None] * (residuals @ directions.T)) ** 2).sum(0) / total)
    return LinearStart(
        exponent=choice.exponent,
        axes=whole((axes / spread / deviation[:, None] ** choice.exponent).T),
        label_axes=whole(directions / label_spread[:, None]),
        scores=whole(gain * directions * spread[:, None]).T,
        bias=offset + gain * prevalence,
    )


def _choosing_rows(table: Table, seed: int) -> np.ndarray:
    """Draw the rows that choose, in their order."""
    n, widest = table.n_samples, max(table.X.shape[1], table.labels.values.shape[1])
    most = min(_CHOOSING_ROWS, max(_CHOOSING_CELLS // widest, 100))
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.RandomState(seed).choice(n, most, replace=False))


def _residuals(
    labels: Labels, prevalence: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels less their prevalence, zero where one is missing, and the roots of the weights."""
    values = labels.dense(slice(None))
    residuals = np.where(values >= 0, values - prevalence, 0.0)
    return residuals, np.ones(len(values)) if weight is None else np.sqrt(weight)


def _choose(
    X: Any,
    mean: np.ndarray,
    divisor: np.ndarray,
    residuals: np.ndarray,
    root: np.ndarray,
    exponent: float,
) -> _Choice:
    """Choose the penalty for one scaling of the features."""
    gram = root[:, None] * _gram(X, mean, divisor) * root
    values, vectors = eigh(gram)
    values = np.maximum(values, 0.0)
    total, target = float((root**2).sum()), root[:, None] * residuals
    rotated, known = vectors.T @ target, residuals != 0.0
    least, unit = None, values.sum() / total or 1.0
    for penalty in unit * _PENALTIES:
        shrink = values / (values + penalty)
        fitted = vectors @ (shrink[:, None] * rotated)
        # Share of a row in its own fit, to which the mean adds. One of several equal rows is left
        # out, where a weight stands for them.
        own = (vectors**2 @ shrink + root**2 / total) / np.maximum(root**2, 1.0)
        own = np.minimum(own, 1.0 - 1e-6)[:, None]
        unseen = (fitted - own * target) / (1.0 - own)
        press = float((((target - unseen) * known) ** 2).sum())
        if least is None or press < least[0]:
            least = press, penalty, fitted, unseen
    press, penalty, fitted, unseen = least  # type: ignore[misc]
    dual = vectors @ (rotated / (values + penalty)[:, None])
    return _Choice(
        press=press,
        exponent=exponent,
        penalty=penalty,
        fitted=fitted / root[:, None],
        unseen=unseen / root[:, None],
        dual=dual,
    )


def _gram(X: Any, mean: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    """Products of centred rows, (n_samples, n_samples); a sparse X is not made dense."""
    if not sparse.issparse(X):
        centred = (np.asarray(X[:], dtype=np.float64) - mean) / divisor
        return centred @ centred.T
    scaled, centre = X.multiply(1.0 / divisor).tocsr(), mean / divisor
    along = scaled @ centre
    return np.asarray((scaled @ scaled.T).todense()) - along[:, None] - along + centre @ centre


def _from_rows(X: Any, mean: np.ndarray, divisor: np.ndarray, dual: np.ndarray) -> np.ndarray:
    """Give u'D for centred rows u over ``divisor`` and coefficients D of the rows."""
    if sparse.issparse(X):
        product = X.T @ dual
    else:
        product = sum(block.T @ dual[rows] for rows, block in blocks(X))
    return (product - np.outer(mean, dual.sum(0))) / divisor[:, None]


def _solve(
    table: Table,
    mean: np.ndarray,
    divisor: np.ndarray,
    prevalence: np.ndarray,
    penalty: float,
    directions: np.ndarray,
) -> np.ndarray:
    """Regress the residuals' directions on all rows, (n_features, rank)."""
    X, labels, weight = table.X, table.labels, table.weight
    n, step = table.n_samples, max(1, _CHOOSING_CELLS // labels.values.shape[1])
    target = np.empty((n, len(directions)))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        target[rows] = _residuals(labels.part(rows), prevalence, None)[0] @ directions.T
    ones = np.ones(n) if weight is None else weight
    wanted = _from_rows(X, mean, divisor, ones[:, None] * target)
    if X.shape[1] > _DENSE_FEATURES:
        return _conjugate_gradients(X, mean, divisor, ones, penalty, wanted)
    scatter = np.zeros((X.shape[1], X.shape[1]))
    for rows, block in blocks(X):
        centred = (block - mean) / divisor
        scatter += centred.T @ (ones[rows, None] * centred)
    scatter.flat[:: len(scatter) + 1] += penalty
    return cho_solve(cho_factor(scatter, overwrite_a=True), wanted)


def _conjugate_gradients(
    X: Any,
    mean: np.ndarray,
    divisor: np.ndarray,
    weight: np.ndarray,
    penalty: float,
    wanted: np.ndarray,
) -> np.ndarray:
    """Solve (U'WU + penalty) B = ``wanted`` for all columns at a time, U the centred rows.

    Hestenes and Stiefel (1952). Each product goes through X twice, so that all columns share it.
    """
    solution, residual = np.zeros_like(wanted), wanted.copy()
    direction, square = residual.copy(), (residual**2).sum(0)
    enough = _TOLERANCE**2 * square
    for _ in range(_MOST_ITERATIONS):
        if (square <= enough).all():
            break
        scaled = direction / divisor[:, None]
        if sparse.issparse(X):
            along = X @ scaled
        else:
            along = np.concatenate([block @ scaled for _, block in blocks(X)])
        along = weight[:, None] * (along - mean @ scaled)
        image = _from_rows(X, mean, divisor, along) + penalty * direction
        curvature = (direction * image).sum(0)
        step = np.divide(square, curvature, out=np.zeros_like(square), where=curvature > 0)
        solution += step * direction
        residual -= step * image
        former, square = square, (residual**2).sum(0)
        direction *= np.divide(square, former, out=np.zeros_like(square), where=former > 0)
        direction += residual
    return solution


def _calibrate(labels: Labels, predicted: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Scores that are linear in predictions of unseen rows: gain and offset, most likely.

    Two numbers for all labels (Platt 1999); for classes, whose scores have no common offset, one.
    """
    values = labels.dense(slice(None))
    there = values == 1
    mass = weight[:, None] * (values >= 0)
    mass /= mass.sum() or 1.0
    free = np.array([1.0, 0.0 if labels.exclusive else 1.0])

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        score = parameters[0] * predicted + parameters[1]
        if labels.exclusive:
            lost = -(mass * there * log_softmax(score, axis=1)).sum()
            slope = mass * (softmax(score, axis=1) - there)
        else:
            lost = (mass * (np.logaddexp(0.0, score) - there * score)).sum()
            slope = mass * (expit(score) - there)
        gradient = np.array([(slope * predicted).sum(), slope.sum()]) * free
        # Where predictions part the labels without an error, nothing else bounds the gain.
        gradient[0] += 2.0 * _GAIN_DECAY * parameters[0]
        return float(lost) + _GAIN_DECAY * float(parameters[0]) ** 2, gradient

    found = minimize(loss, 4.0 * free * [1.0, -0.5], jac=True, method="BFGS", tol=1e-10)
    gain, offset = found.x.tolist()
    return max(gain, 0.0), offset
