"""Every private name of scikit-learn that is used here, under a public one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import _fit_context as fit_context
from sklearn.decomposition import _pca
from sklearn.utils._missing import is_pandas_na
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

if TYPE_CHECKING:
    # scikit-learn has no types: with these a misspelt attribute of an estimator is an error.
    class BaseEstimator:
        """What is used of scikit-learn's."""

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **params: Any) -> BaseEstimator: ...
        def __getstate__(self) -> Any: ...
        def __setstate__(self, state: Any) -> None: ...
        def __sklearn_tags__(self) -> Any: ...

    class TransformerMixin:
        """What is used of scikit-learn's."""

        n_features_in_: int
        feature_names_in_: np.ndarray

        def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any: ...

    class ClassNamePrefixFeaturesOutMixin:
        """What is used of scikit-learn's."""

        _n_features_out: int

    class ClassifierMixin:
        """What is used of scikit-learn's."""

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...

else:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        TransformerMixin,
    )

__all__ = [
    "BaseEstimator",
    "ClassNamePrefixFeaturesOutMixin",
    "ClassifierMixin",
    "HasMethods",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "TransformerMixin",
    "check_sample_weight",
    "fit_context",
    "infer_dimension",
    "is_pandas_na",
]


def infer_dimension(eigenvalues: np.ndarray, n_samples: int) -> int:
    """Minka's maximum-likelihood number of components, as in ``PCA(n_components="mle")``."""
    return int(_pca._infer_dimension(eigenvalues, n_samples))
