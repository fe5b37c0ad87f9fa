"""Cells that were filled in, beside those that were observed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skvae._sklearn.fitted import Fitted, len_of, take_rows
from skvae.display import _canvas
from skvae.display._scatter import axis_limits
from skvae.tables import Raw, read_raw_table

# Most rows of X that are filled.
_MOST_ROWS = 2000

# Bars of a histogram at least and at most, and levels that are drawn at most.
_BINS, _MOST_LEVELS = (8, 30), 6

# Whole numbers within such a range have a bar each; gaps so few are marked one by one.
_MOST_WHOLE, _FEW = 30, 8


class ImputationDisplay:
    """Observed against imputed cells, column by column, over several fills of the gaps.

    Where cells are missing at random, imputed ones need not be distributed as observed ones are;
    how far they differ, and how far one fill is from the next, is to be seen.

    It is best made by ``from_estimator`` or ``from_fills``. The parameters are stored as
    attributes.

    Parameters
    ----------
    observed : list of ndarray of shape (n_observed,)
        Observed cells of each column with gaps: numbers, days since 1970, or positions in its
        levels.
    imputed : list of ndarray of shape (n_fills, n_gaps)
        What its gaps were filled with, each time.
    feature_names : list of str
        Names of these columns.
    levels : list
        A list of the levels' names of each column, "date", or None where it holds numbers.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that were parted.
    axes_ : list of matplotlib Axes
        One for each column that is drawn.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skvae.VAEImputer : Fills gaps, by draws if asked to.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.display import ImputationDisplay
    >>> X, _ = load_wine(return_X_y=True)
    >>> X[::3, 0] = np.nan
    >>> vae = VariationalAutoencoder(2, max_iter=0).fit(X)
    >>> display = ImputationDisplay.from_estimator(vae, X, n_fills=4)
    >>> display.imputed[0].shape
    (4, 60)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        observed: list[np.ndarray],
        imputed: list[np.ndarray],
        feature_names: list[str],
        levels: list[Any],
    ) -> None:
        self.observed = observed
        self.imputed = imputed
        self.feature_names = feature_names
        self.levels = levels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_fills: int = 10,
        random_state: int = 0,
        feature_names: Sequence[str] | None = None,
        **keywords: Any,
    ) -> Self:
        """Draw the gaps of X several times given each row's other cells.

        Parameters
        ----------
        estimator : estimator
            A fitted one with ``sample``, a ``VAEImputer``, or a pipeline that ends in either.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows with gaps. Of more than 2000 so many are taken, evenly spread.
        n_fills : int, default=10
            Number of draws.
        random_state : int, default=0
            Seeds them.
        feature_names : sequence of str, default=None
            Names of the columns, if others than those of X.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : ImputationDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the estimator is not fitted or cannot draw cells, or nothing is missing in X.
        """
        _canvas.require_matplotlib(f"{cls.__name__}.from_estimator")
        fitted = Fitted(estimator)
        n = len_of(X)
        if n > _MOST_ROWS:
            X = take_rows(X, np.linspace(0, n - 1, _MOST_ROWS).astype(np.intp))
        given = X if fitted.before is None else fitted.before.transform(X)
        rows, fills = _draw(fitted, given, int(n_fills), random_state)
        if fitted.before is not None and fitted.is_undone:
            rows, fills = X, [fitted.undo(fill) for fill in fills]
        return cls.from_fills(rows, fills, feature_names=feature_names, **keywords)

    @classmethod
    def from_fills(
        cls,
        X: Any,
        X_filled: Any,
        *,
        feature_names: Sequence[str] | None = None,
        **keywords: Any,
    ) -> Self:
        """Draw rows whose gaps are filled already, by whatever imputer.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows with gaps.
        X_filled : list of {array-like, DataFrame} of shape (n_samples, n_features)
            These rows without, once or several times.
        feature_names : sequence of str, default=None
            Names of the columns, if others than those of X.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : ImputationDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If rows, fills and names do not fit together, or nothing is missing in X, or nothing is
            filled.
        """
        raw_table, fills = read_raw_table(X), [read_raw_table(fill) for fill in X_filled]
        n_columns = len(raw_table.columns)
        shape = raw_table.n_samples, n_columns
        for fill in fills:
            if (fill.n_samples, len(fill.columns)) != shape:
                raise ValueError(
                    f"X_filled must hold tables of the shape of X, {shape}. "
                    f"Got {(fill.n_samples, len(fill.columns))}."
                )
        names = [str(name) for name in raw_table.names] if feature_names is None else feature_names
        if len(names) != n_columns:
            raise ValueError(
                f"feature_names must hold {n_columns} names, one for each column. Got {len(names)}."
            )
        columns = [
            (str(name), *read)
            for j, name in enumerate(names)
            if (read := _read(raw_table.columns[j], [fill.columns[j] for fill in fills]))
        ]
        if not columns:
            raise ValueError(
                "X must have missing cells, and X_filled at least one table in which they are "
                f"filled. Got {len(fills)} tables, and no such cell."
            )
        found, observed, imputed, levels = (list(part) for part in zip(*columns, strict=True))
        return cls(observed=observed, imputed=imputed, feature_names=found, levels=levels).plot(
            **keywords
        )

    def plot(self, ax: Any = None, *, n_features: int = 9, n_columns: int = 3) -> Self:
        """Draw the columns.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_features : int, default=9
            Columns that are drawn, at most: those with the most gaps, in the order of the table.
        n_columns : int, default=3
            Number of panels side by side, at most.

        Returns
        -------
        display : ImputationDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        _canvas.require_matplotlib(f"{type(self).__name__}.plot")
        n_gaps = [cells.shape[1] for cells in self.imputed]
        chosen = np.sort(np.argsort(np.negative(n_gaps), kind="stable")[:n_features])
        wide = min(n_columns, len(chosen))
        high = -(-len(chosen) // wide)
        if ax is None:
            ax = _canvas.new_axes(_canvas.WIDTH, 1.55 * high + 0.5)
        self.ax_, self.figure_ = ax, ax.figure
        # The last, low row holds the legend.
        grid = _canvas.panels(ax, high + 1, wide, height_ratios=[1.0] * high + [0.12])
        for panel in grid.ravel()[len(chosen) :]:
            panel.set_axis_off()
        self.axes_ = list(grid.ravel()[: len(chosen)])
        for panel, j in zip(self.axes_, chosen, strict=True):
            _canvas.open_axes(panel).tick_params(labelsize="small")
            if isinstance(self.levels[j], list):
                _draw_levels(panel, self.observed[j], self.imputed[j], self.levels[j])
            else:
                _draw_numbers(panel, self.observed[j], self.imputed[j])
            if self.levels[j] == "date":
                _canvas.show_dates(panel)
            share = 100 * n_gaps[j] / (n_gaps[j] + len(self.observed[j]))
            rounded = f"{share:.0f}" if share >= 1.0 else f"{share:.1g}"
            name = _canvas.short(self.feature_names[j], 18)
            panel.set_title(f"{name}\n{rounded} % missing", size="small")
        self._name(grid[-1])
        return self

    def _name(self, row: np.ndarray) -> None:
        """Say what colours mean."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        n_fills = len(self.imputed[0])
        handles: list[Any] = [
            Patch(color=_canvas.PALE, label="observed"),
            Line2D([], [], color=_canvas.SECOND, label="imputed"),
        ]
        if n_fills > 1:
            label = f"least to most of {n_fills} fills"
            handles.append(Patch(color=_canvas.SECOND, alpha=0.3, linewidth=0, label=label))
        middle = 0.5 if len(row) % 2 else 0.0  # of the panel right of the middle
        where: dict[str, Any] = {"loc": "center", "bbox_to_anchor": (middle, 0.5)}
        legend = row[len(row) // 2].legend(
            handles=handles, frameon=False, ncols=3, fontsize="small", columnspacing=1.2, **where
        )
        legend.set_in_layout(False)


