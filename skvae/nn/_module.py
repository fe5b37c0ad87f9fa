"""Any torch module as a network's nonlinear path."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from skvae._core.checks import shown
from skvae._core.process import seeded
from skvae.nn._network import Network

ModuleFactory = Callable[[int, int], nn.Module]


class OneRowError(ValueError):
    """A module does not take a batch of one row."""


class ModuleNetwork(Network):
    """``raw = [x A', 0] + b + gate * module(x)``, with one gate per output.

    A gate of zero silences a module of any kind, so that the linear path beside it can start as
    PCA exactly; its gradient is the module's output, so it opens with the first step (Bachlechner
    et al. 2021, ReZero). A gate of one gives the module as its author wrote it.

    Parameters
    ----------
    n_in, n_out : int
        Widths of input and output.
    n_linear : int
        Number of leading outputs that the linear path reaches.
    factory : callable
        ``factory(n_in, n_out)`` returns a module that maps (rows, n_in) to (rows, n_out).
    generator : torch.Generator
        Seeds the module's own initialisation; torch's global generator is left as it was.
    name : str, default="network"
        Name of the parameter that gave the factory, for messages. A factory that has a method
        ``build_encoder(n_in, n_out, n_features)``, or ``build_decoder``, is asked by that of its
        name.
    n_features : int, optional
        Number of columns of X, for such a method.

    Raises
    ------
    ValueError
        If the factory returns anything but a module that maps these widths.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        n_linear: int,
        factory: ModuleFactory,
        generator: torch.Generator,
        name: str = "network",
        n_features: int | None = None,
    ) -> None:
        super().__init__(n_in, n_out, n_linear)
        build = getattr(factory, f"build_{name}", None)
        with seeded(generator):
            module = build(n_in, n_out, n_features) if build else factory(n_in, n_out)
        if not isinstance(module, nn.Module):
            raise ValueError(
                f"The network factory {shown(factory)} must return a torch.nn.Module for "
                f"(n_in={n_in}, n_out={n_out}). Got {type(module).__name__}."
            )
        self.module, self.factory, self.name = module, factory, name
        self.names = [name for name, _ in module.named_parameters()]
        self.initial = [p.detach().clone() for _, p in module.named_parameters()]
        self.initial_buffers = [b.clone() for b in module.buffers()]
        inner = [tuple(p.shape) for p in self.initial]
        self.shapes = [(n_linear, n_in), *inner, (n_out,), (n_out,)]
        self._check_shape(factory, n_in, n_out)

    def _check_shape(self, factory: ModuleFactory, n_in: int, n_out: int) -> None:
        self.module.eval()
        with torch.no_grad():
            shape = tuple(self.module(torch.zeros(2, n_in, dtype=torch.float32)).shape)
        if shape != (2, n_out):
            raise ValueError(
                f"The network factory {shown(factory)} must return a module that maps "
                f"(rows, {n_in}) to (rows, {n_out}). For 2 rows it gave the shape {shape}."
            )

    @property
    def draws(self) -> bool:
        """Whether the module draws in training, as dropout does, by torch's global generator."""
        rows = torch.zeros(2, self.n_in, dtype=self.gate.dtype, device=self.gate.device)
        copied = copy.deepcopy(self.module).train()
        with torch.no_grad(), seeded(torch.Generator()):
            before = torch.get_rng_state()
            copied(rows)
            return not torch.equal(before, torch.get_rng_state())

    @property
    def linear(self) -> Tensor:
        """A, of shape (n_linear, n_in), to be read and written."""
        return self.path.detach()

    @property
    def weights(self) -> list[tuple[Tensor, Tensor]]:
        """Each parameter of two axes or more with its gradient: what ``alpha`` decays."""
        return [(p, p.grad) for p in self.params.values() if p.ndim > 1 and p.grad is not None]

    @property
    def output_bias(self) -> Tensor:
        """Bias b of shape (n_out,), to be read and written."""
        return self.bias.detach()

    @property
    def buffers(self) -> dict[str, Tensor]:
        """What the module keeps besides its parameters, such as running means."""
        return dict(self.module.named_buffers())

    @property
    def parameter_names(self) -> list[str]:
        """Name of each parameter, the module's own after the linear path."""
        return ["linear path", *(f"module.{name}" for name in self.names), "gate", "bias"]

    def train(self, mode: bool) -> None:
        """Put the module in training or evaluation mode."""
        self.module.train(mode)

    def bind(self, params: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
        """Take the views of A, the module's parameters, the gate and the bias."""
        self.path, *inner, self.gate, self.bias = params
        self.params = dict(zip(self.names, inner, strict=True))
        self.module.to(device=self.gate.device, dtype=self.gate.dtype)

    def start(self, generator: torch.Generator, zero_output: bool) -> None:
        """Set the module's own initial values; with ``zero_output`` the gate is closed."""
        with torch.no_grad():
            self.path.zero_()
            for view, value in zip(self.params.values(), self.initial, strict=True):
                view.copy_(value)
            for buffer, value in zip(self.module.buffers(), self.initial_buffers, strict=True):
                buffer.copy_(value)
            self.gate.fill_(0.0 if zero_output else 1.0)
            self.bias.zero_()

    def _seen(self, x: Tensor) -> Tensor:
        """What the module is shown: x in units of each column, or in one unit if it asks for it."""
        if self.scale is None or not getattr(self.module, "equal_units", False):
            return self._input(x)
        varies = self.scale > 0
        variances = torch.where(varies, self.scale, torch.inf).square().reciprocal()
        unit = (variances.sum() / varies.sum()).sqrt()
        return (x if self.shift is None else x - self.shift) / unit

    def forward(self, x: Tensor) -> Tensor:
        """Map x.

        Parameters
        ----------
        x : Tensor of shape (rows, n_in)
            Inputs.

        Returns
        -------
        raw : Tensor of shape (rows, n_out)
            Outputs.

        Raises
        ------
        OneRowError
            If the module raises ValueError for a single row.
        """
        seen, x = self._seen(x), self._input(x)
        try:
            output = torch.func.functional_call(self.module, self.params, (seen,))
        except ValueError as error:
            if len(x) != 1:
                raise
            # Most often a batch norm: one row has no variance to divide by.
            raise OneRowError(
                f"The module of {self.name}={self.factory!r} takes no batch of one row: {error}. "
                f"Give it at least two, or another normalization than over the rows of a batch, "
                f"such as torch.nn.LayerNorm."
            ) from error
        linear = torch.nn.functional.pad(x @ self.path.t(), (0, self.n_out - self.n_linear))
        return self.gate * output + self.bias + linear
