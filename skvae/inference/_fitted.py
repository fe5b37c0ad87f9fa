"""All that a fitted model is, and what it does with rows and latents, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from skvae._core.arrays import as_tensor
from skvae._core.checks import shown
from skvae._core.math import normal_draws
from skvae.inference._report import LatentReport
from skvae.likelihoods import Likelihood
from skvae.model import Architecture, Layout, Model
from skvae.objectives import Draws
from skvae.schedules import Schedule
from skvae.tables import Batch, ColumnRanges, Missingness, Table, View, convert, has_gaps

# Cells that a block of rows may fill: enough for BLAS, bounded in memory.
BLOCK_CELLS = 2**22

# How often a cell outside the range of fit is drawn again, before it is moved to the end.
_MOST_DRAWS = 20

# A larger model takes longer to run than to build.
_KEPT_PARAMETERS = 2**20

# Models that were built for inference: beside the fitted state, which holds no torch object.
_BUILT: WeakKeyDictionary[Any, dict[torch.dtype, Any]] = WeakKeyDictionary()

TORCH_DTYPES = {"float64": torch.float64, "float32": torch.float32}


def check_domain(likelihood: Likelihood, X: Any, names: Any = None) -> None:
    """Raise ValueError if checked rows, dense or sparse, are outside a likelihood's domain."""
    if likelihood.has_domain:
        likelihood.check(ColumnRanges(X, None if names is None else list(names)))


def built(trained: Any, dtype: torch.dtype) -> Any:
    """Give ``trained.model(dtype)`` to be read only, one for all calls and threads.

    A large one is built anew, and so is one with modules of users, which may keep what they see.
    """
    sides = ("encoder", "decoder")
    has_modules = any(getattr(trained.architecture, side, None) is not None for side in sides)
    if has_modules or trained.parameters.size > _KEPT_PARAMETERS:
        return trained.model(dtype)
    models = _BUILT.setdefault(trained, {})
    if dtype not in models:
        models[dtype] = trained.model(dtype)
    return models[dtype]


