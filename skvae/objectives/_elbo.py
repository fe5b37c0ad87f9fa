"""The evidence lower bound."""

from __future__ import annotations

import torch
from torch import Tensor

from skvae._core.checks import check_number
from skvae.objectives._base import Draws, Objective


class ELBO(Objective):
    """E_q[log p(x|z)] - beta KL(q(z|x) || p(z)): Kingma and Welling (2013), eq. 3.

    With ``beta=1`` it is a lower bound of log p(x); another weight gives the objective of Higgins
    et al. (2017), which still bounds it if beta is above 1.

    Parameters
    ----------
    free_bits : float, default=0.0
        Nats that each latent's KL, averaged over the rows of a batch, may have for free [1]_:
        below this value it counts as this value, so nothing pushes it down. This prevents
        collapse.

    References
    ----------
    .. [1] Kingma et al. (2016), "Improved variational inference with inverse autoregressive flow",
       NeurIPS, eq. 15.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.objectives import ELBO
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, objective=ELBO(free_bits=0.5), random_state=0)
    >>> vae.fit(X).transform(X).shape
    (150, 2)
    """

    takes_points = True

    def __init__(self, free_bits: float = 0.0) -> None:
        self.free_bits = free_bits

    @property
    def is_plain(self) -> bool:  # type: ignore[override]
        """Whether no nats are free."""
        return self.free_bits == 0.0

    def check(self) -> None:
        """Raise ValueError for a negative ``free_bits``."""
        check_number(self, "free_bits")

    def rows(self, draws: Draws, beta: Tensor | float) -> Tensor:
        """Value of each row, shape (rows,)."""
        kl = draws.kl
        if self.free_bits > 0.0:
            paid = kl.detach().mean(0) > self.free_bits
            kl = torch.where(paid, kl, kl.new_tensor(self.free_bits))
        return draws.log_p.mean(0) - beta * kl.sum(1)
