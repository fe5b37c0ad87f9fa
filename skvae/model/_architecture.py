"""What a model is made of, and all that fixes the shapes of its parameters."""

from __future__ import annotations

from dataclasses import dataclass

from skvae._core.checks import shown
from skvae._core.flat import Shape
from skvae.likelihoods import Likelihood, Width
from skvae.nn import ModuleFactory
from skvae.objectives import Objective
from skvae.posteriors import Posterior
from skvae.priors import Prior
from skvae.regularizers import Regularizer


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a user chooses a model to be made of, before its widths are known."""

    hidden_layer_sizes: tuple[int, ...]
    activation: str
    encoder: ModuleFactory | None
    decoder: ModuleFactory | None
    likelihood: Likelihood
    prior: Prior
    posterior: Posterior
    objective: Objective
    regularizer: Regularizer | None

    def check(self) -> None:
        """Raise ValueError if a component's parameter is outside its domain, or two disagree."""
        self.posterior.check()
        self.prior.check(self.posterior)
        self.objective.check()
        if self.regularizer is not None:
            self.regularizer.check(self.posterior)
        if not (self.posterior.has_density or self.objective.takes_points):
            raise ValueError(
                f"{shown(self.objective)} needs a posterior with a density. Got "
                f"{shown(self.posterior)}. Use objective='elbo', or posterior='diagonal_normal'."
            )


@dataclass(frozen=True, kw_only=True)
class Architecture(Parts):
    """The parts with their widths."""

    n_inputs: int
    n_targets: int
    n_components: int
    linear_path: bool = True

    @property
    def raw_width(self) -> Width:
        """Columns of the decoder's output."""
        return self.likelihood.width(self.n_targets)

    @property
    def parameter_shapes(self) -> list[list[Shape]]:
        """Shapes of what likelihood, posterior and prior train in addition to the networks."""
        k = self.n_components
        return [
            self.likelihood.parameter_shapes(self.n_targets),
            self.posterior.parameter_shapes(k),
            self.prior.parameter_shapes(k, self.n_inputs),
        ]

    @property
    def row_width(self) -> int:
        """Width of the widest array that is made for a row, or for one draw of it."""
        of_prior = (shape[0] for shape in self.prior.parameter_shapes(self.n_components, 1))
        n_raw = self.posterior.n_raw(self.n_components), sum(self.raw_width)
        return max(self.n_inputs, *n_raw, *self.hidden_layer_sizes, *of_prior, 256)
