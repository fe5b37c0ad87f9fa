"""Mixtures of normal distributions as priors: learned components, or encoded rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skvae._core.checks import check_integer, shown
from skvae._core.flat import Shape
from skvae._core.math import LOG_2PI, soft_bound, soft_bound_inverse
from skvae.priors._base import Prior, Surroundings

# Standard deviation of a mixture's first means; its components' variances make up for it. The
# mixture is then near the standard normal, for which the PCA start is exact, and its means are far
# enough apart to separate.
_SPREAD = 0.7


class Mixture(NamedTuple):
    """A mixture of diagonal normal distributions.

    Attributes
    ----------
    log_weight : Tensor of shape (n_mixed,)
        Log of each component's share.
    mean, log_variance : Tensor of shape (n_mixed, n_components)
        Moments of the components.
    """

    log_weight: Tensor
    mean: Tensor
    log_variance: Tensor

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density of ``z`` (..., n_components).

        The squares are taken apart, z^2 / v - 2 z m / v + m^2 / v, so that two matrix products
        serve all rows and components.
        """
        precision = (-self.log_variance).exp()
        scaled = self.mean * precision
        squares = z.square() @ precision.t() - 2.0 * (z @ scaled.t()) + (self.mean * scaled).sum(1)
        normaliser = (self.log_variance + LOG_2PI).sum(1)
        return torch.logsumexp(self.log_weight - 0.5 * (squares + normaliser), -1)

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw latents, shape (n_samples, n_components)."""
        weight = self.log_weight.exp().cpu()
        index = torch.multinomial(weight, n_samples, replacement=True, generator=generator)
        index = index.to(self.mean.device)
        eps = torch.randn(n_samples, self.mean.shape[1], generator=generator, dtype=self.mean.dtype)
        return self.mean[index] + (0.5 * self.log_variance[index]).exp() * eps.to(self.mean.device)


class MixtureOfGaussians(Prior):
    """p(z) = sum_k w_k N(m_k, diag(v_k)), where weights, means and variances are trained.

    Parameters
    ----------
    n_mixed : int, default=10
        Number of components of the mixture.

    References
    ----------
    .. [1] Dilokthanakul et al. (2016), "Deep unsupervised clustering with Gaussian mixture
       variational autoencoders", arXiv:1611.02648.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.priors import MixtureOfGaussians
    >>> X, _ = load_iris(return_X_y=True)
    >>> prior = MixtureOfGaussians(n_mixed=3)
    >>> vae = VariationalAutoencoder(2, prior=prior, random_state=0).fit(X)
    >>> vae.sample(5, random_state=0).shape
    (5, 4)
    """

    def __init__(self, n_mixed: int = 10) -> None:
        self.n_mixed = n_mixed

    def check(self, posterior: Any) -> None:
        """Raise ValueError for fewer than one component."""
        check_integer(self, "n_mixed")

    def parameter_shapes(self, n_components: int, n_features: int) -> list[Shape]:
        """Logits, means, and log-variances before their soft bound."""
        return [(self.n_mixed,), (self.n_mixed, n_components), (self.n_mixed, n_components)]

    def start(
        self,
        parameters: Sequence[Tensor],
        n_components: int,
        draw_rows: Callable[[int], Tensor],
        generator: torch.Generator,
    ) -> None:
        """Begin near N(0, I): means drawn close to zero, and variances that make up for it."""
        logits, mean, raw_log_variance = parameters
        with torch.no_grad():
            logits.zero_()
            draws = torch.randn(mean.shape, generator=generator, dtype=torch.float64)
            mean.copy_(_SPREAD * draws)
            rest = torch.tensor(1.0 - _SPREAD**2, dtype=torch.float64).log()
            raw_log_variance.fill_(soft_bound_inverse(rest).item())

    def density(self, parameters: Sequence[Tensor], surroundings: Surroundings) -> Mixture:
        """Give the mixture."""
        logits, mean, raw_log_variance = parameters
        return Mixture(torch.log_softmax(logits, 0), mean, soft_bound(raw_log_variance))


class VampPrior(Prior):
    """p(z) = 1/K sum_k q(z|u_k): the posteriors of K trained pseudo-inputs, equally weighted.

    It follows the encoder as that changes, and so comes close to the best prior, the average of the
    posteriors over the rows [1]_.

    Parameters
    ----------
    n_pseudo_inputs : int, default=500
        Number K of pseudo-inputs; they start as rows of X.

    References
    ----------
    .. [1] Tomczak and Welling (2018), "VAE with a VampPrior", AISTATS, eq. 9.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.priors import VampPrior
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, prior=VampPrior(20), random_state=0).fit(X)
    >>> vae.sample(5, random_state=0).shape
    (5, 4)
    """

    def __init__(self, n_pseudo_inputs: int = 500) -> None:
        self.n_pseudo_inputs = n_pseudo_inputs

    def check(self, posterior: Any) -> None:
        """Raise ValueError for fewer than one pseudo-input, or a posterior that cannot be mixed."""
        check_integer(self, "n_pseudo_inputs")
        if not posterior.factorises:
            raise ValueError(
                f"VampPrior mixes normal posteriors with independent latents. Got the posterior "
                f"{shown(posterior)}. Use posterior='diagonal_normal', or MixtureOfGaussians as "
                f"prior."
            )

    def parameter_shapes(self, n_components: int, n_features: int) -> list[Shape]:
        """Pseudo-inputs, in working units."""
        return [(self.n_pseudo_inputs, n_features)]

    def start(
        self,
        parameters: Sequence[Tensor],
        n_components: int,
        draw_rows: Callable[[int], Tensor],
        generator: torch.Generator,
    ) -> None:
        """Begin with rows of X."""
        with torch.no_grad():
            parameters[0].copy_(draw_rows(self.n_pseudo_inputs))

    def density(self, parameters: Sequence[Tensor], surroundings: Surroundings) -> Mixture:
        """Give the mixture of the pseudo-inputs' posteriors."""
        q = surroundings.encode(parameters[0])
        log_weight = torch.log_softmax(torch.zeros_like(q.mean[:, 0]), 0)
        return Mixture(log_weight, q.mean, q.log_variance)