def _draw(fitted: Fitted, rows: Any, n_fills: int, seed: int) -> tuple[Any, list[Any]]:
    """Rows as the last step takes them, and draws of their gaps."""
    model = fitted.last
    if hasattr(model, "sample"):
        drawn, n = model.sample(n_fills, given=rows, random_state=seed), n_fills * len_of(rows)
        return rows, [take_rows(drawn, np.arange(i, n, n_fills)) for i in range(n_fills)]
    if not {"strategy", "n_draws"} <= model.get_params(deep=False).keys():
        raise ValueError(
            f"{fitted.name} cannot draw missing cells. Give VariationalAutoencoder or VAEImputer, "
            f"or fill them yourself: ImputationDisplay.from_fills(X, [X_filled])."
        )
    imputer = copy.copy(model).set_params(strategy="sample", keep_empty_features=True)
    imputer.indicator_ = None
    fills = [imputer.set_params(random_state=seed + i).transform(rows) for i in range(n_fills)]
    return model._checked(rows, reset=False)[0], fills


def _read(column: Raw, fills: list[Raw]) -> tuple[np.ndarray, np.ndarray, Any] | None:
    """Give observed and imputed cells and the levels of a column; None if no gap was filled."""
    missing = column.is_missing
    cells = [fill.values[missing] for fill in fills if not fill.is_missing[missing].any()]
    if not missing.any() or not cells:
        return None
    kind = column.kind if not missing.all() else fills[0].kind
    if any(fill.kind != kind for fill in fills):
        raise ValueError(
            f"Column {column.name!r} of X_filled must hold {kind}s, as that of X does. "
            f"Got {', '.join(sorted({fill.kind for fill in fills}))}s."
        )
    observed, imputed = column.values[~missing], np.array(cells)
    if kind != "level":
        return observed.astype(float), imputed.astype(float), "date" if kind == "date" else None
    found = [*observed.tolist(), *imputed.ravel().tolist()]
    levels = sorted(set(found), key=str) if column.categories is None else list(column.categories)
    place = {level: i for i, level in enumerate(levels)}
    codes = np.array([place[level] for level in found])
    shape = imputed.shape
    return codes[: len(observed)], codes[len(observed) :].reshape(shape), [str(v) for v in levels]


