"""Every private name of scikit-learn that is used here, under a public one."""

from __future__ import annotations

import numpy as np
from sklearn.base import _fit_context as fit_context
from sklearn.decomposition import _pca
from sklearn.utils._missing import is_pandas_na
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "HasMethods",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "infer_dimension",
    "is_pandas_na",
]


def infer_dimension(eigenvalues: np.ndarray, n_samples: int) -> int:
    """Minka's maximum-likelihood number of components, as in ``PCA(n_components="mle")``."""
    return int(_pca._infer_dimension(eigenvalues, n_samples))
