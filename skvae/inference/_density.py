"""A density of the latents, fitted after training (Ghosh et al. 2020)."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
from sklearn.base import clone

from skvae._sklearn.rows import on_arrays


def fit_density(
    density: Any, mean: np.ndarray, std: np.ndarray, weight: np.ndarray | None, seed: int
) -> Any:
    """Fit a clone of ``density`` to one draw from each row's posterior.

    Parameters
    ----------
    density : estimator
        With ``fit`` and ``sample``.
    mean, std : ndarray of shape (n_samples, n_components)
        Posteriors of the rows.
    weight : ndarray of shape (n_samples,) or None
        Row weights: rows are drawn in proportion to them.
    seed : int
        Seed of the draws, and of the density if it sets none itself.
    """
    generator = np.random.RandomState(seed)
    if weight is not None:
        rows = generator.choice(len(mean), len(mean), p=weight / weight.sum())
        mean, std = mean[rows], std[rows]
    density = clone(density)
    if density.get_params().get("random_state", 0) is None:
        density.set_params(random_state=seed)
    with on_arrays():
        return density.fit(mean + std * generator.standard_normal(mean.shape))


def draw_latents(density: Any, n_samples: int, seed: int) -> np.ndarray:
    """Draw latents, whether the density takes its seed at the call or as a parameter."""
    with on_arrays():
        if "random_state" in inspect.signature(density.sample).parameters:
            drawn = density.sample(n_samples, random_state=seed)
        else:
            density = copy.copy(density)
            if "random_state" in density.get_params():
                density.set_params(random_state=seed)
            drawn = density.sample(n_samples)
    # A mixture gives the components, too.
    return np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn)
