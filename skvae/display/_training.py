"""How training went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skvae._sklearn.fitted import Fitted
from skvae.display import _canvas

# A race of starts may have come before the first epoch where there are so many latents.
_RACED_COMPONENTS = 16


class TrainingDisplay:
    """What is maximised and its terms, epoch by epoch, with the start and the epoch that was kept.

    It is best made by ``from_estimator`` or ``from_history``. The parameters are stored as
    attributes.

    Parameters
    ----------
    history : dict of str to list of float
        Means over each epoch: "loss", and where there are such "log_likelihood", "kl",
        "regularizer" and "beta".
    validation_scores : list of float, default=None
        Held-out values, higher is better: of the start first, then after each epoch.
    best_epoch : int, default=None
        The epoch that was kept, 0 for the start.
    start_name : str, default="start"
        What the start is.
    unit : str, default="nats per row"
        Unit of everything but beta.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that were parted.
    axes_ : dict of str to matplotlib Axes
        Of "objective", and where there are such "log_likelihood", "kl", "regularizer" and "beta".
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    ComponentsDisplay : What each latent has come to.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.display import TrainingDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, max_iter=5, tol=10, random_state=0).fit(X / 16)
    >>> display = TrainingDisplay.from_estimator(vae)
    >>> list(display.axes_)
    ['objective', 'log_likelihood', 'kl']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        history: dict[str, list[float]],
        validation_scores: list[float] | None = None,
        best_epoch: int | None = None,
        start_name: str = "start",
        unit: str = "nats per row",
    ) -> None:
        self.history = history
        self.validation_scores = validation_scores
        self.best_epoch = best_epoch
        self.start_name = start_name
        self.unit = unit

    @classmethod
    def from_estimator(cls, estimator: Any, **keywords: Any) -> Self:
        """Draw how a fitted estimator was trained.

        Parameters
        ----------
        estimator : estimator
            A fitted one with ``history_`` or ``loss_curve_``, or a pipeline that ends in one.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : TrainingDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the estimator is not fitted, keeps no record of its training, or was not trained.
        """
        _canvas.require_matplotlib(f"{cls.__name__}.from_estimator")
        last = Fitted(estimator).last
        history = getattr(last, "history_", None)
        unit = "nats per row"
        if history is None:
            history, unit = {"loss": getattr(last, "loss_curve_", None)}, ""
        if history["loss"] is None:
            raise ValueError(
                f"{type(last).__name__} keeps no record of its training. Give an estimator with "
                f"history_ or loss_curve_, such as VariationalAutoencoder."
            )
        scores = getattr(last, "validation_scores_", None)
        best = getattr(last, "best_epoch_", None)
        is_pca = last.get_params().get("init") in ("pca", "auto") and (
            last.init == "pca" or last.n_components_ < _RACED_COMPONENTS
        )
        return cls.from_history(
            history,
            scores,
            best_epoch=best,
            start_name="start (PCA)" if is_pca else "start",
            unit=unit,
            **keywords,
        )

    @classmethod
    def from_history(
        cls,
        history: dict[str, list[float]],
        validation_scores: Sequence[float] | None = None,
        *,
        best_epoch: int | None = None,
        start_name: str = "start",
        unit: str = "nats per row",
        **keywords: Any,
    ) -> Self:
        """Draw a training that is known.

        Parameters
        ----------
        history : dict of str to list of float
            Means over each epoch: "loss", and where there are such "log_likelihood", "kl",
            "regularizer" and "beta".
        validation_scores : sequence of float, default=None
            Held-out values, higher is better: of the start first, then after each epoch.
        best_epoch : int, default=None
            The epoch that was kept, 0 for the start; by default that of the best held-out value.
        start_name : str, default="start"
            What the start is.
        unit : str, default="nats per row"
            Unit of everything but beta.
        **keywords : dict
            Parameters of ``plot``, ``ax`` among them.

        Returns
        -------
        display : TrainingDisplay
            Drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no epoch, or the series have not the same length.
        """
        if "loss" not in history:
            raise ValueError(f"history must hold 'loss'. Got {sorted(history)}.")
        n_epochs = len(history["loss"])
        scores = None if validation_scores is None else [float(v) for v in validation_scores]
        if n_epochs == 0 and not scores:
            raise ValueError(
                "There is no epoch to draw: the estimator was not trained. "
                "Fit it with max_iter of at least 1."
            )
        wrong = {name: len(v) for name, v in history.items() if len(v) != n_epochs}
        if wrong:
            raise ValueError(
                f"history must hold series of one length, {n_epochs}, as 'loss'. Got {wrong}."
            )
        if best_epoch is None and scores:
            best_epoch = int(np.argmax(scores))
        return cls(
            history={name: list(values) for name, values in history.items()},
            validation_scores=scores,
            best_epoch=best_epoch,
            start_name=start_name,
            unit=unit,
        ).plot(**keywords)

    def plot(self, ax: Any = None, *, line_kwargs: dict[str, Any] | None = None) -> Self:
        """Draw the training.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kwargs : dict, default=None
            Keywords for ``Axes.plot``, of every line by epoch.

        Returns
        -------
        display : TrainingDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        _canvas.require_matplotlib(f"{type(self).__name__}.plot")
        terms = self._terms()
        if ax is None:
            ax = _canvas.new_axes(_canvas.WIDTH, 2.9 + 1.2 * len(terms))
        self.ax_, self.figure_ = ax, ax.figure
        n_panels = 1 + len(terms)
        ratios = [2.0] + [1.0] * len(terms)
        axes = _canvas.panels(ax, n_panels, 1, sharex=True, height_ratios=ratios)[:, 0]
        self.axes_ = dict(zip(["objective", *terms], axes, strict=True))
        unit = f"\n({self.unit})" if self.unit else ""
        style = _canvas.with_defaults({"linewidth": 1.5}, line_kwargs)
        self._plot_objective(axes[0], unit, style)
        for name, panel in zip(terms, axes[1:], strict=True):
            self._plot_term(panel, name, unit, style)
        for panel in axes:
            _canvas.open_axes(panel)
            panel.locator_params(axis="y", nbins=4)
            panel.tick_params(labelbottom=panel is axes[-1])
            if self.best_epoch is not None:
                line = {"color": _canvas.SECOND, "linewidth": 1.0, "linestyle": ":"}
                panel.axvline(self.best_epoch, **line)
        axes[-1].set_xlabel("epoch")
        axes[-1].xaxis.get_major_locator().set_params(integer=True)
        self.figure_.align_ylabels(list(axes))
        return self

    def _terms(self) -> list[str]:
        """Terms that were there and are more than a constant."""
        terms: list[str] = [
            name for name in ("log_likelihood", "kl", "regularizer") if name in self.history
        ]
        shown = [name for name in terms if np.any(self.history[name])]
        if shown == ["log_likelihood"]:
            shown = []  # the objective itself
        beta = self.history.get("beta", [])
        return [*shown, "beta"] if len(set(beta)) > 1 else shown

    def _plot_term(self, ax: Any, name: str, unit: str, style: dict[str, Any]) -> None:
        labels = {
            "log_likelihood": f"reconstruction{unit}",
            "kl": f"KL{unit}",
            "regularizer": f"regulariser{unit}",
            "beta": "beta",
        }
        values = np.asarray(self.history[name], dtype=float)
        ax.plot(np.arange(1, len(values) + 1), values, **{"color": _canvas.FIRST, **style})
        ax.set_ylabel(labels[name])
        _limit(ax, values)

    def _plot_objective(self, ax: Any, unit: str, style: dict[str, Any]) -> None:
        loss = np.asarray(self.history["loss"], dtype=float)
        scores = self.validation_scores
        is_same_unit = bool(self.unit) or scores is None
        drawn = []
        if is_same_unit and len(loss):
            line = {"color": _canvas.PALE, "label": "training", **style}
            ax.plot(np.arange(1, len(loss) + 1), -loss, **line)
            drawn.append(-loss)
        if scores is not None:
            values = np.asarray(scores, dtype=float)
            line = {"color": _canvas.FIRST, "label": "held out", **style}
            ax.plot(np.arange(len(values)), values, **line)
            start = {"color": _canvas.text_colour(), "linewidth": 1.0, "linestyle": "--"}
            ax.axhline(values[0], label=self.start_name, **start)
            drawn.append(values)
            if self.best_epoch is not None and self.best_epoch < len(values):
                mark = {"marker": "o", "color": _canvas.SECOND, "linestyle": "", "zorder": 3}
                name = "start" if self.best_epoch == 0 else f"epoch {self.best_epoch}"
                place = [self.best_epoch], [values[self.best_epoch]]
                ax.plot(*place, label=f"{name} kept", **mark)
        ax.set_ylabel(f"{'objective' if is_same_unit else 'held-out score'}{unit}")
        _limit(ax, np.concatenate(drawn))
        ax.legend(frameon=False, loc="best", fontsize="small")


def _limit(ax: Any, values: np.ndarray) -> None:
    """Keep the first epochs of a bad start from pressing all others flat."""
    values = values[np.isfinite(values)]
    if len(values) < 10:
        return
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    span = max(high - low, 1e-12)
    bottom, top = max(values.min(), middle - 6 * span), min(values.max(), middle + 6 * span)
    if bottom > values.min() or top < values.max():
        margin = 0.05 * (top - bottom)
        ax.set_ylim(bottom - margin, top + margin)
