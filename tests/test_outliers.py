"""The outlier detector: its contract, its robust start, rows with gaps, and what explains a row."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture

from skvae import VAEOutlierDetector, VariationalAutoencoder, trusted_types

WINE = load_wine().data


def contaminated(share, seed=0):
    """Benign tumours with some malignant ones among them, and which those are."""
    X, y = load_breast_cancer(return_X_y=True)
    benign, malignant = X[y == 1], X[y == 0]
    n = round(share / (1 - share) * len(benign))
    chosen = np.random.RandomState(seed).permutation(len(malignant))[:n]
    X = np.vstack([benign, malignant[chosen]])
    return X, np.arange(len(X)) >= len(benign)


def linear_rows(n, d=12, seed=0):
    """Rows of a linear model of three latents."""
    rng = np.random.RandomState(seed)
    W = rng.standard_normal((3, d))
    return rng.standard_normal((n, 3)) @ W + 0.5 * rng.standard_normal((n, d))


def area(X, wrong, **parameters):
    """How well a detector that is fitted to rows finds those that are wrong."""
    detector = VAEOutlierDetector(random_state=0, **parameters).fit(X)
    return roc_auc_score(wrong, -detector.score_samples(X))


def with_gaps(X, seed=1):
    """Rows that lack cells by shares from 0 to 0.8."""
    rng = np.random.RandomState(seed)
    missing = rng.random_sample(X.shape) < rng.uniform(0, 0.8, (len(X), 1))
    missing[missing.all(1), 0] = False
    return np.where(missing, np.nan, X)


def mixed():
    """A frame of numbers and a level that goes with them; in some rows it is another's."""
    rng = np.random.RandomState(0)
    kind = rng.randint(3, size=400)
    numbers = 3.0 * np.eye(3)[kind] + 0.5 * rng.standard_normal((400, 3))
    frame = pd.DataFrame(numbers, columns=["a", "b", "c"])
    wrong = np.arange(400) < 12
    frame["kind"] = np.array(["x", "y", "z"])[np.where(wrong, (kind + 1) % 3, kind)]
    return frame, wrong


# ---------------------------------------------------------------------- contract


@pytest.mark.parametrize("contamination", [0.05, 0.1, 0.5])
def test_contamination_is_the_share_of_outliers_among_the_rows_of_fit(contamination):
    detector = VAEOutlierDetector(contamination=contamination, random_state=0).fit(WINE)
    assert np.mean(detector.predict(WINE) == -1) == pytest.approx(contamination, abs=1 / len(WINE))
    expected = np.percentile(detector.score_samples(WINE), 100 * contamination)
    assert detector.offset_ == pytest.approx(expected)


def test_predictions_are_the_signs_of_decisions_from_the_offset():
    detector = VAEOutlierDetector(random_state=0)
    labels = detector.fit_predict(WINE)
    decisions = detector.decision_function(WINE)
    assert_array_equal(labels, np.where(decisions < 0, -1, 1))
    assert_array_equal(decisions, detector.score_samples(WINE) - detector.offset_)


def test_auto_takes_a_fortieth_of_normal_rows():
    X = np.random.RandomState(0).standard_normal((2000, 8))
    share = np.mean(VAEOutlierDetector(random_state=0).fit_predict(X) == -1)
    assert 0.01 < share < 0.05


def test_median_score_is_zero():
    detector = VAEOutlierDetector(random_state=0).fit(WINE)
    assert np.median(detector.score_samples(WINE)) == pytest.approx(0.0, abs=1e-3)


def test_fits_with_one_seed_are_equal_and_with_another_are_not():
    one, same, other = (
        VAEOutlierDetector(random_state=seed).fit(WINE).score_samples(WINE) for seed in (0, 0, 1)
    )
    assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_scores_are_the_order_of_log_densities_of_complete_rows():
    detector = VAEOutlierDetector(random_state=0).fit(WINE)
    log_density = detector.estimator_.score_samples(WINE / WINE.std(0), n_draws=20)
    assert_array_equal(np.argsort(detector.score_samples(WINE)), np.argsort(log_density))


def test_units_and_constant_columns_do_not_matter():
    X = np.hstack([WINE * 10.0 ** np.arange(-6, 7), np.full((len(WINE), 1), 3.0)])
    expected = VAEOutlierDetector(random_state=0).fit(WINE).score_samples(WINE)
    found = VAEOutlierDetector(random_state=0).fit(X).score_samples(X)
    assert_allclose(found, expected, atol=1e-3)


def test_sparse_rows_have_the_scores_of_dense_ones():
    X = load_digits().data[:300]
    dense = VAEOutlierDetector(max_iter=1, random_state=0).fit(X)
    thin = VAEOutlierDetector(max_iter=1, random_state=0).fit(sparse.csr_array(X))
    assert_array_equal(dense.score_samples(X), thin.score_samples(sparse.csc_array(X)))


