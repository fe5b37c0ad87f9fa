"""The linear model that a fitted estimator's published attributes describe: PCA's side of it."""

from __future__ import annotations

import numpy as np
from scipy import linalg
from sklearn.utils.validation import check_is_fitted

from skvae.inference import Fitted, noise_along


class LinearModel:
    """PCA's attributes, and what PCA computes from them."""

    _fitted: Fitted
    components_: np.ndarray
    explained_variance_: np.ndarray
    noise_variance_: float | np.ndarray
    n_active_components_: int
    n_features_in_: int
    n_samples_: int

    def _publish_linear(self, dtype: np.dtype) -> None:
        """Set PCA's attributes, in the type of X as PCA does."""
        report, view = self._fitted.report, self._fitted.view
        variance, total = report.explained_variance, view.total_variance
        # What nothing else reads is shared, so that a saved model holds it once.
        published = {
            "mean_": view.center,
            "components_": report.components,
            "explained_variance_": variance.copy(),
            "explained_variance_ratio_": variance / (total if total > 0 else 1.0),
            "singular_values_": np.sqrt((self.n_samples_ - 1) * variance),
            "noise_variance_": report.noise_variance.copy(),
            "kl_per_component_": report.kl,
        }
        with np.errstate(over="ignore"):  # a variance beyond float32 is infinite in it
            for name, value in published.items():
                if value is not None:
                    setattr(self, name, value.astype(dtype, copy=False))
                elif hasattr(self, name):
                    delattr(self, name)
        if report.noise_variance.size == 1:
            self.noise_variance_ = float(report.noise_variance[0])

    def get_covariance(self) -> np.ndarray:
        """Give the covariance of X under the linear model that the published attributes describe.

        With C the ``components_``, v the ``explained_variance_`` and s the ``noise_variance_`` it
        is C' diag(v - s) C + s I, as in PCA; with one noise variance per feature, s I is a diagonal
        matrix and a latent's s is the noise along its component. At the start with the Gaussian
        likelihood it is PCA's. A trained model is not linear: this is the covariance of the linear
        model with its mean slopes, and that of ``sample`` may differ. Where a row's posterior is a
        point, s is the squared error in the directions that the components leave, as in PCA.
        ``whiten`` changes the units of ``transform``, not the covariance.

        Returns
        -------
        covariance : ndarray of shape (n_features_in_, n_features_in_)
            Estimated covariance of X.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.decomposition import PCA
        >>> from skvae import VariationalAutoencoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> start = VariationalAutoencoder(2, max_iter=0).fit(X)
        >>> np.allclose(start.get_covariance(), PCA(2).fit(X).get_covariance())
        True
        """
        factor, noise = self._factor_and_noise()
        return (factor.T @ factor + np.diag(noise)).astype(self.components_.dtype)

    def get_precision(self) -> np.ndarray:
        """Give the inverse of ``get_covariance``, computed by the matrix inversion lemma.

        Returns
        -------
        precision : ndarray of shape (n_features_in_, n_features_in_)
            Estimated precision of X.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from skvae import VariationalAutoencoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> vae = VariationalAutoencoder(2, max_iter=0).fit(X)
        >>> np.allclose(vae.get_covariance() @ vae.get_precision(), np.eye(4))
        True
        """
        factor, noise = self._factor_and_noise()
        if not noise.all():
            return linalg.inv(self.get_covariance())
        # (N + F'F)^-1 = N^-1 - N^-1 F' (I + F N^-1 F')^-1 F N^-1, with N the noise.
        scaled = factor / noise
        inner = np.eye(len(factor)) + scaled @ factor.T
        precision = np.diag(1.0 / noise) - scaled.T @ linalg.solve(inner, scaled, assume_a="pos")
        return precision.astype(self.components_.dtype)

    def _factor_and_noise(self) -> tuple[np.ndarray, np.ndarray]:
        """F of shape (n_components_, n_features_in_) and the noise of each feature, in float64.

        The covariance is F'F plus the noise.
        """
        check_is_fitted(self)
        components = self.components_.astype(np.float64)
        d = components.shape[1]
        noise = np.resize(np.asarray(self.noise_variance_, dtype=np.float64), d)
        architecture = self._fitted.architecture
        likelihood, posterior = architecture.likelihood, architecture.posterior
        if not posterior.has_density and likelihood.parameter_shapes(d):
            # A noise that is trained around points is their mean squared error over all features.
            # PCA divides the same sum by the number of directions that the components leave.
            left = min(self.n_samples_, d) - self.n_active_components_
            noise = noise * (d / max(left, 1))
        signal = self.explained_variance_ - noise_along(components, noise)
        return np.sqrt(np.maximum(signal, 0.0))[:, None] * components, noise
