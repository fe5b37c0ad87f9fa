"""Laws that components have to keep, as functions for those of your own.

Each raises AssertionError with a sentence that says which law, by which numbers, and what to do.
"""

from skvae.testing._density import check_density, check_samples
from skvae.testing._likelihoods import (
    check_domain,
    check_likelihood,
    check_mask,
    check_pullback,
    check_start,
)
from skvae.testing._parts import (
    check_objective,
    check_posterior,
    check_prior,
    check_regularizer,
)
from skvae.testing._steps import check_step

__all__ = [
    "check_density",
    "check_domain",
    "check_likelihood",
    "check_mask",
    "check_objective",
    "check_posterior",
    "check_prior",
    "check_pullback",
    "check_regularizer",
    "check_samples",
    "check_start",
    "check_step",
]
