"""What rows are coloured by, and which latents and images are shown: read and checked."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

# Whole numbers with at most this many values are classes, and this many classes are shown each by
# itself; beyond, the rarest are shown as one.
MOST_CLASSES = 20
REST = "other"

# Paul Tol's "muted" scheme (2021, personal.sron.nl/~pault), which colour-blind readers can tell
# apart, from strongest to weakest; further classes repeat it with another marker.
COLOURS = (
    "#332288",
    "#CC6677",
    "#117733",
    "#88CCEE",
    "#DDCC77",
    "#AA4499",
    "#44AA99",
    "#882255",
    "#999933",
    "#777777",
)
# On a dark background: his "light" scheme, with a violet.
COLOURS_ON_DARK = (
    "#77AADD",
    "#EE8866",
    "#44BB99",
    "#99DDFF",
    "#EEDD88",
    "#FFAABB",
    "#BBCC33",
    "#C99AEE",
    "#AAAA00",
    "#DDDDDD",
)


class Target(NamedTuple):
    """What rows are coloured by.

    Attributes
    ----------
    values : ndarray of shape (n_samples,)
        Numbers, or positions in ``classes``.
    classes : list of str or None
        Names of the classes; None where the values are numbers.
    name : str
        What the values are, or nothing.
    """

    values: np.ndarray
    classes: list[str] | None
    name: str


def read_target(y: Any, n_samples: int, kind: str = "auto") -> Target | None:
    """Read what rows are coloured by.

    Raises
    ------
    ValueError
        If y is no column of ``n_samples`` values, or ``kind`` is none of "auto", "class", "value".
    """
    if kind not in ("auto", "class", "value"):
        raise ValueError(f"target must be 'auto', 'class' or 'value'. Got {kind!r}.")
    if y is None:
        return None
    name = getattr(y, "name", None)
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or len(values) != n_samples:
        raise ValueError(
            f"y must hold one value for each of the {n_samples} rows of X. "
            f"Got shape {values.shape}."
        )
    if values.dtype.kind not in "iufb" or kind == "class" or (kind == "auto" and _is_few(values)):
        return Target(*_read_classes(values), "" if name is None else str(name))
    return Target(values.astype(np.float64), None, "" if name is None else str(name))


def _is_few(values: np.ndarray) -> bool:
    """Whether numbers stand for classes: whole, and few."""
    if values.dtype.kind == "b":
        return True
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if len(finite) == 0 or (finite.dtype.kind == "f" and (finite != np.floor(finite)).any()):
        return False
    return len(np.unique(finite)) <= MOST_CLASSES


def _read_classes(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Positions in the classes' names, in ascending order; the rarest together at the end."""
    try:
        found, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    except TypeError:  # of mixed types: None among strings
        found, codes, counts = np.unique(
            values.astype(str), return_inverse=True, return_counts=True
        )
    names = [_class_name(value) for value in found]
    if len(names) <= MOST_CLASSES:
        return codes, names
    kept = np.sort(np.argsort(-counts, kind="stable")[: MOST_CLASSES - 1])
    position = np.full(len(names), len(kept))
    position[kept] = np.arange(len(kept))
    rest = f"{REST} ({len(names) - len(kept)})"
    return position[codes], [names[i] for i in kept] + [rest]


def _class_name(value: Any) -> str:
    is_whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if is_whole else str(value)


def read_components(components: Any, n_components: int, most: int) -> list[int]:
    """Give the latents that are shown: those asked for, or the first ``most``.

    Raises
    ------
    ValueError
        If one is not a latent, or is named twice.
    """
    if components is None:
        return list(range(min(n_components, most)))
    chosen: list[Any] = [components] if isinstance(components, Integral) else list(components)
    wrong = [i for i in chosen if not isinstance(i, Integral) or not 0 <= int(i) < n_components]
    if wrong or not chosen:
        raise ValueError(
            f"components must hold numbers of latents, from 0 to {n_components - 1}. "
            f"Got {components!r}."
        )
    chosen = [int(i) for i in chosen]
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"components must name each latent once. Got {components!r}.")
    return chosen


def read_image_shape(image_shape: Sequence[int] | None, n_features: int) -> tuple[int, ...] | None:
    """Check that rows of ``n_features`` are images of this shape.

    Raises
    ------
    ValueError
        If they are not.
    """
    if image_shape is None:
        return None
    shape: tuple[Any, ...] = tuple(np.ravel(np.asarray(image_shape, dtype=object)).tolist())
    is_shape = len(shape) in (2, 3) and all(isinstance(n, Integral) and int(n) > 0 for n in shape)
    if not is_shape or (len(shape) == 3 and shape[2] not in (1, 3)):
        raise ValueError(
            f"image_shape must be (height, width), or (height, width, 3) for colours. "
            f"Got {image_shape!r}."
        )
    if np.prod(shape) != n_features:
        raise ValueError(
            f"image_shape must have as many pixels as a row has features, {n_features}. "
            f"Got {image_shape!r}, of {np.prod(shape)}."
        )
    return shape[:2] if shape[2:] == (1,) else shape


def read_quantiles(quantiles: Any, n: Any, name: str) -> np.ndarray:
    """Give ``n`` probabilities between two.

    Raises
    ------
    ValueError
        If they are not in ascending order between 0 and 1, or ``n`` is no number of places.
    """
    ends = tuple(np.ravel(quantiles).tolist())
    if len(ends) != 2 or not 0.0 < ends[0] < ends[1] < 1.0:
        raise ValueError(
            f"quantiles must be two probabilities between 0 and 1, in ascending order. "
            f"Got {quantiles!r}."
        )
    if not isinstance(n, int | np.integer) or n < 2:
        raise ValueError(f"{name} must be an int of at least 2. Got {n!r}.")
    return np.linspace(*ends, int(n))
