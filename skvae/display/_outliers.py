"""Scores of rows with the cut below which they are outliers, and what makes some of them odd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils import check_array

from skvae._core.arrays import as_numpy, default_names
from skvae._sklearn.fitted import Fitted, len_of, take_rows
from skvae.display import _canvas, _rows

# Bars of the histogram. It reaches above the median as many times the distance from there to the
# offset, and below the offset as many times the distance from there to the top.
_BINS, _ABOVE, _BELOW = 50, 4.0, 2.5


class OutlierDisplay:
    """Scores of rows with the cut, and for some rows the share of each cell in their being odd.

    It is best made by ``from_estimator`` or ``from_scores``. The parameters are stored as
    attributes.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        The lower, the odder.
    offset : float
        Score below which a row is an outlier.
    rows : ndarray of int of shape (n_chosen,), default=None
        Rows that are marked, by their numbers; by default none.
    shares : ndarray of shape (n_chosen, n_features), default=None
        What each of their cells contributes, in nats.
    row_names : list of str, default=None
        Names of these rows; by default their numbers.
    feature_names : list of str, default=None
        Names of the features.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes; with shares, those that were parted.
    axes_ : ndarray of matplotlib Axes
        Of the scores, and of the shares where they are known.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skvae.VAEOutlierDetector : Gives both.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skvae import VAEOutlierDetector
    >>> from skvae.display import OutlierDisplay
    >>> X = load_wine(as_frame=True).data
    >>> X.loc[5, "magnesium"] = 600.0
    >>> detector = VAEOutlierDetector(random_state=0).fit(X)
    >>> display = OutlierDisplay.from_estimator(detector, X, n_rows=3)
    >>> int(display.rows[0]), display.feature_names[display.shares[0].argmax()]
    (5, 'magnesium')
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        scores: np.ndarray,
        offset: float,
        rows: np.ndarray | None = None,
        shares: np.ndarray | None = None,
        row_names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.scores = scores
        self.offset = offset
        self.rows = rows
        self.shares = shares
        self.row_names = row_names
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        rows: Any = None,
        n_rows: int = 8,
        feature_names: Sequence[str] | None = None,
        **keywords: Any,
    ) -> Self:
        """Score rows by ``score_samples``, and explain some by ``explain``.

        Parameters
        ----------
        estimator : estimator
            A fitted one with ``score_samples`` and ``offset_``, such as ``VAEOutlierDetector`` or
            ``IsolationForest``, or a pipeline that ends in one. Without ``explain`` the scores
            alone are drawn.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows.
        rows : array-like of int, default=None
            Numbers of the rows to mark and to explain; by default those with the lowest scores.
        n_rows : int, default=8
            How many these are.
        feature_names : sequence of str, default=None
            Names of the features, if others than the estimator's.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : OutlierDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the estimator is not fitted or has no scores, or there is no such row.
        """
        _canvas.require_matplotlib(f"{cls.__name__}.from_estimator")
        fitted = Fitted(estimator)
        if not (hasattr(fitted.last, "offset_") and hasattr(fitted.last, "score_samples")):
            raise ValueError(
                f"{fitted.name} has no score_samples with an offset_. Give an outlier detector, "
                f"such as VAEOutlierDetector."
            )
        scores = as_numpy(fitted.whole.score_samples(X))
        if rows is None:
            rows = np.argsort(scores, kind="stable")[:n_rows]
        rows = _checked_rows(rows, len_of(X))
        chosen, index = take_rows(X, rows), getattr(X, "index", None)
        shares = names = None
        if hasattr(fitted.last, "explain"):
            given = chosen if fitted.before is None else fitted.before.transform(chosen)
            shares = np.asarray(as_numpy(fitted.last.explain(given)))
            names = [str(name) for name in getattr(given, "columns", [])] or None
            names = fitted.feature_names(X) if names is None else names
        return cls.from_scores(
            scores,
            float(fitted.last.offset_),
            rows=rows,
            shares=shares,
            row_names=None if index is None or callable(index) else [str(v) for v in index[rows]],
            feature_names=names if feature_names is None else feature_names,
            **keywords,
        )

    @classmethod
    def from_scores(
        cls,
        scores: Any,
        offset: float,
        *,
        rows: Any = None,
        shares: Any = None,
        row_names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        **keywords: Any,
    ) -> Self:
        """Draw scores that are known.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            The lower, the odder.
        offset : float
            Score below which a row is an outlier.
        rows : array-like of int of shape (n_chosen,), default=None
            Numbers of rows to mark.
        shares : array-like of shape (n_chosen, n_features), default=None
            What each of their cells contributes.
        row_names : sequence of str of shape (n_chosen,), default=None
            Names of these rows; by default their numbers.
        feature_names : sequence of str of shape (n_features,), default=None
            Names of the features.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : OutlierDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If scores, rows, shares and names do not fit together.
        """
        scores = check_array(scores, ensure_2d=False, input_name="scores", dtype=np.float64)
        if scores.ndim != 1:
            raise ValueError(f"scores must hold one number per row. Got shape {scores.shape}.")
        rows = _checked_rows([] if rows is None else rows, len(scores))
        if shares is not None:
            shares = check_array(shares, input_name="shares", dtype=np.float64)
            if len(shares) != len(rows):
                raise ValueError(
                    f"shares must have a row for each of the {len(rows)} in rows. "
                    f"Got shape {shares.shape}."
                )
        lengths = {"row_names": (row_names, len(rows))}
        if shares is not None:
            lengths["feature_names"] = feature_names, shares.shape[1]
        for name, (given, n) in lengths.items():
            if given is not None and len(given) != n:
                raise ValueError(f"{name} must hold {n} names. Got {len(given)}.")
        return cls(
            scores=scores,
            offset=offset,
            rows=rows,
            shares=shares,
            row_names=row_names,
            feature_names=feature_names,
        ).plot(**keywords)

    def plot(
        self, ax: Any = None, *, n_features: int = 20, imshow_kwargs: dict[str, Any] | None = None
    ) -> Self:
        """Draw the scores, and the shares.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_features : int, default=20
            Features that are drawn, at most: those with the largest shares of a row.
        imshow_kwargs : dict, default=None
            Keywords for ``Axes.imshow``, of the shares.

        Returns
        -------
        display : OutlierDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        _canvas.require_matplotlib(f"{type(self).__name__}.plot")
        n_rows = 0 if self.shares is None else len(self.shares)
        if ax is None:
            ax = _canvas.new_axes(_canvas.WIDTH, 2.6 + (1.7 + 0.22 * n_rows if n_rows else 0.0))
        self.ax_, self.figure_ = ax, ax.figure
        if n_rows:
            ratios = [2.0, 0.6 + 0.22 * n_rows]
            self.axes_ = _canvas.panels(ax, 2, 1, height_ratios=ratios)[:, 0]
            self._plot_shares(self.axes_[1], n_features, dict(imshow_kwargs or {}))
        else:
            self.axes_ = np.array([ax])
        self._plot_scores(_canvas.open_axes(self.axes_[0]))
        return self

    def _names(self) -> list[str]:
        rows: Any = [] if self.rows is None else self.rows
        return [str(v) for v in (rows if self.row_names is None else self.row_names)]

    def _plot_scores(self, ax: Any) -> None:
        """Draw how many rows have which score; the lowest are drawn where the axis begins."""
        edges = _edges(self.scores, self.offset)
        shown = np.clip(self.scores, edges[0], edges[-1])
        is_odd = self.scores < self.offset
        n_odd, n = int(is_odd.sum()), len(self.scores)
        for part, colour, label in (
            (~is_odd, _canvas.PALE, f"{n - n_odd:,} rows"),
            (is_odd, _canvas.SECOND, f"{n_odd:,} outliers ({100 * n_odd / n:.2g} %)"),
        ):
            heights = np.histogram(shown[part], edges)[0]
            ax.stairs(heights, edges, fill=True, color=colour, label=label)
        line = {"color": _canvas.text_colour(), "linestyle": "--", "linewidth": 1.2}
        ax.axvline(self.offset, label="offset_", **line)
        if self.rows is not None and len(self.rows):
            half = 0.5 * (edges[1] - edges[0])
            place = np.clip(self.scores[self.rows], edges[0] + half, edges[-1] - half)
            marks = {"transform": ax.get_xaxis_transform(), "clip_on": False, "markersize": 5}
            label = "rows below" if self.shares is not None else "marked rows"
            ax.plot(
                place, np.full(len(place), 0.05), "v", color=_canvas.FIRST, label=label, **marks
            )
        n_lower, n_higher = (
            int((self.scores < edges[0]).sum()),
            int((self.scores > edges[-1]).sum()),
        )
        beyond = [f"first bar: {n_lower:,} below {edges[0]:.3g}"] if n_lower else []
        beyond += [f"last bar: {n_higher:,} above {edges[-1]:.3g}"] if n_higher else []
        if beyond:
            where = {"transform": ax.transAxes, "size": "small", "va": "bottom"}
            ax.text(0.0, 1.01, _minus(", ".join(beyond)), **where)
        ax.set(xlim=(edges[0], edges[-1]), xlabel="score", ylabel="rows")
        ax.locator_params(nbins=5)
        ax.legend(frameon=False, loc="upper left", fontsize="small")

    def _plot_shares(self, ax: Any, n_features: int, keywords: dict[str, Any]) -> None:
        """Draw the cells' shares of each row's nats."""
        assert self.shares is not None
        assert self.rows is not None
        total = np.abs(self.shares).sum(1, keepdims=True)
        parts = 100 * self.shares / np.where(total > 0, total, 1.0)
        order = np.sort(np.argsort(-np.abs(parts).max(0), kind="stable")[:n_features])
        limit = float(np.abs(parts).max(initial=1.0))
        image = _rows.show_strips(ax, parts[:, order], limit, **keywords)
        _canvas.bare_axes(ax)
        names = self.feature_names or default_names(parts.shape[1])
        _rows.name_columns(ax, [str(names[j]) for j in order])
        labels = [
            f"{_canvas.short(name, 10)}: {_minus(f'{score:.1f}')}"
            for name, score in zip(self._names(), self.scores[self.rows], strict=True)
        ]
        ax.set_yticks(range(len(labels)), labels, size="small")
        ax.set_ylabel("row: score")
        bar = self.figure_.colorbar(
            image, ax=ax, location="bottom", shrink=0.8, aspect=40, label="% of the row's nats"
        )
        bar.outline.set_visible(False)


def _edges(scores: np.ndarray, offset: float) -> np.ndarray:
    """Edges of bars, the offset among them, so that no bar holds rows of both sides."""
    low, high = min(float(scores.min()), offset), max(float(scores.max()), offset)
    median = float(np.median(scores))
    if median > offset:
        high = min(high, median + _ABOVE * (median - offset))
        low = max(low, offset - _BELOW * (high - offset))
    step = (high - low) / _BINS or 1.0
    n_below, n_above = (int(d / step) + 1 for d in (offset - low, high - offset))
    return offset + step * np.arange(-n_below, n_above + 1)


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def _checked_rows(rows: Any, n_samples: int) -> np.ndarray:
    found = np.ravel(np.asarray(rows))
    if len(found) == 0:
        return np.array([], dtype=np.intp)
    if found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= n_samples:
        raise ValueError(
            f"rows must hold numbers of rows, from 0 to {n_samples - 1}. Got {rows!r}."
        )
    return found.astype(np.intp)
