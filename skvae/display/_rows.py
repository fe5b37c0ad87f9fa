"""Rows of a table as heat strips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skvae.display import _canvas


def standardise(rows: np.ndarray, location: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Rows in standard deviations from the mean."""
    return (rows - location) / scale


def show_strips(ax: Any, values: np.ndarray, limit: float, **keywords: Any) -> Any:
    """Draw rows as strips of heat, symmetric about zero."""
    defaults = {"cmap": _canvas.DIVERGING, "vmin": -limit, "vmax": limit, "aspect": "auto"}
    return ax.imshow(values, **{**defaults, "interpolation": "nearest", **keywords})


def name_columns(ax: Any, names: Sequence[str], most: int = 18) -> None:
    """Write the features' names under their columns, upright where they are short."""
    turned = len(names) > 3 or max(map(len, names), default=0) > 6
    ax.set_xticks(range(len(names)), _canvas.shown(names, most), size="small")
    if turned:
        ax.tick_params(axis="x", rotation=90)
    ax.tick_params(length=0)


def colour_limit(values: np.ndarray) -> float:
    """Where the colours of standardised values end: 1, 2 or 3 standard deviations, or more."""
    greatest = float(np.abs(values).max(initial=0.0))
    return float(np.clip(np.ceil(greatest), 1.0, 3.0))
