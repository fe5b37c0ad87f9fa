"""A fitted decoder as numbers that a page can hold: its weights, or a grid of its rows."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, ndtr

from skvae._sklearn.fitted import Fitted

# What the page knows; its script has the same by the same names.
ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "logistic": expit,
    "identity": lambda x: x,
    "silu": lambda x: x * expit(x),
    "gelu": lambda x: x * ndtr(x),
}
LINKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda x: x,
    "logistic": expit,
}

# Largest difference of a decoded cell from inverse_transform's, in its standard deviations: half of
# a ten-thousandth for stored weights, so that a page agrees to 1e-4.
_TOLERANCE = 5e-5

# A decoder of more weights is stored as a grid.
_MOST_WEIGHTS = 2**20

# More weights than these are stored in two bytes each, where that is accurate enough.
_FEW_WEIGHTS = 2**15

# Bytes of a grid, before base64, and its least and greatest side.
_GRID_BYTES = 120_000
_GRID_SIDES = (7, 41)


@dataclass(frozen=True, kw_only=True)
class DenseDecoder:
    """``link(A z + b + W h) * scale + shift``, with h the last of some dense layers.

    z is in the units of ``transform``, the result in those of X.

    Attributes
    ----------
    hidden : list of ndarray of shape (width, n_in + 1)
        Layers, the bias in the last column.
    output : ndarray of shape (n_features, n_components + 1 + width)
        [A, b, W].
    activation, link : str
        Keys of ``ACTIVATIONS`` and ``LINKS``.
    scale, shift : ndarray of shape (n_features,)
        From working units to X's.
    """

    hidden: list[np.ndarray]
    output: np.ndarray
    activation: str
    link: str
    scale: np.ndarray
    shift: np.ndarray

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return sum(layer.size for layer in [*self.hidden, self.output])

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        """Decode latents (n, n_components) as the page does."""
        h = Z if self.hidden else Z[:, :0]
        for layer in self.hidden:
            h = ACTIVATIONS[self.activation](h @ layer[:, :-1].T + layer[:, -1])
        joint = np.column_stack([Z, np.ones(len(Z)), h])
        return LINKS[self.link](joint @ self.output.T) * self.scale + self.shift

    def mapped(self, change: Callable[[np.ndarray], np.ndarray]) -> DenseDecoder:
        """The same with each matrix changed."""
        hidden = [change(layer) for layer in self.hidden]
        return replace(self, hidden=hidden, output=change(self.output))

    def of_features(self, features: np.ndarray) -> DenseDecoder:
        """The same for some features only."""
        output, scale, shift = self.output[features], self.scale[features], self.shift[features]
        return replace(self, output=output, scale=scale, shift=shift)

    def payload(self, is_short: bool) -> dict[str, Any]:
        """What the page reads."""
        pack = _pack_short if is_short else _pack_float
        return {
            "kind": "dense",
            "hidden": [pack(layer) for layer in self.hidden],
            "output": pack(self.output),
            "activation": self.activation,
            "link": self.link,
            "scale": pack_array(self.scale, "<f8"),
            "shift": pack_array(self.shift, "<f8"),
        }


def read_dense(fitted: Fitted) -> DenseDecoder | None:
    """Read the weights of a dense decoder, with the latents in the units of ``transform``.

    The one place that reads what an estimator keeps to itself. What it gives is only used where it
    agrees with ``inverse_transform``.
    """
    estimator = fitted.last
    if not hasattr(estimator, "likelihood_") or estimator.decoder is not None:
        return None
    import torch

    decoder = estimator._fitted.model(torch.float64).decoder
    *hidden, output = (layer.detach().numpy().copy() for layer in decoder.params)
    k, d = estimator.n_components_, estimator._fitted.view.n_targets
    view, order = estimator._fitted.view, estimator._fitted.report.order
    scale = estimator._output_scale()
    gain = np.divide(1.0, scale, out=np.zeros(k), where=scale > 0)

    def of_coordinates(columns: np.ndarray) -> np.ndarray:
        """Columns of the model's latents as those of sorted, scaled coordinates."""
        return columns[:, order] * gain

    output = output[:d]  # the location; what else the likelihood asks for is not the mean
    if hidden:
        hidden[0] = np.column_stack([of_coordinates(hidden[0][:, :-1]), hidden[0][:, -1]])
    linear = of_coordinates(output[:, :k]) if decoder.n_seen else np.zeros((d, k))
    output = np.column_stack([linear, output[:, decoder.n_seen :]])
    # From working units to X's: straight for each feature, if the pipeline's steps are.
    zero, one = fitted.undo(np.outer([0.0, 1.0], view.scale) + view.shift)
    if len(zero) != d:
        return None  # a step before this one changed the number of features
    return DenseDecoder(
        hidden=hidden,
        output=output,
        activation=estimator.activation,
        link="identity",
        scale=one - zero,
        shift=zero,
    )


