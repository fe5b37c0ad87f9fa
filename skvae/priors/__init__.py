"""Priors: p(z)."""

from skvae.priors._base import Density, Prior, Surroundings
from skvae.priors._flow import Flow
from skvae.priors._mixture import Mixture, MixtureOfGaussians, VampPrior
from skvae.priors._standard_normal import IsotropicNormal, StandardNormal

__all__ = [
    "Density",
    "Flow",
    "IsotropicNormal",
    "Mixture",
    "MixtureOfGaussians",
    "Prior",
    "StandardNormal",
    "Surroundings",
    "VampPrior",
]
