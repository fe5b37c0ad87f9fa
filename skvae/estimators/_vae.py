"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval

from skvae._core.math import log_mean_exp
from skvae._core.process import isolated
from skvae._sklearn.docs import with_shared_docs
from skvae.estimators._base import BaseAutoencoder
from skvae.estimators._components import COMPONENTS, allowed
from skvae.likelihoods import Likelihood
from skvae.objectives import Objective
from skvae.posteriors import Posterior
from skvae.priors import Prior
from skvae.regularizers import Regularizer
from skvae.schedules import Schedule


@with_shared_docs
class VariationalAutoencoder(BaseAutoencoder):
    """Variational autoencoder in PCA's place.

    An encoder maps a row x to a Gaussian q(z|x) over latents with a standard normal prior, a
    decoder maps a latent to p(x|z), and both are trained to raise the evidence lower bound [1]_

        E_q[log p(x|z)] - beta KL(q(z|x) || p(z)),

    which bounds log p(x) where beta is at least 1. Each network is a linear path beside a
    nonlinear one. The linear paths start as probabilistic PCA [2]_ with the nonlinear ones silent,
    so that before the first step the model *is* PCA: ``score``, ``transform`` and
    ``inverse_transform`` are PCA's. Training goes on from there, held-out rows choose the epoch,
    and the start stays among the candidates.

    Parameters
    ----------
    n_components : int, float in (0, 1), "mle" or None, default=2
        As in every autoencoder.
    hidden_layer_sizes : int or array-like of int, default=(256,)
        As in every autoencoder.
    activation : {"relu", "tanh", "logistic", "identity", "silu", "gelu"}, default="relu"
        As in every autoencoder.
    encoder : callable, default=None
        ``(n_in, n_out) -> torch.nn.Module``, an importable function that builds the encoder's
        nonlinear path in place of ``hidden_layer_sizes``: a module that maps (rows, n_features) to
        (rows, 2 * n_components), means first. A gate for each output keeps it silent at the PCA
        start and opens with training.
    decoder : callable, default=None
        As in every autoencoder.
    likelihood : {"gaussian", "bernoulli"} or Likelihood, default="gaussian"
        As in every autoencoder.
    prior : {"standard_normal", "mixture_of_gaussians", "vamp", "flow"} or Prior, \
            default="standard_normal"
        p(z), of ``skvae.priors``; all but the first are trained beside the networks.
    posterior : {"diagonal_normal", "full_covariance_normal", "flow", "deterministic"} or \
            Posterior, default="diagonal_normal"
        q(z|x), of ``skvae.posteriors``. "deterministic" is a point and goes with ``beta=0``.
    objective : {"elbo", "importance_weighted"} or Objective, default="elbo"
        What is maximised. ``skvae.objectives.ImportanceWeighted(n_draws)`` is a tighter bound of
        several draws, ``skvae.objectives.ELBO(free_bits)`` leaves each latent some nats.
    regularizer : {"total_correlation", "dip", "maximum_mean_discrepancy"} or Regularizer, \
            default=None
        A penalty on the latents of many rows together, of ``skvae.regularizers``.
    beta : float or Schedule, default=1.0
        Weight of the KL term [3]_. At 1 the objective is a lower bound of the log-likelihood. An
        object of ``skvae.schedules`` changes it over the epochs, such as ``WarmUp(20)``, or by what
        the steps show, such as ``KLController(10)``; then no epochs are compared, and the last is
        kept.
    init : {"auto", "pca", "random"}, default="auto"
        Start of the networks. "pca" is probabilistic PCA; "random" is the usual one: Glorot draws,
        and no linear paths beside hidden layers. "auto" is "pca", but races both where latents and
        rows are many (see Notes).
    whiten : bool, default=False
        As in every autoencoder.
    latent_density : density estimator, default=None
        What ``sample`` draws latents from in the prior's place, where their distribution over the
        rows differs from it: ``GaussianMixture(10)``, or any estimator with ``fit`` and ``sample``.
        A clone is fitted to one posterior draw of each row after training [5]_. ``score`` keeps the
        prior.
    batch_size : int or "auto", default="auto"
        As in every autoencoder.
    learning_rate_init : float, default=2e-3
        As in every autoencoder.
    alpha : float, default=0.0
        L2 penalty on the weights of the nonlinear paths, divided by the number of samples as in
        ``MLPRegressor``. None by default: the KL term and the held-out rows regularise.
    max_iter : int, default=200
        As in every autoencoder.
    tol : float, default=1e-4
        As in every autoencoder.
    early_stopping : bool, default=True
        As in every autoencoder.
    validation_fraction : float, default=0.1
        As in every autoencoder.
    n_iter_no_change : int, default=10
        As in every autoencoder.
    warm_start : bool, default=False
        As in every autoencoder.
    device : str or torch.device, default="auto"
        As in every autoencoder.
    precision : {"float32", "bfloat16"}, default="float32"
        As in every autoencoder.
    random_state : int, RandomState instance or None, default=None
        As in every autoencoder.
    verbose : int, default=0
        As in every autoencoder.

    Attributes
    ----------
    n_components_ : int
        As in every autoencoder.
    mean_ : ndarray of shape (n_features_in_,)
        As in every autoencoder.
    components_ : ndarray of shape (n_components_, n_features_in_)
        As in every autoencoder.
    explained_variance_ : ndarray of shape (n_components_,)
        Squared effect of each latent on E[x|z] (the mean square norm of its derivative over at
        most 1000 training rows) plus the noise along it, in descending order; PCA's eigenvalues at
        the start, zero for an inactive latent.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        As in every autoencoder.
    noise_variance_ : float or ndarray of shape (n_features_in_,)
        As in every autoencoder.
    kl_per_component_ : ndarray of shape (n_components_,)
        Mean KL of each latent to the prior, in nats; there where the KL is a sum over latents.
    n_active_components_ : int
        Number of latents whose posterior mean has a variance above 0.01 over the rows [4]_.
    loss_curve_ : list of float
        As in every autoencoder.
    history_ : dict of str to list of float
        Means over each epoch's steps: "loss", "log_likelihood" (E_q[log p(x|z)] in X's units),
        "kl", "regularizer" and "beta".
    validation_scores_ : list of float or None
        As in every autoencoder.
    best_validation_score_ : float or None
        As in every autoencoder.
    n_iter_ : int
        As in every autoencoder.
    n_skipped_steps_ : int
        As in every autoencoder.
    likelihood_ : Likelihood
        As in every autoencoder.
    device_ : str
        As in every autoencoder.
    latent_density_ : density estimator
        As in every autoencoder.
    n_features_in_ : int
        As in every autoencoder.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        As in every autoencoder.

    See Also
    --------
    sklearn.decomposition.PCA : The start of this model.
    sklearn.decomposition.FactorAnalysis : The linear model with a noise for each feature.

    Notes
    -----
    A full PCA start can hold a model with many latents in its linear basin. So with at least 16
    latents, 5000 training rows and hidden layers, ``init="auto"`` trains the full PCA start, one
    of its leading fifth and the random start for a twentieth of ``max_iter`` each, and goes on
    from the best on the held-out rows. These epochs are not counted in ``n_iter_``, and
    ``validation_scores_`` begins where the best of them ended.

    References
    ----------
    .. [1] Kingma and Welling (2013), "Auto-encoding variational Bayes", eq. 3 and 10.
    .. [2] Tipping and Bishop (1999), "Probabilistic principal component analysis", JRSS B 61.
    .. [3] Higgins et al. (2017), "beta-VAE", ICLR.
    .. [4] Burda, Grosse and Salakhutdinov (2016), "Importance weighted autoencoders", ICLR.
    .. [5] Ghosh et al. (2020), "From variational to deterministic autoencoders", ICLR, section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from skvae import VariationalAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> X_train, X_test = train_test_split(X / 16, random_state=0)
    >>> vae = VariationalAutoencoder(8, max_iter=40, random_state=0).fit(X_train)
    >>> vae.transform(X_test).shape
    (450, 8)
    >>> vae.score(X_test) > PCA(8).fit(X_train).score(X_test)
    True
    """

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "prior": allowed(*COMPONENTS["prior"]),
        "posterior": allowed(*COMPONENTS["posterior"]),
        "objective": allowed(*COMPONENTS["objective"]),
        "beta": [Interval(Real, 0, None, closed="left"), Schedule],
    }

    def __init__(
        self,
        n_components: Any = 2,
        *,
        hidden_layer_sizes: Any = (256,),
        activation: str = "relu",
        encoder: Callable | None = None,
        decoder: Callable | None = None,
        likelihood: str | Likelihood = "gaussian",
        prior: str | Prior = "standard_normal",
        posterior: str | Posterior = "diagonal_normal",
        objective: str | Objective = "elbo",
        regularizer: str | Regularizer | None = None,
        beta: float | Schedule = 1.0,
        init: str = "auto",
        whiten: bool = False,
        latent_density: Any = None,
        batch_size: int | str = "auto",
        learning_rate_init: float = 2e-3,
        alpha: float = 0.0,
        max_iter: int = 200,
        tol: float = 1e-4,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        device: str = "auto",
        precision: str = "float32",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.posterior = posterior
        self.objective = objective
        self.regularizer = regularizer
        self.beta = beta
        self.init = init
        self.whiten = whiten
        self.latent_density = latent_density
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @isolated
    def encode(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Give the mean and standard deviation of each row's posterior q(z|x).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        mean, std : ndarray of shape (n_samples, n_components_)
            Posterior means, not unshrunk as ``transform``'s, and standard deviations.
        """
        return self._moments_of(self._check_rows(X))

    @isolated
    def score_samples(self, X: Any, *, n_draws: int = 100) -> np.ndarray:
        """Estimate log p(x) of each row by importance sampling from its posterior [1]_.

        It is the log-density in X's units, free of ``beta``, comparable with PCA's and
        GaussianMixture's: a lower bound in expectation that rises to log p(x) with more draws, and
        exact at the PCA start. All rows share the draws, fixed at fit, so a row's value depends
        neither on its neighbours nor on the call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.
        n_draws : int, default=100
            Quasi-random draws for a row; the error falls with their number, and the time grows.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Estimates, in nats.

        Raises
        ------
        ValueError
            If the posterior is a point: there is no likelihood of a row then.

        References
        ----------
        .. [1] Burda, Grosse and Salakhutdinov (2016), "Importance weighted autoencoders", eq. 8.
        """
        return self._read_log_weights(self._check_rows(X), n_draws, log_mean_exp)
