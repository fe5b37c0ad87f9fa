"""Likelihoods: raw decoder output -> p(x|z)."""

from skvae._core.math import soft_bound, soft_bound_inverse, soft_bound_vjp
from skvae.likelihoods._base import FIXED_NOISE, Likelihood, Response, Width, log_constant
from skvae.likelihoods._bernoulli import Bernoulli
from skvae.likelihoods._beta import Beta
from skvae.likelihoods._categorical import Categorical
from skvae.likelihoods._cells import CellLikelihood
from skvae.likelihoods._columns import Columns
from skvae.likelihoods._continuous_bernoulli import ContinuousBernoulli
from skvae.likelihoods._counts import CountLikelihood, logged_view
from skvae.likelihoods._gaussian import Gaussian, centred_view
from skvae.likelihoods._joint import Joint
from skvae.likelihoods._laplace import Laplace
from skvae.likelihoods._log_normal import LogNormal
from skvae.likelihoods._negative_binomial import NegativeBinomial
from skvae.likelihoods._nonparanormal import Nonparanormal
from skvae.likelihoods._ordinal import Ordinal
from skvae.likelihoods._poisson import Poisson
from skvae.likelihoods._student_t import StudentT
from skvae.likelihoods._zero_inflated import ZeroInflatedNegativeBinomial

__all__ = [
    "FIXED_NOISE",
    "Bernoulli",
    "Beta",
    "Categorical",
    "CellLikelihood",
    "Columns",
    "ContinuousBernoulli",
    "CountLikelihood",
    "Gaussian",
    "Joint",
    "Laplace",
    "Likelihood",
    "LogNormal",
    "NegativeBinomial",
    "Nonparanormal",
    "Ordinal",
    "Poisson",
    "Response",
    "StudentT",
    "Width",
    "ZeroInflatedNegativeBinomial",
    "centred_view",
    "log_constant",
    "logged_view",
    "soft_bound",
    "soft_bound_inverse",
    "soft_bound_vjp",
]
