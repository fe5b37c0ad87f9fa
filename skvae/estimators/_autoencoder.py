"""The deterministic autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils._param_validation import StrOptions

from skvae._core.process import isolated
from skvae._sklearn.docs import with_shared_docs
from skvae.corruptions import Corruption
from skvae.estimators._base import BaseAutoencoder
from skvae.estimators._components import CORRUPTIONS, allowed
from skvae.likelihoods import Likelihood
from skvae.posteriors import Deterministic
from skvae.regularizers import Regularizer


@with_shared_docs
class Autoencoder(BaseAutoencoder):
    """Deterministic autoencoder in PCA's place.

    An encoder maps a row x to a point z, a decoder maps the point back to p(x|z), and both are
    trained to raise

        log p(x|z(x)) - regularizer:

    under the Gaussian likelihood, to lower the squared error [1]_. Each network is a linear path
    beside a nonlinear one. The linear paths start as PCA with the nonlinear ones silent, so that
    before the first step ``transform`` and ``inverse_transform`` are PCA's. Training goes on from
    there, held-out rows choose the epoch, and the start stays among the candidates. Unlike
    ``VariationalAutoencoder`` it is no density of X: what it is fitted to is the reconstruction.

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
        (rows, n_components). A gate for each output keeps it silent at the PCA start and opens
        with training.
    decoder : callable, default=None
        As in every autoencoder.
    likelihood : {"gaussian", "bernoulli"} or Likelihood, default="gaussian"
        As in every autoencoder.
    corruption : {"gaussian_noise", "masking"} or Corruption, default=None
        What is done to the encoder's input in training, of ``skvae.corruptions``, with the row
        itself as target: the denoising autoencoder [2]_. Held-out rows are not corrupted.
    regularizer : {"contractive", "decoder_gradient", "latent_norm", "sparse_activity", "dip", \
            "maximum_mean_discrepancy"} or Regularizer, default=None
        A penalty of ``skvae.regularizers``: on the encoder's slope [3]_, on the decoder's and the
        latents' size [4]_, on units that are on, or on the distance of the latents' distribution to
        a standard normal one. ``a + b`` takes two. Epochs are then compared with the penalty, so
        that the squared error may come out above PCA's.
    init : {"auto", "pca", "random", "rbm"}, default="auto"
        Start of the networks. "pca" is PCA; "random" is the usual one: Glorot draws, and no linear
        paths beside hidden layers. "auto" is "pca", but races both where there are at least 16
        latents and 5000 training rows. "rbm" trains a restricted Boltzmann machine for each layer
        and unrolls them, as Hinton and Salakhutdinov did [1]_; it takes ``activation="logistic"``
        and ``likelihood="bernoulli"``, and starts no better than they do.
    whiten : bool, default=False
        As in every autoencoder.
    latent_density : density estimator, default=None
        What ``sample`` draws latents from: ``GaussianMixture(10)``, or any estimator with ``fit``
        and ``sample``. A clone is fitted to the training rows' latents [4]_. Without it ``sample``
        needs ``regularizer="maximum_mean_discrepancy"`` [5]_.
    batch_size : int or "auto", default="auto"
        As in every autoencoder.
    learning_rate_init : float, default=2e-3
        As in every autoencoder.
    alpha : float, default=0.0
        L2 penalty on the weights of the nonlinear paths, divided by the number of samples as in
        ``MLPRegressor``. None by default: the held-out rows end training.
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
        Variance of each latent times its squared effect on E[x|z] (the mean square norm of its
        derivative over at most 1000 training rows), in descending order; PCA's at the start, zero
        for an inactive latent.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        As in every autoencoder.
    noise_variance_ : float or ndarray of shape (n_features_in_,)
        As in every autoencoder.
    n_active_components_ : int
        Number of latents that explain more than a hundredth of the noise along their direction.
    loss_curve_ : list of float
        As in every autoencoder.
    history_ : dict of str to list of float
        Means over each epoch's steps: "loss", "log_likelihood" in X's units, and "regularizer";
        "kl" and "beta" are zero.
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
    VariationalAutoencoder : The density of X, with noise in the latents.

    References
    ----------
    .. [1] Hinton and Salakhutdinov (2006), "Reducing the dimensionality of data with neural
       networks", Science 313.
    .. [2] Vincent, Larochelle, Lajoie, Bengio and Manzagol (2010), "Stacked denoising
       autoencoders", JMLR 11.
    .. [3] Rifai, Vincent, Muller, Glorot and Bengio (2011), "Contractive auto-encoders", ICML.
    .. [4] Ghosh et al. (2020), "From variational to deterministic autoencoders", ICLR.
    .. [5] Tolstikhin, Bousquet, Gelly and Schölkopf (2018), "Wasserstein auto-encoders", ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.metrics import mean_squared_error
    >>> from sklearn.model_selection import train_test_split
    >>> from skvae import Autoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> X_train, X_test = train_test_split(X / 16, random_state=0)
    >>> def error(model):
    ...     model.fit(X_train)
    ...     rebuilt = model.inverse_transform(model.transform(X_test))
    ...     return 64 * mean_squared_error(X_test, rebuilt)
    >>> error(Autoencoder(8, max_iter=40, random_state=0)) < 0.6 * error(PCA(8))
    True
    """

    _fixed = {
        "prior": "standard_normal",
        "posterior": Deterministic(),
        "objective": "elbo",
        "beta": 0.0,
    }

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "corruption": [*allowed(CORRUPTIONS, Corruption), None],
        "init": [StrOptions({"auto", "pca", "random", "rbm"})],
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
        corruption: str | Corruption | None = None,
        regularizer: str | Regularizer | None = None,
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
        self.corruption = corruption
        self.regularizer = regularizer
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
    def encode(self, X: Any) -> np.ndarray:
        """Give each row's point z(x), in the units of ``decode``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            Points; ``transform`` scales them to X's units.
        """
        return self._moments_of(self._check_rows(X))[0]

    @isolated
    def score_samples(self, X: Any) -> np.ndarray:
        """Give log p(x|z(x)) of each row: how well it is reconstructed, under the likelihood.

        In the units of X, under the Gaussian likelihood minus half the squared error over the noise
        variance and a constant. It is no density of X: nothing is said of how probable z is, so it
        must not be compared with ``score_samples`` of PCA or ``VariationalAutoencoder``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In nats.
        """

        def log_p(model: Any, batch: Any) -> Any:
            return model.log_likelihood(model.encode(batch.inputs).mean[None], batch)[0]

        return self._read_batches(self._check_rows(X), 1, log_p) - self._log_jacobian
