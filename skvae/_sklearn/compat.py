"""Every private name of scikit-learn that is used here, under a public one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import sklearn
from sklearn.base import _fit_context as fit_context
from sklearn.decomposition import _pca
from sklearn.utils import _array_api
from sklearn.utils._indexing import _get_column_indices as column_indices
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    MissingValues,
    RealNotInt,
    StrOptions,
)
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_n_features as check_n_features
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
        def _repr_html_inner(self) -> str: ...
        def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]: ...

    class BaseComposition(BaseEstimator):
        """What is used of scikit-learn's."""

        def _get_params(self, attr: str, deep: bool = True) -> dict[str, Any]: ...
        def _set_params(self, attr: str, **params: Any) -> BaseEstimator: ...

    class CallbackSupportMixin:
        """What is used of scikit-learn's."""

        def set_callbacks(self, *callbacks: Any) -> Any: ...
        def _init_callback_context(self, *, max_subtasks: int | None) -> Any: ...

    class TransformerMixin:
        """What is used of scikit-learn's."""

        n_features_in_: int
        feature_names_in_: np.ndarray

        def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any: ...
        def set_output(self, *, transform: str | None = None) -> Any: ...

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
    from sklearn.utils.metaestimators import _BaseComposition as BaseComposition

    # scikit-learn 1.9 brought callbacks.
    try:
        from sklearn.callback import CallbackSupportMixin
    except ImportError:

        class CallbackSupportMixin:
            """Support for those that this package calls itself."""

            def set_callbacks(self, *callbacks: Any) -> Any:
                """Set callbacks that a fit tells of its progress itself.

                Parameters
                ----------
                *callbacks : skvae.callbacks.Checkpoint
                    Those to set, instead of any before.

                Returns
                -------
                self : object
                    The estimator.

                Raises
                ------
                ImportError
                    If one is of those that need scikit-learn 1.9.
                """
                for callback in callbacks:
                    if not hasattr(callback, "record"):
                        raise ImportError(
                            f"{type(callback).__name__} needs scikit-learn 1.9 or later. Got "
                            f"scikit-learn {sklearn.__version__}. Update it, or set none but "
                            f"skvae.callbacks.Checkpoint."
                        )
                self._skl_callbacks = list(callbacks)
                return self


Method = TypeVar("Method", bound=Callable[..., Any])

try:
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:
    _with_callbacks = None

# Whether this scikit-learn has callbacks.
HAS_CALLBACKS = _with_callbacks is not None

__all__ = [
    "HAS_CALLBACKS",
    "BaseComposition",
    "BaseEstimator",
    "CallbackSupportMixin",
    "ClassNamePrefixFeaturesOutMixin",
    "ClassifierMixin",
    "HasMethods",
    "Interval",
    "MissingValues",
    "RealNotInt",
    "StrOptions",
    "TransformerMixin",
    "check_feature_names_in",
    "check_n_features",
    "check_sample_weight",
    "column_indices",
    "fit_context",
    "infer_dimension",
    "is_pandas_na",
    "is_scalar_nan",
    "move_to_kind",
    "output_library",
    "set_output_library",
    "with_callbacks",
]


def with_callbacks(method: Method) -> Method:
    """Decorate a method that runs callbacks, so that each is torn down however it ends."""
    return method if _with_callbacks is None else _with_callbacks(method)


def infer_dimension(eigenvalues: np.ndarray, n_samples: int) -> int:
    """Minka's maximum-likelihood number of components, as in ``PCA(n_components="mle")``."""
    return int(_pca._infer_dimension(eigenvalues, n_samples))


def output_library(estimator: Any, method: str = "transform") -> str | None:
    """Name the library that ``set_output`` asks for, for this estimator or all; None for arrays."""
    if method == "transform":
        library = _get_output_config(method, estimator)["dense"]
    else:
        library = getattr(estimator, "_sklearn_output_config", {}).get(method, "default")
    return None if library == "default" else library


def move_to_kind(array: np.ndarray, like: Any) -> Any:
    """Give a NumPy array in the library and on the device of an array; dispatch has to be on."""
    xp, _, device = _array_api.get_namespace_and_device(like)
    if hasattr(_array_api, "move_to"):  # since 1.8
        return _array_api.move_to(array, xp=xp, device=device)
    return xp.asarray(array, device=device)


def set_output_library(estimator: Any, method: str, library: str) -> None:
    """Keep the library that a method of this estimator shall give, where clones take it along."""
    estimator._sklearn_output_config = {
        **getattr(estimator, "_sklearn_output_config", {}),
        method: library,
    }
