"""A model card: what a fitted estimator is, and how well it does, for whoever is to use it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import f1_score

from skvae import display
from skvae._core.checks import shown
from skvae._sklearn.estimator import Saved
from skvae._sklearn.fitted import Fitted, len_of
from skvae.display import require_matplotlib
from skvae.multilabel import CanonicalCorrelatedAutoencoder

if TYPE_CHECKING:
    from skops.card import Card

__all__ = ["model_card"]

_RESULTS = "Model description/Evaluation Results"
_VERSIONS = ("skvae", "scikit-learn", "numpy", "torch")
_START = """The model is saved by `skops.io.dump(model, "model.skops")`, and loaded by

```python
import skops.io
import skvae

model = skops.io.load("model.skops", trusted=skvae.trusted_types())
```

This card was made with {versions}."""


def model_card(
    estimator: Any, X: Any = None, y: Any = None, *, folder: str | Path | None = None
) -> Card:
    """Describe a fitted estimator in a model card of skops.

    The card has the estimator's diagram and parameters, what its training came to, the lead over
    PCA among it, how to load the model, and results on rows that are given. What only its author
    knows, such as its intended use, is left to be filled in by ``card.add``.

    Parameters
    ----------
    estimator : estimator
        A fitted one of this package, a pipeline that ends in one, or a search over either.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features), default=None
        Rows that the fit has not seen, for results and pictures.
    y : array-like of shape (n_samples, n_labels) or (n_samples,), default=None
        Labels of ``CanonicalCorrelatedAutoencoder``; of other estimators, a class or a value of
        each row, by which latents are coloured.
    folder : str or Path, default=None
        Where pictures are saved, as PNG; it is made if it is not there. They need matplotlib. By
        default there are none.

    Returns
    -------
    card : skops.card.Card
        ``card.save(path)`` writes it as Markdown; with ``copy_files=True`` the pictures come along.

    Raises
    ------
    ImportError
        If skops is not installed, or matplotlib where a folder is given.
    TypeError
        If the estimator is none of this package.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    References
    ----------
    Mitchell et al. (2019), "Model cards for model reporting", FAT*, section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.card import model_card
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, max_iter=5, tol=10, random_state=0).fit(X[:1500])
    >>> card = model_card(vae, X[1500:])
    >>> _ = card.add(**{"Model description/Intended uses & limitations": "Maps of digits."})
    >>> "nats per row over PCA on held-out rows" in card.render()
    True
    """
    try:
        from skops.card import Card
    except ImportError as error:
        raise ImportError("A model card needs skops: `pip install skvae[card]`.") from error
    fitted = Fitted(estimator)
    if not isinstance(fitted.last, Saved):
        raise TypeError(
            f"model_card describes estimators of skvae. Got {fitted.name}. Use skops.card.Card."
        )
    card = Card(fitted.whole)
    card.add(**{"Model description": "\n".join(_description(fitted))})
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _VERSIONS)
    python = f"Python {platform.python_version()}, {versions}"
    card.add(**{"How to Get Started with the Model": _START.format(versions=python)})
    if X is not None:
        card.add_metrics(_RESULTS, description=f"On {len_of(X)} rows.", **_results(fitted, X, y))
    if folder is not None:
        for name, path in _pictures(fitted, X, y, Path(folder)):
            card.add_plot(alt_text=name, **{f"{_RESULTS}/{name}": path})
    return card


def _description(fitted: Fitted) -> Iterator[str]:
    """What the model is, in lines of Markdown."""
    last = fitted.last
    yield f"{str(type(last).__doc__).splitlines()[0]} `skvae.{fitted.name}`, {_size(last)}."
    # An imputer or a detector is one more around a model.
    facts = last._facts() or getattr(last, "estimator_", last)._facts()
    if facts:
        yield ""
        yield from (f"- {fact}" for fact in facts)
    likelihood = getattr(last, "likelihood_", None)
    if likelihood is not None:
        yield f"- likelihood: `{shown(likelihood)}`"


def _size(last: Any) -> str:
    rows = getattr(last, "n_samples_", None)
    of_rows = "" if rows is None else f"{rows} rows of "
    return f"fitted to {of_rows}{last.n_features_in_} features"


def _results(fitted: Fitted, X: Any, y: Any) -> dict[str, Any]:
    """Figures on rows that are given, rounded to what they can say."""
    whole, last = fitted.whole, fitted.last
    if isinstance(last, CanonicalCorrelatedAutoencoder):
        return {} if y is None else _f1(whole.predict(X), y)
    results: dict[str, Any] = {}
    if hasattr(last, "offset_"):
        results["share of outliers"] = f"{np.mean(np.asarray(whole.predict(X)) < 0):.3f}"
    elif hasattr(last, "score_samples"):
        of = "p(x)" if hasattr(last, "sample") else "p(x|z(x))"
        results[f"mean log {of} of a row, nats"] = f"{np.mean(whole.score_samples(X)):.3f}"
    if hasattr(last, "decode") and fitted.table is None:
        rows, rebuilt = fitted.rows(X), fitted.inverse(fitted.transform(X))
        if len(rows) > 1 and not np.isnan(rows).any():
            left = ((rows - rebuilt) ** 2).sum() / ((rows - rows.mean(0)) ** 2).sum()
            results["share of variance that latents reconstruct"] = f"{1.0 - left:.3f}"
    return results


def _f1(predicted: Any, y: Any) -> dict[str, Any]:
    averages = ("micro", "macro")
    return {
        f"F1, {name}": f"{f1_score(y, predicted, average=name, zero_division=0):.3f}"
        for name in averages
    }


def _pictures(fitted: Fitted, X: Any, y: Any, folder: Path) -> Iterator[tuple[str, Path]]:
    """Draw what can be drawn; give the name and the file of each picture."""
    require_matplotlib("model_card with a folder")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in _displays(fitted, X, y).items():
        with plt.ioff():
            figure = draw().figure_
        path = folder / f"{name.lower().replace(' ', '_')}.png"
        figure.savefig(path, dpi=100)
        plt.close(figure)
        yield name, path


def _displays(fitted: Fitted, X: Any, y: Any) -> dict[str, Callable[[], Any]]:
    """Pictures that this estimator and these rows have, by name."""
    whole, last = fitted.whole, fitted.last
    chosen: dict[str, Callable[[], Any]] = {}
    if getattr(last, "loss_curve_", None):
        chosen["Training"] = lambda: display.TrainingDisplay.from_estimator(whole)
    if hasattr(last, "kl_per_component_"):
        chosen["Latents"] = lambda: display.ComponentsDisplay.from_estimator(whole)
    if X is None:
        return chosen
    if hasattr(last, "offset_"):
        chosen["Outliers"] = lambda: display.OutlierDisplay.from_estimator(whole, X)
    elif hasattr(last, "indicator_"):
        chosen["Gaps"] = lambda: display.ImputationDisplay.from_estimator(whole, X)
    elif hasattr(last, "transform") and fitted.n_components > 1:
        colour = None if isinstance(last, CanonicalCorrelatedAutoencoder) else y
        chosen["Latent space"] = lambda: display.LatentSpaceDisplay.from_estimator(whole, X, colour)
    return chosen
