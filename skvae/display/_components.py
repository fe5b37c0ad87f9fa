"""What each latent has come to."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.decomposition import PCA

from skvae._sklearn.fitted import Fitted
from skvae.display import _canvas


class ComponentsDisplay:
    """Variance that each latent explains and its KL, beside PCA's: to choose ``n_components`` by.

    Latents that carry nothing of X (they have collapsed to the prior) are pale: a model with
    fewer would do as well. Where PCA still explains much at the last latent, one with more may do
    better.

    It is best made by ``from_estimator`` or ``from_ratios``. The parameters are stored as
    attributes.

    Parameters
    ----------
    explained_variance_ratio : ndarray of shape (n_components,)
        Share of X's total variance.
    kl : ndarray of shape (n_components,), default=None
        Mean KL of each latent to the prior, in nats.
    active : ndarray of bool of shape (n_components,), default=None
        Whether each carries something of X; by default where it explains some variance.
    pca_explained_variance_ratio : ndarray, default=None
        PCA's shares, of as many components or more.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes; with a KL, those that were parted.
    axes_ : ndarray of matplotlib Axes
        Of the variance, and of the KL where it is known.
    figure_ : matplotlib Figure
        The figure.
    bars_ : list of matplotlib BarContainer
        Bars on each.

    See Also
    --------
    skvae.metrics.active_units : Which latents are active on other rows.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.display import ComponentsDisplay
    >>> X, _ = load_wine(return_X_y=True)
    >>> vae = VariationalAutoencoder(4, max_iter=0).fit(X)
    >>> display = ComponentsDisplay.from_estimator(vae, X)
    >>> display.pca_explained_variance_ratio.shape
    (12,)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        explained_variance_ratio: np.ndarray,
        kl: np.ndarray | None = None,
        active: np.ndarray | None = None,
        pca_explained_variance_ratio: np.ndarray | None = None,
    ) -> None:
        self.explained_variance_ratio = explained_variance_ratio
        self.kl = kl
        self.active = active
        self.pca_explained_variance_ratio = pca_explained_variance_ratio

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any = None, **keywords: Any) -> Self:
        """Draw the latents of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted one with ``explained_variance_ratio_``, or a pipeline that ends in one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows that PCA is fitted to, best those of fit; without it PCA's shares are not drawn.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : ComponentsDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the estimator is not fitted, or does not say what its latents explain.
        """
        _canvas.require_matplotlib(f"{cls.__name__}.from_estimator")
        fitted = Fitted(estimator)
        ratio = getattr(fitted.last, "explained_variance_ratio_", None)
        if ratio is None:
            raise ValueError(
                f"{fitted.name} has no explained_variance_ratio_. Give an estimator that has, such "
                f"as VariationalAutoencoder."
            )
        # Latents are sorted, the collapsed ones last.
        n_active = getattr(fitted.last, "n_active_components_", len(ratio))
        return cls.from_ratios(
            ratio,
            kl=getattr(fitted.last, "kl_per_component_", None),
            active=np.arange(len(ratio)) < n_active,
            pca_explained_variance_ratio=None if X is None else _pca_ratio(fitted, X, len(ratio)),
            **keywords,
        )

    @classmethod
    def from_ratios(
        cls,
        explained_variance_ratio: Any,
        *,
        kl: Any = None,
        active: Any = None,
        pca_explained_variance_ratio: Any = None,
        **keywords: Any,
    ) -> Self:
        """Draw latents of which the numbers are known.

        Parameters
        ----------
        explained_variance_ratio : array-like of shape (n_components,)
            Share of X's total variance.
        kl : array-like of shape (n_components,), default=None
            Mean KL of each latent to the prior, in nats.
        active : array-like of bool of shape (n_components,), default=None
            Whether each carries something of X; by default where it explains some variance.
        pca_explained_variance_ratio : array-like, default=None
            PCA's shares, of as many components or more.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : ComponentsDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the arrays have not the same length.
        """
        ratio = np.asarray(explained_variance_ratio, dtype=np.float64)
        if ratio.ndim != 1 or len(ratio) == 0:
            raise ValueError(
                f"explained_variance_ratio must hold one number per latent. "
                f"Got shape {ratio.shape}."
            )
        given = {
            "kl": None if kl is None else np.asarray(kl, dtype=np.float64),
            "active": ratio > 0 if active is None else np.asarray(active, dtype=bool),
        }
        for name, values in given.items():
            if values is not None and values.shape != ratio.shape:
                raise ValueError(
                    f"{name} must hold one value for each of the {len(ratio)} latents. "
                    f"Got shape {values.shape}."
                )
        pca = pca_explained_variance_ratio
        return cls(
            explained_variance_ratio=ratio,
            kl=given["kl"],
            active=given["active"],
            pca_explained_variance_ratio=None if pca is None else np.asarray(pca, dtype=float),
        ).plot(**keywords)

    def plot(self, ax: Any = None, *, bar_kwargs: dict[str, Any] | None = None) -> Self:
        """Draw the latents.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        bar_kwargs : dict, default=None
            Keywords for ``Axes.bar``.

        Returns
        -------
        display : ComponentsDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        _canvas.require_matplotlib(f"{type(self).__name__}.plot")
        has_kl = self.kl is not None
        if ax is None:
            ax = _canvas.new_axes(_canvas.WIDTH, 4.6 if has_kl else 3.2)
        self.ax_, self.figure_ = ax, ax.figure
        self.axes_ = (
            _canvas.panels(ax, 2, 1, sharex=True, height_ratios=[3, 2])[:, 0]
            if has_kl
            else np.array([ax])
        )
        ratio = self.explained_variance_ratio
        active = ratio > 0 if self.active is None else self.active
        self.bars_ = [self._bars(self.axes_[0], 100 * ratio, active, bar_kwargs)]
        self.axes_[0].set_ylabel("explained variance\n(% of total)")
        pca = self.pca_explained_variance_ratio
        if pca is not None:
            line = {"color": _canvas.SECOND, "marker": "o", "markersize": 4, "linewidth": 1.2}
            self.axes_[0].plot(np.arange(len(pca)), 100 * pca, label="PCA", **line)
        if self.kl is not None:
            self.bars_.append(self._bars(self.axes_[1], self.kl, active, bar_kwargs))
            self.axes_[1].set_ylabel("KL (nats)")
        for panel in self.axes_:
            _canvas.open_axes(panel)
            panel.locator_params(axis="y", nbins=5)
            panel.tick_params(labelbottom=panel is self.axes_[-1])
        self.axes_[-1].set_xlabel("latent")
        self.axes_[-1].xaxis.get_major_locator().set_params(integer=True)
        self.axes_[0].legend(frameon=False, loc="upper right")
        self.figure_.align_ylabels(list(self.axes_))
        return self

    def _bars(self, ax: Any, values: np.ndarray, active: np.ndarray, given: Any) -> Any:
        colours = np.where(active, _canvas.FIRST, _canvas.PALE)
        labels = ["active" if a else f"collapsed ({(~active).sum()})" for a in active]
        # A legend names each kind once.
        labels = [name if labels.index(name) == i else f"_{i}" for i, name in enumerate(labels)]
        keywords = _canvas.with_defaults({"color": colours, "width": 0.75}, given)
        bars = ax.bar(np.arange(len(values)), values, label=labels, **keywords)
        # A collapsed latent has a bar of no height: mark its place.
        dead = np.flatnonzero(~active)
        if len(dead):
            ax.plot(dead, np.zeros(len(dead)), "x", color=_canvas.text_colour(), ms=5)
        return bars


def _pca_ratio(fitted: Fitted, X: Any, n_components: int) -> np.ndarray:
    """Shares of variance of PCA's components, of some more than the latents."""
    rows = X if fitted.before is None else fitted.before.transform(X)
    if fitted.table is not None:  # in the units in which latents are weighed
        rows = fitted.rows(X) * fitted.last._fitted.view.unit
    rows = rows if hasattr(rows, "shape") else np.asarray(rows)
    if rows.shape[0] < 2:
        raise ValueError(
            "X must have at least two rows for PCA to be fitted to. Got 1. "
            "Give the rows of fit, or none."
        )
    n = min(*rows.shape, 3 * n_components, n_components + 20)
    solver = "arpack" if hasattr(rows, "tocsr") else "auto"
    n = n - 1 if solver == "arpack" and n == min(rows.shape) else n
    with np.errstate(invalid="ignore"):  # where nothing varies
        model = PCA(n, svd_solver=solver, random_state=0).fit(rows)
    return np.nan_to_num(model.explained_variance_ratio_)
