"""The canonical-correlated autoencoder: labels and features in one latent space."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import torch

from skvae._core.process import isolated
from skvae._sklearn.compat import Interval, StrOptions, fit_context, with_callbacks
from skvae.multilabel._base import BaseMultilabel
from skvae.nn import ACTIVATIONS


class CanonicalCorrelatedAutoencoder(BaseMultilabel):
    """Multi-label classifier with one latent space for features and labels.

    A network Fx maps features to a latent space, Fe maps label sets to it, and Fd maps its points
    to a score for each label [1]_. Training minimises, as means over rows,

        correlation_weight Phi(Fx, Fe) + pair_weight Gamma(Fe, Fd) + direct_weight D(Fx, Fd)

    where Phi pulls the two codes of a row together and holds each to unit covariance, Gamma ranks
    each present label above each absent one, and D is the negative log-likelihood of the labels
    given the features, which the paper does not have. Labels of a new row are Fd(Fx(x)), cut at a
    threshold that held-out rows choose. The guide, docs/multilabel.md, has the equations.

    Parameters
    ----------
    n_components : int, default=None
        Number of latents. None is four fifths of the number of labels, as in the paper, but at
        least 2 and at most 128.
    hidden_layer_sizes : int or array-like of int, default=(256, 256)
        Widths of Fx's hidden layers.
    label_hidden_layer_sizes : int or array-like of int, default=(256,)
        Widths of Fe's hidden layers; Fd has them in reverse order.
    activation : {"relu", "tanh", "logistic", "identity", "silu", "gelu"}, default="relu"
        Activation function of the hidden layers.
    correlation_weight : float, default=0.1
        Weight of Phi.
    pair_weight : float, default=1.0
        Weight of Gamma, the paper's alpha.
    direct_weight : float, default=1.0
        Weight of D. At 0 the objective is the paper's, and ``correlation_weight`` must be positive,
        because nothing else trains Fx.
    dropout : float in [0, 1), default=0.5
        Share of Fx's hidden units that a step leaves out.
    input_dropout : float in [0, 1), default=0.2
        Share of the features that a step leaves out: each counts as its mean.
    threshold : {"label", "shared"} or float in (0, 1), default="label"
        Probability above which a label of an indicator matrix is predicted. "shared" is one
        threshold for all labels; "label" is one per label, shrunk to the shared one where a label
        is rare. Both are chosen by the F1 of held-out rows. It is not used for a one-dimensional y,
        for which the likeliest class is predicted.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto" is a twentieth of the rows, but at least 64 and at most 256.
    learning_rate_init : float, default=1e-3
        Adam's learning rate, which falls to zero along half a cosine over ``max_iter``.
    alpha : float, default=0.0
        Weight of the L2 penalty, divided by the number of rows, as in ``MLPClassifier``.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto" is 100, or as many as make 1200 steps.
    init : {"auto", "linear", "random"}, default="auto"
        Where training begins. "linear" is ridge regression of the label sets, of rank
        ``n_components``: it stays as a constant path beside Fx, and the networks begin silent.
        "random" has no such path. With "auto" both are trained, and the held-out F1 chooses; where
        no rows are held out, it is "linear".
    tol : float, default=1e-4
        Smallest gain in the held-out F1 (micro- plus macro-averaged) that counts as a gain.
    early_stopping : bool, default=True
        Whether held-out rows choose the epoch. False trains for ``max_iter`` epochs.
    n_folds : int or "auto", default="auto"
        Number of folds, for ``early_stopping`` or a tuned ``threshold``. Of several folds each row
        is held out once, the folds choose the number of epochs and the threshold together, and all
        rows are then fitted for as many epochs. 1 holds out one part, ``validation_fraction``, and
        keeps that model, in a quarter of the time. "auto" is 3 up to 5000 rows and 1 beyond. With
        fewer than two rows per fold none are held out, the threshold is 0.5, and a warning says so.
    validation_fraction : float in (0, 1), default=0.15
        Share of rows held out if ``n_folds`` is 1.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without a gain of ``tol`` after which training stops; "auto" is a third of the
        maximum.
    device : str or torch.device, default="auto"
        "cpu", "cuda", "cuda:1", "mps" or "xpu", or a ``torch.device`` of these. "auto" is a CUDA
        GPU where there is one and a step is large enough to gain, outside joblib's workers; else
        the CPU. Inference is on the CPU.
    random_state : int, RandomState instance or None, default=None
        Seeds the split, the first parameters, the order of rows and the dropout. Torch's global
        generator is neither read nor moved.
    verbose : int, default=0
        1 shows one line that changes: the epoch, the held-out F1,
        the time left and, last, what was kept. 2 logs one line per epoch to the logger "skvae".

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes of a one-dimensional y; 0, 1, ... for the columns of an indicator matrix.
    multilabel_ : bool
        Whether y was an indicator matrix.
    n_components_ : int
        Number of latents.
    threshold_ : float or ndarray of shape (n_labels,)
        Probability above which a label is predicted; 0.5 for a one-dimensional y.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_scores_ : list of float or None
        Micro- plus macro-averaged F1 of the held-out rows, at the start and after each epoch; None
        without early stopping.
    best_validation_score_ : float or None
        The best of ``validation_scores_``; None without early stopping.
    n_iter_ : int
        Number of epochs that the model was trained for, or calls of ``partial_fit``; if one part is
        held out, or the linear start is kept, all epochs that were run.
    best_epoch_ : int
        Epoch that the held-out rows chose; 0 is the linear start.
    init_ : {"linear", "random"}
        The start that was kept.
    label_names_in_ : ndarray of shape (n_labels,)
        Names of the labels. Present only if y is a frame whose columns have names that are all
        strings, or ``partial_fit`` was given ``classes`` for them.
    n_skipped_steps_ : int
        Number of steps skipped because their gradient was not finite.
    device_ : str
        The device on which the model was trained.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features. Present only if X has names that are all strings.

    See Also
    --------
    sklearn.multioutput.ClassifierChain : Labels one after the other, each given the ones before.
    sklearn.neural_network.MLPClassifier : A network without the latent space of label sets.

    References
    ----------
    .. [1] Yeh, Wu, Ko and Wang (2017), "Learning deep latent space for multi-label
       classification", AAAI.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.metrics import f1_score
    >>> from sklearn.model_selection import train_test_split
    >>> from skvae import CanonicalCorrelatedAutoencoder
    >>> X, digit = load_digits(return_X_y=True)
    >>> Y = np.column_stack([digit % 2 == 0, digit % 3 == 0, digit > 4, digit == 0])
    >>> X_train, X_test, Y_train, Y_test = train_test_split(X, Y, random_state=0)
    >>> model = CanonicalCorrelatedAutoencoder(max_iter=20, n_folds=1, random_state=0)
    >>> model = model.fit(X_train, Y_train)
    >>> f1_score(Y_test, model.predict(X_test), average="macro") > 0.9
    True
    >>> model.transform(X_test).shape
    (450, 3)
    """

    _state_version = 4

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "label_hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "correlation_weight": [Interval(Real, 0, None, closed="left")],
        "pair_weight": [Interval(Real, 0, None, closed="left")],
        "direct_weight": [Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "threshold": [StrOptions({"shared", "label"}), Interval(Real, 0, 1, closed="neither")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"auto", "linear", "random"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "n_folds": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        hidden_layer_sizes: Any = (256, 256),
        label_hidden_layer_sizes: Any = (256,),
        activation: str = "relu",
        correlation_weight: float = 0.1,
        pair_weight: float = 1.0,
        direct_weight: float = 1.0,
        dropout: float = 0.5,
        input_dropout: float = 0.2,
        threshold: str | float = "label",
        batch_size: int | str = "auto",
        learning_rate_init: float = 1e-3,
        alpha: float = 0.0,
        max_iter: int | str = "auto",
        init: str = "auto",
        tol: float = 1e-4,
        early_stopping: bool = True,
        n_folds: int | str = "auto",
        validation_fraction: float = 0.15,
        n_iter_no_change: int | str = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.label_hidden_layer_sizes = label_hidden_layer_sizes
        self.activation = activation
        self.correlation_weight = correlation_weight
        self.pair_weight = pair_weight
        self.direct_weight = direct_weight
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.threshold = threshold
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.max_iter = max_iter
        self.init = init
        self.tol = tol
        self.early_stopping = early_stopping
        self.n_folds = n_folds
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    @isolated
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> CanonicalCorrelatedAutoencoder:
        """Fit the model to rows and their labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; at least two. A sparse X is made dense batch by batch.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            An indicator matrix: 1 for a label that is present, 0 for an absent one, NaN, None, NA
            or -1 for a missing one; ``sklearn.preprocessing.MultiLabelBinarizer`` makes it of lists
            of labels. Or one class per row, none of them missing.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights; whole numbers count as repeated rows.

        Returns
        -------
        self : CanonicalCorrelatedAutoencoder
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or y is outside its domain, or training diverges. What was fitted
            before is then still there.

        Warns
        -----
        ConvergenceWarning
            If training was not done, or a label is missing in all rows that were trained on.

        Notes
        -----
        What counts are rows with a weight above zero. A label that is present in none of them, or
        known in none that was trained on, is never predicted: its probability is 0. One that is
        absent in none is scored like any other, and as nothing holds its score down, it is
        predicted nearly everywhere.
        """
        self._fit(X, y, sample_weight)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    @isolated
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> CanonicalCorrelatedAutoencoder:
        """Go through rows once, from where the model stands, at a constant learning rate.

        The first call takes the start and the units from its rows, so it should be given many. Each
        later one judges its rows before it is trained on them: the last 1000 rows so judged choose
        a tuned threshold, which is 0.5 before. ``init="auto"`` begins at the linear start.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; at least two at the first call.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            Their labels, as ``fit`` takes them; a part need not have every label or class.
        classes : array-like of shape (n_classes,), default=None
            All classes that a one-dimensional y will ever hold, needed at the first call; or a name
            for each column of an indicator matrix.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        self : CanonicalCorrelatedAutoencoder
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or y is outside its domain, has classes or columns that the first call
            did not name, or training diverges. What was fitted before is then still there.
        """
        self._partial_fit(X, y, classes, sample_weight)
        return self
