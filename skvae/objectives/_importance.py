"""The importance-weighted bound."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skvae._core.checks import check_integer
from skvae._core.math import log_mean_exp
from skvae.objectives._base import Draws, Objective


class ImportanceWeighted(Objective):
    """E[log 1/K sum_k w_k], w = p(x|z) (p(z) / q(z|x))^beta: Burda et al. (2016) [1]_, eq. 8.

    With ``beta=1`` it is a lower bound of log p(x) that rises with the number of draws K; one draw
    gives the evidence lower bound. The encoder's gradient is the doubly reparameterised one [2]_,
    whose noise does not drown it as K grows: with normalised weights v_k it is
    sum_k v_k (1 - beta + beta v_k) (d log w_k / d z_k) (d z_k / d phi).

    Parameters
    ----------
    n_draws : int, default=5
        Draws K per row in a step, whose cost grows with them.

    References
    ----------
    .. [1] Burda, Grosse and Salakhutdinov (2016), "Importance weighted autoencoders", ICLR.
    .. [2] Tucker, Lawson, Gu and Maddison (2019), "Doubly reparameterized gradient estimators for
       Monte Carlo objectives", ICLR, eq. 8.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.objectives import ImportanceWeighted
    >>> X, _ = load_iris(return_X_y=True)
    >>> objective = ImportanceWeighted(n_draws=3)
    >>> vae = VariationalAutoencoder(2, objective=objective, random_state=0)
    >>> vae.fit(X).transform(X).shape
    (150, 2)
    """

    is_weighted = True

    def __init__(self, n_draws: int = 5) -> None:
        self.n_draws = n_draws

    def check(self) -> None:
        """Raise ValueError for fewer than one draw."""
        check_integer(self, "n_draws")

    def rows(self, draws: Draws, beta: Tensor | float) -> Tensor:
        """Value of each row, shape (rows,), with the gradient of Tucker et al. (2019)."""
        # The posterior's parameters enter through z alone. Their score, -beta sum v_k d log q(z_k),
        # is reparameterised once more: E[v_k d log q(z_k)] = E[(d v_k / d z_k) (d z_k / d phi)].
        log_ratio = draws.q.detached().log_prob(draws.z) - draws.prior.log_prob(draws.z)
        log_w = draws.log_p - beta * log_ratio
        value = log_mean_exp(log_w)
        if not log_w.requires_grad:
            return value
        v = torch.softmax(log_w.detach(), 0)
        if draws.z.requires_grad:
            share = 1.0 - beta + beta * v
            draws.z.register_hook(lambda d: d * share[..., None])
        weighted = (v * log_w).sum(0)
        return value.detach() + (weighted - weighted.detach())

    def weigh(
        self, log_p: np.ndarray, log_ratio: np.ndarray, beta: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same of arrays: values (rows,), v_k and 1 - beta + beta v_k (draws, rows)."""
        log_w = log_p - beta * log_ratio
        most = log_w.max(0)
        v = np.exp(log_w - most)
        total = v.sum(0)
        v /= total
        return np.log(total / len(v)) + most, v, 1.0 - beta + beta * v
