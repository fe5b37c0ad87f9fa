"""The canonical-correlated autoencoder's networks on one flat buffer, and what they take.

Three networks share one latent space: Fx maps features to it, Fe maps label sets to it, and Fd maps
its points to a score per label. At the linear start (``_linear``) the ridge regression of the label
codes stays beside Fx, as a constant path, and the networks' nonlinear paths are silent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor

from skvae._core.arrays import as_tensor, numpy_type
from skvae._core.flat import bind
from skvae.inference import BLOCK_CELLS
from skvae.multilabel._labels import Table, prevalence
from skvae.multilabel._linear import LinearStart, linear_start
from skvae.nn import DenseNetwork, SparseInput, draw_glorot
from skvae.tables import Moments, Rows, View, weighted_moments

# A sparse table of more features is not made dense, not even a batch of it.
_SPARSE_FEATURES = 2000

# Smallest standard deviation that a label is divided by: that of a prevalence of about 1 in 400.
_LABEL_FLOOR = 0.05


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """All that fixes the shapes of a model's parameters.

    With ``is_linear`` Fe and Fd have linear paths, beside which their hidden layers start silent.
    """

    n_features: int
    n_labels: int
    n_components: int
    hidden_layer_sizes: tuple[int, ...]
    label_hidden_layer_sizes: tuple[int, ...]
    activation: str
    exclusive: bool
    is_linear: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """Constants of a fit, arrays of shape (n_features,) and (n_labels,).

    Rows come as (x - mean) / scale; features enter as that times ``input_scale``, labels as
    (y - prevalence) / label_scale. ``path``, of shape (n_components, n_features), maps rows to
    what the linear start adds to their codes; there is none at the random start.
    """

    mean: np.ndarray
    scale: float
    input_scale: np.ndarray
    prevalence: np.ndarray
    label_scale: np.ndarray
    path: np.ndarray | None = None

    @property
    def view(self) -> View:
        """How rows become inputs: centred, over one scalar."""
        return View(
            mean=self.mean,
            total_variance=0.0,
            shift=self.mean,
            scale=np.full_like(self.mean, self.scale),
        )


class Model:
    """Fx, Fe and Fd on one flat buffer.

    Parameters
    ----------
    architecture : Architecture
        Widths.
    units : Units
        What features and labels are centred and scaled by.
    dtype : torch.dtype
        Type of the parameters.
    device : torch.device or str
        Where they live.
    values : Tensor of shape (n_parameters,), optional
        Values of a model that is not trained, used in place.
    """

    def __init__(
        self,
        architecture: Architecture,
        units: Units,
        dtype: torch.dtype,
        device: torch.device | str,
        values: Tensor | None = None,
    ) -> None:
        a = self.architecture = architecture
        self.units = units
        d, m, k, activation = a.n_features, a.n_labels, a.n_components, a.activation
        hidden, label_hidden = a.hidden_layer_sizes, a.label_hidden_layer_sizes
        # Dropout cannot reach Fx's trained linear path, so there is one only if there is no other.
        linear, label_linear = not hidden, a.is_linear or not label_hidden
        self.encoder = DenseNetwork(d, k, k * linear, hidden, activation)
        self.label_encoder = DenseNetwork(m, k, k * label_linear, label_hidden, activation)
        self.decoder = DenseNetwork(k, m, m * label_linear, label_hidden[::-1], activation)
        self.networks = (self.encoder, self.label_encoder, self.decoder)
        self.flat = bind(self.networks, dtype, device, values, trained=values is None)
        like = self.flat.values
        # Rows come centred: what is dropped from them then counts as the mean.
        self.encoder.scale = as_tensor(units.input_scale).to(like, copy=True)
        self.path = None if units.path is None else as_tensor(units.path).to(like, copy=True)
        self.prevalence = as_tensor(units.prevalence).to(like, copy=True)
        self.label_encoder.shift = self.prevalence
        self.label_encoder.scale = as_tensor(1.0 / units.label_scale).to(like)

    @property
    def width(self) -> int:
        """Width of the widest array that the networks make of a row."""
        a = self.architecture
        sizes = (*a.hidden_layer_sizes, *a.label_hidden_layer_sizes)
        return max(a.n_labels, a.n_components, *sizes)

    def start(self, seed: int, linear: LinearStart | None) -> None:
        """Draw the first parameters, or silence the networks beside a linear start."""
        generator = torch.Generator().manual_seed(seed)
        for network in self.networks:
            network.start(generator, zero_output=linear is not None)
            if linear is None and not network.last_width:
                draw_glorot(network.linear, generator)
        if linear is not None:
            self._write(linear, generator)

    @torch.no_grad()
    def _write(self, linear: LinearStart, generator: torch.Generator) -> None:
        """Write the start; Fd reads surplus coordinates, which are zero, by random weights."""
        decoder, label_encoder = self.decoder.linear, self.label_encoder.linear
        spread = 1.0 / as_tensor(self.units.label_scale)
        label_encoder.copy_(as_tensor(linear.label_axes).divide(spread).nan_to_num_(0.0, 0.0, 0.0))
        draw_glorot(decoder, generator)
        rank = int(linear.axes.any(axis=1).sum())
        decoder[:, :rank] = as_tensor(linear.scores[:, :rank])
        self.decoder.output_bias.copy_(as_tensor(linear.bias))

    def code(self, x: Tensor, drop: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Fx of inputs, (rows, n_components); ``drop`` alters each hidden layer."""
        code = self.encoder.forward(x, drop)
        return code if self.path is None else code + x @ self.path.t()

    def code_sparse(self, x: SparseInput, drop: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Fx of sparse rows in the encoder's units."""
        code = self.encoder.forward_sparse(x, drop)
        if self.path is None:
            return code
        assert self.encoder.scale is not None
        return code + x.product(self.path / self.encoder.scale)

    def evaluate(self, x: Tensor) -> Tensor:
        """Fx of inputs, in NumPy if possible, where no gradient is asked for."""
        code = self.encoder.evaluate(x)
        return code if self.path is None else code + x @ self.path.t()

    def sparse_rows(self, X: Any) -> SparseInput | None:
        """Rows in the encoder's units, if X is sparse and so wide that no batch is made dense."""
        on_cpu = self.flat.values.device.type == "cpu"
        if not (sparse.issparse(X) and X.shape[1] > _SPARSE_FEATURES and on_cpu):
            return None
        kind = numpy_type(self.flat.values.dtype)
        factor = self.units.input_scale / self.units.scale
        data = (X.data * factor[X.indices]).astype(kind)
        scaled = sparse.csr_array((data, X.indices, X.indptr), shape=X.shape)
        return SparseInput(scaled, (self.units.mean * factor).astype(kind))

    def codes(self, X: Any) -> Iterator[Tensor]:
        """Yield Fx of rows in X's units, a block of rows at a time."""
        width = self.width if sparse.issparse(X) else max(self.width, X.shape[1])
        step = max(1, BLOCK_CELLS // width)
        for start in range(0, X.shape[0], step):
            yield self._codes(X[start : start + step])

    def _codes(self, X: Any) -> Tensor:
        """Fx of some rows, which are not copied where that pays."""
        view, rows = self.units.view, self.sparse_rows(X)
        if rows is not None:
            return self.code_sparse(rows)
        found = self.encoder.evaluate_rows(X, view.shift, view.scale)
        if found is None:
            blocks = make_rows(self, X).all()
            return torch.cat([self.evaluate(batch.inputs).clone() for _, batch in blocks])
        if self.path is not None:
            axes = self.path.numpy() / view.scale.astype(found.dtype)
            found += X @ axes.T - (axes @ view.shift.astype(found.dtype))
        return as_tensor(found)

    @torch.no_grad()
    def fix_scores(self, labels: np.ndarray, score: float) -> None:
        """Give these labels one score, whatever the code: no row says when they are present."""
        weights = self.decoder.params[-1].detach()
        weights[labels] = 0.0
        self.decoder.output_bias[labels] = score

    def filled(self, present: Tensor, absent: Tensor) -> Tensor:
        """Label sets as Fe takes them: a missing label enters at its prevalence."""
        return present + (1.0 - present - absent) * self.prevalence

    def probability_loss(self, raw: Tensor, present: Tensor, absent: Tensor) -> Tensor:
        """Negative log-likelihood of each row's known labels, in nats, shape (rows,)."""
        if self.architecture.exclusive:
            return -(present * torch.log_softmax(raw, 1)).sum(1)
        return (present * F.softplus(-raw) + absent * F.softplus(raw)).sum(1)

    def penalty(self) -> Tensor:
        """Half the squared weights of the nonlinear paths."""
        weights = (w for network in self.networks for w, _ in network.weights)
        return 0.5 * sum((w.square().sum() for w in weights), torch.zeros((), dtype=torch.float32))


def indicators(values: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Give which of the labels are present and which absent."""
    return (values == 1).to(like), (values == 0).to(like)


def step_work(architecture: Architecture, batch_size: int) -> float:
    """Multiply-adds of a step's matrix products: one forward pass, and backward twice as many."""
    a = architecture
    hidden, label_hidden = a.hidden_layer_sizes, a.label_hidden_layer_sizes
    widths = [a.n_features, *hidden, a.n_components]
    label_widths = [a.n_labels, *label_hidden, a.n_components]
    # The decoder runs twice, once from each code.
    inner = sum(m * n for m, n in itertools.pairwise(widths))
    inner += 3 * sum(m * n for m, n in itertools.pairwise(label_widths))
    return 3.0 * batch_size * inner


def build(
    table: Table,
    architecture: Architecture,
    dtype: torch.dtype,
    device: torch.device | str,
    seed: int,
) -> Model:
    """Build a model with the units of these rows, at its start."""
    moments = weighted_moments(table.X, table.weight)
    units, linear = take_units(table, moments), None
    if architecture.is_linear:
        linear = linear_start(
            table, moments, units.scale, units.prevalence, architecture.n_components, seed
        )
        units = replace(
            units,
            input_scale=units.input_scale**linear.exponent,
            path=linear.axes.astype(np.float64 if dtype == torch.float64 else np.float32),
        )
    model = Model(architecture, units, dtype, device)
    model.start(seed, linear)
    return model


def take_units(table: Table, moments: Moments) -> Units:
    """Centre and scale of the features, and prevalence of the labels, over training rows."""
    scale = float(np.sqrt(moments.variance.mean())) or 1.0
    std = np.sqrt(moments.variance) / scale
    share = prevalence(table.labels, table.weight)
    spread = np.sqrt(share * (1.0 - share))
    # A label that never varies taught Fe nothing, and must not move a code later.
    label_scale = np.where(spread > 0, np.maximum(spread, _LABEL_FLOOR), np.inf)
    return Units(
        mean=moments.mean,
        scale=scale,
        input_scale=np.divide(1.0, std, out=np.ones_like(std), where=std > 0),
        prevalence=share,
        label_scale=label_scale,
    )


def make_rows(model: Model, X: Any, weight: np.ndarray | None = None) -> Rows:
    """Rows of X, centred, as ``model`` takes them."""
    values, units = model.flat.values, model.units
    return Rows(X, weight, units.view, values.dtype, values.device)
