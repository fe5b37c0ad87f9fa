"""A normalizing flow as the prior."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skvae._core.checks import check_integer, check_sizes
from skvae._core.flat import Shape
from skvae._core.flow import SplineFlow
from skvae.priors._base import Prior, Surroundings
from skvae.priors._standard_normal import IsotropicNormal


class FlowDensity(NamedTuple):
    """Density of z that the flow maps to a standard normal."""

    flow: SplineFlow
    parameters: Sequence[Tensor]
    base: IsotropicNormal

    def log_prob(self, z: Tensor) -> Tensor:
        """log N(f(z)) + log |df/dz|, for ``z`` (..., n_components)."""
        x, log_determinant = self.flow(z, None, self.parameters)
        return self.base.log_prob(x) + log_determinant

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw latents, shape (n_samples, n_components)."""
        x = self.base.sample(n_samples, generator)
        return self.flow(x, None, self.parameters, inverse=True)[0]


class Flow(Prior):
    """p(z) as a neural spline flow to the standard normal, which it starts as.

    Needs zuko: ``pip install skvae[flow]``.

    Parameters
    ----------
    n_layers : int, default=3
        Number of coupling layers; three let every latent depend on every other. With one latent
        they are splines of it.
    hidden_layer_sizes : int or array-like of int, default=(64, 64)
        Widths of the networks that give a layer's splines. One latent takes no network.

    References
    ----------
    .. [1] Durkan, Bekasov, Murray and Papamakarios (2019), "Neural spline flows", NeurIPS.
    .. [2] Chen et al. (2017), "Variational lossy autoencoder", ICLR, section 3.2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.priors import Flow
    >>> X, _ = load_iris(return_X_y=True)
    >>> prior = Flow(n_layers=2, hidden_layer_sizes=(16,))
    >>> vae = VariationalAutoencoder(2, prior=prior, random_state=0).fit(X)
    >>> vae.sample(5, random_state=0).shape
    (5, 4)
    """

    def __init__(self, n_layers: int = 3, hidden_layer_sizes: tuple[int, ...] = (64, 64)) -> None:
        self.n_layers = n_layers
        self.hidden_layer_sizes = hidden_layer_sizes

    def check(self, posterior: Any) -> None:
        """Raise ValueError if a size is not an int of at least 1."""
        check_integer(self, "n_layers")
        check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")

    def _flow(self, n_components: int) -> SplineFlow:
        return SplineFlow(
            n_components,
            0,
            self.n_layers,
            check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"),
        )

    def parameter_shapes(self, n_components: int, n_features: int) -> list[Shape]:
        """Shapes of the networks' weights."""
        return self._flow(n_components).shapes

    def start(
        self,
        parameters: Sequence[Tensor],
        n_components: int,
        draw_rows: Callable[[int], Tensor],
        generator: torch.Generator,
    ) -> None:
        """Begin as the identity."""
        self._flow(n_components).start(parameters, generator)

    def density(self, parameters: Sequence[Tensor], surroundings: Surroundings) -> FlowDensity:
        """Give the flow's density."""
        base = IsotropicNormal(surroundings.n_components, surroundings.like)
        return FlowDensity(self._flow(surroundings.n_components), parameters, base)
