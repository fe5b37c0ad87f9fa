"""What users ask of a fitted generative model: rows drawn from it, and cells given others."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from skvae._core.checks import shown
from skvae._core.process import isolated
from skvae._sklearn.caller import warn
from skvae._sklearn.rows import check_rows, check_table, refuse_source
from skvae.estimators._transform import Transformer
from skvae.inference import (
    check_domain,
    conditional_latents,
    draw_latents,
    expected_cells,
)
from skvae.tables import RawTable, given_cells, library_of, plain_table, read_raw_table

# Rows are warned of if fewer effective draws stand behind them, or fewer than this share of the
# draws that are asked for.
_FEW_DRAWS, _FEW_SHARE = 10.0, 0.1


class Generator(Transformer):
    """Draws of a fitted model, and what it says of missing cells."""

    latent_density_: Any

    @isolated
    def impute(self, X: Any, *, n_draws: int = 1000) -> Any:
        """Fill missing cells with their expectation, given the row's other cells.

        It is the mean of p(x|z) over latents drawn from the row's posterior and weighted to be
        draws given its observed cells: self-normalised importance sampling [1]_. With
        ``objective=ImportanceWeighted(10)`` the model is fitted to just this use. Cells that are
        observed stay as they are.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows, whose cells are missing where they are NaN, None, ``pandas.NA`` or null.
        n_draws : int, default=1000
            Draws per row.

        Returns
        -------
        X_filled : {ndarray, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The rows, as they came. Of a category it is the most probable one, of ordered levels and
            whole numbers the nearest to the expectation; of a column with normal scores what these
            are the mean score of. A column that had no cells at fit keeps its gaps.

        References
        ----------
        .. [1] Mattei and Frellsen (2019), "MIWAE: deep generative modelling and imputation of
           incomplete data sets", ICML, eq. 11.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from skvae import VariationalAutoencoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> X[0, 1] = np.nan
        >>> start = VariationalAutoencoder(2, max_iter=0).fit(X)
        >>> start.impute(X[:1]).round(1)
        array([[5.1, 3.4, 1.4, 0.2]])
        """
        check_scalar(n_draws, "n_draws", Integral, min_val=1)
        refuse_source(
            X, "impute gives all rows back, in memory", "Give rows of it, such as source[:1000]."
        )
        rows = self._check_rows(X)
        missing = np.flatnonzero(np.isnan(rows.sum(1)))
        numbers = rows.toarray() if sparse.issparse(rows) else np.array(rows)
        if len(missing):
            filled = expected_cells(self._fitted, rows[missing], n_draws)
            numbers[missing] = np.where(np.isnan(numbers[missing]), filled, numbers[missing])
        table, library = self._fitted.table, library_of(X)
        if library is None and table is None:
            return type(rows)(numbers) if sparse.issparse(rows) else numbers
        raw_table = read_raw_table(X)
        result = (table or plain_table(raw_table)).decode(numbers, library=library, given=raw_table)
        if library == "pandas":
            result.index = X.index
        return result

    @isolated
    def sample(
        self,
        n_samples: int = 1,
        *,
        given: Any = None,
        missing: bool = False,
        random_state: Any = None,
        observation_noise: bool = True,
    ) -> Any:
        """Generate rows: draw latents from the prior or ``latent_density_``, then rows from p(x|z).

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, or with ``given`` of rows for each given one.
        given : dict, DataFrame or array-like of shape (n_given, n_features), default=None
            Cells that are to be as they are here; others are drawn given these. A dict has values
            by the names of columns, a frame may have some of the columns, and what is missing is
            drawn. Latents are then chosen from draws of each row's posterior by their weights:
            sampling importance resampling.
        missing : bool, default=False
            Whether rows lack cells as those of fit did, whatever their values.
        random_state : int, RandomState instance or None, default=None
            Seeds the draws; None gives other rows at each call.
        observation_noise : bool, default=True
            Whether to draw from p(x|z); False gives its mean.

        Returns
        -------
        X : {ndarray, DataFrame} of shape (n_samples, n_features_in_)
            Rows in X's units and in the dtypes of fit; numbers of a table stay within the range of
            fit. With ``given`` there are n_samples rows for the first of these, then those for the
            second.

        Raises
        ------
        ValueError
            If a row's posterior is a point, no regulariser made the points follow the prior, and no
            latent density was fitted; or if ``given`` names no column, or a level that was not
            there.

        Warns
        -----
        UserWarning
            If few draws have all the weight, so that the rows are not what they should be.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from skvae import VariationalAutoencoder
        >>> frame = load_wine(as_frame=True).frame
        >>> vae = VariationalAutoencoder(2, likelihood="auto", max_iter=0).fit(frame)
        >>> rows = vae.sample(100, given={"target": 2}, random_state=0)
        >>> bool((rows["target"] == 2).all() and rows["hue"].mean() < frame["hue"].mean())
        True
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        rng = np.random.default_rng(seed)
        fitted, raw_table, offset = self._fitted, None, None
        if given is None:
            Z = self._drawn_latents(n_samples, seed)
        else:
            rows, raw_table = self._conditions(given)
            Z = self._latents_given(rows, n_samples, seed)
            rows = rows.repeat(n_samples, 0)
            offset = fitted.view.offset(rows)
        if fitted.table is not None:
            Z = Z.astype(np.float64)  # of dates and large numbers float32 has not all digits
        numbers = fitted.decode(Z, rng if observation_noise else None, offset)
        gaps = fitted.missingness.draw(len(Z), rng) if missing else None
        if given is not None:
            numbers = np.where(np.isnan(rows), numbers, rows)
            if gaps is not None and raw_table is None:
                gaps &= np.isnan(rows)
        if raw_table is not None:
            raw_table = raw_table.take(np.arange(raw_table.n_samples).repeat(n_samples))
        return self._given_out(numbers, rng if observation_noise else None, gaps, raw_table)

    def _drawn_latents(self, n_samples: int, seed: int) -> np.ndarray:
        """Draw latents from the prior, or the latent density."""
        fitted = self._fitted
        regularizer, posterior = fitted.architecture.regularizer, fitted.architecture.posterior
        alike = posterior.has_density or (regularizer is not None and regularizer.matches_prior)
        if hasattr(self, "latent_density_"):
            return draw_latents(self.latent_density_, n_samples, seed).astype(fitted.dtype)
        if alike:
            return fitted.sample_prior(n_samples, seed)
        raise ValueError(
            f"Nothing made the points of {shown(posterior)} follow the prior, so draws of it "
            f"would be no rows like X. Fit with latent_density=GaussianMixture(10), or with "
            f"regularizer='maximum_mean_discrepancy'."
        )

    def _latents_given(self, rows: np.ndarray, n_samples: int, seed: int) -> np.ndarray:
        """Draw latents of given rows."""
        fitted, log_prior = self._fitted, None
        if not fitted.architecture.posterior.has_density:
            raise ValueError(
                f"The posterior {shown(fitted.architecture.posterior)} is a point, so given cells "
                f"say nothing about the others. Fit a VariationalAutoencoder, or leave given=None."
            )
        if hasattr(self, "latent_density_"):
            density, order = self.latent_density_, fitted.report.order

            def log_prior(z: torch.Tensor) -> torch.Tensor:
                flat = z.reshape(-1, z.shape[-1])[:, order].numpy()
                return torch.as_tensor(density.score_samples(flat)).reshape(z.shape[:-1]).to(z)

        Z, effective = conditional_latents(fitted, rows, n_samples, seed, log_prior)
        if effective.min() < max(_FEW_DRAWS, _FEW_SHARE * n_samples):
            warn(
                f"Of the draws for row {effective.argmin()} of given only {effective.min():.1f} "
                f"count, because the model has hardly seen such cells together: the rows are not "
                f"spread as they should be. Give fewer cells, or fit with rows like these.",
                UserWarning,
            )
        return Z.reshape(-1, Z.shape[-1])

    def _conditions(self, given: Any) -> tuple[np.ndarray, RawTable | None]:
        """Read given cells: as numbers, NaN where they are to be drawn, and of a table as such."""
        refuse_source(given, "given are cells of few rows", "Give these, such as source[:10].")
        table, raw_table = self._fitted.table, None
        if table is not None:
            names: list[Any] = table.names
        else:
            names = list(getattr(self, "feature_names_in_", range(self.n_features_in_)))
        if isinstance(given, Mapping):
            kinds = None if table is None else [column.kind for column in table.columns]
            raw_table = given_cells(given, names, kinds)
        elif library_of(given) is not None:
            raw_table = read_raw_table(given).aligned(names)
        elif table is not None:
            raw_table = read_raw_table(check_table(self, given, reset=False))
        if table is not None and raw_table is not None:
            rows = table.encode(raw_table)
            table.check_given(raw_table, rows)
        elif raw_table is not None:
            rows, raw_table = raw_table.numbers, None
        else:
            rows = check_rows(self, given, reset=False)
            rows = rows.toarray() if sparse.issparse(rows) else rows
        check_domain(self._fitted.architecture.likelihood, rows, self._names_of(table))
        return rows.astype(self._fitted.dtype), raw_table
