"""The imputer: scikit-learn's contract around a variational autoencoder."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.impute import MissingIndicator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skvae._core.arrays import as_numpy
from skvae._core.process import isolated
from skvae._sklearn.compat import (
    Interval,
    MissingValues,
    StrOptions,
    TransformerMixin,
    check_feature_names_in,
    fit_context,
    is_pandas_na,
    is_scalar_nan,
    with_callbacks,
)
from skvae._sklearn.estimator import Estimator
from skvae._sklearn.kind import in_kind
from skvae._sklearn.rows import check_rows, check_table, refuse_source
from skvae.estimators._base import BaseAutoencoder
from skvae.estimators._components import LIKELIHOODS, OBJECTIVES, resolve
from skvae.estimators._holdout import N_TRIALS, choose_by_hidden_cells
from skvae.estimators._read import by_columns
from skvae.estimators._vae import VariationalAutoencoder
from skvae.fitting import TERMS
from skvae.tables import (
    as_missing,
    join_columns,
    library_of,
    missing_cells,
    plain_table,
    read_raw_table,
    take_columns,
)
from skvae.watching import Watch, check_no_callbacks

# Where cells are few, a tenth of the rows is worth more in training than as a judge of it: hidden
# cells say so (docs/choices.md).
_EPOCHS = 100


def _adds_indicators(imputer: VAEImputer) -> bool:
    return imputer.add_indicator


class VAEImputer(TransformerMixin, Estimator):
    """Fill missing cells by a variational autoencoder.

    Before training it is factor analysis of the rows with gaps, and its fills are exact conditional
    means; training goes on from there where held-out rows prove a gain [1]_. It takes arrays and,
    with columns of all kinds, pandas and polars frames, and gives them back as they came.

    Parameters
    ----------
    estimator : VariationalAutoencoder, default=None
        What is fitted, as a clone. By default ``VariationalAutoencoder`` with
        ``objective=ImportanceWeighted(10)``, the likelihood ``Gaussian("feature")`` for arrays or
        "auto" for frames, and 100 epochs on all rows; with ``n_components="auto"`` none, if cells
        that are hidden are filled no better after them.
    n_components : int or "auto", default="auto"
        Number of latents; with "auto" the one whose start fills hidden cells best: a tenth of those
        observed, hidden three times. An ``estimator`` that is given keeps its own with None.
    strategy : {"mean", "sample"}, default="mean"
        Fill with the expectation given the row's other cells, the most probable level of
        categories; or with a draw, by which several fills show what is not known: multiple
        imputation [2]_.
    n_draws : int, default=1000
        Draws of a row's posterior for the expectation.
    missing_values : int, float, str, np.nan, None or pandas.NA, default=np.nan
        What stands for a missing cell. With NaN all of NaN, None, ``pandas.NA`` and null do.
    add_indicator : bool, default=False
        Whether to add a column for each that had gaps at fit, that says where they were.
    keep_empty_features : bool, default=False
        Whether to keep columns without a cell at fit; in arrays they are filled with 0, in frames
        they stay missing.
    random_state : int, RandomState instance or None, default=None
        Seeds the hidden cells, the fit where ``estimator`` sets no seed, and draws.

    Attributes
    ----------
    estimator_ : VariationalAutoencoder
        Fitted to the rows.
    n_components_ : int
        Number of its latents.
    indicator_ : MissingIndicator or None
        What adds columns.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has such.

    See Also
    --------
    VariationalAutoencoder.impute : The same without scikit-learn's conventions for imputers.
    sklearn.impute.IterativeImputer : A regression of each column on the others, in turn.

    References
    ----------
    .. [1] Mattei and Frellsen (2019), "MIWAE: deep generative modelling and imputation of
       incomplete data sets", ICML.
    .. [2] Rubin (1987), "Multiple imputation for nonresponse in surveys", chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VAEImputer, VariationalAutoencoder
    >>> X, _ = load_iris(return_X_y=True)
    >>> X[0, 1] = np.nan
    >>> start = VariationalAutoencoder(max_iter=0)
    >>> VAEImputer(start, n_components=2, random_state=0).fit_transform(X)[0].round(1)
    array([5.1, 3.4, 1.4, 0.2])
    """

    _state_version = 1

    _parameter_constraints: dict = {
        "estimator": [BaseAutoencoder, None],
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "strategy": [StrOptions({"mean", "sample"})],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "missing_values": [MissingValues()],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "random_state": ["random_state"],
    }

    n_features_in_: int
    indicator_: MissingIndicator | None
    # Whether columns may be of any kind, and which had cells at fit.
    _is_table: bool
    _is_kept: np.ndarray

    def __init__(
        self,
        estimator: BaseAutoencoder | None = None,
        *,
        n_components: int | str | None = "auto",
        strategy: str = "mean",
        n_draws: int = 1000,
        missing_values: Any = np.nan,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_components = n_components
        self.strategy = strategy
        self.n_draws = n_draws
        self.missing_values = missing_values
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=False)
    @isolated
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to rows with gaps.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows; at least two.
        y : Ignored
            Not used; present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        self : object
            The fitted imputer.

        Raises
        ------
        ValueError
            If no cell is observed, a parameter is outside its domain, or ``estimator`` has
            callbacks of its own.
        """
        # Hidden cells, and all rows. As in the estimators, callbacks come before the block.
        watch = Watch(self, TERMS).call(self, 2, X, y, sample_weight)
        with self._restored_on_failure(), watch:
            estimator = self._chosen(X)
            self._is_table = by_columns(estimator.likelihood) is not None
            X, missing = self._checked(X, reset=True)
            weight = as_numpy(sample_weight, "sample_weight")
            weight = None if weight is None else np.asarray(weight)
            rng = watch.remember(self, {"X": X, "sample_weight": weight})
            if estimator.random_state is None:
                estimator.set_params(random_state=int(rng.randint(2**31 - 1)))
            self._is_kept = np.logical_not(missing.all(0))
            if not self._is_kept.any():
                raise ValueError(
                    f"All cells of the {len(missing)} rows are missing. "
                    f"Pass rows with observed cells."
                )
            self.indicator_ = None
            if self.add_indicator:
                self.indicator_ = MissingIndicator(error_on_new=False).fit(_holes(missing))
            X = take_columns(X, self._is_kept)
            if self.n_components == "auto":
                is_own = self.estimator is None
                judge = watch if is_own else None
                with watch.stage("hidden cells", N_TRIALS if is_own else 0):
                    estimator.set_params(
                        **choose_by_hidden_cells(estimator, X, sample_weight, rng, judge)
                    )
            elif self.n_components is not None:
                estimator.set_params(n_components=self.n_components)
            with watch.within("training", estimator):
                self.estimator_ = estimator.fit(X, sample_weight=sample_weight)
            self.n_components_ = self.estimator_.n_components_
        return self

    @isolated
    def transform(self, X: Any) -> Any:
        """Fill the gaps of rows.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X_filled : {ndarray, DataFrame} of shape (n_samples, n_features_out)
            The rows without gaps: without columns that had no cell at fit, unless they are to be
            kept, and with indicators, if they are to be added.
        """
        check_is_fitted(self)
        X, missing = self._checked(X, reset=False)
        if library_of(X) is not None and not hasattr(self, "feature_names_in_"):
            X = X.to_numpy()  # as the rows of fit
        kept = take_columns(X, self._is_kept)
        if self.strategy == "sample":
            filled = self.estimator_.sample(given=kept, random_state=self.random_state)
            if library_of(X) is not None and not self._is_table:
                raw_table = read_raw_table(kept)
                filled = plain_table(raw_table).decode(filled, given=raw_table)
            if library_of(X) == "pandas":
                filled.index = X.index
        else:
            filled = self.estimator_.impute(kept, n_draws=self.n_draws)
        if self.keep_empty_features and not self._is_kept.all():
            if library_of(X) is None:
                whole = np.zeros((len(filled), len(self._is_kept)), filled.dtype)
                whole[:, self._is_kept] = filled
                filled = whole
            else:
                empty = take_columns(X, ~self._is_kept)
                filled = take_columns(join_columns(filled, empty), list(X.columns))
        if self.indicator_ is None:
            return filled
        marks = self.indicator_.transform(_holes(missing))
        names = self.indicator_.get_feature_names_out(check_feature_names_in(self))
        return join_columns(filled, marks, names)

    @available_if(_adds_indicators)
    @in_kind
    @isolated
    def inverse_transform(self, X: Any) -> np.ndarray:
        """Put the gaps back, which the indicators of ``add_indicator`` mark.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            As ``transform`` gives them.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features_in_)
            Rows with ``missing_values`` where they were in columns that had some at fit.

        Raises
        ------
        AttributeError
            If no indicators are added: without them nobody knows where the gaps were.
        ValueError
            If X has other columns than ``transform`` gives.
        """
        check_is_fitted(self)
        cells = np.asarray(X)
        kept = np.full(len(self._is_kept), True) if self.keep_empty_features else self._is_kept
        n_kept = int(kept.sum())
        marked = [] if self.indicator_ is None else self.indicator_.features_
        if cells.ndim != 2 or cells.shape[1] != n_kept + len(marked):
            raise ValueError(
                f"X must have the {n_kept + len(marked)} columns that transform gives. Got an array"
                f" of shape {cells.shape}."
            )
        original = np.full((len(cells), len(kept)), self.missing_values, dtype=cells.dtype)
        original[:, kept] = cells[:, :n_kept]
        holes = np.zeros(original.shape, dtype=bool)
        holes[:, marked] = cells[:, n_kept:].astype(bool)
        original[holes] = self.missing_values
        return original

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns that ``transform`` gives.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns, where those of fit had none.

        Returns
        -------
        names : ndarray of str objects
            Of the columns that are kept, then of the indicators.
        """
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        kept = names if self.keep_empty_features else names[self._is_kept]
        if self.indicator_ is None:
            return kept
        return np.concatenate([kept, self.indicator_.get_feature_names_out(names)])

    def _chosen(self, X: Any) -> BaseAutoencoder:
        """What is to be fitted, an object of its own."""
        if self.estimator is not None:
            check_no_callbacks(self.estimator, type(self).__name__)
            return clone(self.estimator)
        by_column = resolve("gaussian", LIKELIHOODS).set_params(noise="feature")
        likelihood = "auto" if hasattr(X, "columns") else by_column
        objective = resolve("importance_weighted", OBJECTIVES).set_params(n_draws=10)
        return VariationalAutoencoder(
            likelihood=likelihood, objective=objective, early_stopping=False, max_iter=_EPOCHS
        )

    def _checked(self, X: Any, reset: bool) -> tuple[Any, np.ndarray]:
        """Rows with gaps, and where these are, (n_samples, n_features)."""
        refuse_source(
            X,
            "VAEImputer gives all rows back, in memory",
            "Fit a VariationalAutoencoder to it, and fill rows block by block, with "
            "impute(source[:1000]) for instance.",
        )
        value = self.missing_values
        if not (value is None or is_scalar_nan(value) or is_pandas_na(value)):
            X = as_missing(X, self.missing_values)
        least = 2 if reset else 1
        if self._is_table or library_of(X) is not None:
            X = check_table(self, X, reset=reset, ensure_min_samples=least)
        else:
            X = check_rows(self, X, reset=reset, ensure_min_samples=least, accept_sparse=False)
        return X, missing_cells(X)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a fitted model."""
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _holes(missing: np.ndarray) -> np.ndarray:
    return np.where(missing, np.nan, 0.0)
