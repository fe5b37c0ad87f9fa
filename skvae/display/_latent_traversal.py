"""What one latent does, the others held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skvae._core.arrays import default_names
from skvae._sklearn.fitted import Fitted, most_changed
from skvae._sklearn.targets import read_components, read_quantiles
from skvae.display import _canvas

# Latents that are shown by default, at most.
_MOST_LATENTS = 8


class LatentTraversalDisplay:
    """Rows decoded along one latent at a time, the others held at the prior's median.

    Images are laid out in a line a latent. Of a table, the features that change most along each
    latent are drawn against it, in their own units.

    It is best made by ``from_estimator``. The parameters are stored as attributes.

    Parameters
    ----------
    rows : ndarray of shape (n_latents, n_steps, n_features)
        Decoded rows.
    places : ndarray of shape (n_latents, n_steps)
        Places along each latent.
    scale : ndarray of shape (n_features,), default=None
        What the change of a feature is measured in, to choose those shown; by default its greatest
        change.
    image_shape : tuple of int, default=None
        (height, width) or (height, width, 3) of a row that is an image.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the features.
    latent_names : list of str, default=None
        Names of the latents.
    unit : str, default=""
        Unit of the places.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes; of a table, those that were parted.
    axes_ : ndarray of matplotlib Axes
        One for images; a row of them for each latent of a table.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        Features along their latents; of a table only.

    See Also
    --------
    LatentGridDisplay : Two latents at once.
    ComponentsDisplay : How much each latent explains.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.display import LatentTraversalDisplay
    >>> X, _ = load_wine(return_X_y=True, as_frame=True)
    >>> vae = VariationalAutoencoder(2, max_iter=0).fit(X)
    >>> display = LatentTraversalDisplay.from_estimator(vae, n_features=2)
    >>> display.axes_[0, 0].get_title()
    'proline'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        rows: np.ndarray,
        places: np.ndarray,
        scale: np.ndarray | None = None,
        image_shape: tuple[int, ...] | None = None,
        feature_names: Sequence[str] | None = None,
        latent_names: list[str] | None = None,
        unit: str = "",
    ) -> None:
        self.rows = rows
        self.places = places
        self.scale = scale
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.latent_names = latent_names
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        image_shape: Sequence[int] | None = None,
        components: Any = None,
        n_steps: int | None = None,
        quantiles: tuple[float, float] = (0.02, 0.98),
        feature_names: Sequence[str] | None = None,
        **keywords: Any,
    ) -> Self:
        """Decode along each latent and draw what comes.

        Parameters
        ----------
        estimator : estimator
            A fitted one with ``inverse_transform``, or a pipeline that ends in one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows whose own quantiles take the place of the prior's.
        image_shape : tuple of int, default=None
            (height, width), or (height, width, 3) for colours, of a row that is an image.
        components : int or sequence of int, default=None
            Latents; by default the first eight.
        n_steps : int, default=None
            Places along each latent: by default 9 for images, 25 for tables.
        quantiles : tuple of float, default=(0.02, 0.98)
            Probabilities at the ends. Places between are evenly spread, unlike those of a grid, so
            that a line's slope is the decoder's.
        feature_names : sequence of str, default=None
            Names of the features, with their units, if others than the estimator's.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : LatentTraversalDisplay
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
        chosen = read_components(components, fitted.n_components, most=_MOST_LATENTS)
        n_steps = (25 if shape is None else 9) if n_steps is None else n_steps
        read_quantiles(quantiles, n_steps, "n_steps")
        found = fitted.places(np.asarray(quantiles, dtype=float), X)
        places = np.linspace(found.values[0], found.values[1], int(n_steps))[
            :, chosen
        ].T  # (n_latents, n_steps)
        Z = np.tile(found.centre, (len(chosen), int(n_steps), 1))
        for row, i in enumerate(chosen):
            Z[row, :, i] = places[row]
        rows = found.decode(Z.reshape(-1, Z.shape[-1]))
        latent_names = fitted.latent_names()
        return cls(
            rows=rows.reshape(len(chosen), int(n_steps), -1),
            places=places,
            scale=fitted.location_and_scale(X)[1] if shape is None else None,
            image_shape=shape,
            feature_names=names,
            latent_names=[latent_names[i] for i in chosen],
            unit=found.unit,
        ).plot(**keywords)

    def plot(
        self,
        ax: Any = None,
        *,
        n_features: int = 3,
        line_kwargs: dict[str, Any] | None = None,
        imshow_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the traversals.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_features : int, default=3
            Features of a table that are drawn for each latent: those that change most along it,
            measured in their standard deviations.
        line_kwargs : dict, default=None
            Keywords for ``Axes.plot``, of a table.
        imshow_kwargs : dict, default=None
            Keywords for ``Axes.imshow``, of images.

        Returns
        -------
        display : LatentTraversalDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        _canvas.require_matplotlib(f"{type(self).__name__}.plot")
        n_latents = len(self.rows)
        width = _canvas.WIDTH
        if ax is None:
            height = 1.55 * n_latents + 0.4 if self.image_shape is None else self._image_height()
            ax = _canvas.new_axes(width, max(height, 1.4))
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: list[Any] = []
        names = self.latent_names or [f"latent {i}" for i in range(n_latents)]
        if self.image_shape is None:
            self._plot_lines(ax, names, n_features, line_kwargs)
        else:
            self._plot_images(ax, names, dict(imshow_kwargs or {}))
        return self

    def _image_height(self) -> float:
        assert self.image_shape is not None
        n_latents, n_steps = self.rows.shape[:2]
        aspect = (n_latents * self.image_shape[0]) / (n_steps * self.image_shape[1])
        return 0.8 * _canvas.WIDTH * aspect + 0.8

    def _plot_images(self, ax: Any, names: list[str], keywords: dict[str, Any]) -> None:
        assert self.image_shape is not None
        n_latents, n_steps = self.rows.shape[:2]
        images = self.rows.reshape(-1, *self.image_shape)
        page = _canvas.tile(images, n_latents, n_steps)
        low, high = float(self.rows.min()), float(self.rows.max())
        self.image_ = _canvas.show_image(ax, page, low, high, **keywords)
        self.axes_ = np.array([[ax]])
        _canvas.bare_axes(ax)
        height, width = self.image_shape[0] + 1, self.image_shape[1] + 1
        lines = [name.replace(" (", "\n").rstrip(")") for name in names]
        ax.set_yticks([(i + 0.5) * height for i in range(n_latents)], lines, size="small")
        ends = [0, n_steps // 2, n_steps - 1]
        same = np.allclose(self.places, self.places[0])
        marks = [_number(self.places[0, i]) for i in ends] if same else ["low", "", "high"]
        ax.set_xticks([(i + 0.5) * width for i in ends], marks)
        ax.tick_params(length=0)
        ax.set_xlabel(self.unit if same and self.unit else "place along the latent")

    def _plot_lines(
        self, ax: Any, names: list[str], n_features: int, given: dict[str, Any] | None
    ) -> None:
        n_latents, _, d = self.rows.shape
        n_columns = max(1, min(int(n_features), d))
        self.axes_ = _canvas.panels(ax, n_latents, n_columns)
        scale = self.scale
        if scale is None:
            change = np.ptp(self.rows, axis=1).max(0)
            scale = np.where(change > 0, change, 1.0)
        labels = self.feature_names
        if labels is None:
            labels = default_names(d)
        keywords = _canvas.with_defaults({"color": _canvas.FIRST, "linewidth": 1.6}, given)
        for k, axes in enumerate(self.axes_):
            for ax_, j in zip(axes, most_changed(self.rows[k], scale, n_columns), strict=True):
                _canvas.open_axes(ax_)
                self.lines_ += ax_.plot(self.places[k], self.rows[k, :, j], **keywords)
                # A feature that does not move shall not look as if rounding were a trend.
                middle, least = self.rows[k, :, j].mean(), 0.05 * scale[j]
                low, high = ax_.get_ylim()
                ax_.set_ylim(min(low, middle - least), max(high, middle + least))
                ax_.set_title(_canvas.short(labels[j], 16), size="small")
                ax_.locator_params(nbins=3)
                ax_.tick_params(labelsize="small")
            unit = f", {self.unit}" if self.unit else ""
            middle_axes = axes[n_columns // 2]
            middle_axes.set_xlabel(f"{names[k]}{unit}", size="small")


def _number(value: float) -> str:
    text = f"{value:.1f}"
    return text.replace("-", "" if float(text) == 0 else "\N{MINUS SIGN}")