def test_a_narrow_table_has_fewer_latents():
    assert VAEOutlierDetector(max_iter=0).fit(WINE[:, :3]).estimator_.n_components_ == 2
    assert VAEOutlierDetector(max_iter=0).fit(WINE[:, :1]).estimator_.n_components_ == 1


def test_weights_of_zero_leave_rows_out():
    X, wrong = contaminated(0.1)
    weight = np.where(wrong, 0.0, 2.0)
    weighted = VAEOutlierDetector(max_iter=0).fit(X, sample_weight=weight)
    without = VAEOutlierDetector(max_iter=0).fit(X[~wrong])
    assert_allclose(weighted.score_samples(X), without.score_samples(X), rtol=1e-5, atol=1e-6)
    assert weighted.offset_ == pytest.approx(without.offset_, rel=1e-5)


def test_a_failed_fit_leaves_the_former_one():
    detector = VAEOutlierDetector(max_iter=1, random_state=0).fit(WINE)
    before = detector.score_samples(WINE)
    with pytest.raises(ValueError, match="infinity"):
        detector.fit(np.where(WINE > 1000, np.inf, WINE))
    assert_array_equal(detector.score_samples(WINE), before)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"contamination": 0.6}, "'contamination' parameter"),
        ({"contamination": 0.0}, "'contamination' parameter"),
        ({"df": 0}, "'df' parameter"),
        ({"estimator": GaussianMixture()}, "'estimator' parameter"),
    ],
)
def test_parameters_outside_their_domain_are_errors(parameters, message):
    with pytest.raises(ValueError, match=message):
        VAEOutlierDetector(**parameters).fit(WINE)


def test_explain_asks_for_a_fit():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        VAEOutlierDetector().explain(WINE)


def test_a_posterior_without_density_is_an_error():
    points = VariationalAutoencoder(posterior="deterministic", beta=0)
    with pytest.raises(ValueError, match="no likelihood of a row"):
        VAEOutlierDetector(estimator=points).fit(WINE)


def test_an_estimator_of_the_users_is_cloned_and_trained():
    model = VariationalAutoencoder(3, likelihood="log_normal", random_state=0)
    detector = VAEOutlierDetector(estimator=model, max_iter=2).fit(WINE)
    assert not hasattr(model, "n_components_")
    assert detector.estimator_.n_iter_ == 2
    log_density = detector.estimator_.score_samples(WINE, n_draws=20)
    assert_array_equal(np.argsort(detector.score_samples(WINE)), np.argsort(log_density))


def test_a_pickle_scores_the_same():
    frame, _ = mixed()
    detector = VAEOutlierDetector(max_iter=1, random_state=0).fit(frame)
    again = pickle.loads(pickle.dumps(detector))
    assert_array_equal(again.score_samples(frame), detector.score_samples(frame))


def test_skops_needs_to_trust_this_package_alone():
    skops = pytest.importorskip("skops.io")
    detector = VAEOutlierDetector(max_iter=1, random_state=0).fit(with_gaps(WINE))
    again = skops.loads(skops.dumps(detector), trusted=trusted_types())
    assert_array_equal(again.score_samples(WINE), detector.score_samples(WINE))


# ---------------------------------------------------------------------- robust fit


def textbook(Z, k, df):
    """EM for a t distribution whose scatter is that of probabilistic PCA (Archambeau et al. 2006).

    The M step divides by the number of rows.
    """
    n, d = Z.shape
    weight = np.ones(n)
    for _ in range(2000):
        mean = weight @ Z / weight.sum()
        R = Z - mean
        values, vectors = np.linalg.eigh((R * weight[:, None]).T @ R / n)
        values[: d - k] = values[: d - k].mean()
        distance = np.square(R @ vectors) @ (1 / values)
        weight = (df + d) / (df + distance)
    return mean, (vectors * values) @ vectors.T, weight


@pytest.mark.parametrize("df", [1.0, 4.0])
def test_robust_start_is_probabilistic_pca_under_a_t_distribution(df):
    X, _ = contaminated(0.1)
    X = X[:, :8]
    Z = X / X.std(0)
    mean, covariance, weight = textbook(Z, 3, df)
    detector = VAEOutlierDetector(3, df=df, max_iter=0).fit(X)
    assert_allclose(weight.mean(), 1.0, rtol=1e-6)
    assert_allclose(detector.weight_, weight, atol=0.01 * weight.max())
    assert_allclose(detector.start_.mean_, mean, rtol=0.01)
    found = detector.start_.get_covariance()
    assert_allclose(found, covariance, atol=0.01 * np.abs(covariance).max())


def test_without_robustness_the_start_is_plain_and_all_rows_weigh_the_same():
    detector = VAEOutlierDetector(robust=False, max_iter=1, random_state=0).fit(WINE)
    plain = VariationalAutoencoder(5, max_iter=0).fit(WINE / WINE.std(0))
    assert_array_equal(detector.weight_, 1.0)
    assert_allclose(detector.start_.get_covariance(), plain.get_covariance(), rtol=1e-6)


