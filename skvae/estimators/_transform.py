"""What users ask of a fitted autoencoder: transform and its inverse, score, draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skvae._core.arrays import default_names
from skvae._core.process import isolated
from skvae._sklearn.compat import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    output_library,
)
from skvae._sklearn.estimator import check_weight
from skvae._sklearn.rows import check_latents, check_rows, check_table
from skvae.estimators._linear import LinearModel
from skvae.inference import Fitted, check_domain
from skvae.tables import RawTable, Table, read_raw_table, write_columns


class Transformer(LinearModel, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The public methods that read a fitted model and change nothing."""

    _fitted: Fitted
    whiten: bool
    n_components_: int
    score_samples: Callable[..., np.ndarray]

    def _check_rows(self, X: Any) -> Any:
        """Give rows as the numbers that the fitted model takes."""
        check_is_fitted(self)
        table = self._fitted.table
        if table is None:
            X = check_rows(self, X, reset=False)
        else:
            X = table.encode(read_raw_table(check_table(self, X, reset=False)))
        check_domain(self._fitted.architecture.likelihood, X, self._names_of(table))
        return X

    def _names_of(self, table: Table | None) -> Any:
        """Names of the columns of numbers, if X had any."""
        if table is not None:
            return table.number_names
        return getattr(self, "feature_names_in_", None)

    def _decoded(self, latents: np.ndarray) -> Any:
        """Expected rows of latents as users get them."""
        if self._fitted.table is not None:  # of dates and large numbers float32 has not all digits
            latents = latents.astype(np.float64)
        return self._given_out(self._fitted.decode(latents))

    def _given_out(
        self,
        numbers: np.ndarray,
        rng: np.random.Generator | None = None,
        missing: np.ndarray | None = None,
        given: RawTable | None = None,
    ) -> Any:
        """Rows of numbers as users get them: a table as that of fit, or as ``set_output`` asks.

        ``rng``, ``missing`` and ``given`` are as in ``Table.decode``; the latter is of tables.
        """
        table, library = self._fitted.table, output_library(self)
        if table is not None:
            return table.decode(numbers, rng, library, missing, given)
        if missing is not None:
            numbers = np.where(missing, np.nan, numbers)
        if library is None:
            return numbers
        names = getattr(self, "feature_names_in_", default_names(numbers.shape[1]))
        return write_columns(list(numbers.T), names, library)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a fitted model."""
        return hasattr(self, "_fitted")

    @isolated
    def transform(self, X: Any) -> np.ndarray:
        """Map X to the latent space.

        A latent's posterior mean is shrunk towards the prior; the shrinkage is undone, and the
        result scaled by the latent's effect on X (``whiten=True``: to unit variance, an inactive
        latent to units of the noise). Under the Gaussian likelihood the start's transform is PCA's.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, Source} of shape (n_samples, n_features)
            Rows to map.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            Latent coordinates, in X's units, float32 for a float32 X and float64 otherwise.
        """
        X = self._check_rows(X)
        latents = self._fitted.means(X)
        scale = self._fitted.report.unshrink * self._output_scale()
        return latents * scale.astype(latents.dtype)

    def _output_scale(self) -> np.ndarray:
        """Units of the transform for each latent: its effect, or what whitens it."""
        report = self._fitted.report
        if not self.whiten:
            return report.effect
        # An inactive latent explains nothing: the noise's own unit keeps it small and invertible.
        explained, noise = report.explained_variance, np.mean(report.noise_variance)
        variance = np.where(explained > 0, explained, noise)
        return np.divide(
            report.effect, np.sqrt(variance), out=report.effect.copy(), where=variance > 0
        )

    @isolated
    def inverse_transform(self, X: Any) -> np.ndarray:
        """Map latent coordinates back to the space of the rows: the mean of p(x|z).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Coordinates as ``transform`` gives them.

        Returns
        -------
        X_original : {ndarray, DataFrame} of shape (n_samples, n_features_in_)
            Expected rows, in the units of fit; a table as that of fit if the likelihood is by
            columns, with the most probable levels and whole numbers where those of fit were.
        """
        return self._decoded(self._latents(X))

    def _latents(self, X: Any) -> np.ndarray:
        """Latents in the units of ``encode`` for coordinates as ``transform`` gives them."""
        Z = self._check_latents(X, "X")
        scale = self._output_scale()
        return np.divide(Z, scale, out=np.zeros(Z.shape), where=scale > 0).astype(Z.dtype)

    def _numbers(self, X: Any) -> np.ndarray:
        """Means of a table's numbers for coordinates as ``transform`` gives them."""
        return self._fitted.decode(self._latents(X))

    def _check_latents(self, Z: Any, name: str = "Z") -> np.ndarray:
        check_is_fitted(self)
        return check_latents(Z, self.n_components_, name)

    @isolated
    def decode(self, Z: Any) -> np.ndarray:
        """Give E[x|z] of latents in the units of ``encode``, which are not ``transform``'s.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)
            Latents.

        Returns
        -------
        X : {ndarray, DataFrame} of shape (n_samples, n_features_in_)
            Expected rows, in X's units, as ``inverse_transform`` gives them.
        """
        Z = self._check_latents(Z)
        return self._decoded(Z)

    @isolated
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Give the mean of ``score_samples``: what a grid search maximises, as for PCA.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, Source} of shape (n_samples, n_features)
            Rows to score.
        y : Ignored
            Not used; present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        log_likelihood : float
            Mean log-density, in nats per row.
        """
        values = self.score_samples(X)
        if sample_weight is None:
            return float(np.average(values))
        weight, positive = check_weight(sample_weight, values, 1)
        return float(np.average(values[positive], weights=weight))
