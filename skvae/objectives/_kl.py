"""Closed forms for a posterior and a prior, in registries keyed by pairs of types.

``closed_form_kl(q, p)`` gives KL(q || p) for two distributions, in plain torch, and
``written_latent(posterior, prior)`` finds the whole latent step with its pullback, and
``written_ratio(posterior, prior)`` the log-ratio of their densities. Each is None if none is
registered, and the caller then draws or differentiates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae._core.math import soft_bound_vjp
from skvae.posteriors import (
    Deterministic,
    DiagonalNormal,
    FullNormal,
    Normal,
    Point,
    StretchedNormal,
)
from skvae.priors import IsotropicNormal, StandardNormal

KLPullback = Callable[[np.ndarray, np.ndarray], np.ndarray]

_closed_forms: dict[tuple[type, type], Callable[..., Tensor]] = {}
Ratio = Callable[..., tuple[np.ndarray, np.ndarray]]

_ratios: dict[tuple[type, type], Ratio] = {}
_written: dict[tuple[type, type], Callable[..., tuple[np.ndarray, np.ndarray, KLPullback]]] = {}


def register(
    registry: dict[tuple[type, type], Any], posterior: type, prior: type
) -> Callable[[Any], Any]:
    """Enter the decorated function for a pair of types."""

    def enter(function: Any) -> Any:
        registry[posterior, prior] = function
        return function

    return enter


def closed_form_kl(q: object, p: object) -> Tensor | None:
    """KL of each row, (rows, n_components), or (rows, 1) if it is no sum over latents."""
    closed_form = _closed_forms.get((type(q), type(p))) or _closed_forms.get((type(q), object))
    return None if closed_form is None else closed_form(q, p)


def written_latent(
    posterior: object, prior: object
) -> Callable[..., tuple[np.ndarray, np.ndarray, KLPullback]] | None:
    """Find ``latent(raw, eps, factor) -> z, kl, pull(dz, d_kl)`` for this pair."""
    return _written.get((type(posterior), type(prior)))


def written_ratio(posterior: object, prior: object) -> Ratio | None:
    """Find ``ratio(raw, eps, z, factor)``: log q(z|x) - log p(z), and its slope by z."""
    return _ratios.get((type(posterior), type(prior)))


@register(_closed_forms, Normal, IsotropicNormal)
def normal_kl(q: Normal, p: IsotropicNormal) -> Tensor:
    """KL(N(m, v) || N(0, 1)) = (v + m^2 - 1 - log v) / 2 (Kingma and Welling 2013, appendix B)."""
    return 0.5 * (q.variance + q.mean.square() - 1.0 - q.log_variance)


@register(_closed_forms, FullNormal, IsotropicNormal)
def full_normal_kl(q: FullNormal, p: IsotropicNormal) -> Tensor:
    """KL(N(m, LL') || N(0, I)) = (|L|^2 + |m|^2 - k) / 2 - sum log diag L, per row."""
    return stretched_normal_kl(q, p).sum(1, keepdim=True)


@register(_closed_forms, StretchedNormal, IsotropicNormal)
def stretched_normal_kl(q: FullNormal, p: IsotropicNormal) -> Tensor:
    """Give the same as one summand for each latent."""
    return 0.5 * (q.variance + q.mean.square() - 1.0) - q.log_diagonal


@register(_closed_forms, Point, object)
def point_kl(q: Point, p: object) -> Tensor:
    """Zero: a point's KL from a density is infinite, and has no part in any objective."""
    return torch.zeros_like(q.mean[:, :1])


def _stretch(factor: np.ndarray | None, noise: np.ndarray, back: bool = False) -> np.ndarray:
    """L times the noise of each row, of shape (draws, rows, n_components), or L' with ``back``."""
    if factor is None:
        return noise
    if factor.ndim == 2:
        return factor * noise
    if back:
        factor = factor.swapaxes(1, 2)
    return (factor @ noise.transpose(1, 2, 0)).transpose(2, 0, 1)


@register(_written, DiagonalNormal, StandardNormal)
def diagonal_normal_latent(
    raw: np.ndarray, eps: np.ndarray, factor: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, KLPullback]:
    """Draw z and give the KL of each row, with the pullback of both.

    With z = m + s eps and v = s^2 = exp(l): dz/dm = 1, dz/dl = s eps / 2, dKL/dm = m,
    dKL/dl = (v - 1) / 2; l is the soft bound of the raw log-variance. With a factor L it is
    z = m + L (s eps), and v_j in the KL is v_j times the squared length of L's column j.

    Parameters
    ----------
    raw : ndarray of shape (rows, 2 n_components)
        The encoder's output.
    eps : ndarray of shape (draws, rows, n_components)
        Standard normal draws.
    factor : ndarray of shape (rows, n_components, n_components) or (rows, n_components), optional
        L of rows with gaps, or its diagonal.

    Returns
    -------
    z : ndarray of shape (draws, rows, n_components)
        Draws of the latents.
    kl : ndarray of shape (rows,)
        KL from the prior.
    pull : callable
        ``pull(dz, d_kl)``, with d_kl of shape (rows,), gives the gradient of ``raw``.
    """
    k = raw.shape[1] // 2
    mean, raw_log_variance = raw[:, :k].copy(), raw[:, k:].copy()  # loops over whole rows are fast
    log_variance, pull_bound = soft_bound_vjp(raw_log_variance)
    std = np.exp(0.5 * log_variance)
    noise = std * eps
    z = _stretch(factor, noise) + mean
    excess = std * std
    if factor is not None:
        excess *= np.square(factor) if factor.ndim == 2 else np.square(factor).sum(1)
    excess -= 1.0  # v - 1
    kl = 0.5 * (np.vecdot(mean, mean) + np.add.reduce(excess - log_variance, 1))
    if factor is not None:
        kl -= _log_determinant(factor)

    def pull(dz: np.ndarray, d_kl: np.ndarray) -> np.ndarray:
        d_raw = np.empty_like(raw)
        column = d_kl[:, None]
        np.multiply(noise, _stretch(factor, dz, back=True), out=noise)
        one = len(dz) == 1
        d_mean = np.multiply(mean, column, out=mean)
        d_mean += dz[0] if one else np.add.reduce(dz, 0)
        d_log_variance = np.multiply(excess, column, out=excess)
        d_log_variance += noise[0] if one else np.add.reduce(noise, 0)
        d_raw[:, :k] = d_mean
        np.multiply(pull_bound(d_log_variance), 0.5, out=d_raw[:, k:])
        return d_raw

    return z, kl, pull


def _log_determinant(factor: np.ndarray) -> np.ndarray:
    diagonal = factor if factor.ndim == 2 else factor.diagonal(axis1=1, axis2=2)
    return np.log(diagonal).sum(1)


@register(_ratios, DiagonalNormal, StandardNormal)
def diagonal_normal_ratio(
    raw: np.ndarray, eps: np.ndarray, z: np.ndarray, factor: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Log q(z|x) - log p(z) = sum (z^2 - eps^2 - l) / 2, and its slope by z, z - eps / s.

    The slope is that of the densities as they are: q's own parameters do not move. With a factor L
    the log of its determinant is subtracted, and eps / s is multiplied by the inverse of L'.
    """
    log_variance, _ = soft_bound_vjp(raw[:, raw.shape[1] // 2 :].copy())
    squares = np.vecdot(z, z) - np.vecdot(eps, eps)
    ratio, whitened = 0.5 * (squares - log_variance.sum(1)), eps * np.exp(-0.5 * log_variance)
    if factor is not None:
        ratio -= _log_determinant(factor)
        inverse = 1.0 / factor if factor.ndim == 2 else np.linalg.inv(factor)
        whitened = _stretch(inverse, whitened, back=True)
    return ratio, z - whitened


@register(_written, Deterministic, StandardNormal)
def point_latent(
    raw: np.ndarray, eps: np.ndarray, factor: None = None
) -> tuple[np.ndarray, np.ndarray, KLPullback]:
    """Give the point for every draw, and zero KL, like ``diagonal_normal_latent``."""
    z = np.broadcast_to(raw, (len(eps), *raw.shape))

    def pull(dz: np.ndarray, d_kl: np.ndarray) -> np.ndarray:
        return dz[0] if len(dz) == 1 else np.add.reduce(dz, 0)

    return z, np.zeros_like(raw[:, 0]), pull
