"""How a law says that it does not hold, and the statistical tests that laws are judged by."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

#: Chance that a check of draws raises though its law holds.
FALSE_ALARM = 1e-6

# Standard errors that a mean of bounded terms stays within but for that chance: 4.9 by the normal
# law, and some room for its approximation.
_ERRORS = 6.0


def claim(holds: Any, sentence: str) -> None:
    """Raise AssertionError with the sentence unless the law holds."""
    if not holds:
        raise AssertionError(sentence)


def claim_close(found: Any, expected: Any, what: str, remedy: str, tolerance: float) -> None:
    """Raise AssertionError where two arrays differ by more than the tolerance.

    It is relative to the larger of 1 and the largest entry expected, because sums of many terms
    of that size are off by its rounding.
    """
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    claim(
        found.shape == expected.shape,
        f"{what} have the shape {found.shape}, but should have {expected.shape}. {remedy}",
    )
    if not expected.size:
        return
    scale = max(1.0, float(np.abs(expected).max()))
    with np.errstate(invalid="ignore"):
        gap = np.nan_to_num(np.abs(found - expected), nan=np.inf)
    worst = np.unravel_index(int(gap.argmax()), gap.shape)
    where = f" at {tuple(map(int, worst))}" if worst else ""
    claim(
        gap[worst] <= tolerance * scale,
        f"{what} should be {expected[worst]:.10g}{where}. Got {found[worst]:.10g}. {remedy}",
    )


def claim_same_mean(left: np.ndarray, right: np.ndarray, what: str, remedy: str) -> None:
    """Raise AssertionError where the means of two samples differ beyond chance, column by column.

    Both are of bounded terms, so that a normal law holds for their means.
    """
    gap = left.mean(0) - right.mean(0)
    error = np.sqrt(left.var(0) / len(left) + right.var(0) / len(right)) + 1e-12
    worst = int(np.abs(gap / error).argmax())
    claim(
        np.abs(gap[worst]) <= _ERRORS * error[worst],
        f"{what}: {left.mean(0)[worst]:.4g} against {right.mean(0)[worst]:.4g}, which are "
        f"{abs(gap[worst] / error[worst]):.1f} standard errors apart. {remedy}",
    )


def distance_of_chance(n_draws: int, n_tests: int) -> float:
    """Distance of an empirical distribution function from its own that chance does not exceed.

    By the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (1990), which holds
    for every distribution and number of draws: P(sup |F_n - F| > e) <= 2 exp(-2 n e^2).
    """
    return math.sqrt(math.log(2.0 * n_tests / FALSE_ALARM) / (2.0 * n_draws))


@contextlib.contextmanager
def few_epochs() -> Iterator[None]:
    """Silence the warnings of a fit that is stopped on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
