"""What pictures read off a fitted estimator's public side, alone or at the end of a pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import ndtri
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skvae._core.arrays import as_numpy, default_names
from skvae._sklearn.targets import read_image_shape

# Rows drawn from a prior whose quantiles have no closed form: at most and at least this many, and
# in between as many as fill this many cells.
_PRIOR_ROWS = (4000, 500)
_PRIOR_CELLS = 2**22

# Most rows over which the features' means and standard deviations are taken.
_MOMENT_ROWS = 5000


class Places(NamedTuple):
    """Places on each latent's axis, and what decodes them to rows.

    Attributes
    ----------
    values : ndarray of shape (n_places, n_components)
        One column per latent.
    centre : ndarray of shape (n_components,)
        Where the other latents are held.
    decode : callable
        Latents (n, n_components) to rows (n, n_features) in X's units.
    unit : str
        Unit of the values.
    """

    values: np.ndarray
    centre: np.ndarray
    decode: Callable[[np.ndarray], np.ndarray]
    unit: str


class Fitted:
    """A fitted estimator as pictures see it.

    Rows are in the units that the pipeline was given, if its steps can be undone; else in those of
    its last step. Rows of a likelihood by columns are the numbers that its table becomes.

    Parameters
    ----------
    estimator : estimator
        With ``transform``; a pipeline that ends in such an estimator, or a search over either.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """

    def __init__(self, estimator: Any) -> None:
        while hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        check_is_fitted(estimator)
        is_pipeline = isinstance(estimator, Pipeline)
        self.whole = estimator
        self.last = estimator[-1] if is_pipeline else estimator
        self.before = estimator[:-1] if is_pipeline and len(estimator) > 1 else None
        self.table = getattr(getattr(self.last, "_fitted", None), "table", None)
        can_undo = hasattr(self.before, "inverse_transform") and self.table is None
        self.is_undone = self.before is None or can_undo
        self.name = type(self.last).__name__

    @property
    def n_components(self) -> int:
        """Number of latents."""
        found = getattr(self.last, "n_components_", None)
        return len(self.last.get_feature_names_out()) if found is None else int(found)

    def transform(self, X: Any) -> np.ndarray:
        """Latents of rows of X, shape (n_samples, n_components)."""
        return _dense(self.whole.transform(X))

    def rows(self, X: Any) -> np.ndarray:
        """Rows of X as an array, in the units in which decoded rows come."""
        X = X if self.is_undone or self.before is None else self.before.transform(X)
        return _dense(X if self.table is None else self.last._check_rows(X))

    def undo(self, rows: np.ndarray) -> np.ndarray:
        """Take rows of the last step to the units of X."""
        if self.before is None or not self.is_undone:
            return _dense(rows)
        return _dense(self.before.inverse_transform(rows))

    def inverse(self, Z: np.ndarray) -> np.ndarray:
        """Rows of latents in the units of ``transform``.

        Raises
        ------
        ValueError
            If the estimator cannot decode.
        """
        if not hasattr(self.last, "inverse_transform"):
            raise ValueError(
                f"{self.name} has no inverse_transform, so no row can be drawn for a latent. Give "
                f"an estimator that has, such as VariationalAutoencoder."
            )
        if self.table is not None:
            return _dense(self.last._numbers(Z))
        return self.undo(self.last.inverse_transform(Z))

    def generated(self, seed: int = 0) -> Any:
        """Rows drawn from the model as the last step has them, or None if it cannot draw."""
        if not hasattr(self.last, "sample"):
            return None
        try:
            n = int(np.clip(_PRIOR_CELLS // self.last.n_features_in_, *_PRIOR_ROWS[::-1]))
            return self.last.sample(n, random_state=seed)
        except (TypeError, ValueError):  # a posterior that is a point has no prior to draw from
            return None

    def prior_latents(self, seed: int = 0) -> np.ndarray | None:
        """Latents of rows drawn from the model, in the units of ``transform``, or None."""
        rows = self.generated(seed)
        if rows is None:
            return None
        with _unnamed_rows():
            return _dense(self.last.transform(rows))

    def places(self, probabilities: np.ndarray, X: Any = None) -> Places:
        """Quantiles of each latent: the prior's, or those of the rows of X.

        Without X they are the standard normal prior's if that is the model's, those of generated
        rows under another prior, and else normal with the variance that each latent explains.

        Raises
        ------
        ValueError
            If the estimator cannot decode, or says nothing of its latents' distribution.
        """
        k = self.n_components
        Z = None if X is None else self.transform(X)
        normal = np.repeat(ndtri(probabilities)[:, None], k, axis=1)
        if Z is None and has_standard_normal_prior(self.last):
            of_table = None if self.table is None else self.last._fitted.decode
            decode = of_table or (lambda z: self.undo(self.last.decode(z)))
            return Places(normal, np.zeros(k), decode, "standard deviations")
        Z = self.prior_latents() if Z is None else Z
        if Z is not None:
            return Places(
                np.quantile(Z, probabilities, axis=0), np.median(Z, axis=0), self.inverse, ""
            )
        variance = getattr(self.last, "explained_variance_", None)
        if variance is None:
            raise ValueError(
                f"{self.name} does not say how its latents are distributed. Give X, for the "
                f"quantiles of its rows."
            )
        std = np.ones(k) if getattr(self.last, "whiten", False) else np.sqrt(variance)
        return Places(normal * std, np.zeros(k), self.inverse, "")

    def location_and_scale(self, X: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each feature of X, or of generated rows.

        If there are no rows, they are ``mean_`` and 1. A feature that does not vary has scale 1.
        """
        rows = None
        if X is not None and len_of(X) > 1:
            n = len_of(X)
            few = np.linspace(0, n - 1, min(n, _MOMENT_ROWS)).astype(np.intp)
            rows = self.rows(take_rows(X, few))
        if rows is None:
            drawn = self.generated()
            if drawn is None:
                mean = getattr(self.last, "mean_", None)
                n = self.n_decoded
                mean = np.zeros(n) if mean is None else self.undo(np.asarray(mean)[None])[0]
                return mean, np.ones(n)
            rows = self.undo(drawn) if self.table is None else self.last._check_rows(drawn)
        return rows.mean(0), positive_std(rows)

    @property
    def n_decoded(self) -> int:
        """Number of features of a decoded row."""
        if self.table is not None:
            return int(self.table.width)
        return int((self.whole if self.is_undone else self.last).n_features_in_)

    def feature_names(self, X: Any = None, names: Sequence[str] | None = None) -> list[str]:
        """Names of the features of a decoded row: given, fitted, those of X, or x0, x1, ...

        Raises
        ------
        ValueError
            If there are not as many as features.
        """
        n = self.n_decoded
        if names is None:
            source = self.whole if self.is_undone else self.last
            found = getattr(source, "feature_names_in_", None)
            if self.table is not None:
                found = self.table.number_names
            elif found is None and self.is_undone:
                found = getattr(X, "columns", None)
            names = default_names(n) if found is None else list(found)
        if len(names) != n:
            raise ValueError(
                f"feature_names must hold {n} names, one for each feature. Got {len(names)}."
            )
        return [str(name) for name in names]

    def features(
        self, X: Any, names: Sequence[str] | None, image_shape: Sequence[int] | None
    ) -> tuple[list[str], tuple[int, ...] | None]:
        """Names of the features of a decoded row, and its shape where it is an image.

        Raises
        ------
        ValueError
            If there are not as many names or pixels as features.
        """
        names = self.feature_names(X, names)
        return names, read_image_shape(image_shape, len(names))

    def latent_names(self) -> list[str]:
        """Name of each latent, with its share of X's variance where that is known."""
        share = getattr(self.last, "explained_variance_ratio_", None)
        if share is None:
            return [f"latent {i}" for i in range(self.n_components)]
        digits = [0 if s >= 0.0995 else 1 for s in share]
        return [
            f"latent {i} ({100 * s:.{n}f} % of variance)"
            for i, (s, n) in enumerate(zip(share, digits, strict=True))
        ]


