"""A normalizing flow as the posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skvae._core.checks import check_integer, check_sizes
from skvae._core.flat import Shape
from skvae._core.flow import SplineFlow
from skvae._core.math import normal_draws, soft_bound, soft_bound_inverse
from skvae.posteriors._base import Posterior
from skvae.posteriors._diagonal_normal import Normal
from skvae.posteriors._full_normal import FullNormal

# Number of draws over which the moments of a flow are taken.
_MOMENT_DRAWS = 32


@dataclass(frozen=True, kw_only=True)
class FlowNormal:
    """Normal distributions bent by a flow, one per row.

    Attributes
    ----------
    base : Normal or FullNormal
        What is bent.
    context : Tensor of shape (rows, n_context)
        What the flow is conditioned on.
    flow : SplineFlow
        From the base to the latents.
    parameters : sequence of Tensor
        The flow's.
    """

    base: Normal | FullNormal
    context: Tensor
    flow: SplineFlow
    parameters: Sequence[Tensor]

    def _moment_draws(self) -> Tensor:
        eps = normal_draws(_MOMENT_DRAWS, self.base.mean.shape[1], 0).unsqueeze(1)
        return self.transform(eps.to(self.base.mean))

    @property
    def mean(self) -> Tensor:
        """Means over a few fixed draws, shape (rows, n_components)."""
        return self._moment_draws().mean(0)

    @property
    def variance(self) -> Tensor:
        """Variances over the same draws, shape (rows, n_components)."""
        return self._moment_draws().var(0, correction=0)

    def detached(self) -> FlowNormal:
        """Give the same distributions with no way back to the encoder or the flow."""
        return replace(
            self,
            base=self.base.detached(),
            context=self.context.detach(),
            parameters=[p.detach() for p in self.parameters],
        )

    def stretched(self, factor: Tensor) -> FlowNormal:
        """Stretch the noise that is bent."""
        return replace(self, base=self.base.stretched(factor))

    def _bend(self, x: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        context = self.context.expand(*x.shape[:-1], -1)
        return self.flow(x, context, self.parameters, inverse)

    def transform(self, eps: Tensor) -> Tensor:
        """Reparameterise: z = f(mean + std * eps), shape (draws, rows, n_components)."""
        return self._bend(self.base.transform(eps), inverse=False)[0]

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density of ``z`` (draws, rows, n_components)."""
        x, log_determinant = self._bend(z, inverse=True)
        return self.base.log_prob(x) + log_determinant


class Flow(Posterior):
    """q(z|x) is a diagonal normal bent by a neural spline flow, conditioned on the row.

    It starts as the diagonal normal. ``transform`` gives means over a few fixed draws, because
    there is no closed form. Needs zuko: ``pip install skvae[flow]``.

    Parameters
    ----------
    n_layers : int, default=2
        Number of coupling layers; with one latent, of splines of it.
    hidden_layer_sizes : int or array-like of int, default=(64,)
        Widths of the networks that give a layer's splines.
    n_context : int, default=16
        Number of values per row that the encoder hands to the flow.

    References
    ----------
    .. [1] Rezende and Mohamed (2015), "Variational inference with normalizing flows", ICML.
    .. [2] Durkan, Bekasov, Murray and Papamakarios (2019), "Neural spline flows", NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.posteriors import Flow
    >>> X, _ = load_iris(return_X_y=True)
    >>> posterior = Flow(hidden_layer_sizes=(16,), n_context=4)
    >>> vae = VariationalAutoencoder(2, posterior=posterior, random_state=0)
    >>> vae.fit(X).transform(X).shape
    (150, 2)
    """

    def __init__(
        self, n_layers: int = 2, hidden_layer_sizes: tuple[int, ...] = (64,), n_context: int = 16
    ) -> None:
        self.n_layers = n_layers
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_context = n_context

    def check(self) -> None:
        """Raise ValueError if a size is not an int of at least 1."""
        check_integer(self, "n_layers")
        check_integer(self, "n_context")
        check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")

    def _flow(self, n_components: int) -> SplineFlow:
        sizes = check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        return SplineFlow(n_components, self.n_context, self.n_layers, sizes)

    def parameter_shapes(self, n_components: int) -> list[Shape]:
        """Shapes of the networks' weights."""
        return self._flow(n_components).shapes

    def start(
        self, parameters: Sequence[Tensor], n_components: int, generator: torch.Generator
    ) -> None:
        """Begin as the identity."""
        self._flow(n_components).start(parameters, generator)

    def n_raw(self, n_components: int) -> int:
        """Width of the encoder's output."""
        return 2 * n_components + self.n_context

    def __call__(
        self, raw: Tensor, n_components: int, parameters: Sequence[Tensor] = ()
    ) -> FlowNormal:
        """Read the distributions off the raw output."""
        k = n_components
        base = Normal(raw[:, :k], soft_bound(raw[:, k : 2 * k]))
        return FlowNormal(
            base=base, context=raw[:, 2 * k :], flow=self._flow(k), parameters=parameters
        )

    def mean(self, raw: Tensor, n_components: int, parameters: Sequence[Tensor] = ()) -> Tensor:
        """Means over a few fixed draws, shape (rows, n_components)."""
        return self(raw, n_components, parameters).mean

    def raw_output(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Raw output for a base with these moments, and no context."""
        context = mean.new_zeros(*mean.shape[:-1], self.n_context)
        return torch.cat([mean, soft_bound_inverse(log_variance), context], -1)
