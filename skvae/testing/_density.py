"""The laws of a likelihood's density: what it sums to, and that moments and draws are its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skvae.likelihoods import Likelihood
from skvae.testing._cells import Case, make_case, nodes, refusal
from skvae.testing._claims import FALSE_ALARM, claim, claim_close, distance_of_chance

# Of sums and integrals by quadrature.
_QUADRATURE = 1e-6

# What the density says over what is stated, and where to look if that is not 1.
_MOMENTS = (
    (
        "total probability",
        "State the normaliser in log_prob, or in constant where no parameter moves it.",
    ),
    (
        "mean by the density over the one stated",
        "mean gives E[u|z] in the targets' units.",
    ),
    (
        "variance by the density over the one stated",
        "variance gives Var[u|z] in the targets' squared units.",
    ),
)

_DRAWS = 100_000


@torch.no_grad()
def check_density(likelihood: Likelihood, X: Any) -> None:
    """Check that each cell's density sums or integrates to one and has the moments stated.

    Together with ``constant`` and the units of the view. What a cell may be is told by what
    ``check`` refuses of -1, 0.5 and 2: counts, ones and zeros, a share, a positive number, or any.

    Parameters
    ----------
    likelihood : Likelihood
        What is checked.
    X : array-like of shape (n_samples, n_features)
        Rows of its domain.

    Raises
    ------
    AssertionError
        If the sum is not one, or ``mean`` or ``variance`` are not the density's.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvae.likelihoods import Poisson
    >>> from skvae.testing import check_density
    >>> check_density(Poisson(), load_digits().data[:, 2:6])
    """
    name, case = type(likelihood).__name__, make_case(likelihood, X)
    means, variances = case.moments()
    for j in case.cells():
        mean, variance, kind = means[j], variances[j], case.support(j)
        values, share = _masses(case, kind, j)
        found = (
            share.sum(),
            share @ values / mean if mean else 1.0 + share @ values,
            share @ (values - mean) ** 2 / variance,
        )
        for one, (what, remedy) in zip(found, _MOMENTS, strict=True):
            about = f"{name}'s {what} of column {j} over {kind} numbers"
            claim_close(one, 1.0, about, remedy, _QUADRATURE)


def _masses(case: Case, kind: str, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of a cell and the probability that each stands for."""
    group = case.group(column)
    if len(group) > 1:
        return _masses_of_levels(case, group, column)
    means, variances = case.moments()
    values, weight = nodes(kind, float(means[column]), float(np.sqrt(variances[column])))
    if kind == "counts" and case.refuses(column, values[-1]):  # there is a largest
        kept = np.array([not case.refuses(column, value) for value in values])
        values, weight = values[kept], weight[kept]
    return values, np.exp(case.log_density(column, values)) * weight


def _masses_of_levels(case: Case, group: range, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Zero and one of an indicator: its group holds one 1, wherever that is."""
    target = case.target[:1].repeat(len(group), 1)
    target[:, group] = torch.eye(len(group), dtype=target.dtype)
    observed = torch.zeros_like(target)
    observed[:, group] = 1.0
    raw = case.raw[:1, :1].expand(1, len(group), -1)
    share = case.likelihood.log_prob(raw, target, observed, case.parameters)[0].exp().numpy()
    ones = share[group.index(column)]
    return np.array([0.0, 1.0]), np.array([share.sum() - ones, ones])


@torch.no_grad()
def check_samples(likelihood: Likelihood, X: Any) -> None:
    """Check that what ``sample`` draws follows the density and stays inside the domain.

    The distribution function of 100 000 draws of each cell is held against the density's by the
    inequality of Dvoretzky, Kiefer and Wolfowitz. The seed is fixed; by it the check raises with a
    chance of one in a million where the law holds, and it sees a spread that is off by 3 %.

    Parameters
    ----------
    likelihood : Likelihood
        What is checked.
    X : array-like of shape (n_samples, n_features)
        Rows of its domain.

    Raises
    ------
    AssertionError
        If the draws are off, or are refused by ``check``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae.likelihoods import StudentT
    >>> from skvae.testing import check_samples
    >>> check_samples(StudentT(df=3.0), load_iris().data)
    """
    name, case = type(likelihood).__name__, make_case(likelihood, X)
    raw = np.ascontiguousarray(np.broadcast_to(case.raw[0, 0], (_DRAWS, case.raw.shape[-1])))
    parameters = [p.numpy() for p in case.parameters]
    rng = np.random.default_rng(0)
    drawn = likelihood.sample(raw, parameters, rng)
    claim(
        drawn.shape == (_DRAWS, case.n_targets),
        f"{name}.sample gives the shape {drawn.shape}, but should give one cell of each target, "
        f"{(_DRAWS, case.n_targets)}.",
    )
    X = case.prepared.view.back(drawn)
    if likelihood.has_domain:
        for row in (X.min(0), X.max(0), *X[:20]):
            complaint = refusal(likelihood, row, None)
            claim(complaint is None, f"{name}.sample draws what check refuses: {complaint}")
    _claim_distribution(case, X)


def _claim_distribution(case: Case, X: np.ndarray) -> None:
    """Raise AssertionError unless draws of each cell are distributed as the density says."""
    name = type(case.likelihood).__name__
    cells = case.cells()
    allowed = distance_of_chance(_DRAWS, len(cells))
    for j in cells:
        kind = case.support(j)
        values, share = _masses(case, kind, j)
        # The trapezoid rule has half of a value's own mass below it.
        below = np.cumsum(share) - (0.5 * share if kind in ("real", "positive") else 0.0)
        found = np.searchsorted(np.sort(X[:, j]), values, side="right") / _DRAWS
        worst = int(np.abs(found - below).argmax())
        claim(
            np.abs(found - below)[worst] <= allowed,
            f"{name}.sample puts {found[worst]:.4f} of its draws of column {j} at or below "
            f"{values[worst]:g}, but the density {below[worst]:.4f}: more than the {allowed:.4f} "
            f"by which {_DRAWS} draws are off with a chance of {FALSE_ALARM:g}. sample gives u "
            f"given z in the targets' units.",
        )
