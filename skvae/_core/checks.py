"""Parameters of estimators and components, checked when a fit begins."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np


class _Shown(reprlib.Repr):
    """Values as an error shows them, however long they are."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxlong = 80
        self.maxother = 200


def shown(value: Any) -> str:
    """Give the repr of what a user gave, in a length that does not grow with it."""
    return _shown.repr(value)


_shown = _Shown()


def check_integer(component: Any, name: str, least: int = 1) -> None:
    """Raise ValueError if a parameter is not an int of at least ``least``."""
    value = getattr(component, name)
    if not isinstance(value, Integral) or int(value) < least:
        _refuse(component, name, f"an int of at least {least}")


def check_number(component: Any, name: str, above: float | None = None) -> None:
    """Raise ValueError if a parameter is no finite number of at least 0, or ``above`` one."""
    value = getattr(component, name)
    wrong = not isinstance(value, Real) or not 0.0 <= float(value) < math.inf
    if wrong or (above is not None and value <= above):
        bound = "of at least 0" if above is None else f"above {above:g}"
        _refuse(component, name, f"a number {bound}")


def check_choice(component: Any, name: str, choices: Iterable[Any]) -> None:
    """Raise ValueError if a parameter is none of ``choices``."""
    choices = list(choices)
    if getattr(component, name) not in choices:
        _refuse(component, name, f"one of {', '.join(map(repr, choices))}")


def check_sizes(value: Any, name: str) -> tuple[int, ...]:
    """Read the widths of hidden layers.

    Raises
    ------
    ValueError
        If they are not integers of at least 1.
    """
    sizes = np.atleast_1d(np.asarray(value))
    if sizes.ndim > 1 or (sizes.size and (sizes.dtype.kind not in "iu" or sizes.min() < 1)):
        raise ValueError(
            f"The {name!r} parameter must hold integers of at least 1. "
            f"Got {shown(value)}. Use () for the linear model."
        )
    return tuple(sizes.tolist())


def _refuse(component: Any, name: str, allowed: str) -> None:
    raise ValueError(
        f"The {name!r} parameter of {type(component).__name__} must be {allowed}. "
        f"Got {shown(getattr(component, name))}."
    )