def pack_decoder(
    fitted: Fitted, Z: np.ndarray, scale: np.ndarray, features: np.ndarray, moved: list[int]
) -> dict[str, Any]:
    """Give the decoder as the page reads it: weights where they agree with the estimator.

    Parameters
    ----------
    fitted : Fitted
        The estimator.
    Z : ndarray of shape (n, n_components)
        Latents on which weights must agree, and that a grid covers.
    scale : ndarray of shape (n_features,)
        Standard deviations of the features.
    features : ndarray of int
        Features that are decoded.
    moved : list of int
        The one or two latents that a grid covers; the others are held at their median.

    Returns
    -------
    payload : dict
        Of "kind" "dense" or "grid", with what the page needs to decode.
    """
    dense = read_dense(fitted)
    if dense is not None and dense.n_weights <= _MOST_WEIGHTS:
        expected = fitted.inverse(Z)

        def is_close(decoder: DenseDecoder) -> bool:
            return bool((np.abs(decoder(Z) - expected) <= _TOLERANCE * scale).all())

        for link in LINKS:
            found = replace(dense, link=link)
            if not is_close(found.mapped(lambda w: w.astype(np.float32))):
                continue
            is_short = found.n_weights > _FEW_WEIGHTS and is_close(found.mapped(_rounded))
            return found.of_features(features).payload(is_short)
    return _pack_grid(fitted, Z, features, moved)


def _pack_grid(
    fitted: Fitted, Z: np.ndarray, features: np.ndarray, moved: list[int]
) -> dict[str, Any]:
    """Decode a grid over the latents that move; the page interpolates between its nodes."""
    n_axes = len(moved)
    side = int((_GRID_BYTES / (2 * len(features))) ** (1 / n_axes))
    side = int(np.clip(side, *_GRID_SIDES)) if n_axes == 2 else int(np.clip(side, 65, 257))
    low, high = span_of(Z[:, moved])
    axes = np.linspace(low, high, side)  # (side, n_axes)
    nodes = np.stack(np.meshgrid(*axes.T, indexing="ij"), axis=-1).reshape(-1, n_axes)
    places = np.tile(np.median(Z, axis=0), (len(nodes), 1))
    places[:, moved] = nodes
    rows = fitted.inverse(places)[:, features]
    least, span = rows.min(0), np.ptp(rows, axis=0)
    share = (rows - least) / np.where(span > 0, span, 1.0)
    return {
        "kind": "grid",
        "side": side,
        "moved": moved,
        "low": low.tolist(),
        "high": high.tolist(),
        "data": pack_array(np.round(65535 * share), "<u2"),
        "scale": pack_array(span / 65535, "<f8"),
        "shift": pack_array(least, "<f8"),
    }


def span_of(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest place on each latent that the page goes to."""
    low, high = Z.min(0), Z.max(0)
    margin = np.where(high > low, 0.1 * (high - low), 1.0)
    return low - margin, high + margin


def pack_array(array: np.ndarray, dtype: str) -> str:
    """Give an array's bytes, little-endian, in base64."""
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode()


def _pack_float(matrix: np.ndarray) -> dict[str, Any]:
    return {"shape": matrix.shape, "data": pack_array(matrix, "<f4")}


def _short(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers of two bytes, and the step of each row that they count."""
    step = np.abs(matrix).max(1, keepdims=True, initial=0.0) / 32767
    return np.round(matrix / np.where(step > 0, step, 1.0)), step


def _rounded(matrix: np.ndarray) -> np.ndarray:
    whole, step = _short(matrix)
    return whole * step.astype(np.float32)


def _pack_short(matrix: np.ndarray) -> dict[str, Any]:
    whole, step = _short(matrix)
    return {
        "shape": matrix.shape,
        "data": pack_array(whole, "<i2"),
        "step": pack_array(step, "<f4"),
    }
