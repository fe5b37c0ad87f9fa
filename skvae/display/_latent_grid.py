"""What the decoder makes of a grid of places in the latent space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skvae._core.arrays import default_names
from skvae._sklearn.fitted import Fitted, most_changed, positive_std
from skvae._sklearn.targets import read_components, read_quantiles
from skvae.display import _canvas, _rows


class LatentGridDisplay:
    """Rows decoded at a grid of the prior's quantiles, in one latent or two.

    So each picture stands for an equal share of the prior's probability (Kingma and Welling 2013
    [1]_, figure 4). Images are laid out as they are; a row of a table is a strip of heat, a cell
    for each feature.

    It is best made by ``from_estimator``. The parameters are stored as attributes.

    Parameters
    ----------
    rows : ndarray of shape (n_first, n_second, n_features)
        Decoded rows, ``[i, j]`` at ``first[i]`` and ``second[j]``. With one latent n_second is 1.
    first, second : ndarray
        Places along each latent, in ascending order; ``second`` is empty with one latent.
    location, scale : ndarray of shape (n_features,), default=None
        What features of a table are standardised by; by default their mean and standard deviation
        over the grid.
    image_shape : tuple of int, default=None
        (height, width) or (height, width, 3) of a row that is an image.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the features.
    latent_names : tuple of str, default=("latent 0", "latent 1")
        Names of the axes, with their unit.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    image_ : matplotlib AxesImage
        The grid.
    feature_order_ : ndarray of int
        Features that are shown, from left to right; of a table only.

    See Also
    --------
    LatentTraversalDisplay : One latent at a time, of any number.

    References
    ----------
    .. [1] Kingma and Welling (2013), "Auto-encoding variational Bayes", figure 4.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.display import LatentGridDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, max_iter=0).fit(X)
    >>> display = LatentGridDisplay.from_estimator(vae, image_shape=(8, 8), n_side=5)
    >>> display.rows.shape
    (5, 5, 64)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        rows: np.ndarray,
        first: np.ndarray,
        second: np.ndarray,
        location: np.ndarray | None = None,
        scale: np.ndarray | None = None,
        image_shape: tuple[int, ...] | None = None,
        feature_names: Sequence[str] | None = None,
        latent_names: tuple[str, str] = ("latent 0", "latent 1"),
    ) -> None:
        self.rows = rows
        self.first = first
        self.second = second
        self.location = location
        self.scale = scale
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.latent_names = latent_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        image_shape: Sequence[int] | None = None,
        components: Any = None,
        n_side: int | None = None,
        quantiles: tuple[float, float] = (0.05, 0.95),
        feature_names: Sequence[str] | None = None,
        **keywords: Any,
    ) -> Self:
        """Decode a grid of the prior's quantiles and draw it.

        Parameters
        ----------
        estimator : estimator
            A fitted one with ``inverse_transform``, or a pipeline that ends in one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows whose own quantiles take the place of the prior's, along each latent; other latents
            are then held at their median.
        image_shape : tuple of int, default=None
            (height, width), or (height, width, 3) for colours, of a row that is an image.
        components : int or sequence of int, default=None
            One latent or two; by default the first two. The others are held at the prior's median.
        n_side : int, default=None
            Places along each latent: by default 15 for images, 7 for tables.
        quantiles : tuple of float, default=(0.05, 0.95)
            Probabilities at the ends.
        feature_names : sequence of str, default=None
            Names of the features, if others than the estimator's.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : LatentGridDisplay
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
        chosen = read_components(components, fitted.n_components, most=2)
        if len(chosen) > 2:
            raise ValueError(
                f"components must name one latent or two. Got {components!r}. "
                f"LatentTraversalDisplay shows any number."
            )
        n_side = (7 if shape is None else 15) if n_side is None else n_side
        places = fitted.places(read_quantiles(quantiles, n_side, "n_side"), X)
        axes = [places.values[:, i] for i in chosen]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(chosen))
        Z = np.tile(places.centre, (len(grid), 1))
        Z[:, chosen] = grid
        n_second = n_side if len(chosen) == 2 else 1
        location = scale = None
        if shape is None:
            location, scale = fitted.location_and_scale(X)
        unit = f" ({places.unit})" if places.unit else ""
        first, second = (*(f"latent {i}{unit}" for i in chosen), "")[:2]
        return cls(
            rows=places.decode(Z).reshape(n_side, n_second, -1),
            first=axes[0],
            second=axes[1] if len(axes) == 2 else np.empty(0),
            location=location,
            scale=scale,
            image_shape=shape,
            feature_names=names,
            latent_names=(first, second),
        ).plot(**keywords)

    def plot(
        self, ax: Any = None, *, n_features: int = 12, imshow_kwargs: dict[str, Any] | None = None
    ) -> Self:
        """Draw the grid.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_features : int, default=12
            Features of a table that are shown, at most: those that change most over the grid,
            measured in their standard deviations.
        imshow_kwargs : dict, default=None
            Keywords for ``Axes.imshow``.

        Returns
        -------
        display : LatentGridDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        _canvas.require_matplotlib(f"{type(self).__name__}.plot")
        is_line = self.second.size == 0
        if ax is None:
            is_flat = is_line and self.image_shape is not None
            ax = _canvas.new_axes(_canvas.WIDTH, 1.4 if is_flat else _canvas.WIDTH)
        self.ax_, self.figure_ = ax, ax.figure
        keywords = dict(imshow_kwargs or {})
        if self.image_shape is not None:
            self._plot_images(ax, keywords)
        elif is_line:
            self._plot_line(ax, n_features, keywords)
        else:
            self._plot_strips(ax, n_features, keywords)
        return self

    def _plot_images(self, ax: Any, keywords: dict[str, Any]) -> None:
        n_first, n_second = self.rows.shape[:2]
        assert self.image_shape is not None
        # Rows of the page from the top down are places of the second latent from the top down.
        images = self.rows.transpose(1, 0, 2)[::-1].reshape(-1, *self.image_shape)
        page = _canvas.tile(images, n_second, n_first)
        low, high = float(self.rows.min()), float(self.rows.max())
        self.image_ = _canvas.show_image(ax, page, low, high, **keywords)
        self._name_places(ax, self.image_shape[1] + 1, self.image_shape[0] + 1, len(page))

    def _name_places(self, ax: Any, width: float, height: float, page_height: float) -> None:
        """Write the places under and beside the grid, of tiles with their gap."""
        _canvas.bare_axes(ax)
        shown = np.unique(np.linspace(0, len(self.first) - 1, 5).round().astype(int))
        ax.set_xticks([0.5 + (i + 0.5) * width - 0.5 for i in shown], _places(self.first[shown]))
        ax.set_xlabel(self.latent_names[0])
        if self.second.size:
            shown = np.unique(np.linspace(0, len(self.second) - 1, 5).round().astype(int))
            ticks = [page_height - 1 - (0.5 + (i + 0.5) * height - 0.5) for i in shown]
            ax.set_yticks(ticks, _places(self.second[shown]))
            ax.set_ylabel(self.latent_names[1])
        ax.tick_params(length=0)

    def _standardised(self, n_features: int) -> tuple[np.ndarray, list[str]]:
        """Rows of the features that change most, in the order of the table, and their names."""
        rows = self.rows.reshape(-1, self.rows.shape[-1])
        scale = positive_std(rows) if self.scale is None else self.scale
        location = rows.mean(0) if self.location is None else self.location
        self.feature_order_ = np.sort(most_changed(rows, scale, n_features))
        values = _rows.standardise(rows, location, scale)[:, self.feature_order_]
        names = self.feature_names
        if names is None:
            names = default_names(rows.shape[1])
        return values, [str(names[i]) for i in self.feature_order_]

    def _plot_line(self, ax: Any, n_features: int, keywords: dict[str, Any]) -> None:
        """Draw one latent across and features down."""
        values, names = self._standardised(n_features)
        self.image_ = _rows.show_strips(ax, values.T, _rows.colour_limit(values), **keywords)
        _canvas.bare_axes(ax)
        ax.set_yticks(range(len(names)), _canvas.shown(names))
        shown = np.unique(np.linspace(0, len(self.first) - 1, 5).round().astype(int))
        ax.set_xticks(shown, _places(self.first[shown]))
        ax.tick_params(length=0)
        ax.set_xlabel(self.latent_names[0])
        self._bar(ax)

    def _plot_strips(self, ax: Any, n_features: int, keywords: dict[str, Any]) -> None:
        """Draw a strip at each place, and above them one strip with the features' names."""
        values, names = self._standardised(n_features)
        n_first, n_second, width = *self.rows.shape[:2], len(names)
        gap = max(1, round(width / 6))
        grid = values.reshape(n_first, n_second, width).transpose(1, 0, 2)[::-1]
        page = np.full((n_second, n_first * (width + gap)), np.nan)
        for i in range(n_first):
            page[:, i * (width + gap) : i * (width + gap) + width] = grid[:, i]
        page = page[:, :-gap]
        # Each strip a row of cells with air around it.
        aired = np.full((5 * n_second, page.shape[1]), np.nan)
        for k in range(1, 5):
            aired[k::5] = page
        aired = aired[1:]
        self.image_ = _rows.show_strips(ax, aired, _rows.colour_limit(values), **keywords)
        _canvas.bare_axes(ax)
        columns = [i * (width + gap) + (width - 1) / 2 for i in range(n_first)]
        ax.set_xticks(columns, _places(self.first))
        ax.set_yticks([5 * k + 1.5 for k in range(n_second)], _places(self.second[::-1]))
        ax.tick_params(length=0)
        ax.set(xlabel=self.latent_names[0], ylabel=self.latent_names[1])
        key = ax.inset_axes([0.0, 1.03, 1.0, 0.03])
        _canvas.bare_axes(key)
        key.imshow(np.arange(width)[None] % 2, cmap="Greys", vmin=-1, vmax=3, aspect="auto")
        key.xaxis.tick_top()
        key.set_xticks(range(width), _canvas.shown(names), rotation=90, size="small")
        key.tick_params(length=0)
        note = {"transform": key.transAxes, "size": "small", "ha": "right", "va": "center"}
        key.text(-0.01, 0.5, "a strip", **note)
        self._bar(ax)

    def _bar(self, ax: Any) -> None:
        where = {"location": "bottom", "shrink": 0.8, "aspect": 40}
        label = "standard deviations from the mean"
        ax.figure.colorbar(self.image_, ax=ax, label=label, **where).outline.set_visible(False)


def _places(values: np.ndarray) -> list[str]:
    """Write places along a latent, with as many digits as tell them apart."""
    span = float(np.ptp(values))
    digits = 1 if span == 0 else int(np.clip(2 - np.floor(np.log10(span)), 0, 6))
    digits = max(digits - 1, 0 if span > 40 else 1)
    texts = [f"{value:.{digits}f}" for value in values]
    return [text.replace("-", "" if float(text) == 0 else "\N{MINUS SIGN}") for text in texts]
