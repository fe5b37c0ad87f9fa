"""Inference with a fitted estimator, block by block: transform and its inverse, score, draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from skvae._core.arrays import as_tensor
from skvae._core.checks import shown
from skvae._core.math import normal_draws
from skvae._core.process import isolated
from skvae._sklearn.estimator import check_weight
from skvae._sklearn.rows import check_latents, check_rows
from skvae.fitting._fit import make_rows
from skvae.inference._density import draw_latents
from skvae.inference._linear import LinearModel
from skvae.inference._report import latent_report
from skvae.likelihoods import Likelihood
from skvae.model._model import Architecture, Layout, Model
from skvae.starts._principal import Units, set_inputs
from skvae.tables import Batch

# Cells that a block of rows may fill: enough for BLAS, bounded in memory.
BLOCK_CELLS = 2**22

TORCH_DTYPES = {"float64": torch.float64, "float32": torch.float32}


def check_domain(likelihood: Likelihood, X: Any) -> None:
    """Raise ValueError where checked rows, dense or sparse, are outside a likelihood's domain."""
    if not likelihood.has_domain:
        return
    values = X.data if sparse.issparse(X) else X
    # The zeros of a sparse X are not among its data.
    edge = {"initial": 0.0} if sparse.issparse(X) else {}
    likelihood.check_targets(float(values.min(**edge)), float(values.max(**edge)))


class Rowwise:
    """Results of blocks of rows, written to one array.

    Small arrays kept between the large ones of the blocks would keep the allocator from using
    their memory again: a likelihood by 5000 draws then grows by megabytes a row.
    """

    array: np.ndarray

    def __init__(self, n_rows: int) -> None:
        self.n_rows, self.n_done = n_rows, 0

    def append(self, block: np.ndarray) -> None:
        """Write the results of the next rows."""
        if self.n_done == 0:
            self.array = np.empty((self.n_rows, *block.shape[1:]), block.dtype)
        self.array[self.n_done : self.n_done + len(block)] = block
        self.n_done += len(block)


