"""The threshold above which a label is predicted, chosen by the F1 of held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np

# A label's own threshold counts as much as the shared one where it has so many positives.
_PRIOR_POSITIVES = 300.0

# Candidates for a threshold, and how many neighbours a candidate's value is averaged with: on a
# few dozen held-out rows the best single one is best by chance.
_N_CANDIDATES = 100
_SMOOTHED = 5


def f1_scores(
    positive: np.ndarray, predicted: np.ndarray, hit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Micro- and macro-averaged F1 from counts of shape (..., n_labels).

    ``positive`` counts the present labels, ``predicted`` the predicted ones, ``hit`` those that
    are both. Labels without a positive are left out of the macro average.
    """
    total = positive + predicted
    each = np.divide(2.0 * hit, total, out=np.zeros(total.shape), where=total > 0)
    there = positive > 0
    macro = (each * there).sum(-1) / np.maximum(there.sum(-1), 1)
    micro = 2.0 * hit.sum(-1) / np.maximum(total.sum(-1), np.finfo(float).tiny)
    return micro, macro


def tune_threshold(
    score: np.ndarray, values: np.ndarray, weight: np.ndarray | None
) -> tuple[float, float]:
    """Find the threshold above which a label is best predicted.

    Parameters
    ----------
    score : ndarray of shape (n_samples, n_labels)
        Scores of held-out rows.
    values : ndarray of shape (n_samples, n_labels)
        Their labels.
    weight : ndarray of shape (n_samples,) or None
        Row weights.

    Returns
    -------
    threshold, value : float
        The candidate with the largest sum of micro- and macro-averaged F1, averaged over
        neighbouring candidates, and that average; zeros where no label is known.
    """
    n_labels = score.shape[1]
    known, share = values >= 0, np.linspace(0.0, 1.0, _N_CANDIDATES // 2)
    if not known.any():
        return 0.0, 0.0
    # Quantiles of all scores, and of the present labels': few as those are, the best threshold
    # lies among them.
    groups = [score[group] for group in (known, values == 1) if group.any()]
    candidates = np.unique(np.concatenate([np.quantile(group, share) for group in groups]))
    candidates = 0.5 * (candidates[1:] + candidates[:-1]) if len(candidates) > 1 else candidates
    n_bins = len(candidates) + 1
    # A score in bin k exceeds the first k candidates: sums from above count what each predicts.
    place = np.searchsorted(candidates, score, side="left") * n_labels + np.arange(n_labels)
    mass = known * (1.0 if weight is None else weight[:, None])

    def above(mass: np.ndarray) -> np.ndarray:
        counts = np.bincount(place.ravel(), mass.ravel(), n_bins * n_labels)
        return counts.reshape(n_bins, n_labels)[::-1].cumsum(0)[::-1][1:]

    hit = mass * (values == 1)
    micro, macro = f1_scores(hit.sum(0), above(mass), above(hit))
    total = np.pad(micro + macro, _SMOOTHED // 2, mode="edge")
    smooth = np.convolve(total, np.full(_SMOOTHED, 1.0 / _SMOOTHED), "valid")
    best = int(np.argmax(smooth))
    return float(candidates[best]), float(smooth[best])


def tune_thresholds(
    score: np.ndarray,
    values: np.ndarray,
    weight: np.ndarray | None,
    n_prior: float = _PRIOR_POSITIVES,
) -> tuple[np.ndarray, float]:
    """Find a threshold for each label, shrunk to the shared one.

    A label's own best threshold has the weight n / (n + n_prior), n its number of present rows. The
    best one of a label with a handful of them is best by chance.

    Parameters
    ----------
    score : ndarray of shape (n_samples, n_labels)
        Scores of held-out rows.
    values : ndarray of shape (n_samples, n_labels)
        Their labels.
    weight : ndarray of shape (n_samples,) or None
        Row weights.
    n_prior : float, default=300.0
        Number of present rows at which its own threshold counts as much as the shared one.

    Returns
    -------
    thresholds : ndarray of shape (n_labels,)
        One for each label.
    value : float
        What the shared threshold alone is worth, as ``tune_threshold`` gives it.
    """
    shared, value = tune_threshold(score, values, weight)
    thresholds = np.full(score.shape[1], shared)
    present = values == 1
    count = present.sum(0) if weight is None else weight @ present
    for j in np.flatnonzero(present.any(0)):
        own = tune_threshold(score[:, j : j + 1], values[:, j : j + 1], weight)[0]
        thresholds[j] += count[j] / (count[j] + n_prior) * (own - shared)
    return thresholds, value


def tune(kind: str, score: np.ndarray, values: np.ndarray, weight: np.ndarray | None) -> Any:
    """Tune one threshold on raw scores ("shared"), or one for each label ("label")."""
    found = tune_thresholds if kind == "label" else tune_threshold
    return found(score, values, weight)[0]
