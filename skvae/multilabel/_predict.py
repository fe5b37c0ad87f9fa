"""What a fitted multi-label classifier does with rows: map them, score and predict their labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.utils.validation import check_is_fitted

from skvae._core.arrays import as_numpy
from skvae._core.checks import shown
from skvae._core.process import isolated
from skvae._sklearn.compat import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    output_library,
    set_output_library,
)
from skvae._sklearn.estimator import Estimator
from skvae._sklearn.rows import check_rows, on_arrays
from skvae.multilabel._fitted import FittedClassifier
from skvae.multilabel._labels import read_label_sets
from skvae.tables import write_columns


class Predictor(ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Everything between rows and a prediction."""

    _fitted: FittedClassifier
    classes_: np.ndarray
    multilabel_: bool

    def set_output(self, *, transform: str | None = None, predict: str | None = None) -> Any:
        """Choose what ``transform``, and what ``predict`` and its kin, give.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            What ``transform`` and ``fit_transform`` give; None leaves it as it was.
        predict : {"default", "pandas", "polars"}, default=None
            What ``predict``, ``predict_proba`` and ``decision_function`` give where they have a
            column for each label: a frame has the names of ``label_names_in_``, or the classes, and
            a pandas X's index. None leaves it as it was. Sparse label sets stay sparse.

        Returns
        -------
        self : object
            The estimator.
        """
        super().set_output(transform=transform)
        if predict is not None:
            if predict not in ("default", "pandas", "polars"):
                raise ValueError(
                    f"predict must be 'default', 'pandas' or 'polars'. Got {shown(predict)}."
                )
            set_output_library(self, "predict", predict)
        return self

    def _in_columns(self, X: Any, values: Any) -> Any:
        """Give an array with a column for each label as a frame, where that is asked for."""
        library = output_library(self, "predict")
        if library is None or sparse.issparse(values) or values.ndim == 1:
            return values
        names = getattr(self, "label_names_in_", self.classes_)
        frame = write_columns(list(values.T), [str(name) for name in names], library)
        if library == "pandas" and hasattr(X, "index") and hasattr(X, "columns"):
            frame.index = X.index
        return frame

    def _rows(self, X: Any) -> Any:
        """Check rows to be judged."""
        check_is_fitted(self)
        return check_rows(self, X, reset=False)

    @isolated
    def transform(self, X: Any) -> np.ndarray:
        """Map rows to the latent space that they share with label sets: Fx(x).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to map.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            Codes, float32 for a float32 X and float64 otherwise.
        """
        X = self._rows(X)
        return self._fitted.codes(X)

    @isolated
    def encode_labels(self, Y: Any) -> np.ndarray:
        """Map label sets to the latent space that they share with rows: Fe(y).

        Parameters
        ----------
        Y : {array-like, sparse matrix} of shape (n_sets, n_labels)
            Label sets, as an indicator matrix with a column for each of ``classes_``; NaN, None, NA
            or -1 is a missing label. One that never varied in training counts for nothing.

        Returns
        -------
        Z : ndarray of shape (n_sets, n_components_)
            Codes.
        """
        check_is_fitted(self)
        values = read_label_sets(Y, self._fitted.architecture.n_labels)
        return self._fitted.label_codes(values)

    @isolated
    def decision_function(self, X: Any) -> np.ndarray:
        """Give how far each label's score is above its threshold: what is positive is predicted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to judge.

        Returns
        -------
        scores : {ndarray, DataFrame} of shape (n_samples, n_labels) or (n_samples,)
            Log-odds less those of ``threshold_``. For a one-dimensional y the scores of its
            classes, whose softmax is ``predict_proba``; of two classes, the second's less the
            first's.
        """
        rows = self._rows(X)
        if self.multilabel_:
            return self._in_columns(X, self._fitted.margins(rows))
        raw = self._fitted.scores(rows)
        return raw[:, 1] - raw[:, 0] if raw.shape[1] == 2 else self._in_columns(X, raw)

    @isolated
    def predict_proba(self, X: Any) -> np.ndarray:
        """Give the probability of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to judge.

        Returns
        -------
        probability : {ndarray, DataFrame} of shape (n_samples, n_labels)
            Of the label being present, in the order of ``classes_``. A tuned ``threshold_`` is not
            in them. For a one-dimensional y they add up to one.
        """
        rows = self._rows(X)
        raw = self._fitted.scores(rows)
        return self._in_columns(X, expit(raw) if self.multilabel_ else softmax(raw, axis=1))

    @isolated
    def predict(self, X: Any) -> Any:
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to judge.

        Returns
        -------
        labels : {ndarray, sparse array, DataFrame} of shape (n_samples, n_labels) or (n_samples,)
            An indicator matrix of integers, sparse where that of fit was; for a one-dimensional y
            the likeliest class.
        """
        rows = self._rows(X)
        if self.multilabel_:
            return self._in_columns(X, self._fitted.label_sets(rows))
        return self.classes_[self._fitted.scores(rows).argmax(1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give the accuracy, as every classifier does: of label sets, that of the whole set.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to judge.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            Their labels, as ``fit`` takes them, none missing.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        accuracy : float
            Share of the rows that are predicted without an error.
        """
        y, weight = as_numpy(y, "y"), as_numpy(sample_weight, "sample_weight")
        with on_arrays():
            return float(super().score(X, y, sample_weight=weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
