"""The deterministic autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skvae._core.process import isolated
from skvae._sklearn.compat import StrOptions
from skvae.corruptions import Corruption
from skvae.estimators._base import BaseAutoencoder
from skvae.estimators._components import CORRUPTIONS, STARTS, allowed
from skvae.likelihoods import Columns, Likelihood
from skvae.regularizers import Regularizer
from skvae.starts import Start


class Autoencoder(BaseAutoencoder):
    """Deterministic autoencoder in PCA's place.

    An encoder maps a row x to a point z, a decoder maps the point back to p(x|z), and both are
    trained to raise

        log p(x|z(x)) - regularizer,

    which under the Gaussian likelihood means to lower the squared error [1]_. Each network is a
    linear path beside a nonlinear one. The linear paths start as PCA with the nonlinear ones
    silent, so that before the first step ``transform`` and ``inverse_transform`` are PCA's.
    Training goes on from there, held-out rows choose the epoch, and the start stays among the
    candidates. Unlike ``VariationalAutoencoder`` it is no density of X: it is fitted to
    reconstruct.

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
        (rows, n_components). A gate on each output keeps it silent at the PCA start and opens
        during training. ``skvae.nn`` has ``Convolutional`` for images and ``ResidualDense``.
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
    corruption : {"gaussian_noise", "masking"} or Corruption, default=None
        What is done to the encoder's input in training, from ``skvae.corruptions``, with the row
        itself as the target: the denoising autoencoder [2]_. Held-out rows are not corrupted.
    regularizer : {"contractive", "decoder_gradient", "latent_norm", "sparse_activity", "dip", \
            "maximum_mean_discrepancy"} or Regularizer, default=None
        A penalty from ``skvae.regularizers``: on the encoder's slope [3]_, on the decoder's slope
        and the latents' size [4]_, on how many latents are active, or on the distance of the
        latents' distribution from a standard normal one. ``a + b`` takes two. Epochs are then
        compared with the penalty included, so the squared error may end above PCA's.
    init : {"auto", "pca", "random", "rbm"} or Start, default="auto"
        Start of the networks, from ``skvae.starts``. "pca" is PCA; "random" is the usual one:
        Glorot draws, and no linear paths beside hidden layers. "auto" is "pca", but races both if
        there are at least 16 latents and 5000 training rows. "rbm" trains a restricted Boltzmann
        machine for each layer and unrolls them, as Hinton and Salakhutdinov did [1]_; it needs
        ``activation="logistic"`` and ``likelihood="bernoulli"``, and starts no better than they do.
    whiten : bool, default=False
        Whether ``transform`` scales active latents to unit variance, as in PCA. Off by default,
        because distances between latents in X's units serve neighbours better.
    latent_density : density estimator, default=None
        What ``sample`` draws latents from: ``GaussianMixture(10)``, or any estimator with ``fit``
        and ``sample``. A clone is fitted to the training rows' latents [4]_. Without one,
        ``sample`` needs ``regularizer="maximum_mean_discrepancy"`` [5]_.
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
        ``MLPRegressor``. Zero by default, because the held-out rows end training.
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
        Variance of each latent times its squared effect on E[x|z] (the mean square norm of its
        derivative over at most 1000 training rows), in descending order; PCA's at the start, zero
        for an inactive latent.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        ``explained_variance_`` divided by the total variance of X.
    singular_values_ : ndarray of shape (n_components_,)
        ``sqrt((n_samples_ - 1) * explained_variance_)``: PCA's at the start.
    noise_variance_ : float or ndarray of shape (n_features_in_,)
        Mean of Var[x|z], one number if the features share it.
    n_active_components_ : int
        Number of latents that explain more than a hundredth of the noise along their direction.
    loss_curve_ : list of float
        Mean training loss of each epoch: minus the objective, in nats of X in its own units.
    history_ : dict of str to list of float
        Means over each epoch's steps: "loss", "log_likelihood" in X's units, and "regularizer";
        "kl" and "beta" are zero.
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
    VariationalAutoencoder : A density of X, with noise in the latents.

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

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "corruption": [*allowed(CORRUPTIONS, Corruption), None],
        "init": [StrOptions(set(STARTS)), Start],
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
        corruption: str | Corruption | None = None,
        regularizer: str | Regularizer | None = None,
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

    def _chosen(self) -> dict[str, Any]:
        return {
            "likelihood": self.likelihood,
            "prior": "standard_normal",
            "posterior": "deterministic",
            "objective": "elbo",
            "regularizer": self.regularizer,
            "beta": 0.0,
            "corruption": self.corruption,
        }

    @isolated
    def encode(self, X: Any) -> np.ndarray:
        """Give each row's point z(x), in the units that ``decode`` takes.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, Source} of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            Points; ``transform`` scales them to X's units.
        """
        X = self._check_rows(X)
        return self._fitted.encode(X)[0]

    @isolated
    def score_samples(self, X: Any) -> np.ndarray:
        """Give log p(x|z(x)) of each row: how well it is reconstructed, under the likelihood.

        It is in the units of X. Under the Gaussian likelihood it is minus half the squared error
        divided by the noise variance, plus a constant. It is no density of X, because it does not
        say how probable z is, so it must not be compared with ``score_samples`` of PCA or of
        ``VariationalAutoencoder``.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, Source} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In nats.
        """
        X = self._check_rows(X)
        return self._fitted.log_reconstruction(X)
