"""Rows in two latents, or one: points, densities, histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skvae._sklearn.targets import COLOURS, COLOURS_ON_DARK, REST, Target
from skvae.display import _canvas

# Cells of a density along each axis.
_CELLS = 160

# Bars of a histogram, at most and at least.
_BINS = (40, 12)

# Least distance of two classes' names, as a share of the axes.
_APART = 0.075


def class_styles(ax: Any, target: Target) -> list[tuple[str, str]]:
    """Colour and marker of each class, to be told apart on the axes' background."""
    from matplotlib.colors import rgb_to_hsv, to_rgb

    assert target.classes is not None
    is_dark = rgb_to_hsv(to_rgb(ax.get_facecolor()))[2] < 0.5
    colours, markers = COLOURS_ON_DARK if is_dark else COLOURS, _canvas.MARKERS
    n, m = len(colours), len(markers)
    styles = [(colours[i % n], markers[i // n % m]) for i in range(len(target.classes))]
    if target.classes[-1].startswith(f"{REST} ("):
        styles[-1] = (_canvas.PALE, ".")
    return styles


def axis_limits(*values: np.ndarray) -> tuple[float, float]:
    """Least and greatest of some values, with a margin."""
    low = min(float(v.min()) for v in values)
    high = max(float(v.max()) for v in values)
    margin = 0.04 * (high - low) if high > low else 0.5 * max(abs(high), 1.0)
    return low - margin, high + margin


def draw_points(ax: Any, x: np.ndarray, y: np.ndarray, target: Target | None, given: Any) -> Any:
    """Scatter rows; classes in a mixed order, so that none hides another."""
    defaults = {"s": float(np.clip(12_000 / len(x), 4, 28)), "linewidths": 0, "alpha": 0.85}
    keywords = _canvas.with_defaults(defaults, given)
    if target is None:
        return [ax.scatter(x, y, **{"color": _canvas.FIRST, **keywords})]
    order = np.random.default_rng(0).permutation(len(x))
    x, y, values = x[order], y[order], target.values[order]
    if target.classes is None:
        colours = {"c": values, "cmap": _canvas.SEQUENTIAL}
        return [ax.scatter(x, y, plotnonfinite=False, **{**colours, **keywords})]
    styles = class_styles(ax, target)
    found = []
    for marker in dict.fromkeys(marker for _, marker in styles):
        of_marker = np.array([style[1] == marker for style in styles])[values]
        colours = np.array([style[0] for style in styles])[values[of_marker]]
        place = x[of_marker], y[of_marker]
        found.append(ax.scatter(*place, c=colours, marker=marker, **keywords))
    return found


def draw_density(ax: Any, x: np.ndarray, y: np.ndarray, target: Target | None) -> Any:
    """Draw how many rows lie in each cell: by shade, or by class and opacity, or by mean value.

    One pass over the rows, whatever their number.
    """
    from matplotlib.colors import LogNorm, to_rgb

    limits = axis_limits(x), axis_limits(y)
    columns, rows = (
        np.minimum((_CELLS * (v - a) / (b - a)).astype(np.intp), _CELLS - 1)
        for v, (a, b) in zip((x, y), limits, strict=True)
    )
    cell = rows * _CELLS + columns
    placed = {"extent": (*limits[0], *limits[1]), "origin": "lower", "aspect": "auto"}
    placed["interpolation"] = "nearest"
    count = np.bincount(cell, minlength=_CELLS**2).reshape(_CELLS, _CELLS)
    if target is None:
        shades = np.where(count > 0, count, np.nan)
        norm = LogNorm(1, max(int(count.max()), 2))
        return ax.imshow(shades, cmap="cividis_r", norm=norm, **placed)
    if target.classes is None:
        known = np.isfinite(target.values)
        total = np.bincount(cell[known], target.values[known], _CELLS**2)
        n_known = np.bincount(cell[known], minlength=_CELLS**2)
        mean = np.full(_CELLS**2, np.nan)
        np.divide(total, n_known, out=mean, where=n_known > 0)
        return ax.imshow(mean.reshape(_CELLS, _CELLS), cmap=_canvas.SEQUENTIAL, **placed)
    n = len(target.classes)
    by_class = np.bincount(cell * n + target.values, minlength=_CELLS**2 * n)
    most = by_class.reshape(_CELLS, _CELLS, n).argmax(-1)
    colours = np.array([to_rgb(colour) for colour, _ in class_styles(ax, target)])
    opacity = np.log1p(count) / np.log1p(count.max())
    image = np.dstack([colours[most], np.where(count > 0, 0.25 + 0.75 * opacity, 0.0)])
    return ax.imshow(image, **placed)


def draw_histogram(
    ax: Any,
    values: np.ndarray,
    prior: np.ndarray | None,
    target: Target | None = None,
    *,
    upright: bool = False,
) -> None:
    """Draw how the rows lie along a latent, as a density, under the prior's as a line."""
    limits = axis_limits(values) if prior is None else axis_limits(values, _middle(prior))
    n_bins = int(np.clip(1.5 * np.sqrt(len(values)), min(_BINS), max(_BINS)))
    edges = np.linspace(*limits, n_bins + 1)
    across = {"orientation": "horizontal"} if upright else {}
    if target is None or target.classes is None:
        density, _ = np.histogram(values, edges, density=True)
        ax.stairs(density, edges, fill=True, color=_canvas.PALE, label="rows", **across)
    else:
        weight = 1.0 / (len(values) * (edges[1] - edges[0]))
        base = np.zeros(n_bins)
        for i, (colour, _) in enumerate(class_styles(ax, target)):
            top = base + weight * np.histogram(values[target.values == i], edges)[0]
            ax.stairs(top, edges, baseline=base, fill=True, color=colour, **across)
            base = top
    if prior is not None:
        density = np.histogram(prior, edges)[0] / (len(prior) * (edges[1] - edges[0]))
        line = {"color": _canvas.text_colour(), "linewidth": 1.2, "label": "prior"}
        centres = (edges[1:] + edges[:-1]) / 2
        smooth = np.convolve(np.pad(density, 1, "edge"), [0.25, 0.5, 0.25], "valid")
        ax.plot(*((smooth, centres) if upright else (centres, smooth)), **line)


def _middle(values: np.ndarray) -> np.ndarray:
    """Draws without the rarest, which would widen the axes."""
    return np.quantile(values, [0.005, 0.995])


def name_classes(
    ax: Any,
    x: np.ndarray,
    y: np.ndarray,
    target: Target,
    direct: bool,
    lines: Sequence[Any] = (),
    **placed: Any,
) -> None:
    """Name the classes beside their rows, or in a legend, after some lines."""
    from matplotlib.lines import Line2D

    assert target.classes is not None
    styles = class_styles(ax, target)
    present = [i for i in range(len(styles)) if (target.values == i).any()]
    if direct:
        medians = [
            (np.median(x[target.values == i]), np.median(y[target.values == i])) for i in present
        ]
        to_share = ax.transData + ax.transAxes.inverted()
        places = _apart(to_share.transform(np.array(medians)))
        for i, place in zip(present, places, strict=True):
            box = {"boxstyle": "round,pad=0.25", "facecolor": ax.get_facecolor(), "alpha": 0.9}
            box |= {"edgecolor": styles[i][0], "linewidth": 1.5}
            name = _canvas.short(target.classes[i])
            style = {"ha": "center", "va": "center", "size": "small", "weight": "bold"}
            ax.text(*place, name, transform=ax.transAxes, bbox=box, **style)
        return
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=styles[i][1],
            color=styles[i][0],
            markersize=6,
            label=_canvas.short(target.classes[i]),
        )
        for i in present
    ]
    title = _canvas.short(target.name, 30) or None
    ax.legend(handles=[*lines, *handles], title=title, frameon=False, handletextpad=0.2, **placed)


def _apart(places: np.ndarray) -> np.ndarray:
    """Push places that are too near each other apart, half of the way each, a few times."""
    places = places.astype(float)
    for _ in range(50):
        between = places[:, None] - places[None]
        distance = np.hypot(*between.transpose(2, 0, 1))
        np.fill_diagonal(distance, np.inf)
        near = np.clip(_APART - distance, 0.0, None) * np.isfinite(distance)
        if not near.any():
            break
        # Two at the same place go apart upwards and downwards.
        order = np.sign(np.subtract.outer(np.arange(len(places)), np.arange(len(places))))
        between[distance == 0.0] = np.stack([0 * order, order], -1)[distance == 0.0]
        length = np.where(distance > 0.0, distance, 1.0)
        places += (between * np.where(np.isinf(length), 0.0, 0.5 * near / length)[..., None]).sum(1)
    return places
