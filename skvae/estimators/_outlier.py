"""Outliers by a variational autoencoder that its rows' weights protect from them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from scipy import sparse
from scipy.stats import norm
from sklearn.base import OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted

from skvae._core.math import weighted_quantile
from skvae._core.process import isolated
from skvae._sklearn.compat import Interval, StrOptions, fit_context, with_callbacks
from skvae._sklearn.estimator import Estimator, check_weight
from skvae._sklearn.rows import check_rows, check_table, refuse_source
from skvae.estimators._components import LIKELIHOODS, resolve
from skvae.estimators._publish import last_pass
from skvae.estimators._read import is_table
from skvae.estimators._vae import VariationalAutoencoder
from skvae.estimators._words import NO_SOURCE_OF_OUTLIERS
from skvae.fitting import TERMS
from skvae.inference import Fitted, Typical, find_typical
from skvae.tables import as_rows_of, by_blocks, read_raw_table
from skvae.watching import Watch, check_no_callbacks

# Most rounds of the robust start, which ends where no weight moves by more than this share of the
# largest one.
_ROUNDS, _TOLERANCE = 20, 1e-3

# Passes after which the weights are renewed.
_RENEWED = 5

# Share of clean rows below the offset, if nobody says how many rows are outliers: the customary one
# for robust distances (Rousseeuw and van Zomeren 1990).
_TAIL = 0.025


class VAEOutlierDetector(OutlierMixin, Estimator):
    """Outliers by the log-density of a variational autoencoder that they do not bend.

    A density that is fitted to all rows learns the outliers, too. Here a row weighs

        w = (df + e) / (df + delta),

    where delta is its distance from the typical row, of expectation e: for a Gaussian the squared
    Mahalanobis distance, and the number of cells. These are the weights of the EM algorithm for
    Student's t [1]_. The start is probabilistic PCA under a t distribution [2]_, reached by rounds
    of weights and weighted PCA. Training goes on from there with such weights, renewed every five
    passes by the distances under the network's density.

    A row's score is minus its distance, as a normal deviate: with o its observed cells, t the
    typical row, which is the linear start's mean and its most probable levels, and e and v the
    expectation and variance of the start's distances of such cells,

        delta = 2 (log p_start(t_o) - log p(x_o)),    h = 2 e^2 / v,
        score = (1 - 2 / (9 h) - (delta / (c e) + a)^(1/3)) / sqrt(2 / (9 h)).

    This is the Wilson-Hilferty transform [3]_ of a chi-square with h degrees of freedom, which is
    the number of observed numbers. So rows are comparable whichever of their cells are missing. The
    constant c gives the rows of fit the median distance that they should have from the start, whose
    scatter is too small where rows are normal, and a does so for the trained model: the median
    score is 0. Of rows without gaps the score is an increasing function of log p(x).

    Parameters
    ----------
    n_components : int, default=5
        Number of latents, at most one fewer than there are columns that vary.
    estimator : VariationalAutoencoder, default=None
        The model, unfitted. It takes X as it is, with its own ``n_components`` and
        ``random_state``; a clone is trained by ``partial_fit``. By default it has one hidden layer
        of 64 units and a Gaussian likelihood of numbers that are divided by their standard
        deviations. In a frame with categories or dates, numbers are Gaussian with a noise for each
        column, and the other columns are as under ``likelihood="auto"``.
    contamination : "auto" or float in (0, 0.5], default="auto"
        Share of outliers among the rows of fit. "auto" puts the offset at the least score that a
        clean row should have: the 2.5 % quantile of normal deviates with the median and the median
        absolute deviation of the scores, as for robust distances [4]_.
    robust : bool, default=True
        Whether outlying rows weigh less. If not, all weigh the same.
    df : float, default=1.0
        Degrees of freedom of the t distribution. The fewer, the less distant rows weigh.
    max_iter : int, default=5
        Passes through the rows. 0 gives the robust linear start. Many passes find finer structure,
        but learn outliers that lie close together, too.
    random_state : int, RandomState instance or None, default=None
        Seeds the networks, the order of rows and the noise.

    Attributes
    ----------
    offset_ : float
        Score below which a row is an outlier.
    estimator_ : VariationalAutoencoder
        The trained model. Unless ``estimator`` was given, or X is a frame with categories or dates,
        it takes the columns that vary, over their standard deviations.
    start_ : VariationalAutoencoder
        The linear model that training starts from.
    weight_ : ndarray of shape (n_samples,)
        Row weights of the last passes, of mean 1 over rows with a weight.
    n_iter_ : int
        Number of passes: ``max_iter``, unless a callback ended training.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features. Present only if X has names that are all strings.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Outliers by how few splits part a row from the others.
    sklearn.covariance.EllipticEnvelope : Outliers by a robust Gaussian.

    References
    ----------
    .. [1] Liu and Rubin (1995), "ML estimation of the t distribution using EM and its extensions,
       ECM and ECME", Statistica Sinica 5.
    .. [2] Archambeau, Delannay and Verleysen (2006), "Robust probabilistic projections", ICML.
    .. [3] Wilson and Hilferty (1931), "The distribution of chi-square", PNAS 17.
    .. [4] Rousseeuw and van Zomeren (1990), "Unmasking multivariate outliers and leverage points",
       JASA 85.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skvae import VAEOutlierDetector
    >>> X, _ = load_wine(return_X_y=True)
    >>> X[0, 4] = 600.0  # magnesium, of mg/l between 70 and 162 in the others
    >>> detector = VAEOutlierDetector(random_state=0).fit(X)
    >>> detector.predict(X[:2])
    array([-1,  1])
    >>> int(detector.explain(X[:1]).argmax())
    4
    """

    _state_version = 1

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "estimator": [VariationalAutoencoder, None],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "robust": ["boolean"],
        "df": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    # Columns that the model takes, over the scale; None if it takes X as it is.
    _columns: np.ndarray | None
    _scale: np.ndarray
    _is_table: bool
    _typical: Typical

    def __init__(
        self,
        n_components: int = 5,
        *,
        estimator: VariationalAutoencoder | None = None,
        contamination: str | float = "auto",
        robust: bool = True,
        df: float = 1.0,
        max_iter: int = 5,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.estimator = estimator
        self.contamination = contamination
        self.robust = robust
        self.df = df
        self.max_iter = max_iter
        self.random_state = random_state

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    @isolated
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to X.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows; at least two. Cells may be missing. A sparse X is made dense.
        y : Ignored
            Not used; present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights, by which those of the robust fit are multiplied.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or X is outside its domain, ``estimator`` has callbacks of its own, or
            training diverges. The former state is then kept.
        """
        watch = Watch(self, TERMS).call(self, self.max_iter + 1, X, y, sample_weight)
        with self._restored_on_failure(), watch:
            X = self._checked(X, reset=True)
            base = np.ones(X.shape[0])
            if sample_weight is not None:
                positive, counts = check_weight(sample_weight, X, 2)
                base[counts], base[~counts] = positive / positive.mean(), 0.0
            rng = watch.remember(self, {"X": X, "sample_weight": base})
            model = self._model(X, base, rng)
            rows = X if self._columns is None else self._scaled(X)
            with watch.stage("start", 0):
                self._fit_start(model, rows, base)
            self._train(model, rows, base, watch)
            self._set_offset(rows, base)
        return self

    def _checked(self, X: Any, reset: bool) -> Any:
        """Give X as an array of numbers, or as it is where the model takes tables."""
        if reset:
            refuse_source(X, *NO_SOURCE_OF_OUTLIERS)
            self._is_table = is_table(self.estimator, X)
        if self._is_table:
            return check_table(self, X, reset=reset, ensure_min_samples=1 + reset)
        X = check_rows(self, X, reset=reset, ensure_min_samples=1 + reset)
        return X.toarray() if sparse.issparse(X) else X

    def _model(self, X: Any, weight: np.ndarray, rng: Any) -> VariationalAutoencoder:
        """Make the model that is to be fitted, and remember what it takes of X."""
        self._columns = None
        if self.estimator is not None:
            check_no_callbacks(self.estimator, type(self).__name__)
            return clone(self.estimator)
        likelihood: Any = "gaussian"
        if self._is_table:
            raw_table = read_raw_table(X)
            numbers = [j for j, column in enumerate(raw_table.columns) if column.kind == "number"]
            gaussian = resolve("gaussian", LIKELIHOODS).set_params(noise="feature")
            likelihood = [("numbers", gaussian, numbers)] if numbers else "auto"
        else:
            counted = X[weight > 0]
            deviation = np.nanstd(counted, 0, dtype=np.float64)
            varies = deviation > 1e-12 * np.abs(counted).max(0)
            self._columns = np.flatnonzero(varies) if varies.any() else np.arange(X.shape[1])
            self._scale = np.where(varies, deviation, 1.0)[self._columns]
        n_columns = X.shape[1] if self._columns is None else len(self._columns)
        return VariationalAutoencoder(
            max(1, min(self.n_components, n_columns - 1)),
            hidden_layer_sizes=(64,),
            likelihood=likelihood,
            learning_rate_init=1e-3,
            random_state=int(rng.randint(2**31 - 1)),
        )

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return X[:, self._columns].astype(np.float64) / self._scale

    def _weights(self, fitted: Fitted, numbers: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Weights of a t distribution by the rows' distances, of mean 1."""
        distance, expected, _ = self._typical.distance(fitted, numbers)
        weight = base * (self.df + expected) / (self.df + distance.clip(min=0.0))
        return weight / weight[base > 0].mean()

    def _fit_start(self, model: VariationalAutoencoder, X: Any, base: np.ndarray) -> None:
        """Alternate weights and the linear start, until no weight moves."""
        linear = clone(model).set_params(max_iter=0, early_stopping=False)
        weight, moments, ones = base, None, np.ones(X.shape[1])
        of_gaussian = None if self._columns is None else (ones, 2.0 * ones)
        for _ in range(_ROUNDS):
            self.start_, self.weight_ = clone(linear).fit(X, sample_weight=weight), weight
            fitted = self.start_._fitted
            self._typical = find_typical(fitted, of_gaussian or moments)
            moments = self._typical.expected, self._typical.variance
            if not self.robust:
                break
            weight = self._weights(fitted, self._numbers(self.start_, X), base)
            if np.abs(weight - self.weight_).max() <= _TOLERANCE * weight.max():
                break
        self._typical = find_typical(fitted, of_gaussian)

    def _train(self, model: VariationalAutoencoder, X: Any, base: np.ndarray, watch: Watch) -> None:
        """Go through the rows, and renew their weights, until a callback asks for the end."""
        self.estimator_, self.n_iter_ = self.start_, 0
        for n_done in range(self.max_iter if self.start_._fitted.view.total_variance > 0.0 else 0):
            if watch.stopped:
                break
            if self.robust and n_done and n_done % _RENEWED == 0:
                self.weight_ = self._weights(model._fitted, self._numbers(model, X), base)
            watch.begin()
            with watch.recording(model):
                self.estimator_ = model.partial_fit(X, sample_weight=self.weight_)
            self.n_iter_ = n_done + 1
            watch.end(last_pass(model, self.max_iter))

    def _set_offset(self, X: Any, base: np.ndarray) -> None:
        """Set what makes the median score 0, and the score that parts outliers from the rest."""
        numbers, weight = self._numbers(self.estimator_, X)[base > 0], base[base > 0]
        fitted = self.estimator_._fitted
        self._typical = self._typical.calibrated(fitted, numbers, weight)
        scores = self._typical.scores(fitted, numbers)
        if self.contamination == "auto":
            median = weighted_quantile(scores, 0.5, weight)
            deviation = weighted_quantile(np.abs(scores - median), 0.5, weight) / norm.ppf(0.75)
            self.offset_ = median + norm.ppf(_TAIL) * deviation
        else:
            self.offset_ = weighted_quantile(scores, float(self.contamination), weight)

    @staticmethod
    def _numbers(model: VariationalAutoencoder, X: Any) -> np.ndarray:
        """Give rows as the numbers that a fitted model takes, NaN where a cell is missing."""
        return model._check_rows(X).astype(np.float64)

    def _read(self, X: Any) -> np.ndarray:
        return self._numbers(self.estimator_, X if self._columns is None else self._scaled(X))

    @isolated
    def score_samples(self, X: Any) -> np.ndarray:
        """Score rows: the higher, the more normal.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, Source} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Of median 0 over the rows of fit. Those of clean rows are about normal deviates,
            whichever cells are missing; a row without any has 0.
        """
        check_is_fitted(self)
        X, fitted = self._checked(X, reset=False), self.estimator_._fitted
        return by_blocks(lambda rows: self._typical.scores(fitted, self._read(rows)), X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Score rows from the offset: outliers are below 0.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, Source} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Say which rows are outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, Source} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of int of shape (n_samples,)
            -1 for an outlier, 1 for any other row.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    @isolated
    def explain(self, X: Any) -> Any:
        """Say how much each cell contributes to a row's being odd.

        Cell after cell of the typical row is replaced by the row's own, in the table's order and in
        the reverse one; a cell's share is what log p(x) falls by, the mean of both. Under the
        linear start it is Shapley's value, half of (x_j - mean_j) [C^-1 (x - mean)]_j [1]_.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        shares : {ndarray, DataFrame} of shape (n_samples, n_features)
            In nats, a frame if X is one. A row's add up to how far its log p(x) is below that of
            the typical row with the same cells missing. A negative share is of a cell that makes
            the others more plausible; a missing cell has 0.

        References
        ----------
        .. [1] Mayrhofer and Filzmoser (2023), "Multivariate outlier explanations using Shapley
           values and Mahalanobis distances", Econometrics and Statistics, eq. 9.
        """
        check_is_fitted(self)
        refuse_source(X, "explain gives a number per cell", "Give rows, such as source[:100].")
        numbers = self._read(self._checked(X, reset=False))
        shares = of_cells = self._typical.shares(self.estimator_._fitted, numbers)
        if self._columns is not None:
            shares = np.zeros((len(of_cells), self.n_features_in_))
            shares[:, self._columns] = of_cells
        return as_rows_of(X, shares)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        return tags
