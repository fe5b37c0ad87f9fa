"""The nonparanormal likelihood."""

from __future__ import annotations

from skvae.likelihoods._gaussian import Gaussian
from skvae.tables import Coding


class Nonparanormal(Gaussian):
    """p(x|z) = prod_j N(s_j(x_j); decoder(z)_j, noise_j) s_j'(x_j), with normal scores s_j.

    Domain: real numbers of any distribution, such as skewed ones. Link: identity, of the scores.
    A column's values become normal by their ranks in the rows of fit, s(x) = Phi^-1(F(x)), with F
    piecewise linear between quantiles that have twenty rows or more between them. So the start is
    factor analysis of a Gaussian copula, and generated rows have the column's own distribution.

    References
    ----------
    .. [1] Liu, Lafferty and Wasserman (2009), "The nonparanormal", JMLR 10, section 3.
    .. [2] Murray et al. (2013), "Bayesian Gaussian copula factor models for mixed
       data", JASA 108.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import VariationalAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((1000, 1)) + 0.5 * rng.standard_normal((1000, 3))
    >>> skewed = VariationalAutoencoder(1, likelihood="nonparanormal", max_iter=0).fit(X**3)
    >>> gaussian = VariationalAutoencoder(1, likelihood="gaussian", max_iter=0).fit(X**3)
    >>> bool(skewed.score(X**3) > gaussian.score(X**3) + 1)
    True
    """

    coding = Coding("scores")

    def __init__(self) -> None:
        super().__init__(noise="feature")
