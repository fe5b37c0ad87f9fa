"""Rows in the latent space."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils import check_array

from skvae._sklearn.fitted import Fitted
from skvae._sklearn.targets import read_components, read_target
from skvae.display import _canvas, _scatter

# More rows are drawn as a density.
_MOST_POINTS = 20_000


class LatentSpaceDisplay:
    """Rows in the latent space, coloured by class or value, beside the prior.

    It is best made by ``from_estimator`` or ``from_latents``. The parameters are stored as
    attributes.

    Parameters
    ----------
    latents : ndarray of shape (n_samples, n_components)
        Latents of the rows.
    y : array-like of shape (n_samples,), default=None
        A class or a value of each row.
    prior : ndarray of shape (n_draws, n_components), default=None
        Latents of rows that the model generates from its prior, in the same units.
    latent_names : list of str, default=None
        Names of the axes; "latent 0" and so on by default.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the rows; of several latents, those that were parted.
    axes_ : ndarray of matplotlib Axes
        All axes with rows, shape (1, 1), or (m, m) for m > 2 latents, where those above the
        diagonal are None.
    figure_ : matplotlib Figure
        The figure.
    scatter_ : list of matplotlib artists
        The points, or the image of their density.

    See Also
    --------
    LatentGridDisplay : What the decoder makes of places in the latent space.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.display import LatentSpaceDisplay
    >>> X, y = load_wine(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, max_iter=0).fit(X)
    >>> display = LatentSpaceDisplay.from_estimator(vae, X, y)
    >>> display.ax_.get_xlabel()
    'latent 0 (100 % of variance)'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        latents: np.ndarray,
        y: Any = None,
        prior: np.ndarray | None = None,
        latent_names: list[str] | None = None,
    ) -> None:
        self.latents = latents
        self.y = y
        self.prior = prior
        self.latent_names = latent_names

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any = None, **keywords: Any) -> Self:
        """Draw where ``transform`` puts rows.

        The prior is shown by the latents of rows that the model generates, so that rows and prior
        have passed the same encoder: where the two differ, the model would generate other rows.

        Parameters
        ----------
        estimator : estimator
            A fitted one with ``transform``, or a pipeline that ends in one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            A class or a value of each row.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : LatentSpaceDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the estimator is not fitted, y has another number of rows than X, or a parameter of
            ``plot`` is outside its domain.
        """
        _canvas.require_matplotlib(f"{cls.__name__}.from_estimator")
        fitted = Fitted(estimator)
        Z = fitted.transform(X)
        prior = fitted.prior_latents() if keywords.get("marginals", True) else None
        display = cls(latents=Z, y=y, prior=prior, latent_names=fitted.latent_names())
        return display.plot(**keywords)

    @classmethod
    def from_latents(
        cls,
        Z: Any,
        y: Any = None,
        *,
        prior: Any = None,
        latent_names: list[str] | None = None,
        **keywords: Any,
    ) -> Self:
        """Draw latents that are known.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Latents, such as the means that ``encode`` gives.
        y : array-like of shape (n_samples,), default=None
            A class or a value of each row.
        prior : array-like of shape (n_draws, n_components), default=None
            Draws from the prior, in the same units.
        latent_names : list of str, default=None
            Names of the axes.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : LatentSpaceDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If Z, y, prior and names do not fit together.
        """
        Z = check_array(Z, input_name="Z")
        if prior is not None:
            prior = check_array(prior, input_name="prior")
            if prior.shape[1] != Z.shape[1]:
                raise ValueError(
                    f"prior must have a column for each of the {Z.shape[1]} latents. "
                    f"Got shape {prior.shape}."
                )
        if latent_names is not None and len(latent_names) != Z.shape[1]:
            raise ValueError(
                f"latent_names must hold {Z.shape[1]} names, one for each latent. "
                f"Got {len(latent_names)}."
            )
        return cls(latents=Z, y=y, prior=prior, latent_names=latent_names).plot(**keywords)

    def plot(
        self,
        ax: Any = None,
        *,
        components: Any = None,
        labels: str = "auto",
        density: bool | str = "auto",
        marginals: bool = True,
        target: str = "auto",
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        components : int or sequence of int, default=None
            Latents that are shown: one as histogram, or against y where y holds values; two as a
            plane; more as a matrix of planes. By default the first two.
        labels : {"auto", "direct", "legend", "none"}, default="auto"
            Whether classes are named beside their rows or in a legend. "auto" does so beside the
            rows where there are more than three short names.
        density : bool or "auto", default="auto"
            Whether to draw numbers of rows in place of points: by shade, by the most frequent
            class, or by the mean value. "auto" does so above 20,000 rows.
        marginals : bool, default=True
            Whether to draw the distribution of each latent, with the prior's as a line.
        target : {"auto", "class", "value"}, default="auto"
            What y holds. "auto" takes up to 20 whole numbers, and what is no number, as classes.
        scatter_kwargs : dict, default=None
            Keywords for ``Axes.scatter``.

        Returns
        -------
        display : LatentSpaceDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a parameter is outside its domain.
        """
        _canvas.require_matplotlib(f"{type(self).__name__}.plot")
        planes = _Planes(self, target, density, labels, scatter_kwargs)
        self.ax_, self.axes_, self.scatter_ = planes.draw(ax, components, marginals)
        self.figure_ = self.ax_.figure
        return self


class _Planes:
    """What is drawn of a display, panel by panel."""

    def __init__(
        self, display: LatentSpaceDisplay, kind: str, density: bool | str, labels: str, given: Any
    ) -> None:
        if labels not in ("auto", "direct", "legend", "none"):
            raise ValueError(
                f"labels must be 'auto', 'direct', 'legend' or 'none'. Got {labels!r}."
            )
        self.Z, self.prior = display.latents, display.prior
        self.target = read_target(display.y, len(self.Z), kind)
        self.is_dense = len(self.Z) > _MOST_POINTS if density == "auto" else bool(density)
        self.labels, self.given = labels, given
        default = [f"latent {i}" for i in range(self.Z.shape[1])]
        self.names = default if display.latent_names is None else display.latent_names

    @property
    def has_classes(self) -> bool:
        return self.target is not None and self.target.classes is not None

    def draw(self, ax: Any, components: Any, marginals: bool) -> tuple[Any, np.ndarray, list[Any]]:
        """Draw latents, and give the axes, those that have rows, and what was drawn on them."""
        chosen = read_components(components, self.Z.shape[1], most=2)
        m = len(chosen)
        if ax is None:
            size = _canvas.WIDTH if m < 3 else max(_canvas.WIDTH, 1.6 * m)
            ax = _canvas.new_axes(size, size if m > 1 else 0.7 * size)
        if m > 2:
            axes = _canvas.panels(ax, m, m, sharex=True)
            return ax, axes, self.matrix(axes, chosen, marginals)
        if m == 1:
            return ax, np.array([[ax]]), self.line(ax, chosen[0])
        artists = self.plane(ax, *chosen)
        if marginals:
            self.margins(ax, *chosen)
        self.name(ax, *chosen)
        return ax, np.array([[ax]]), artists

    def plane(self, ax: Any, i: int, j: int) -> list[Any]:
        """Draw two latents, with their names, and the bar of what colours mean."""
        artists = self.rows(ax, i, j)
        ax.set(xlabel=self.names[i], ylabel=self.names[j])
        self.bar(artists[0], ax)
        return artists

    def rows(self, ax: Any, i: int, j: int) -> list[Any]:
        """Draw two latents."""
        x, y = self.Z[:, i], self.Z[:, j]
        _canvas.open_axes(ax)
        ax.set(xlim=_scatter.axis_limits(x), ylim=_scatter.axis_limits(y))
        ax.locator_params(nbins=5)
        if self.is_dense:
            return [_scatter.draw_density(ax, x, y, self.target)]
        return _scatter.draw_points(ax, x, y, self.target, self.given)

    def bar(self, artist: Any, ax: Any) -> None:
        """Draw the colour bar, where colours are numbers."""
        if self.has_classes or (self.target is None and not self.is_dense):
            return
        name = "rows in a cell" if self.target is None else self.target.name or "y"
        if self.target is not None and self.is_dense:
            name = f"mean {name}"
        where = {"location": "bottom", "shrink": 0.8, "aspect": 30}
        bar = ax.figure.colorbar(artist, ax=ax, label=_canvas.short(name, 30), **where)
        bar.outline.set_visible(False)

    def margins(self, ax: Any, i: int, j: int) -> None:
        """Draw the distribution of two latents above and beside their plane."""
        top = ax.inset_axes([0.0, 1.02, 1.0, 0.16], sharex=ax)
        side = ax.inset_axes([1.02, 0.0, 0.16, 1.0], sharey=ax)
        for margin, k, upright in ((top, i, False), (side, j, True)):
            prior = None if self.prior is None else self.prior[:, k]
            _scatter.draw_histogram(margin, self.Z[:, k], prior, self.target, upright=upright)
            margin.set_axis_off()
        ax.set(xlim=self.limits(i), ylim=self.limits(j))
        if self.prior is not None:
            style = {"size": "small", "color": _canvas.text_colour(), "ha": "right", "va": "bottom"}
            top.text(1.0, 0.8, "line: prior", transform=top.transAxes, **style)

    def limits(self, i: int) -> tuple[float, float]:
        return _scatter.axis_limits(self.Z[:, i])

    def name(self, ax: Any, i: int, j: int) -> None:
        """Name the classes."""
        if not self.has_classes or self.labels == "none":
            return
        assert self.target is not None
        assert self.target.classes is not None
        classes = self.target.classes
        is_short = max(map(len, classes)) <= 8
        is_fit = self.labels == "auto" and is_short and 3 < len(classes) <= 12
        direct = self.labels == "direct" or is_fit
        where = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14)}
        columns = max(1, min(len(classes), 40 // (4 + max(map(len, classes)))))
        _scatter.name_classes(
            ax, self.Z[:, i], self.Z[:, j], self.target, direct, **where, ncols=columns
        )

    def line(self, ax: Any, i: int) -> list[Any]:
        """Draw one latent: its histogram, or values against it."""
        _canvas.open_axes(ax)
        x, prior = self.Z[:, i], None if self.prior is None else self.prior[:, i]
        ax.set_xlabel(self.names[i])
        if self.target is not None and self.target.classes is None:
            known = np.isfinite(self.target.values)
            x, y = x[known], self.target.values[known]
            ax.set_ylabel(_canvas.short(self.target.name or "y", 30))
            if self.is_dense:
                artist = _scatter.draw_density(ax, x, y, None)
                ax.figure.colorbar(artist, ax=ax, label="rows in a cell").outline.set_visible(False)
                return [artist]
            return _scatter.draw_points(ax, x, y, None, self.given)
        _scatter.draw_histogram(ax, x, prior, self.target)
        ax.set_ylabel("density")
        if self.has_classes and self.labels != "none":
            assert self.target is not None
            where: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2)}
            _scatter.name_classes(ax, x, x, self.target, False, ax.lines, ncols=4, **where)
        elif prior is not None:
            ax.legend(handles=ax.lines, frameon=False, loc="upper right")
        return list(ax.patches)

    def matrix(self, axes: Any, chosen: list[int], marginals: bool) -> list[Any]:
        """Draw each pair of latents, with the distribution of each on the diagonal."""
        artists: list[Any] = []
        m = len(chosen)
        for row, column in np.ndindex(m, m):
            ax, i, j = axes[row, column], chosen[column], chosen[row]
            if column > row:
                ax.remove()
                axes[row, column] = None
            elif column == row:
                _canvas.open_axes(ax)
                if marginals:
                    prior = None if self.prior is None else self.prior[:, i]
                    _scatter.draw_histogram(ax, self.Z[:, i], prior, self.target)
                ax.set_yticks([])
                ax.spines["left"].set_visible(False)
                ax.set_xlim(self.limits(i))
            else:
                artists += self.rows(ax, i, j)
            if column <= row:
                ax.locator_params(axis="x", nbins=4)
                ax.tick_params(labelbottom=row == m - 1, labelleft=column == 0 and row > 0)
                if row == m - 1:
                    ax.set_xlabel(self.names[i].split(" (")[0])
                if column == 0 and row > 0:
                    ax.set_ylabel(self.names[j].split(" (")[0])
        return artists + self._key(axes, chosen, artists, marginals)

    def _key(
        self, axes: np.ndarray, chosen: list[int], artists: list[Any], marginals: bool
    ) -> list[Any]:
        """Say in the empty corner what colours and lines mean."""
        corner = axes[0, 0]
        if marginals and self.prior is not None:
            style = {"size": "small", "ha": "left", "va": "top"}
            corner.text(
                1.15, 0.98, "line: prior", transform=corner.transAxes, in_layout=False, **style
            )
        if self.has_classes and self.labels != "none":
            assert self.target is not None
            where: dict[str, Any] = {
                "loc": "upper left",
                "bbox_to_anchor": (1.08, 0.85),
                "ncols": 2,
            }
            Z = self.Z[:, chosen[0]]
            _scatter.name_classes(corner, Z, Z, self.target, False, **where)
            corner.get_legend().set_in_layout(False)
        elif artists and not (self.target is None and not self.is_dense):
            place = corner.inset_axes([1.2, 0.5, 0.9, 0.08])
            place.set_in_layout(False)
            name = "rows in a cell" if self.target is None else self.target.name or "y"
            corner.figure.colorbar(
                artists[0], cax=place, orientation="horizontal", label=_canvas.short(name, 24)
            ).outline.set_visible(False)
        return []