class FittedModel(LinearModel, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """What a fitted estimator does with rows and latents: it reads state and changes none."""

    whiten: bool
    score_samples: Callable[..., np.ndarray]

    def _model(self, dtype: torch.dtype) -> Model:
        """Build the fitted model on its arrays, for inference."""
        values = as_tensor(self._parameters, dtype)
        architecture = Architecture(**self._architecture)
        model = Model(architecture, dtype, "cpu", torch.Generator(), values, self._saved_layout)
        return self._with_constants(model)

    @property
    def _saved_layout(self) -> Layout | None:
        """What the parameters and buffers were when they were saved, where the state says so."""
        return vars(self).get("_layout")

    def _with_constants(self, model: Model) -> Model:
        """Give the model all that is fitted beside its parameters."""
        for name, tensor in model.buffers.items():
            tensor.copy_(as_tensor(self._buffers[name]))
        set_inputs(model, Units(**self._units))
        model.train(False)
        return model

    def _check_rows(self, X: Any) -> Any:
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        check_domain(self.likelihood_, X)
        return X

    def _blocks(self, X: Any, width: int) -> Iterator[tuple[Model, Any]]:
        """Yield the model, in X's dtype, and blocks of checked rows, each at most so many cells."""
        model = self._model(TORCH_DTYPES[X.dtype.name])
        step = max(1, BLOCK_CELLS // width)
        for start in range(0, X.shape[0], step):
            yield model, X[start : start + step]

    def _working(self, model: Model, block: Any) -> Batch:
        """Rows of X as training sees them."""
        return make_rows(model, block, None, Units(**self._units)).part(slice(None))

    @torch.no_grad()
    def _encoded(self, X: Any, read: Callable[[Model, torch.Tensor], torch.Tensor]) -> np.ndarray:
        """Read something off the encoder's output for each checked row, in X's dtype.

        ``read`` gets the model and the raw output, shape (rows, n_raw).
        """
        units = Units(**self._units)
        results = Rowwise(X.shape[0])
        for model, block in self._blocks(X, self._row_width()):
            raw = model.encoder.evaluate_rows(block, units.shift, units.scale)
            if raw is None:
                output = model.encoder.evaluate(self._working(model, block).inputs)
            else:
                output = as_tensor(raw)
            results.append(read(model, output).numpy())
        return results.array

    def _read_log_weights(
        self, X: Any, n_draws: int, read: Callable[[torch.Tensor], torch.Tensor]
    ) -> np.ndarray:
        """Read something off each checked row's log p(x, z) - log q(z|x), in X's units.

        ``read`` maps log weights (draws, rows) to a tensor whose first axis is the rows'.
        """
        check_scalar(n_draws, "n_draws", Integral, min_val=1)
        posterior = self._architecture["posterior"]
        if not posterior.has_density:
            raise ValueError(
                f"The posterior {shown(posterior)} is a point, so there is no likelihood of a row. "
                f"Fit a VariationalAutoencoder with posterior='diagonal_normal', or compare rows "
                f"with inverse_transform's."
            )
        draws = normal_draws(n_draws, self.n_components_, self._seed).unsqueeze(1)

        def values(model: Model, batch: Batch) -> torch.Tensor:
            return read(model.log_weights(batch, draws.to(batch.inputs)) - self._log_jacobian)

        return self._read_batches(X, n_draws, values)

    @torch.no_grad()
    def _read_batches(
        self, X: Any, n_draws: int, read: Callable[[Model, Batch], torch.Tensor]
    ) -> np.ndarray:
        """Read something off batches of checked rows in working units, the rows' axis first."""
        results = Rowwise(X.shape[0])
        for model, block in self._blocks(X, n_draws * self._row_width()):
            results.append(read(model, self._working(model, block)).numpy())
        return results.array

    @property
    def _log_jacobian(self) -> float:
        """Log-densities in X's units are those in working units less this."""
        return self.n_features_in_ * math.log(self._units["scale"])

    def _row_width(self) -> int:
        """Widest array that the model makes of a row."""
        return Architecture(**self._architecture).width

    def _moments_of(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means and standard deviations of checked rows, latents sorted."""

        def moments(model: Model, raw: torch.Tensor) -> torch.Tensor:
            q = model.read_posterior(raw)
            return torch.stack([q.mean, q.variance.sqrt()], 1)

        both = self._encoded(X, moments)[..., self._order]
        return both[:, 0], both[:, 1]

    @isolated
    def transform(self, X: Any) -> np.ndarray:
        """Map X to the latent space.

        A latent's posterior mean is shrunk towards the prior; the shrinkage is undone, and the
        result scaled by the latent's effect on X (``whiten=True``: to unit variance, an inactive
        latent to units of the noise). Under the Gaussian likelihood the start's transform is PCA's.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to map.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            Latent coordinates, in X's units, float32 for a float32 X and float64 otherwise.
        """
        latents = self._encoded(self._check_rows(X), Model.posterior_mean)
        latents = latents[:, self._order]
        return latents * (self._unshrink * self._output_scale()).astype(latents.dtype)

    def _output_scale(self) -> np.ndarray:
        """Units of the transform for each latent: its effect, or what whitens it."""
        if not self.whiten:
            return self._effect
        # The published variances may be float32. An inactive latent explains nothing: the noise's
        # own unit keeps it small and invertible.
        report = latent_report(self._moments, self._architecture["posterior"].has_density)
        explained, noise = report.explained_variance, np.mean(report.noise_variance)
        variance = np.where(explained > 0, explained, noise)
        return np.divide(
            self._effect, np.sqrt(variance), out=self._effect.copy(), where=variance > 0
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
        X_original : ndarray of shape (n_samples, n_features_in_)
            Expected rows, in the units of fit.
        """
        Z = self._check_latents(X, "X")
        scale = self._output_scale()
        latents = np.divide(Z, scale, out=np.zeros(Z.shape), where=scale > 0).astype(Z.dtype)
        return self._decoded(latents, _mean)

    def _check_latents(self, Z: Any, name: str = "Z") -> np.ndarray:
        check_is_fitted(self)
        return check_latents(Z, self.n_components_, name)

    @torch.no_grad()
    def _decoded(
        self, latents: np.ndarray, read: Callable[[Model, torch.Tensor], torch.Tensor]
    ) -> np.ndarray:
        """Decode sorted latents block by block and read rows, in X's units, off the raw output."""
        model = self._model(TORCH_DTYPES[latents.dtype.name])
        z = np.empty_like(latents)
        z[:, self._order] = latents
        units = Units(**self._units)
        shift = units.shift.astype(latents.dtype)
        X = np.empty((len(z), self.n_features_in_), dtype=latents.dtype)
        step = max(1, BLOCK_CELLS // self._row_width())
        for start in range(0, len(z), step):
            rows = slice(start, start + step)
            working = read(model, model.decode(as_tensor(z[rows])))
            X[rows] = working.numpy() * latents.dtype.type(units.scale) + shift
        return X

    @isolated
    def decode(self, Z: Any) -> np.ndarray:
        """Give E[x|z] for latents as ``encode`` has them, in units other than ``transform``'s.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)
            Latents.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_)
            Expected rows, in X's units.
        """
        return self._decoded(self._check_latents(Z), _mean)

    @isolated
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Give the mean of ``score_samples``: what a grid search maximises, as for PCA.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.
        y : Ignored
            Not used; there for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        log_likelihood : float
            Mean log-density of a row, in nats.
        """
        values = self.score_samples(X)
        if sample_weight is None:
            return float(np.average(values))
        weight, positive = check_weight(sample_weight, values, 1)
        return float(np.average(values[positive], weights=weight))

    @isolated
    def sample(
        self, n_samples: int = 1, *, random_state: Any = None, observation_noise: bool = True
    ) -> np.ndarray:
        """Generate rows: draw latents from the prior or ``latent_density_``, then rows from p(x|z).

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seeds the draws; None gives others at each call.
        observation_noise : bool, default=True
            Whether to draw from p(x|z); False gives its mean.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_)
            Rows in X's units and in the dtype of fit.

        Raises
        ------
        ValueError
            If a row's posterior is a point, no regulariser made the points follow the prior, and no
            latent density was fitted.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        generator = torch.Generator().manual_seed(seed)

        def draw(model: Model, raw: torch.Tensor) -> torch.Tensor:
            return model.likelihood.sample(raw, model.shared.params, generator)

        components, dtype = self._architecture, TORCH_DTYPES[self._fit_dtype]
        regularizer, posterior = components["regularizer"], components["posterior"]
        alike = posterior.has_density or (regularizer is not None and regularizer.matches_prior)
        if not (alike or hasattr(self, "latent_density_")):
            raise ValueError(
                f"Nothing made the points of {shown(posterior)} follow the prior, so draws of it "
                f"would be no rows like X. Fit with latent_density=GaussianMixture(10), or with "
                f"regularizer='maximum_mean_discrepancy'."
            )
        if hasattr(self, "latent_density_"):
            z = draw_latents(self.latent_density_, n_samples, seed).astype(self._fit_dtype)
        else:
            with torch.no_grad():
                z = self._model(dtype).prior_density().sample(n_samples, generator).numpy()
            z = z[:, self._order]
        return self._decoded(z, draw if observation_noise else _mean)


def _mean(model: Model, raw: torch.Tensor) -> torch.Tensor:
    return model.likelihood.mean(raw)
