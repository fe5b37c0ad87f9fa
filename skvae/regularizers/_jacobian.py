"""Penalties on the Jacobian of the encoder, and on that of the decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from skvae._core.checks import check_integer, check_number
from skvae.regularizers._base import Aggregate, Regularizer


def squared_jacobian_norm(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    n_projections: int | None,
    generator: torch.Generator,
) -> Tensor:
    """Squared Frobenius norm |J|^2 of a function's Jacobian at each row, shape (rows,).

    If v consists of independent signs, E[v v'] = I, so that E[|J'v|^2] = tr(J J') = |J|^2
    (Hutchinson 1990): each projection is unbiased and costs one backward pass. The result can be
    differentiated.

    Parameters
    ----------
    function : callable
        Maps (rows, n) to (rows, m), each row by itself.
    x : Tensor of shape (rows, n)
        Points at which the Jacobian is taken.
    n_projections : int or None
        Number of vectors v; None takes the m unit vectors, which give the norm itself.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    norms : Tensor of shape (rows,)
        The norms, or estimates of them.
    """
    with torch.enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        y = function(x)
        if n_projections is None:
            vectors = torch.eye(y.shape[1], dtype=torch.float32).expand(len(y), -1, -1).unbind(1)
        else:
            signs = torch.randint(2, (n_projections, *y.shape), generator=generator)
            vectors = (signs * 2.0 - 1.0).unbind(0)
        total = torch.zeros_like(x[:, 0])
        for v in vectors:
            (pulled,) = torch.autograd.grad(y, x, v.to(y), create_graph=True)
            total = total + pulled.square().sum(1)
    return total / (n_projections or 1)


class Contractive(Regularizer):
    """Squared norm of the encoder's Jacobian: the contractive autoencoder [1]_.

    ``weight`` E_x |d z / d x|^2, with z the encoder's mean and x in working units (under the
    Gaussian likelihood, units in which the mean variance is one). A decoder can make up for small
    latents with large weights, so combine it with weight decay (``alpha``).

    Parameters
    ----------
    weight : float, default=0.1
        Factor of the penalty.
    n_projections : int or None, default=1
        Random projections that estimate the norm, without bias. None computes it exactly, in one
        backward pass per latent.

    References
    ----------
    .. [1] Rifai, Vincent, Muller, Glorot and Bengio (2011), "Contractive auto-encoders: explicit
       invariance during feature extraction", ICML, eq. 7.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import Autoencoder
    >>> from skvae.regularizers import Contractive
    >>> X, _ = load_iris(return_X_y=True)
    >>> Autoencoder(2, regularizer=Contractive(0.1), random_state=0).fit_transform(X).shape
    (150, 2)
    """

    def __init__(self, weight: float = 0.1, n_projections: int | None = 1) -> None:
        self.weight = weight
        self.n_projections = n_projections

    def check(self, posterior: Any) -> None:
        """Raise ValueError for a negative weight or no projection."""
        check_number(self, "weight")
        if self.n_projections is not None:
            check_integer(self, "n_projections")

    def penalty(self, latents: Aggregate) -> Tensor:
        """What is taken from the objective, shape ()."""
        norms = squared_jacobian_norm(
            latents.encode, latents.inputs, self.n_projections, latents.generator
        )
        return self.weight * (latents.weight @ norms)


class DecoderGradient(Regularizer):
    """Squared norm of the decoder's Jacobian: a smooth decoder, as in RAE-GP [1]_.

    ``weight`` / 2 E_x |d E[x|z] / d z|^2 at the rows' latents. With ``LatentNorm`` it is the
    regularised autoencoder of Ghosh et al., which a ``latent_density`` makes generative.

    Parameters
    ----------
    weight : float, default=0.01
        Factor of the penalty.
    n_projections : int or None, default=1
        As in ``Contractive``, but None takes one backward pass per feature.

    References
    ----------
    .. [1] Ghosh, Sajjadi, Vergari, Black and Schölkopf (2020), "From variational to deterministic
       autoencoders", ICLR, section 3.1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.mixture import GaussianMixture
    >>> from skvae import Autoencoder
    >>> from skvae.regularizers import DecoderGradient, LatentNorm
    >>> X, _ = load_iris(return_X_y=True)
    >>> rae = Autoencoder(
    ...     2,
    ...     regularizer=LatentNorm(0.01) + DecoderGradient(0.01),
    ...     latent_density=GaussianMixture(3),
    ...     random_state=0,
    ... )
    >>> rae.fit(X).sample(5, random_state=0).shape
    (5, 4)
    """

    def __init__(self, weight: float = 0.01, n_projections: int | None = 1) -> None:
        self.weight = weight
        self.n_projections = n_projections

    def check(self, posterior: Any) -> None:
        """Raise ValueError for a negative weight or no projection."""
        check_number(self, "weight")
        if self.n_projections is not None:
            check_integer(self, "n_projections")

    def penalty(self, latents: Aggregate) -> Tensor:
        """What is taken from the objective, shape ()."""
        norms = squared_jacobian_norm(
            latents.decode, latents.z, self.n_projections, latents.generator
        )
        return 0.5 * self.weight * (latents.weight @ norms)