def test_robust_scores_are_better_among_outliers():
    X, wrong = contaminated(0.1)
    assert area(X, wrong) > area(X, wrong, robust=False) + 0.01


def test_more_passes_are_no_worse_among_scattered_outliers():
    X, _ = contaminated(0.0)
    rng, wrong = np.random.RandomState(0), np.arange(len(X)) < 36
    X[wrong] = np.column_stack([rng.permutation(column)[:36] for column in X.T])
    assert area(X, wrong, max_iter=30) > area(X, wrong, max_iter=5) - 0.01


# ---------------------------------------------------------------------- gaps and levels


@pytest.mark.parametrize("robust", [False, True])
def test_scores_of_clean_rows_are_alike_whatever_their_gaps(robust):
    X = linear_rows(2000)
    detector = VAEOutlierDetector(3, robust=robust, max_iter=0).fit(X)
    rows = with_gaps(linear_rows(12000)[2000:])
    scores, n_cells = detector.score_samples(rows), (~np.isnan(rows)).sum(1)
    for low, high in [(1, 2), (3, 5), (6, 8), (9, 12)]:
        some = scores[(n_cells >= low) & (n_cells <= high)]
        assert len(some) > 500
        assert abs(some.mean()) < 0.12
        assert abs(some.std() - 1.0) < 0.12 + 0.2 * robust


def test_a_row_without_cells_has_the_score_of_the_median_row():
    detector = VAEOutlierDetector(max_iter=0).fit(with_gaps(WINE))
    assert detector.score_samples(np.full((1, 13), np.nan)) == [0.0]


def test_an_odd_cell_shows_among_gaps():
    X = with_gaps(linear_rows(600))
    X[:10, 4] = 15.0
    scores = VAEOutlierDetector(3, random_state=0).fit(X).score_samples(X)
    assert set(np.argsort(scores)[:10]) == set(range(10))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_levels_that_do_not_fit_their_row_are_odd(library):
    frame, wrong = mixed()
    frame.loc[20:30, "a"] = np.nan
    frame.loc[28:40, "kind"] = None
    if library == "polars":
        columns = frame.astype(object).where(frame.notna(), None).to_dict("list")
        frame = pytest.importorskip("polars").DataFrame(columns)
    detector = VAEOutlierDetector(random_state=0).fit(frame)
    assert roc_auc_score(wrong, -detector.score_samples(frame)) > 0.9
    shares = detector.explain(frame)
    assert type(shares) is type(frame)
    assert list(shares.columns) == ["a", "b", "c", "kind"]
    assert list(detector.feature_names_in_) == ["a", "b", "c", "kind"]


# ---------------------------------------------------------------------- explanations


def test_shares_add_up_to_the_fall_from_the_typical_row():
    detector = VAEOutlierDetector(random_state=0).fit(WINE)
    X = np.where(np.arange(13) == 3, np.nan, WINE[:20])
    shares = detector.explain(X)
    typical = detector.start_.decode(np.zeros((1, 5)))
    typical[0, 3] = np.nan
    model, scaled = detector.estimator_, X / WINE.std(0)
    fall = model.score_samples(typical, n_draws=20) - model.score_samples(scaled, n_draws=20)
    assert_allclose(shares.sum(1), fall, rtol=1e-6)
    assert_array_equal(shares[:, 3], 0.0)


def test_shares_of_the_linear_start_are_shapley_values():
    detector = VAEOutlierDetector(max_iter=0).fit(WINE)
    R = WINE / WINE.std(0) - detector.start_.mean_
    expected = 0.5 * R * np.linalg.solve(detector.start_.get_covariance(), R.T).T
    assert_allclose(detector.explain(WINE), expected, atol=2e-3 * np.abs(expected).max())


def test_the_cell_that_was_changed_has_the_largest_share():
    X = linear_rows(500)
    cells = np.random.RandomState(0).randint(12, size=40)
    X[np.arange(40), cells] += 8.0
    X = np.hstack([np.ones((500, 1)), X])
    shares = VAEOutlierDetector(3, random_state=0).fit(X).explain(X[:40])
    assert shares.shape == (40, 13)
    assert np.mean(shares.argmax(1) == cells + 1) > 0.95
    assert_array_equal(shares[:, 0], 0.0)


@pytest.mark.parametrize(
    "X",
    [np.ones((20, 3)), pd.DataFrame({"a": [1.0] * 20, "b": ["x"] * 20})],
    ids=["array", "frame"],
)
def test_rows_that_are_all_the_same_are_normal(X):
    detector = VAEOutlierDetector(random_state=0).fit(X)
    assert detector.n_iter_ == 0
    assert (detector.predict(X) == 1).all()
    np.testing.assert_allclose(detector.score_samples(X), 0.0, atol=1e-9)
