"""Axes, colours and pictures of rows. matplotlib is imported when something is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

MARKERS = ("o", "^", "s", "D")
FIRST, SECOND, PALE = "#0072B2", "#D55E00", "#B8B8B8"  # Okabe and Ito (2008)
SEQUENTIAL, DIVERGING, INK = "viridis", "PuOr_r", "gray_r"

#: Width of the default figures, inches: at 400 pixels a letter of 9 points is then 10 pixels high.
WIDTH = 5.2


def require_matplotlib(caller: str) -> None:
    """Raise ImportError, naming the extra that has matplotlib, where it is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} requires matplotlib. Install it with `pip install skvae[plot]`."
        ) from error


def new_axes(width: float = WIDTH, height: float = WIDTH) -> Any:
    """Axes of a new figure."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def panels(ax: Any, n_rows: int, n_columns: int, **shared: Any) -> np.ndarray:
    """Part axes into a grid of them, shape (n_rows, n_columns); the axes themselves go blank.

    ``shared`` holds ratios of rows and columns, and what ``Figure.add_subplot`` shares.
    """
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    ratios = {
        name: shared.pop(name) for name in ("height_ratios", "width_ratios") if name in shared
    }
    ax.set_axis_off()
    axes = np.empty((n_rows, n_columns), dtype=object)
    within = ax.get_subplotspec()
    if within is not None:
        grid = GridSpecFromSubplotSpec(n_rows, n_columns, subplot_spec=within, **ratios)
    for i, j in np.ndindex(n_rows, n_columns):
        sharing = {}
        if i and shared.get("sharex"):
            sharing["sharex"] = axes[0, j]
        if j and shared.get("sharey"):
            sharing["sharey"] = axes[i, 0]
        if within is not None:
            axes[i, j] = ax.figure.add_subplot(grid[i, j], **sharing)
        else:  # axes put by hand
            height, width = 1 / n_rows, 1 / n_columns
            place = [(j + 0.12) * width, 1 - (i + 0.88) * height, 0.8 * width, 0.72 * height]
            axes[i, j] = ax.inset_axes(place, **sharing)
    return axes


def open_axes(ax: Any) -> Any:
    """Leave axes their left and lower line, and few ticks."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def show_dates(ax: Any) -> None:
    """Take places along axes, which are days since 1970, for dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=4)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def bare_axes(ax: Any) -> Any:
    """Take lines and ticks from axes that show a picture."""
    ax.spines[:].set_visible(False)
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def text_colour() -> Any:
    """Colour of letters in the style in force."""
    import matplotlib as mpl

    return mpl.rcParams["text.color"]


def tile(images: np.ndarray, n_rows: int, n_columns: int, gap: int = 1) -> np.ndarray:
    """Lay images (n_rows * n_columns, height, width[, 3]) out in one, row after row.

    The gap between them is NaN, which is drawn as nothing.
    """
    height, width = images.shape[1:3]
    rest = images.shape[3:]
    page = np.full((n_rows * (height + gap) + gap, n_columns * (width + gap) + gap, *rest), np.nan)
    for index, image in enumerate(images):
        i, j = divmod(index, n_columns)
        top, left = gap + i * (height + gap), gap + j * (width + gap)
        page[top : top + height, left : left + width] = image
    return page


def show_image(ax: Any, image: np.ndarray, low: float, high: float, **keywords: Any) -> Any:
    """Draw an image, of ink or of three colours, with values from ``low`` to ``high``."""
    keywords = {"interpolation": "nearest", **keywords}
    if image.ndim == 3:
        share = np.clip((image - low) / max(high - low, 1e-300), 0.0, 1.0)
        drawn = np.isfinite(share).all(-1, keepdims=True)
        image = np.concatenate([np.where(drawn, share, 0.0), drawn.astype(float)], axis=-1)
        return ax.imshow(image, **keywords)
    return ax.imshow(image, **{"cmap": INK, "vmin": low, "vmax": high, **keywords})


def with_defaults(defaults: dict[str, Any], given: dict[str, Any] | None) -> dict[str, Any]:
    """Keywords for matplotlib: ours, then the caller's; a full name overrides our short one."""
    given = dict(given or {})
    full = {"c": "color", "s": "sizes", "lw": "linewidth", "ls": "linestyle"}
    return {k: v for k, v in defaults.items() if full.get(k, k) not in given} | given


def short(name: Any, most: int = 18) -> str:
    """Give a name of at most so many letters, with no sign that begins a formula."""
    text = str(name).replace("$", r"\$")
    return text if len(text) <= most else text[: most - 1] + "…"


def shown(names: Sequence[Any], most: int = 18) -> list[str]:
    """Give names of at most so many letters."""
    return [short(name, most) for name in names]
