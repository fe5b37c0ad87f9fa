"""The parts that a model is made of, with their aliases: the one table of names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import clone

from skvae._sklearn.compat import StrOptions
from skvae.corruptions import GaussianNoise, Masking
from skvae.likelihoods import (
    Bernoulli,
    Beta,
    Categorical,
    ContinuousBernoulli,
    Gaussian,
    Laplace,
    Likelihood,
    LogNormal,
    NegativeBinomial,
    Nonparanormal,
    Ordinal,
    Poisson,
    StudentT,
    ZeroInflatedNegativeBinomial,
)
from skvae.objectives import ELBO, ImportanceWeighted, Objective
from skvae.posteriors import Deterministic, DiagonalNormal, FullCovarianceNormal, Posterior
from skvae.posteriors import Flow as FlowPosterior
from skvae.priors import Flow, MixtureOfGaussians, Prior, StandardNormal, VampPrior
from skvae.regularizers import (
    DIP,
    Contractive,
    DecoderGradient,
    LatentNorm,
    MaximumMeanDiscrepancy,
    Regularizer,
    SparseActivity,
    TotalCorrelation,
)
from skvae.starts import Auto, BoltzmannMachines, PrincipalComponents, Random

Aliases = dict[str, Callable[[], Any]]
LIKELIHOODS: Aliases = {
    "gaussian": Gaussian,
    "bernoulli": Bernoulli,
    "categorical": Categorical,
    "nonparanormal": Nonparanormal,
    "ordinal": Ordinal,
    "log_normal": LogNormal,
    "continuous_bernoulli": ContinuousBernoulli,
    "beta": Beta,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "zero_inflated_negative_binomial": ZeroInflatedNegativeBinomial,
    "student_t": StudentT,
    "laplace": Laplace,
}
PRIORS: Aliases = {
    "standard_normal": StandardNormal,
    "mixture_of_gaussians": MixtureOfGaussians,
    "vamp": VampPrior,
    "flow": Flow,
}
POSTERIORS: Aliases = {
    "diagonal_normal": DiagonalNormal,
    "full_covariance_normal": FullCovarianceNormal,
    "flow": FlowPosterior,
    "deterministic": Deterministic,
}
OBJECTIVES: Aliases = {"elbo": ELBO, "importance_weighted": ImportanceWeighted}
REGULARIZERS: Aliases = {
    "total_correlation": TotalCorrelation,
    "dip": DIP,
    "maximum_mean_discrepancy": MaximumMeanDiscrepancy,
    "contractive": Contractive,
    "decoder_gradient": DecoderGradient,
    "latent_norm": LatentNorm,
    "sparse_activity": SparseActivity,
}
STARTS: Aliases = {
    "auto": Auto,
    "pca": PrincipalComponents,
    "random": Random,
    "rbm": BoltzmannMachines,
}
CORRUPTIONS: Aliases = {"gaussian_noise": GaussianNoise, "masking": Masking}
# What a model is made of: each constructor parameter, with its aliases and its class.
COMPONENTS: dict[str, tuple[Aliases, type]] = {
    "likelihood": (LIKELIHOODS, Likelihood),
    "prior": (PRIORS, Prior),
    "posterior": (POSTERIORS, Posterior),
    "objective": (OBJECTIVES, Objective),
    "regularizer": (REGULARIZERS, Regularizer),
}


def resolve(value: Any, aliases: Aliases) -> Any:
    """Give the fit a component of its own: by its alias, or as a clone of the user's."""
    if value is None:
        return None
    return aliases[value]() if isinstance(value, str) else clone(value)


def own_factory(factory: Any) -> Any:
    """Give the fit a network factory of its own if it has parameters, which may be set later."""
    has_parameters = hasattr(factory, "get_params") and not isinstance(factory, type)
    return clone(factory) if has_parameters else factory


def allowed(aliases: Aliases, kind: type) -> list[Any]:
    """Constraint of a parameter that takes an alias or an object."""
    return [StrOptions(set(aliases)), kind]
