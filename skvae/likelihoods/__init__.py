"""Likelihoods: raw decoder output -> p(x|z)."""

from skvae.likelihoods._base import Likelihood, WorkingResponse
from skvae.likelihoods._bernoulli import Bernoulli
from skvae.likelihoods._gaussian import Gaussian

__all__ = ["Bernoulli", "Gaussian", "Likelihood", "WorkingResponse"]