def has_standard_normal_prior(estimator: Any) -> bool:
    """Whether latents of ``decode`` have the standard normal prior."""
    prior = getattr(estimator, "prior", None)
    return hasattr(estimator, "decode") and repr(prior) in ("'standard_normal'", "StandardNormal()")


def len_of(X: Any) -> int:
    """Number of rows, of a sparse X too."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def take_rows(X: Any, index: np.ndarray) -> Any:
    """Rows of an array, a sparse matrix or a DataFrame."""
    if hasattr(X, "iloc"):
        return X.iloc[index]
    if hasattr(X, "tocsr"):
        return X.tocsr()[index]
    return X[index] if hasattr(X, "shape") else np.asarray(X)[index]


@contextmanager
def _unnamed_rows() -> Iterator[None]:
    """Let the model's own rows, which have no names, pass without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        yield


def _dense(X: Any) -> np.ndarray:
    X = as_numpy(X)
    dense = np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=np.float64)
    return dense[:, None] if dense.ndim == 1 else dense


def positive_std(rows: np.ndarray) -> np.ndarray:
    """Standard deviation of each feature; 1 where it does not vary."""
    std = rows.std(0)
    # Rounding leaves a constant column of large numbers a standard deviation just above zero.
    return np.where(std > 1e-12, std, 1.0)


def most_changed(rows: np.ndarray, scale: np.ndarray, most: int) -> np.ndarray:
    """Features that differ most over some rows, in units of ``scale``, the largest change first."""
    change = np.ptp(rows, axis=0) / scale
    return np.argsort(-change, kind="stable")[:most]
