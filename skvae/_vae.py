"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from skvae._base import COMPONENTS, BaseAutoencoder
from skvae._density import draw_latents
from skvae._inference import TORCH_DTYPES
from skvae._math import log_mean_exp
from skvae._model import Model
from skvae.likelihoods import Likelihood
from skvae.nn import ACTIVATIONS
from skvae.objectives import Objective
from skvae.posteriors import Posterior
from skvae.priors import Prior
from skvae.regularizers import Regularizer
from skvae.schedules import Schedule


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
        Number of latents; two can be drawn. As in PCA, a float is the share of variance to
        explain, "mle" is Minka's choice and None is ``min(n_samples, n_features)``; all three are
        read off the start's spectrum. An int may exceed the number of features; what the data
        cannot fill starts at the prior.
    hidden_layer_sizes : int or array-like of int, default=(256,)
        Widths of the encoder's hidden layers; the decoder has them in reverse. The linear path
        leaves little for more than one layer to do on a table. ``()`` is the linear model.
    activation : {"relu", "tanh", "logistic", "identity", "silu", "gelu"}, default="relu"
        Of the hidden layers. The cheapest by default.
    encoder : callable, default=None
        ``(n_in, n_out) -> torch.nn.Module``, an importable function that builds the encoder's
        nonlinear path in place of ``hidden_layer_sizes``: a module that maps (rows, n_features) to
        (rows, 2 * n_components), means first. A gate for each output keeps it silent at the PCA
        start and opens with training.
    decoder : callable, default=None
        The same for the decoder: it maps (rows, n_components) to (rows, n_features).
    likelihood : {"gaussian", "bernoulli"} or Likelihood, default="gaussian"
        p(x|z). "gaussian" learns one noise variance, as probabilistic PCA has it;
        ``skvae.likelihoods.Gaussian(noise="feature")`` learns one for each feature. "bernoulli"
        takes X in [0, 1].
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
        Start of the networks. "pca" is probabilistic PCA; "random" is the usual start: Glorot
        draws beside a linear path of zero. "auto" is "pca", but races both where latents and rows
        are many (see Notes).
    whiten : bool, default=False
        Whether ``transform`` scales active latents to unit variance, as in PCA. Not by default:
        distances between latents in X's units serve neighbours better.
    latent_density : density estimator, default=None
        What ``sample`` draws latents from in the prior's place, where their distribution over the
        rows differs from it: ``GaussianMixture(10)``, or any estimator with ``fit`` and ``sample``.
        A clone is fitted to one posterior draw of each row after training [5]_. ``score`` keeps the
        prior.
    batch_size : int or "auto", default="auto"
        Rows a step. "auto" is a twentieth of the rows, within 32 and 256: enough steps an epoch
        on a small table, and cheap ones on a large one. Networks so wide that larger batches are
        no cheaper by the row get fewer rows, 64 at least, and so more steps.
    learning_rate_init : float, default=2e-3
        Adam's first step length, annealed to zero over ``max_iter`` epochs along half a cosine.
        The working units make it fit data of any scale; twice Adam's customary value reached more
        held-out likelihood on tables and images.
    alpha : float, default=0.0
        L2 penalty on the weights of the nonlinear paths, divided by the number of samples as in
        ``MLPRegressor``. None by default: the KL term and the held-out rows regularise.
    max_iter : int, default=200
        Most epochs, as in ``MLPRegressor``. 0 gives the start itself.
    tol : float, default=1e-4
        Least gain of the held-out objective, in nats a feature, that counts as one:
        ``MLPRegressor``'s, by feature, so that it means the same for tables of any width.
    early_stopping : bool, default=True
        Whether to hold rows out, keep the epoch with the best held-out objective, and stop after
        ``n_iter_no_change`` epochs without a gain. The PCA start is left only where a paired
        t-test on the held-out rows shows a gain (90 % confidence); else it is refitted on all
        rows. False trains on all rows for ``max_iter`` epochs and keeps the last.
    validation_fraction : float, default=0.1
        Share of rows held out, as in ``MLPRegressor``. With fewer than two such rows none are, and
        the PCA start is kept: nothing could tell a gain from chance.
    n_iter_no_change : int, default=10
        Epochs without a gain of ``tol`` after which training stops, as in ``MLPRegressor``.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the fitted networks, in their units.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", "mps" or "xpu". "auto" is a CUDA GPU where there is one and a step
        is large enough to gain, outside joblib's workers; else the CPU. Inference is on the CPU.
    random_state : int, RandomState instance or None, default=None
        Seeds the split, the start, the order of rows and the noise. Torch's global generator is
        neither read nor moved.
    verbose : int, default=0
        Whether to print each epoch's loss and held-out objective.

    Attributes
    ----------
    n_components_ : int
        Number of latents.
    mean_ : ndarray of shape (n_features_in_,)
        Mean of X.
    components_ : ndarray of shape (n_components_, n_features_in_)
        Mean over training rows of dE[x|z]/dz_j, over its effect: PCA's axes at the start.
    explained_variance_ : ndarray of shape (n_components_,)
        Squared effect of each latent on E[x|z] (the mean square norm of its derivative over at
        most 1000 training rows) plus the noise along it, in descending order; PCA's eigenvalues at
        the start, zero for an inactive latent.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        ``explained_variance_`` over the total variance of X.
    noise_variance_ : float or ndarray of shape (n_features_in_,)
        Mean of Var[x|z], one number where the features share it.
    kl_per_component_ : ndarray of shape (n_components_,)
        Mean KL of each latent to the prior, in nats; there where the KL is a sum over latents.
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
    best_validation_score_ : float or None
        The best of ``validation_scores_``.
    n_iter_ : int
        Number of epochs run.
    n_skipped_steps_ : int
        Number of steps skipped because their gradient was not finite.
    likelihood_ : Likelihood
        The likelihood that was used.
    device_ : str
        The device that trained.
    latent_density_ : density estimator
        The fitted clone of ``latent_density``, of latents as ``encode`` gives them; there where one
        was given.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has names that are all strings.

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
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({"mle"}),
            None,
        ],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "encoder": [callable, None],
        "decoder": [callable, None],
        **{name: [StrOptions(set(a)), kind] for name, (a, kind) in COMPONENTS.items()},
        "regularizer": [StrOptions(set(COMPONENTS["regularizer"][0])), Regularizer, None],
        "beta": [Interval(Real, 0, None, closed="left"), Schedule],
        "init": [StrOptions({"auto", "pca", "random"})],
        "whiten": ["boolean"],
        "latent_density": [HasMethods(["fit", "sample"]), None],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
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
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> VariationalAutoencoder:
        """Fit the model to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; at least two. A sparse X is made dense a batch at a time.
        y : Ignored
            Not used; there for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights; whole numbers count as repeated rows.

        Returns
        -------
        self : VariationalAutoencoder
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or X is outside its domain, or training diverges. What was fitted
            before is then still there.
        """
        self._fit(X, sample_weight)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> VariationalAutoencoder:
        """Go through X once, from where the model stands, at a constant learning rate.

        The first call takes the start and the units from its X, so it should be given many rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; at least two at the first call.
        y : Ignored
            Not used; there for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        self : VariationalAutoencoder
            The fitted estimator.
        """
        self._partial_fit(X, sample_weight)
        return self

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

    def decode(self, Z: Any) -> np.ndarray:
        """Give E[x|z] for latents as ``encode`` has them: the prior's units, not ``transform``'s.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)
            Latents, distributed as the prior.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_)
            Expected rows, in X's units.
        """
        return self._decoded(self._check_latents(Z), _mean)

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

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Give the mean of ``score_samples``: what a grid search maximises, as for PCA.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.
        y : Ignored
            Not used; there for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        log_likelihood : float
            Mean log-density of a row, in nats.
        """
        values = self.score_samples(X)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, values)
        return float(np.average(values, weights=sample_weight))

    def sample(
        self, n_samples: int = 1, *, random_state: Any = None, observation_noise: bool = True
    ) -> np.ndarray:
        """Generate rows: draw latents from the prior or ``latent_density_``, then rows from p(x|z).

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seeds the draws; None gives others at each call.
        observation_noise : bool, default=True
            Whether to draw from p(x|z); False gives its mean.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_)
            Rows in X's units and in the dtype of fit.

        Raises
        ------
        ValueError
            If the posterior is a point, and neither a regulariser nor a latent density was fitted.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        generator = torch.Generator().manual_seed(seed)

        def draw(model: Model, raw: torch.Tensor) -> torch.Tensor:
            return model.likelihood.sample(raw, model.shared.params, generator)

        components, dtype = self._architecture, TORCH_DTYPES[self._fit_dtype]
        unlike = components["regularizer"] is None and not components["posterior"].has_density
        if unlike and not hasattr(self, "latent_density_"):
            raise ValueError(
                f"Nothing made the points of {self.posterior!r} follow the prior, so draws of it "
                f"would be no rows like X. Fit with latent_density=GaussianMixture(10), or with "
                f"regularizer='maximum_mean_discrepancy'."
            )
        if hasattr(self, "latent_density_"):
            z = draw_latents(self.latent_density_, n_samples, seed).astype(self._fit_dtype)
        else:
            with torch.no_grad():
                z = self._model(dtype).prior_density().sample(n_samples, generator).numpy()
            z = z[:, self._order]
        return self._decoded(z, draw if observation_noise else _mean)


def _mean(model: Model, raw: torch.Tensor) -> torch.Tensor:
    return model.likelihood.mean(raw)