def _draw_numbers(ax: Any, observed: np.ndarray, imputed: np.ndarray) -> None:
    """Draw densities: of observed cells as bars, of imputed ones as a line in a band."""
    edges = _edges(observed, imputed)
    if len(observed):
        density = np.histogram(observed, edges)[0] / (len(observed) * np.diff(edges))
        ax.stairs(density, edges, fill=True, color=_canvas.PALE)
    if imputed.shape[1] < _FEW:
        marks = {"color": _canvas.SECOND, "alpha": 0.6, "markersize": 9, "markeredgewidth": 1.4}
        low = np.full(imputed.size, 0.06)
        ax.plot(imputed.ravel(), low, "|", transform=ax.get_xaxis_transform(), **marks)
    else:
        _draw_band(ax, imputed, edges)
    ax.set(xlim=(edges[0], edges[-1]), ylim=(0.0, None), yticks=[])
    ax.locator_params(axis="x", nbins=3)
    ax.spines["left"].set_visible(False)


def _draw_band(ax: Any, imputed: np.ndarray, edges: np.ndarray) -> None:
    """Draw the mean density of some fills, from the least to the most of each."""
    width = np.diff(edges)
    each = np.array([np.histogram(cells, edges)[0] / (len(cells) * width) for cells in imputed])
    band = {"fill": True, "color": _canvas.SECOND, "alpha": 0.3, "linewidth": 0}
    if len(each) > 1:
        ax.stairs(each.max(0), edges, baseline=each.min(0), **band)
    ax.stairs(each.mean(0), edges, baseline=None, color=_canvas.SECOND, linewidth=1.4)


def _edges(observed: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Edges of bars: around whole numbers that are few, and else without the rarest cells."""
    cells = observed if len(observed) else imputed.ravel()
    low, high = cells.min(), cells.max()
    if (cells == np.round(cells)).all() and high - low < _MOST_WHOLE:
        return np.arange(low - 0.5, high + 1.0)
    ends = [np.quantile(part, [0.005, 0.995]) for part in (observed, imputed.ravel()) if len(part)]
    n_bins = np.clip(1.5 * np.sqrt(min(len(cells), imputed.size)), *_BINS)
    return np.linspace(*axis_limits(*ends), int(n_bins) + 1)


def _draw_levels(ax: Any, observed: np.ndarray, imputed: np.ndarray, levels: list[str]) -> None:
    """Draw shares of the most frequent levels, those of imputed cells as a mark with its range."""
    n = len(levels)
    shares = 100 * np.array([np.bincount(cells, minlength=n) / cells.size for cells in imputed])
    own = 100 * np.bincount(observed, minlength=n) / max(len(observed), 1)
    shown = np.sort(np.argsort(-(own + shares.mean(0)), kind="stable")[:_MOST_LEVELS])
    place, mean = np.arange(len(shown)), shares.mean(0)[shown]
    ax.barh(place, own[shown], color=_canvas.PALE, height=0.8)
    ranges = np.stack([mean - shares.min(0)[shown], shares.max(0)[shown] - mean])
    style = {"color": _canvas.SECOND, "markersize": 4, "linewidth": 3, "capsize": 0}
    for bar in ax.errorbar(mean, place, xerr=ranges, fmt="|", **style)[2]:
        bar.set_alpha(0.3)
    ax.plot(mean, place, "|", color=_canvas.SECOND, markersize=9, markeredgewidth=1.6)
    ax.set_yticks(place, [_canvas.short(levels[i], 9) for i in shown])
    ax.set(xlim=(0.0, None), ylim=(len(shown) - 0.4, -0.6))
    ax.locator_params(axis="x", nbins=3)
    ax.xaxis.set_major_formatter("{x:g} %")