class Rowwise:
    """Results of blocks of rows, written to one array.

    Small arrays kept between the large ones of the blocks would keep the allocator from reusing
    their memory: a likelihood by 5000 draws then grows by megabytes per row.
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A trained model as arrays, builtins and this package's objects.

    Attributes
    ----------
    architecture : Architecture
        What the model is made of.
    view : View
        Its units.
    parameters : ndarray of shape (n_parameters,)
        Of networks and components.
    buffers : mapping of str to ndarray
        What user modules keep besides their parameters.
    layout : list of (str, list of int)
        Names and shapes of parameters and buffers, by which a change of the code is noticed.
    """

    architecture: Architecture
    view: View
    parameters: np.ndarray
    buffers: Mapping[str, np.ndarray]
    layout: Layout

    def model(self, dtype: torch.dtype) -> Model:
        """Build the model on its arrays, for inference."""
        values = as_tensor(self.parameters, dtype)
        model = Model(self.architecture, dtype, "cpu", torch.Generator(), values, self.layout)
        return self._with_constants(model)

    def trainable(self, device: torch.device) -> Model:
        """Build the model to be trained further, in the type of its parameters."""
        dtype = TORCH_DTYPES[self.parameters.dtype.name]
        generator = torch.Generator()
        model = Model(self.architecture, dtype, device, generator, layout=self.layout)
        model.flat.load(as_tensor(self.parameters))
        return self._with_constants(model)

    def _with_constants(self, model: Model) -> Model:
        for name, tensor in model.buffers.items():
            tensor.copy_(as_tensor(self.buffers[name]))
        model.see(self.view)
        model.train(False)
        return model


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted(Trained):
    """All that a fitted model is, and what it does with rows and latents.

    Rows come checked, results are in the dtype of the rows, in X's units, latents sorted.

    Attributes
    ----------
    optimizer : mapping of str to ndarray
        State of Adam, empty where nothing could go on from it.
    beta : Schedule
        The KL term's weight, with the state of an adaptive schedule.
    n_epochs : int
        Epochs, or passes of a stream, that were run.
    moments : mapping of str to ndarray
        Of the latents, over training rows.
    report : LatentReport
        What they say.
    seed : int
        Of the draws that all rows share.
    dtype : str
        Type of the rows of fit.
    table : Table or None
        How a table's columns become the numbers that are called rows of X here.
    missingness : Missingness
        Which cells the rows of fit lacked.
    """

    optimizer: Mapping[str, np.ndarray]
    beta: Schedule
    n_epochs: int
    moments: Mapping[str, np.ndarray]
    report: LatentReport
    seed: int
    dtype: str
    missingness: Missingness
    table: Table | None = None

    @property
    def cells(self) -> list[slice]:
        """Where the numbers of each cell of a row are."""
        if self.table is None:
            return [slice(j, j + 1) for j in range(self.view.n_columns)]
        return self.table.places

    # ------------------------------------------------------------------ blocks of rows

    def blocks(self, X: Any, n_draws: int = 1) -> Iterator[tuple[Model, Any]]:
        """Yield the model, in X's dtype, and blocks of rows, each of a bounded number of cells."""
        model = built(self, TORCH_DTYPES[X.dtype.name])
        step = max(1, BLOCK_CELLS // (n_draws * self.architecture.row_width))
        for start in range(0, X.shape[0], step):
            yield model, X[start : start + step]

    def batch(self, model: Model, block: Any) -> Batch:
        """Rows of X as training sees them."""
        values = model.flat.values
        return convert(block, self.view, values.dtype, values.device)

    @torch.no_grad()
    def read_encoded(
        self, X: Any, read: Callable[[Model, Tensor, Tensor | None], Tensor]
    ) -> np.ndarray:
        """Read something off the encoder's output for each row.

        ``read`` gets the model, the raw output, shape (rows, n_raw), and the factor of rows with
        gaps.
        """
        affine, results = self.view.affine, Rowwise(X.shape[0])
        for model, block in self.blocks(X):
            raw = factor = None
            if affine is not None:
                raw = model.encoder.evaluate_rows(block, *affine)
            # A gap leaves its mark in the output, which is narrower than the row.
            if raw is None or (np.isnan(raw).any() and has_gaps(block)):
                batch = self.batch(model, block)
                output, factor = model.encoder.evaluate(batch.inputs), batch.factor
            else:
                output = as_tensor(raw)
            results.append(read(model, output, factor).numpy())
        return results.array

    @torch.no_grad()
    def read_batches(
        self, X: Any, read: Callable[[Model, Batch], Tensor], n_draws: int = 1
    ) -> np.ndarray:
        """Read something off batches of rows, the rows' axis first."""
        results = Rowwise(X.shape[0])
        for model, block in self.blocks(X, n_draws):
            results.append(read(model, self.batch(model, block)).numpy())
        return results.array

    # ------------------------------------------------------------------ what is read

    def means(self, X: Any) -> np.ndarray:
        """Posterior means, shape (rows, n_components)."""
        means = self.read_encoded(X, lambda model, raw, _: model.posterior_mean(raw))
        return means[:, self.report.order]

    def encode(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means and standard deviations, each of shape (rows, n_components)."""

        def both(model: Model, raw: Tensor, factor: Tensor | None) -> Tensor:
            q = model.read_posterior(raw, factor)
            return torch.stack([q.mean, q.variance.sqrt()], 1)

        moments = self.read_encoded(X, both)[..., self.report.order]
        return moments[:, 0], moments[:, 1]

    def shared_draws(self, n_draws: int) -> Tensor:
        """Give the standard normal draws that all rows share, (n_draws, 1, n_components), float64.

        Raises
        ------
        ValueError
            If the posterior is a point.
        """
        if not self.architecture.posterior.has_density:
            raise ValueError(
                f"The posterior {shown(self.architecture.posterior)} is a point, so there is no "
                f"likelihood of a row. Fit a VariationalAutoencoder with "
                f"posterior='diagonal_normal', or compare rows with inverse_transform's."
            )
        return normal_draws(n_draws, self.architecture.n_components, self.seed).unsqueeze(1)

    def read_log_weights(
        self, X: Any, n_draws: int, read: Callable[[Tensor], Tensor]
    ) -> np.ndarray:
        """Read something off each row's log p(x, z) - log q(z|x).

        ``read`` maps log weights (draws, rows) to a tensor whose first axis is the rows'.

        Raises
        ------
        ValueError
            If the posterior is a point.
        """
        eps = self.shared_draws(n_draws)

        def values(model: Model, batch: Batch) -> Tensor:
            return read(model.log_weights(batch, eps.to(batch.inputs)) - self._log_jacobian(batch))

        return self.read_batches(X, values, n_draws)

    def log_reconstruction(self, X: Any) -> np.ndarray:
        """Log p(x|z) at the posterior mean of each row."""

        def log_p(model: Model, batch: Batch) -> Tensor:
            z = model.encode(batch.inputs, batch.factor).mean[None]
            log_p = model.log_likelihood(z, batch)[0] + model.constant(batch)
            return log_p - self._log_jacobian(batch)

        return self.read_batches(X, log_p)

    def _log_jacobian(self, batch: Batch) -> Any:
        """What a log-density of targets is more than that of X, or of the table: one, or by row."""
        observed = None if batch.observed is None else batch.observed.numpy()
        shift = self.view.log_jacobian(observed)
        if self.table is not None and self.table.has_scores:
            shift = shift - self.table.log_jacobian(self.view.back(batch.target.numpy()), observed)
        return shift if isinstance(shift, float) else torch.as_tensor(shift).to(batch.target)

    @torch.no_grad()
    def draws(self, X: Any, eps: Tensor) -> list[Draws]:
        """Pass rows through the model in float64, with draws ``eps`` (1, rows, n_components).

        Log p(x|z) is in X's units.
        """
        passes, start = [], 0
        for model, block in self.blocks(X.astype(np.float64)):
            rows = slice(start, start + block.shape[0])
            batch = self.batch(model, block)
            draws = model.draws(batch, eps[:, rows])
            log_p = draws.log_p + model.constant(batch) - self._log_jacobian(batch)
            passes.append(Draws(draws.q, draws.prior, draws.z, log_p))
            start = rows.stop
        return passes

    @torch.no_grad()
    def decode(
        self,
        Z: np.ndarray,
        rng: np.random.Generator | None = None,
        offset: np.ndarray | None = None,
    ) -> np.ndarray:
        """E[x|z] of latents, or, with a generator, draws of p(x|z).

        ``offset`` is the rows' own part of the location, as the view has it. Cells of a table that
        are drawn outside the range of fit are drawn again. A column that had no cells at fit has
        none.
        """
        model = built(self, TORCH_DTYPES[Z.dtype.name])
        z = np.empty_like(Z)
        z[:, self.report.order] = Z
        X = np.empty((len(z), self.view.n_targets), dtype=Z.dtype)
        step = max(1, BLOCK_CELLS // self.architecture.row_width)
        parameters = [p.numpy() for p in model.shared.params]
        for start in range(0, len(z), step):
            rows = slice(start, start + step)
            raw = model.decode(as_tensor(z[rows]))
            if offset is not None:
                raw[:, : model.width.location] += as_tensor(offset[rows], raw.dtype)
            if rng is None:
                X[rows] = self.view.back(model.mean(raw).numpy())
            else:
                X[rows] = self._drawn(model, raw.numpy(), parameters, rng)
        if self.table is None and self.view.gaps is not None:
            X[:, self.view.gaps.unseen] = np.nan
        return X

    def _drawn(
        self, model: Model, raw: np.ndarray, parameters: list[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Draw rows in X's units."""
        X = self.view.back(model.likelihood.sample(raw, parameters, rng))
        if self.table is None:
            return X
        low, high = self.table.bounds
        for _ in range(_MOST_DRAWS):
            outside = (X < low) | (X > high)
            wrong = outside.any(1)
            if not wrong.any():
                break
            again = self.view.back(model.likelihood.sample(raw[wrong], parameters, rng))
            X[wrong] = np.where(outside[wrong], again, X[wrong])
        return X

    @torch.no_grad()
    def sample_prior(self, n_samples: int, seed: int) -> np.ndarray:
        """Draw latents from the prior, in the type of fit."""
        generator = torch.Generator().manual_seed(seed)
        density = built(self, TORCH_DTYPES[self.dtype]).prior_density()
        return density.sample(n_samples, generator).numpy()[:, self.report.order]
