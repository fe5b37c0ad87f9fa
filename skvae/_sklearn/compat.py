"""What is private in scikit-learn, or differs between its supported versions."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import _pca


def infer_dimension(eigenvalues: np.ndarray, n_samples: int) -> int:
    """Minka's maximum-likelihood number of components, as in ``PCA(n_components="mle")``."""
    return int(_pca._infer_dimension(eigenvalues, n_samples))
