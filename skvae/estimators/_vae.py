"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from skvae._core.math import log_mean_exp
from skvae._core.process import isolated
from skvae._sklearn.compat import Interval
from skvae.estimators._base import BaseAutoencoder
from skvae.estimators._components import COMPONENTS, allowed
from skvae.likelihoods import Columns, Likelihood
from skvae.objectives import Objective
from skvae.posteriors import Posterior
from skvae.priors import Prior
from skvae.regularizers import Regularizer
from skvae.schedules import Schedule
from skvae.starts import Start


class VariationalAutoencoder(BaseAutoencoder):
    """Variational autoencoder in PCA's place.

    An encoder maps a row x to a Gaussian q(z|x) over latents with a standard normal prior, a
    decoder maps a latent to p(x|z), and both are trained to raise the evidence lower bound [1]_

        E_q[log p(x|z)] - beta KL(q(z|x) || p(z)),

    which bounds log p(x) if beta is at least 1. Each network is a linear path beside a
    nonlinear one. The linear paths start as probabilistic PCA [2]_ with the nonlinear ones silent,
    so that before the first step the model *is* PCA: ``score``, ``transform`` and
    ``inverse_transform`` are PCA's. Training goes on from there, held-out rows choose the epoch,
    and the start stays among the candidates.

    Parameters
    ----------
    n_components : int, float in (0, 1), "mle" or None, default=2
        Number of latents; two can be drawn. As in PCA, a float is the share of variance to
        explain, "mle" is Minka's choice and None is ``min(n_samples, n_features)``; all three are
        read off the start's spectrum. An int may exceed the number of features; what the data
        cannot fill starts with no effect.
    hidden_layer_sizes : int or array-like of int, default=(256,)
        Widths of the encoder's hidden layers; the decoder has them in reverse order. The linear
        path leaves little for more than one layer to do on a table. ``()`` is the linear model.
    activation : {"relu", "tanh", "logistic", "identity", "silu", "gelu"}, default="relu"
        Activation function of the hidden layers. The default is the cheapest.
    encoder : callable, default=None
        ``(n_in, n_out) -> torch.nn.Module``, an importable function that builds the encoder's
        nonlinear path in place of ``hidden_layer_sizes``: a module that maps (rows, n_features) to
        (rows, 2 * n_components), means first. A gate on each output keeps it silent at the PCA
        start and opens during training. ``skvae.nn`` has ``Convolutional`` for images and
        ``ResidualDense``.
    decoder : callable, default=None
        The same for the decoder: it maps (rows, n_components) to (rows, n_features).
    likelihood : {"gaussian", "nonparanormal", "student_t", "laplace", "log_normal", "bernoulli", \
            "continuous_bernoulli", "beta", "poisson", "negative_binomial", \
            "zero_inflated_negative_binomial", "categorical", "ordinal"}, "auto", Likelihood, \
            Columns or list of tuples, default="gaussian"
        p(x|z), from ``skvae.likelihoods``. "gaussian" learns one noise variance, as probabilistic
        PCA does; ``Gaussian(noise="feature")`` learns one per feature, and ``noise="row"`` predicts
        one per cell. "nonparanormal" takes real numbers of any distribution, "student_t" and
        "laplace" those with outliers, "log_normal" those above 0. "bernoulli" and
        "continuous_bernoulli" take X in [0, 1], "beta" strictly between. "poisson",
        "negative_binomial" and "zero_inflated_negative_binomial" take counts, "categorical" and
        "ordinal" levels such as strings. "auto" chooses one for each column of a table; a list of
        tuples (name, likelihood, columns), or ``Columns`` of it, says so for some
        (``docs/tables.md``).
    prior : {"standard_normal", "mixture_of_gaussians", "vamp", "flow"} or Prior, \
            default="standard_normal"
        p(z), from ``skvae.priors``; all but the first are trained together with the networks.
    posterior : {"diagonal_normal", "full_covariance_normal", "flow", "deterministic"} or \
            Posterior, default="diagonal_normal"
        q(z|x), from ``skvae.posteriors``. "deterministic" is a point and needs ``beta=0``.
    objective : {"elbo", "importance_weighted"} or Objective, default="elbo"
        What is maximised. ``skvae.objectives.ImportanceWeighted(n_draws)`` is a tighter bound from
        several draws, ``skvae.objectives.ELBO(free_bits)`` leaves each latent some nats free.
    regularizer : {"total_correlation", "dip", "maximum_mean_discrepancy"} or Regularizer, \
            default=None
        A penalty on the latents of many rows together, from ``skvae.regularizers``.
    beta : float or Schedule, default=1.0
        Weight of the KL term [3]_. At 1 the objective is a lower bound of the log-likelihood. An
        object of ``skvae.schedules`` changes it over the epochs, such as ``WarmUp(20)``, or by what
        the steps show, such as ``KLController(10)``. With the latter kind no epochs are compared,
        and the last is kept.
    init : {"auto", "pca", "random"} or Start, default="auto"
        Start of the networks, from ``skvae.starts``. "pca" is probabilistic PCA; "random" is the
        usual one: Glorot draws, and no linear paths beside hidden layers. "auto" is "pca", but
        races both if there are many latents and rows (see Notes).
        ``PrincipalComponents(n_started)`` starts as many leading latents as PCA's.
    whiten : bool, default=False
        Whether ``transform`` scales active latents to unit variance, as in PCA. Off by default,
        because distances between latents in X's units serve neighbours better.
    latent_density : density estimator, default=None
        What ``sample`` draws latents from in place of the prior, for latents whose distribution
        over the rows differs from it: ``GaussianMixture(10)``, or any estimator with ``fit`` and
        ``sample``. A clone is fitted to one posterior draw per row after training [5]_. ``score``
        keeps the prior.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto" is a twentieth of the rows, but at least 32 and at most 256: enough
        steps per epoch on a small table, and cheap ones on a large one. Networks so wide that
        larger batches are no cheaper per row get fewer rows, at least 64, and so more steps.
    learning_rate_init : float, default=2e-3
        Adam's first step length, annealed to zero over ``max_iter`` epochs along half a cosine.
        It fits data of any scale because training runs in working units. The default, twice Adam's
        customary value, reached more held-out likelihood on tables and images.
    alpha : float, default=0.0
        L2 penalty on the weights of the nonlinear paths, divided by the number of samples as in
        ``MLPRegressor``. Zero by default, because the KL term and the held-out rows regularise.
    max_iter : int, default=200
        Maximum number of epochs, as in ``MLPRegressor``. 0 gives the start itself. A
        KeyboardInterrupt ends training earlier: where you call ``fit`` yourself, the best epoch is
        kept with a warning; within a search or a pipeline the interrupt goes on.
    tol : float, default=1e-4
        Smallest gain of the held-out objective, in nats per feature, that counts as a gain:
        ``MLPRegressor``'s, but per feature, so that it means the same for tables of any width.
    early_stopping : bool, default=True
        Whether to hold rows out, keep the epoch with the best held-out objective, and stop after
        ``n_iter_no_change`` epochs without a gain. Training then goes back to the best epoch and
        lets the learning rate fall to zero over as many epochs, which takes out the noise of large
        steps. The PCA start is left only if a paired t-test on the held-out rows shows a gain
        (90 % confidence); otherwise it is refitted on all rows. False trains on all rows for
        ``max_iter`` epochs and keeps the last.
    validation_fraction : float, default=0.1
        Share of rows held out, as in ``MLPRegressor``. If this is fewer than two rows, none are
        held out and the PCA start is kept, because nothing could tell a gain from chance.
    n_iter_no_change : int, default=10
        Number of epochs without a gain of ``tol`` after which training stops, as in
        ``MLPRegressor``, and of those that follow on the best at a falling learning rate.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the fitted networks, in their units.
    device : str or torch.device, default="auto"
        "cpu", "cuda", "cuda:1", "mps" or "xpu", or a ``torch.device`` of these. "auto" is a CUDA
        GPU if there is one and a step is large enough to gain from it, outside joblib's workers;
        otherwise the CPU. Inference always runs on the CPU.
    precision : {"float32", "bfloat16"}, default="float32"
        Precision of matrix products while training on a device. "bfloat16" is faster on a recent
        GPU, and accurate to three digits; parameters, sums and densities stay float32. On the CPU
        both are float32.
    random_state : int, RandomState instance or None, default=None
        Seeds the split, the start, the order of rows and the noise. Torch's global generator is
        neither read nor moved.
    verbose : int, default=0
        1 shows one line that changes: the epoch, the held-out objective, the lead over the start,
        the time left and, last, what was kept. 2 logs one line per epoch to the logger "skvae".

    Attributes
    ----------
    n_components_ : int
        Number of latents.
    mean_ : ndarray of shape (n_features_in_,)
        Mean of X. If the likelihood is by columns, it, ``components_`` and ``noise_variance_`` have
        a column for each of ``design_names_``, the last two in units of its deviation.
    components_ : ndarray of shape (n_components_, n_features_in_)
        Mean of dE[x|z]/dz_j over training rows, divided by the latent's effect: PCA's axes at the
        start.
    explained_variance_ : ndarray of shape (n_components_,)
        Squared effect of each latent on E[x|z] (the mean square norm of its derivative over at
        most 1000 training rows) plus the noise along it, in descending order; PCA's eigenvalues at
        the start, zero for an inactive latent.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        ``explained_variance_`` divided by the total variance of X.
    singular_values_ : ndarray of shape (n_components_,)
        ``sqrt((n_samples_ - 1) * explained_variance_)``: PCA's at the start.
    noise_variance_ : float or ndarray of shape (n_features_in_,)
        Mean of Var[x|z], one number if the features share it.
    kl_per_component_ : ndarray of shape (n_components_,)
        Mean KL divergence of each latent from the prior, in nats. Present only if the KL term is a
        sum over latents.
    n_active_components_ : int
        Number of latents whose posterior mean has a variance above 0.01 over the rows [4]_.
    loss_curve_ : list of float
        Mean training loss of each epoch: minus the objective, in nats of X in its own units.
    history_ : dict of str to list of float
        Means over each epoch's steps: "loss", "log_likelihood" (E_q[log p(x|z)] in X's units),
        "kl", "regularizer" and "beta".
    validation_scores_ : list of float or None
        Held-out objective of the start and of each epoch, in nats of X in its own units; None
        without held-out rows.
    best_epoch_ : int
        Epoch whose parameters are kept; 0 is the start. Without held-out rows it is the last.
    best_validation_score_ : float or None
        Held-out objective of the epoch that is kept; None without held-out rows.
    n_iter_ : int
        Number of epochs run.
    n_skipped_steps_ : int
        Number of steps skipped because their gradient was not finite.
    likelihood_ : Likelihood or Columns
        The likelihood that was used.
    design_names_ : list of str
        Names of the columns of numbers that a table becomes, one for each level of a category.
        Present only if the likelihood is by columns.
    device_ : str
        The device on which the model was trained.
    latent_density_ : density estimator
        The fitted clone of ``latent_density``, a density of latents as ``encode`` gives them.
        Present only if one was given.
    n_samples_ : int
        Number of rows of fit, of all calls of ``partial_fit`` together, or the sum of their
        weights, if that is larger.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features. Present only if X has names that are all strings.

    See Also
    --------
    sklearn.decomposition.PCA : The start of this model.
    sklearn.decomposition.FactorAnalysis : The linear model with one noise variance per feature.

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
        likelihood: str | Likelihood | Columns | list = "gaussian",
        prior: str | Prior = "standard_normal",
        posterior: str | Posterior = "diagonal_normal",
        objective: str | Objective = "elbo",
        regularizer: str | Regularizer | None = None,
        beta: float | Schedule = 1.0,
        init: str | Start = "auto",
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

    def _chosen(self) -> dict[str, Any]:
        names = ("likelihood", "prior", "posterior", "objective", "regularizer", "beta")
        return {**{name: getattr(self, name) for name in names}, "corruption": None}

    @isolated
    def encode(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Give the mean and standard deviation of each row's posterior q(z|x).

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, Source} of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        mean, std : ndarray of shape (n_samples, n_components_)
            Posterior means, without the unshrinking of ``transform``, and standard deviations.
        """
        X = self._check_rows(X)
        return self._fitted.encode(X)

    @isolated
    def score_samples(self, X: Any, *, n_draws: int = 100) -> np.ndarray:
        """Estimate log p(x) of each row by importance sampling from its posterior [1]_.

        It is the log-density in X's units, free of ``beta``, comparable with PCA's and
        GaussianMixture's: in expectation a lower bound, which rises to log p(x) with more draws and
        is exact at the PCA start. All rows share the draws, fixed at fit, so a row's value depends
        neither on its neighbours nor on the call.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, Source} of shape (n_samples, n_features)
            Rows to score.
        n_draws : int, default=100
            Quasi-random draws per row; with more of them the error falls and the time grows.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Estimates, in nats.

        Raises
        ------
        ValueError
            If the posterior is a point, because then a row has no likelihood.

        References
        ----------
        .. [1] Burda, Grosse and Salakhutdinov (2016), "Importance weighted autoencoders", eq. 8.
        """
        check_scalar(n_draws, "n_draws", Integral, min_val=1)
        X = self._check_rows(X)
        return self._fitted.read_log_weights(X, n_draws, log_mean_exp)
