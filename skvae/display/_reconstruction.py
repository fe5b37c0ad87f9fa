"""Rows beside their reconstructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils import check_array

from skvae._core.arrays import default_names
from skvae._sklearn.fitted import Fitted, positive_std
from skvae._sklearn.targets import read_image_shape
from skvae.display import _canvas, _rows


class ReconstructionDisplay:
    """Rows, their reconstructions, and the residuals, row less reconstruction.

    It is best made by ``from_estimator`` or ``from_rows``. The parameters are stored as attributes.

    Parameters
    ----------
    rows, reconstructions : ndarray of shape (n_samples, n_features)
        Rows, and what they come back as.
    location, scale : ndarray of shape (n_features,), default=None
        What features of a table are standardised by; by default their mean and standard deviation
        over the rows.
    image_shape : tuple of int, default=None
        (height, width) or (height, width, 3) of a row that is an image.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the features.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that were parted.
    axes_ : ndarray of matplotlib Axes of shape (3,)
        Rows, reconstructions and residuals.
    figure_ : matplotlib Figure
        The figure.
    images_ : list of matplotlib AxesImage
        What is drawn on each.

    See Also
    --------
    TrainingDisplay : How reconstruction improved with training.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.display import ReconstructionDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VariationalAutoencoder(8, max_iter=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(vae, X[:8], image_shape=(8, 8))
    >>> display.reconstructions.shape
    (8, 64)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        rows: np.ndarray,
        reconstructions: np.ndarray,
        location: np.ndarray | None = None,
        scale: np.ndarray | None = None,
        image_shape: tuple[int, ...] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.rows = rows
        self.reconstructions = reconstructions
        self.location = location
        self.scale = scale
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
        **keywords: Any,
    ) -> Self:
        """Reconstruct rows by ``inverse_transform(transform(X))`` and draw both.

        Parameters
        ----------
        estimator : estimator
            A fitted one with ``inverse_transform``, or a pipeline that ends in one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, best unseen and few.
        image_shape : tuple of int, default=None
            (height, width), or (height, width, 3) for colours, of a row that is an image.
        feature_names : sequence of str, default=None
            Names of the features, if others than the estimator's.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : ReconstructionDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the estimator is not fitted or cannot decode, or a parameter is outside its domain.
        """
        _canvas.require_matplotlib(f"{cls.__name__}.from_estimator")
        fitted = Fitted(estimator)
        names, shape = fitted.features(X, feature_names, image_shape)
        reconstructions = fitted.inverse(fitted.transform(X))
        location, scale = (None, None) if shape is not None else fitted.location_and_scale()
        return cls(
            rows=fitted.rows(X),
            reconstructions=reconstructions,
            location=location,
            scale=scale,
            image_shape=shape,
            feature_names=names,
        ).plot(**keywords)

    @classmethod
    def from_rows(
        cls,
        X: Any,
        X_reconstructed: Any,
        *,
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
        **keywords: Any,
    ) -> Self:
        """Draw rows and reconstructions that are known.

        Parameters
        ----------
        X, X_reconstructed : array-like of shape (n_samples, n_features)
            Rows, and what they come back as.
        image_shape : tuple of int, default=None
            (height, width), or (height, width, 3) for colours, of a row that is an image.
        feature_names : sequence of str, default=None
            Names of the features.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : ReconstructionDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If rows, reconstructions, shape and names do not fit together.
        """
        rows = check_array(X, input_name="X")
        reconstructions = check_array(X_reconstructed, input_name="X_reconstructed")
        if rows.shape != reconstructions.shape:
            raise ValueError(
                f"X_reconstructed must have the shape of X, {rows.shape}. "
                f"Got {reconstructions.shape}."
            )
        if feature_names is not None and len(feature_names) != rows.shape[1]:
            raise ValueError(
                f"feature_names must hold {rows.shape[1]} names, one for each feature. "
                f"Got {len(feature_names)}."
            )
        shape = read_image_shape(image_shape, rows.shape[1])
        display = cls(
            rows=rows,
            reconstructions=reconstructions,
            image_shape=shape,
            feature_names=feature_names,
        )
        return display.plot(**keywords)

    def plot(
        self,
        ax: Any = None,
        *,
        n_rows: int = 10,
        n_features: int = 40,
        imshow_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_rows : int, default=10
            Rows that are drawn, at most: the first.
        n_features : int, default=40
            Features of a table that are drawn, at most: those with the largest residuals, measured
            in their standard deviations.
        imshow_kwargs : dict, default=None
            Keywords for ``Axes.imshow``, of rows and reconstructions.

        Returns
        -------
        display : ReconstructionDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        _canvas.require_matplotlib(f"{type(self).__name__}.plot")
        rows, reconstructions = self.rows[:n_rows], self.reconstructions[:n_rows]
        keywords = dict(imshow_kwargs or {})
        if ax is None:
            ax = _canvas.new_axes(_canvas.WIDTH, self._height(len(rows)))
        self.ax_, self.figure_ = ax, ax.figure
        if self.image_shape is not None:
            self._plot_images(ax, rows, reconstructions, keywords)
        else:
            self._plot_strips(ax, rows, reconstructions, n_features, keywords)
        return self

    def _height(self, n_rows: int) -> float:
        if self.image_shape is None:
            return 2.8 + 3 * 0.19 * (n_rows + 1)
        height, width = self.image_shape[:2]
        return 3 * (0.94 * _canvas.WIDTH * height / (max(n_rows, 4) * width) + 0.32) + 0.7

    def _plot_images(
        self, ax: Any, rows: np.ndarray, reconstructions: np.ndarray, keywords: dict[str, Any]
    ) -> None:
        assert self.image_shape is not None
        self.axes_ = _canvas.panels(ax, 3, 1)[:, 0]
        low, high = float(rows.min()), float(rows.max())
        residuals = rows - reconstructions
        if len(self.image_shape) == 3:  # of three colours: how large
            residuals = np.abs(residuals)
        largest = float(np.abs(residuals).max()) or 1.0
        residual_style = {"cmap": _canvas.DIVERGING}
        ends = (0.0 if len(self.image_shape) == 3 else -largest, largest)
        shown = [
            ("row", rows, (low, high), keywords),
            ("reconstruction", reconstructions, (low, high), keywords),
            ("residual", residuals, ends, residual_style),
        ]
        self.images_ = []
        for panel, (name, values, limits, style) in zip(self.axes_, shown, strict=True):
            page = _canvas.tile(values.reshape(-1, *self.image_shape), 1, len(values))
            self.images_.append(_canvas.show_image(panel, page, *limits, **style))
            _canvas.bare_axes(panel)
            panel.set_title(name, size="medium", loc="left", pad=3)
        if len(self.image_shape) == 2:
            self._bar("row less reconstruction", 0.6)

    def _plot_strips(
        self,
        ax: Any,
        rows: np.ndarray,
        reconstructions: np.ndarray,
        n_features: int,
        keywords: dict[str, Any],
    ) -> None:
        self.axes_ = _canvas.panels(ax, 3, 1, sharex=True)[:, 0]
        scale = positive_std(self.rows) if self.scale is None else self.scale
        location = self.rows.mean(0) if self.location is None else self.location
        residuals = (rows - reconstructions) / scale
        largest = np.argsort(-np.abs(residuals).max(0), kind="stable")[:n_features]
        order = np.sort(largest)
        values = [_rows.standardise(x, location, scale) for x in (rows, reconstructions)]
        names = self.feature_names
        if names is None:
            names = default_names(rows.shape[1])
        limit = _rows.colour_limit(np.concatenate(values)[:, order])
        self.images_ = []
        titles = ("row", "reconstruction", "residual: row less reconstruction")
        for panel, title, shown in zip(self.axes_, titles, [*values, residuals], strict=True):
            self.images_.append(_rows.show_strips(panel, shown[:, order], limit, **keywords))
            _canvas.bare_axes(panel)
            panel.set_title(title, size="medium", loc="left", pad=3)
            marks = np.unique(np.linspace(0, len(rows) - 1, 3).astype(int))
            panel.set_yticks(marks, [str(i) for i in marks], size="small")
        _rows.name_columns(self.axes_[2], [str(names[i]) for i in order])
        for panel in self.axes_[:2]:
            panel.tick_params(labelbottom=False, length=0)
        self.axes_[1].set_ylabel("row number")
        self._bar("standard deviations", 0.8)

    def _bar(self, label: str, share: float) -> None:
        where = {"location": "bottom", "shrink": share, "aspect": 40}
        bar = self.figure_.colorbar(self.images_[2], ax=list(self.axes_), label=label, **where)
        bar.outline.set_visible(False)
