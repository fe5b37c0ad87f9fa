"""The PCA start: probabilistic PCA, written into the linear paths."""

from __future__ import annotations

import numpy as np
import torch

from skvae.model import Architecture, Model
from skvae.starts._base import Start, start_components, start_noise
from skvae.starts._prepared import Prepared
from skvae.starts._probabilistic import Principal
from skvae.starts._random import Random
from skvae.tables import Rows, refilled

# "auto" races starts from this many latents and rows on.
_RACE_COMPONENTS = 16
_RACE_ROWS = 5000

# Most rows by whose bound latents are screened.
_SCREENED_ROWS = 1000


class PrincipalComponents(Start):
    """Probabilistic PCA in the linear paths, with the nonlinear ones silent.

    Before the first step the model is probabilistic PCA (Tipping and Bishop 1999).

    Parameters
    ----------
    n_started : int, default=None
        Number of leading latents that start as PCA's; the others start at the prior. By default
        all do.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.starts import PrincipalComponents
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, init=PrincipalComponents(1), max_iter=0).fit(X)
    >>> vae.n_active_components_
    1
    """

    def __init__(self, n_started: int | None = None) -> None:
        self.n_started = n_started

    @property
    def is_principal(self) -> bool:  # type: ignore[override]
        """Whether all latents start as PCA's."""
        return self.n_started is None

    def write(self, model: Model, prepared: Prepared, rows: Rows, seed: int) -> None:
        """Write the solution into the linear paths."""
        generator = torch.Generator().manual_seed(seed)
        start_components(model, prepared, rows, generator, silent=True)
        has_density = model.posterior.has_density
        start = (prepared.principal if has_density else prepared.points)(self.n_started)
        if has_density and model.likelihood.screens_latents and len(start.eigenvalues):
            start = _screened(model, prepared, start, rows, generator)
        _write(model, prepared, start)
        rows.fill(prepared.gaps(start, model.n_components, of_latents=has_density))


def _write(model: Model, prepared: Prepared, start: Principal) -> None:
    """Write latents into the linear paths, and leave the others at the prior."""
    response = prepared.response
    start_noise(model, start.noise, response)
    # The means of points are PCA's own; a posterior's are shrunk by its noise.
    noise = start.noise_variance if model.posterior.has_density else 0.0
    m, signal = len(start.eigenvalues), np.sqrt(start.eigenvalues - noise)
    slopes = (start.vectors * signal / start.eigenvalues).T / response.spread
    weights = start.vectors * signal * response.gain[:, None]
    if start.unit is not None:
        slopes, weights = slopes / start.unit, weights * start.unit[:, None]
    means = torch.zeros(model.n_components, dtype=torch.float64)
    if start.mean is not None:
        means[:m] = torch.from_numpy(slopes @ (-start.mean * response.spread))
    scale = prepared.view.input_scale
    if scale is not None:  # a constant feature, of scale 0, has no part in any axis
        scale = scale[: slopes.shape[1]]
        slopes = np.divide(slopes, scale, out=np.zeros_like(slopes), where=scale > 0)
    linear = np.square(weights).sum(1)
    variance = model.likelihood.location_variance(linear, response)
    if variance is not linear:
        weights *= np.sqrt(np.divide(variance, linear, where=linear > 0, out=linear))[:, None]
    natural = model.likelihood.recentred(response.natural, variance)
    if start.mean is not None:
        natural = natural + start.mean * response.gain
    log_variance = torch.zeros(model.n_components, dtype=torch.float64)
    log_variance[:m] = torch.from_numpy(np.log(start.noise_variance / start.eigenvalues))
    encoder, decoder = model.encoder, model.decoder
    with torch.no_grad():
        encoder.linear.zero_()
        decoder.linear.zero_()
        encoder.linear[:m, : slopes.shape[1]] = torch.from_numpy(slopes)
        decoder.linear[:, :m] = torch.from_numpy(weights)
        decoder.output_bias[: len(natural)] = torch.from_numpy(natural)
        encoder.output_bias.copy_(model.posterior.raw_output(means, log_variance))


@torch.no_grad()
def _screened(
    model: Model, prepared: Prepared, start: Principal, rows: Rows, generator: torch.Generator
) -> Principal:
    """Leave out latents that lower the bound of some of the rows, the last ones first.

    A rare level has residuals of a large variance in few rows: explaining them costs a KL of half
    the log of the eigenvalue, but is worth no more than the level's entropy.
    """
    n = min(rows.n_samples, _SCREENED_ROWS)
    batch = rows.take(torch.linspace(0, rows.n_samples - 1, n).long())
    eps = torch.randn(1, n, model.n_components, generator=generator).to(batch.inputs)
    weight = torch.ones(n).to(batch.inputs) if batch.weight is None else batch.weight

    def bound(kept: list[int]) -> float:
        some = start.of(kept)
        _write(model, prepared, some)
        shown = batch
        if batch.observed is not None:
            shown = refilled(batch, prepared.gaps(some, model.n_components, of_latents=True))
        rest = [latent for latent in range(eps.shape[-1]) if latent not in kept]
        values = model.log_weights(shown, eps[..., kept + rest])[0]
        return float((values * weight).sum() / weight.sum())

    kept = list(range(len(start.eigenvalues)))
    best = bound(kept)
    for latent in reversed(range(len(kept))):
        others = [other for other in kept if other != latent]
        value = bound(others)
        if value > best:
            kept, best = others, value
    return start.of(kept)


class Auto(Start):
    """PCA, raced against others where it can hold a model in its linear basin.

    With at least 16 latents, 5000 training rows and hidden layers every latent may stay at its
    axis. Then the full start, one of its leading fifth and the usual random start, which has no
    linear paths, are trained for a few epochs, and the best on the held-out rows goes on.
    """

    is_principal = True

    def rivals(self, prepared: Prepared, architecture: Architecture, n_rows: int) -> list[Start]:
        """Full start, its leading fifth, and a random one."""
        k = prepared.n_components
        deep = architecture.hidden_layer_sizes or architecture.decoder
        if k < _RACE_COMPONENTS or n_rows < _RACE_ROWS or not deep:
            return []
        return [PrincipalComponents(), PrincipalComponents(max(1, k // 5)), Random()]

    def write(self, model: Model, prepared: Prepared, rows: Rows, seed: int) -> None:
        """Write PCA, of all latents."""
        PrincipalComponents().write(model, prepared, rows, seed)
