"""The evidence lower bound."""

from __future__ import annotations

from sklearn.base import BaseEstimator
from torch import Tensor


class ELBO(BaseEstimator):
    """E_q[log p(x|z)] - beta KL(q(z|x) || p(z)): Kingma and Welling (2013), eq. 3.

    With ``beta=1`` it is a lower bound of log p(x); another weight gives the objective of Higgins
    et al. (2017), which bounds it still where beta is above 1.
    """

    def rows(self, log_p: Tensor, kl: Tensor, beta: Tensor | float) -> Tensor:
        """Value of each row from log p (draws, rows) and KL (rows,)."""
        return log_p.mean(0) - beta * kl
