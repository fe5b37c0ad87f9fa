"""Normalizing flows of zuko, as functions of parameters that lie elsewhere."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skvae._core.process import seeded


class SplineFlow:
    """Coupling layers of monotonic rational-quadratic splines: Durkan et al. (2019) [1]_.

    A spline acts on (-5, 5) and is the identity beyond. The flow starts as the identity. A single
    feature has no other to depend on: the parameters of its splines are constants, or a network
    computes them from the context.

    Parameters
    ----------
    n_features, n_context : int
        Width of what is mapped, and of what it is conditioned on.
    n_layers : int
        Number of coupling layers.
    hidden_layer_sizes : tuple of int
        Widths of the network that gives a layer's splines.

    References
    ----------
    .. [1] Durkan, Bekasov, Murray and Papamakarios (2019), "Neural spline flows", NeurIPS.
    """

    def __init__(
        self, n_features: int, n_context: int, n_layers: int, hidden_layer_sizes: tuple[int, ...]
    ) -> None:
        self.settings = (n_features, n_context, n_layers, hidden_layer_sizes)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the parameters."""
        return [tuple(p.shape) for p in self._module.parameters()]

    def start(self, parameters: Sequence[Tensor], generator: torch.Generator) -> None:
        """Draw the networks as torch does, with last layers of zero: the flow is the identity."""
        with seeded(generator):
            fresh = _build(*self.settings)
        for layer in fresh.flow.transform.transforms:
            # Without a network the layer itself holds the splines' parameters.
            last = layer.hyper[-1] if hasattr(layer, "hyper") else layer
            for parameter in last.parameters():
                nn.init.zeros_(parameter)
        with torch.no_grad():
            for view, value in zip(parameters, fresh.parameters(), strict=True):
                view.copy_(value)

    def __call__(
        self, x: Tensor, context: Tensor | None, parameters: Sequence[Tensor], inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Map x of shape (..., n_features), or invert the map; also give the log-determinant."""
        module = self._module.to(x)
        names = (name for name, _ in module.named_parameters())
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(module, values, (x, context, inverse))

    @property
    def _module(self) -> Any:
        # During a call the module's parameters are replaced: each thread needs its own module.
        return _kept(threading.get_ident(), *self.settings)


class _Bijection(nn.Module):
    """A flow whose call does all of the work, so that a call can be given parameters."""

    def __init__(self, flow: nn.Module) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, x: Tensor, context: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        transform = self.flow(context).transform
        return (transform.inv if inverse else transform).call_and_ladj(x)


def _build(
    n_features: int, n_context: int, n_layers: int, hidden_layer_sizes: tuple[int, ...]
) -> Any:
    try:
        import zuko
    except ImportError as error:
        raise ImportError("A flow needs zuko: `pip install skvae[flow]`.") from error
    return _Bijection(
        zuko.flows.NSF(
            n_features,
            n_context,
            transforms=n_layers,
            passes=2,
            hidden_features=hidden_layer_sizes,
        )
    )


@functools.lru_cache(maxsize=16)
def _kept(thread: int, *settings: Any) -> Any:
    with seeded(torch.Generator()):
        return _build(*settings)
