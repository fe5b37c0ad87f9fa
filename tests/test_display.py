"""Displays show what the estimators say: their arrays, their labels, and roughly their looks."""

import subprocess
import sys
import time

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvae import (
    Autoencoder,
    CanonicalCorrelatedAutoencoder,
    VAEImputer,
    VAEOutlierDetector,
    VariationalAutoencoder,
)
from skvae.display import (
    ComponentsDisplay,
    ImputationDisplay,
    LatentGridDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    OutlierDisplay,
    ReconstructionDisplay,
    TrainingDisplay,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS, DIGIT = load_digits(return_X_y=True)
DIGITS = DIGITS / 16
WINE = load_wine(as_frame=True)
CANCER = load_breast_cancer(as_frame=True)

DISPLAYS = [
    ComponentsDisplay,
    ImputationDisplay,
    LatentGridDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    OutlierDisplay,
    ReconstructionDisplay,
    TrainingDisplay,
]


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def digits():
    return VariationalAutoencoder(2, likelihood="bernoulli", max_iter=0).fit(DIGITS)


@pytest.fixture(scope="module")
def wine():
    vae = VariationalAutoencoder(4, max_iter=6, tol=10.0, random_state=0)
    return make_pipeline(StandardScaler(), vae).fit(WINE.data)


@pytest.fixture(scope="module")
def detector():
    return VAEOutlierDetector(max_iter=0, random_state=0).fit(WINE.data)


def with_gaps(X, share=0.2):
    """Rows of which cells are missing at random, the first row's first one among them."""
    missing = np.random.RandomState(0).rand(*X.shape) < share
    missing[0, 0] = True
    return X.mask(missing) if hasattr(X, "mask") else np.where(missing, np.nan, X)


def draw(kind, estimator, X, y=None, **keywords):
    """Draw a display of any kind. Of outliers it needs a detector, fitted to the same rows."""
    if kind is ImputationDisplay:
        X = with_gaps(X)
    if kind is OutlierDisplay:
        estimator = VAEOutlierDetector(max_iter=0, random_state=0).fit(
            WINE.data if len(X) < 2 else X
        )
    if kind is TrainingDisplay:
        return kind.from_estimator(estimator, **keywords)
    if kind is LatentSpaceDisplay:
        return kind.from_estimator(estimator, X, y, **keywords)
    return kind.from_estimator(estimator, X, **keywords)


def pixels(figure, side):
    """Picture of a figure in ``side`` x ``side`` cells of three colours, 0 to 1."""
    figure.canvas.draw()
    image = np.asarray(figure.canvas.buffer_rgba(), dtype=float)[..., :3] / 255
    height, width = (n // side * side for n in image.shape[:2])
    cells = image[:height, :width].reshape(side, height // side, side, width // side, 3)
    return cells.mean((1, 3))


# ---------------------------------------------------------------- the contract


@pytest.mark.parametrize("kind", DISPLAYS)
def test_display_draws_on_given_axes_and_returns_itself(kind, wine):
    settings = dict(mpl.rcParams)
    display = draw(kind, wine, WINE.data)
    figure, ax = plt.subplots()
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is figure
    figure.canvas.draw()
    assert dict(mpl.rcParams) == settings


@pytest.mark.parametrize("kind", DISPLAYS)
def test_display_draws_on_axes_put_by_hand(kind, wine):
    ax = plt.figure().add_axes([0.1, 0.1, 0.8, 0.8])
    display = draw(kind, wine, WINE.data, ax=ax)
    display.figure_.canvas.draw()
    assert display.ax_ is ax


@pytest.mark.parametrize("kind", DISPLAYS)
def test_display_stores_no_estimator(kind, wine):
    display = draw(kind, wine, WINE.data)
    stored = {name: v for name, v in vars(display).items() if not name.endswith("_")}
    allowed = (np.ndarray, str, int, float, list, tuple, dict, type(None))
    assert stored
    assert all(isinstance(value, allowed) for value in stored.values())


@pytest.mark.parametrize("kind", [kind for kind in DISPLAYS if kind is not OutlierDisplay])
def test_unfitted_estimator_is_refused(kind):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(kind, VariationalAutoencoder(), WINE.data)


def test_unfitted_detector_is_refused():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        OutlierDisplay.from_estimator(VAEOutlierDetector(), WINE.data)


@pytest.mark.parametrize("kind", [kind for kind in DISPLAYS if kind is not OutlierDisplay])
def test_search_shows_its_best_pipeline(kind, wine):
    search = GridSearchCV(wine, {"variationalautoencoder__n_components": [2]}, cv=2)
    display = draw(kind, search.fit(WINE.data), WINE.data)
    assert display.figure_.axes


@pytest.mark.parametrize("kind", DISPLAYS)
def test_one_latent_and_a_constant_feature(kind):
    X = np.column_stack([WINE.data["alcohol"], WINE.data["hue"], np.ones(len(WINE.data))])
    vae = VariationalAutoencoder(1, max_iter=2, tol=10.0, random_state=0).fit(X)
    draw(kind, vae, X).figure_.canvas.draw()


@pytest.mark.parametrize("kind", DISPLAYS[1:])
def test_one_row(kind, wine):
    draw(kind, wine, WINE.data[:1]).figure_.canvas.draw()


def test_without_matplotlib_the_extra_is_named():
    program = (
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"
        "from skvae import display\n"
        "for name in display.__all__:\n"
        "    needs_rows = name[:4] in ('Impu', 'Outl', 'Reco') or 'Space' in name\n"
        "    try:\n"
        "        getattr(display, name).from_estimator(None, *[None] * needs_rows)\n"
        "    except ImportError as error:\n"
        "        print(error)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    lines = result.stdout.splitlines()
    assert len(lines) == len(DISPLAYS), result.stderr
    for kind, line in zip(DISPLAYS, lines, strict=True):
        assert line.startswith(f"{kind.__name__}.from_estimator requires matplotlib")
        assert "pip install skvae[plot]" in line


# ------------------------------------------------------------ the latent space


def test_space_shows_every_row_in_the_colour_of_its_class(digits):
    display = LatentSpaceDisplay.from_estimator(digits, DIGITS, DIGIT)
    (points,) = display.scatter_
    shown = np.asarray(points.get_offsets())
    Z = digits.transform(DIGITS)
    np.testing.assert_allclose(shown[np.lexsort(shown.T)], Z[np.lexsort(Z.T)])
    colours = points.get_facecolor()
    digit_of = {tuple(row): digit for row, digit in zip(Z, DIGIT, strict=True)}
    pairs = {(digit_of[tuple(p)], tuple(c)) for p, c in zip(shown, colours, strict=True)}
    assert len(pairs) == 10
    assert len({colour for _, colour in pairs}) == 10
    named = {text.get_text(): text.get_position() for text in display.ax_.texts}
    assert set(named) == set(map(str, range(10)))


def test_space_names_classes_in_a_legend_or_beside_them(wine):
    names = WINE.target_names[WINE.target]
    legend = LatentSpaceDisplay.from_estimator(wine, WINE.data, names).ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["class_0", "class_1", "class_2"]
    direct = LatentSpaceDisplay.from_estimator(wine, WINE.data, names, labels="direct").ax_
    assert direct.get_legend() is None
    assert {text.get_text() for text in direct.texts} == set(WINE.target_names)
    bare = LatentSpaceDisplay.from_estimator(wine, WINE.data, names, labels="none").ax_
    assert bare.get_legend() is None
    assert not bare.texts


def test_names_of_classes_keep_apart():
    Z = np.repeat([[0.0, 0.0], [1.0, 1.0]], [400, 2], axis=0)
    display = LatentSpaceDisplay.from_latents(Z, np.arange(402) % 5, labels="direct")
    places = np.array([text.get_position() for text in display.ax_.texts])
    gaps = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert gaps[np.triu_indices(5, 1)].min() > 0.05


def test_values_have_a_colour_bar_with_their_name(wine):
    display = LatentSpaceDisplay.from_estimator(wine, WINE.data, WINE.data["alcohol"])
    (points,) = display.scatter_
    np.testing.assert_allclose(np.sort(points.get_array()), np.sort(WINE.data["alcohol"]))
    assert "alcohol" in {ax.get_xlabel() for ax in display.figure_.axes}


def test_prior_is_that_of_generated_rows(wine):
    display = LatentSpaceDisplay.from_estimator(wine, WINE.data)
    start = VariationalAutoencoder(2, max_iter=0).fit(WINE.data)
    prior = LatentSpaceDisplay.from_estimator(start, WINE.data).prior
    # At the start generated rows have PCA's variances.
    np.testing.assert_allclose(prior.var(0), start.explained_variance_, rtol=0.1)
    assert display.prior.shape[1] == 4
    assert LatentSpaceDisplay.from_estimator(wine, WINE.data, marginals=False).prior is None


def test_several_latents_are_a_matrix(wine):
    display = LatentSpaceDisplay.from_estimator(wine, WINE.data, WINE.target, components=range(4))
    assert display.axes_.shape == (4, 4)
    assert sum(ax is not None for ax in display.axes_.ravel()) == 10
    (points,) = display.axes_[2, 1].collections
    Z = np.asarray(wine.transform(WINE.data))[:, [1, 2]]
    shown = np.asarray(points.get_offsets())
    np.testing.assert_allclose(shown[np.lexsort(shown.T)], Z[np.lexsort(Z.T)])


@pytest.mark.parametrize("kind", ["none", "class", "value"])
def test_a_million_rows_are_drawn_as_a_density(kind):
    generator = np.random.default_rng(0)
    of_class = generator.integers(0, 3, 10**6)
    Z = generator.standard_normal((10**6, 2)) + of_class[:, None]
    y = {"none": None, "class": of_class, "value": Z[:, 0]}[kind]
    start = time.perf_counter()
    display = LatentSpaceDisplay.from_latents(Z, y)
    display.figure_.canvas.draw()
    assert time.perf_counter() - start < 10.0  # half a second on an idle core
    (image,) = display.scatter_
    shown = image.get_array()
    if kind == "none":
        assert np.nansum(shown) == 10**6
    assert shown.shape[:2] == (160, 160)


def test_the_rarest_of_many_classes_are_one():
    y = np.repeat(np.arange(30), np.arange(1, 31))
    Z = np.random.default_rng(0).standard_normal((len(y), 2))
    y = np.array([f"c{i:02d}" for i in y])
    legend = LatentSpaceDisplay.from_latents(Z, y, labels="legend").ax_.get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [*(f"c{i:02d}" for i in range(11, 30)), "other (11)"]


@pytest.mark.parametrize("y", [np.array(["a", None, "b"] * 2, dtype=object), [0.5, np.nan] * 3])
def test_missing_targets_pass(y):
    LatentSpaceDisplay.from_latents(np.arange(12.0).reshape(6, 2), y).figure_.canvas.draw()


def test_formula_signs_are_letters():
    Z = np.arange(12.0).reshape(6, 2)
    y = np.array(["$a", r"\frac{", "$b$"] * 2)
    LatentSpaceDisplay.from_latents(Z, y, labels="legend").figure_.canvas.draw()


def test_any_transformer_has_a_latent_space(wine):
    Y = np.eye(3, dtype=int)[WINE.target]
    model = CanonicalCorrelatedAutoencoder(2, max_iter=2, n_folds=1, random_state=0)
    for estimator in (PCA(2).fit(WINE.data), model.fit(WINE.data.to_numpy(), Y)):
        X = WINE.data if isinstance(estimator, PCA) else WINE.data.to_numpy()
        display = LatentSpaceDisplay.from_estimator(estimator, X, WINE.target)
        np.testing.assert_array_equal(display.latents, estimator.transform(X))


# ------------------------------------------------------------- decoded pictures


def test_grid_is_decoded_at_the_quantiles_of_the_prior(digits):
    display = LatentGridDisplay.from_estimator(digits, image_shape=(8, 8))
    assert display.rows.shape == (15, 15, 64)
    np.testing.assert_allclose(display.first[[0, 7, 14]], [-1.6449, 0.0, 1.6449], atol=1e-4)
    place = [display.first[3], display.second[11]]
    np.testing.assert_allclose(display.rows[3, 11], digits.decode([place])[0], rtol=1e-6)
    # The page's first tile is the leftmost place of the first latent, the topmost of the second.
    tile = np.asarray(display.image_.get_array())[1:9, 1:9]
    np.testing.assert_allclose(tile, display.rows[0, 14].reshape(8, 8))


def test_grid_of_rows_own_quantiles(digits):
    display = LatentGridDisplay.from_estimator(
        digits, DIGITS, image_shape=(8, 8), n_side=3, quantiles=(0.1, 0.9)
    )
    Z = digits.transform(DIGITS)
    np.testing.assert_allclose(display.second, np.quantile(Z[:, 1], [0.1, 0.5, 0.9]))
    middle = digits.inverse_transform(np.median(Z, axis=0)[None])[0]
    np.testing.assert_allclose(display.rows[1, 1], middle, rtol=1e-6)


def test_grid_of_a_table_is_in_its_units_and_names_what_changes(wine):
    display = LatentGridDisplay.from_estimator(wine)
    assert display.rows.shape == (7, 7, 13)
    centre = wine[:-1].inverse_transform(wine[-1].decode(np.zeros((1, 4))))[0]
    np.testing.assert_allclose(display.rows[3, 3], centre, rtol=1e-6)
    (key,) = (ax for ax in display.ax_.child_axes if ax.get_xticklabels())
    names = [label.get_text() for label in key.get_xticklabels()]
    assert len(names) == len(display.feature_order_) == 12
    assert names[0] == WINE.data.columns[display.feature_order_[0]]


@pytest.mark.parametrize("model", [PCA(2), Autoencoder(2, max_iter=0)], ids=["PCA", "Autoencoder"])
def test_grid_without_a_prior_is_spread_by_the_variance(model):
    model.fit(DIGITS)
    display = LatentGridDisplay.from_estimator(model, image_shape=(8, 8), n_side=3)
    std = np.sqrt(PCA(2).fit(DIGITS).explained_variance_)
    np.testing.assert_allclose(display.first[2], 1.6449 * std[0], rtol=1e-3)
    expected = model.inverse_transform([[display.first[2], display.second[0]]])[0]
    np.testing.assert_allclose(display.rows[2, 0], expected, rtol=1e-6)


def test_traversal_moves_one_latent(wine):
    display = LatentTraversalDisplay.from_estimator(wine, n_features=2)
    assert display.axes_.shape == (4, 2)
    Z = np.zeros((1, 4))
    Z[0, 2] = display.places[2, -1]
    expected = wine[:-1].inverse_transform(wine[-1].decode(Z))[0]
    np.testing.assert_allclose(display.rows[2, -1], expected, rtol=1e-6)
    # The panels' features are those that change most over their standard deviations, in own units.
    change = np.ptp(display.rows[0], axis=0) / display.scale
    first = WINE.data.columns[change.argmax()]
    assert display.axes_[0, 0].get_title() == first
    shown = display.axes_[0, 0].lines[0].get_ydata()
    np.testing.assert_allclose(shown, display.rows[0, :, change.argmax()])


def test_traversal_of_images_is_a_line_a_latent(digits):
    display = LatentTraversalDisplay.from_estimator(digits, image_shape=(8, 8), components=[1])
    assert display.rows.shape == (1, 9, 64)
    assert display.image_.get_array().shape == (10, 9 * 9 + 1)


def test_images_of_three_colours():
    X = np.random.default_rng(0).random((40, 27))
    vae = VariationalAutoencoder(2, max_iter=0).fit(X)
    for kind in (LatentGridDisplay, LatentTraversalDisplay, ReconstructionDisplay):
        draw(kind, vae, X[:9], image_shape=(3, 3, 3)).figure_.canvas.draw()


def test_reconstruction_and_residual(digits, wine):
    display = ReconstructionDisplay.from_estimator(digits, DIGITS[:8], image_shape=(8, 8))
    back = digits.inverse_transform(digits.transform(DIGITS[:8]))
    np.testing.assert_allclose(display.reconstructions, back)
    tile = np.asarray(display.images_[2].get_array())[1:9, 1:9]
    np.testing.assert_allclose(tile.ravel(), DIGITS[0] - back[0], atol=1e-12)
    display = ReconstructionDisplay.from_estimator(wine, WINE.data[:5])
    np.testing.assert_allclose(display.rows, WINE.data[:5])
    residual = np.asarray(display.images_[2].get_array())
    np.testing.assert_allclose(
        residual, (display.rows - display.reconstructions) / display.scale, atol=1e-12
    )


# -------------------------------------------------------- training, components


def test_training_shows_scores_start_and_kept_epoch(wine):
    vae = wine[-1]
    display = TrainingDisplay.from_estimator(wine)
    lines = {line.get_label(): line for line in display.axes_["objective"].lines}
    np.testing.assert_array_equal(lines["held out"].get_ydata(), vae.validation_scores_)
    np.testing.assert_array_equal(lines["training"].get_ydata(), -np.array(vae.loss_curve_))
    np.testing.assert_array_equal(lines["start (PCA)"].get_ydata(), [vae.validation_scores_[0]] * 2)
    best = getattr(vae, "best_epoch_", int(np.argmax(vae.validation_scores_)))
    assert display.best_epoch == best
    (kept,) = (line for name, line in lines.items() if name.endswith("kept"))
    assert kept.get_xdata() == [best]
    np.testing.assert_array_equal(display.axes_["kl"].lines[0].get_ydata(), vae.history_["kl"])
    assert "beta" not in display.axes_


def test_training_shows_a_beta_that_changes():
    history = {"loss": [3.0, 2.0], "log_likelihood": [-2.0, -1.5], "kl": [1.0, 0.5]}
    display = TrainingDisplay.from_history({**history, "beta": [0.0, 1.0]})
    assert list(display.axes_) == ["objective", "log_likelihood", "kl", "beta"]
    assert display.best_epoch is None


def test_training_of_the_classifier_is_its_held_out_score():
    Y = np.eye(3, dtype=int)[WINE.target]
    model = CanonicalCorrelatedAutoencoder(2, max_iter=3, n_folds=1, random_state=0)
    display = TrainingDisplay.from_estimator(model.fit(WINE.data.to_numpy(), Y))
    assert display.axes_["objective"].get_ylabel() == "held-out score"


def test_a_bad_first_epoch_does_not_press_the_others_flat():
    loss = [1e6, *np.linspace(30.0, 20.0, 40)]
    axes = TrainingDisplay.from_history({"loss": loss}).axes_["objective"]
    assert axes.get_ylim()[0] > -200


def test_components_beside_those_of_pca():
    X = StandardScaler().fit_transform(CANCER.data)
    vae = VariationalAutoencoder(6, beta=20.0, max_iter=15, random_state=0).fit(X)
    n_active = vae.n_active_components_
    display = ComponentsDisplay.from_estimator(vae, X)
    heights = [bar.get_height() for bar in display.bars_[0]]
    np.testing.assert_allclose(heights, 100 * vae.explained_variance_ratio_)
    np.testing.assert_allclose(
        [bar.get_height() for bar in display.bars_[1]], vae.kl_per_component_
    )
    assert display.active.sum() == n_active
    assert len({tuple(bar.get_facecolor()) for bar in display.bars_[0]}) == 1 + (n_active < 6)
    (pca,) = (line for line in display.axes_[0].lines if line.get_label() == "PCA")
    expected = 100 * PCA(18).fit(X).explained_variance_ratio_
    np.testing.assert_allclose(pca.get_ydata(), expected, rtol=1e-6)


# ------------------------------------------------------------ gaps and outliers


MIXED = pd.DataFrame(
    {
        "kind": np.where(WINE.target == 0, "red", "white").astype(object),
        "alcohol": WINE.data["alcohol"],
        "day": pd.date_range("2024-01-01", periods=len(WINE.data)),
        "constant": 1.0,
    }
)


@pytest.fixture(scope="module")
def mixed():
    return VariationalAutoencoder(2, likelihood="auto", max_iter=0).fit(with_gaps(MIXED))


def test_imputed_are_draws_of_the_gaps_and_observed_are_the_rest(mixed):
    X = with_gaps(MIXED)
    display = ImputationDisplay.from_estimator(mixed, X, n_fills=3, random_state=5)
    assert display.feature_names == list(MIXED)
    assert display.levels == [["red", "white"], None, "date", None]
    missing = X.isna().to_numpy()
    drawn = mixed.sample(3, given=X, random_state=5)
    for j, name in enumerate(["kind", "alcohol"]):
        expected = np.array([drawn[name].to_numpy()[i::3][missing[:, j]] for i in range(3)])
        own = X[name].to_numpy()[~missing[:, j]]
        if name == "kind":
            expected, own = expected == "white", own == "white"
        np.testing.assert_array_equal(display.imputed[j], expected)
        np.testing.assert_array_equal(display.observed[j], own)
    # Dates are matplotlib's, days since 1970.
    assert display.observed[2].max() == (X["day"].max() - pd.Timestamp(1970, 1, 1)).days
    assert (display.imputed[3] == 1.0).all()


def test_imputed_by_an_imputer_whatever_its_strategy_and_marks():
    X = np.where(with_gaps(WINE.data).isna(), -1.0, WINE.data)
    X = np.column_stack([X, np.full(len(X), -1.0)])
    start = VariationalAutoencoder(2, max_iter=0)
    imputer = VAEImputer(start, n_components=2, add_indicator=True, missing_values=-1).fit(X)
    display = ImputationDisplay.from_estimator(imputer, X, n_fills=3)
    assert display.feature_names == [f"x{j}" for j in range(14)]
    assert all(cells.shape[0] == 3 for cells in display.imputed)
    assert min(cells.min() for cells in display.observed[:13]) > 0
    assert np.ptp(display.imputed[0], axis=0).min() > 0  # each fill is a draw of its own
    assert (imputer.strategy, imputer.keep_empty_features) == ("mean", False)
    assert imputer.indicator_ is not None


def test_imputed_in_a_pipeline_are_in_the_units_of_its_table(wine):
    display = ImputationDisplay.from_estimator(wine, with_gaps(WINE.data))
    j = display.feature_names.index("proline")
    assert 300 < np.median(display.imputed[j]) < 1200


def test_panels_show_shares_and_densities():
    X = np.array([[1.0, 0.0]] * 60 + [[2.0, 0.0]] * 20 + [[np.nan, 0.0]] * 20)
    fills = [np.where(np.isnan(X), value, X) for value in (1.0, 2.0)]
    (ax,) = ImputationDisplay.from_fills(X, fills, feature_names=["a", "b"]).axes_
    assert ax.get_title() == "a\n20 % missing"
    observed, band, mean = ax.patches
    np.testing.assert_allclose(observed.get_data().values, [0.75, 0.25])
    np.testing.assert_allclose(band.get_data().values, [1.0, 1.0])
    np.testing.assert_allclose(mean.get_data().values, [0.5, 0.5])
    names = np.array(["u", "v"], dtype=object)[:, None].repeat(5, 0)
    holes = names.copy()
    holes[-2:] = None
    (ax,) = ImputationDisplay.from_fills(holes, [names]).axes_
    assert [bar.get_width() for bar in ax.patches] == [62.5, 37.5]
    assert ax.lines[-1].get_xdata().tolist() == [0.0, 100.0]


def test_a_million_rows_with_gaps():
    X = np.random.default_rng(0).standard_normal((10**6, 2))
    X[::3, 0] = np.nan
    vae = VariationalAutoencoder(1, max_iter=0).fit(X[:1000])
    assert ImputationDisplay.from_estimator(vae, X, n_fills=2).imputed[0].shape[1] < 1000
    start = time.perf_counter()
    display = ImputationDisplay.from_fills(X, [np.where(np.isnan(X), 0.0, X)])
    display.figure_.canvas.draw()
    assert display.imputed[0].shape == (1, 333_334)
    assert time.perf_counter() - start < 10.0  # half a second on an idle core


def test_outliers_are_parted_at_the_offset_and_explained(detector):
    display = OutlierDisplay.from_estimator(detector, WINE.data, n_rows=4)
    scores = detector.score_samples(WINE.data)
    np.testing.assert_array_equal(display.rows, np.argsort(scores)[:4])
    np.testing.assert_array_equal(display.shares, detector.explain(WINE.data.iloc[display.rows]))
    rest, odd = display.axes_[0].patches
    n_odd = (scores < detector.offset_).sum()
    assert odd.get_data().values.sum() == n_odd
    assert rest.get_data().values.sum() == len(scores) - n_odd
    (image,) = display.axes_[1].images
    shares = np.asarray(image.get_array())
    np.testing.assert_allclose(np.abs(shares).sum(1), 100.0)
    labels = [label.get_text() for label in display.axes_[1].get_yticklabels()]
    assert labels[0] == f"{display.rows[0]}: \N{MINUS SIGN}{-scores.min():.1f}"


def test_outliers_of_a_pipeline_are_named_by_the_frame():
    frame = WINE.data.set_axis([f"wine {i}" for i in range(178)])
    pipe = make_pipeline(StandardScaler(), VAEOutlierDetector(max_iter=0, random_state=0))
    display = OutlierDisplay.from_estimator(pipe.fit(frame), frame, rows=[3, 9])
    assert display.row_names == ["wine 3", "wine 9"]
    assert display.feature_names == list(frame)
    np.testing.assert_allclose(display.shares, pipe[-1].explain(pipe[:-1].transform(frame))[[3, 9]])


def test_outliers_of_a_mixed_frame_and_of_another_detector():
    detector = VAEOutlierDetector(max_iter=0, random_state=0).fit(with_gaps(MIXED))
    display = OutlierDisplay.from_estimator(detector, with_gaps(MIXED))
    assert display.feature_names == list(MIXED)
    forest = IsolationForest(n_estimators=5, random_state=0).fit(WINE.data)
    display = OutlierDisplay.from_estimator(forest, WINE.data)
    assert display.shares is None
    assert len(display.axes_) == 1


def test_a_million_scores_with_one_far_out():
    scores = np.append(np.random.default_rng(0).standard_normal(10**6 - 1), -1e6)
    start = time.perf_counter()
    display = OutlierDisplay.from_scores(scores, -2.0, rows=[10**6 - 1])
    display.figure_.canvas.draw()
    assert time.perf_counter() - start < 10.0  # half a second on an idle core
    low, high = display.ax_.get_xlim()
    assert -40 < low < -2 < 2 < high < 12
    assert sum(bars.get_data().values.sum() for bars in display.ax_.patches) == 10**6
    assert "first bar: 1 below" in display.ax_.texts[0].get_text()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ImputationDisplay.from_fills(np.eye(3), [np.eye(3)]), "must have missing cells"),
        (
            lambda: ImputationDisplay.from_fills(np.eye(3), [np.eye(2)]),
            r"shape of X, \(3, 3\). Got \(2, 2\)",
        ),
        (
            lambda: ImputationDisplay.from_fills(np.eye(3), [], feature_names=["a"]),
            "must hold 3 names.* Got 1",
        ),
        (
            lambda: ImputationDisplay.from_fills([["a"], [None]], [[[1.0], [2.0]]]),
            "must hold levels.* Got numbers",
        ),
        (
            lambda: ImputationDisplay.from_estimator(PCA(2).fit(np.eye(3)), np.eye(3)),
            "PCA cannot draw missing cells",
        ),
        (lambda: OutlierDisplay.from_estimator(PCA(2).fit(np.eye(3)), np.eye(3)), "no score_sampl"),
        (lambda: OutlierDisplay.from_scores(np.eye(3), 0.0), r"one number per row. Got shape"),
        (lambda: OutlierDisplay.from_scores([1.0], 0.0, rows=[1]), r"from 0 to 0. Got \[1\]"),
        (lambda: OutlierDisplay.from_scores([1.0], 0.0, shares=[[1.0]]), "each of the 0 in rows"),
        (
            lambda: OutlierDisplay.from_scores([1.0], 0.0, rows=[0], row_names=["a", "b"]),
            "row_names must hold 1 names. Got 2",
        ),
    ],
)
def test_bad_cells_and_scores_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda w: LatentSpaceDisplay.from_estimator(w, WINE.data, [0, 1]),
            "one value for each of",
        ),
        (
            lambda w: LatentSpaceDisplay.from_estimator(w, WINE.data, components=(0, 4)),
            r"from 0 to 3. Got \(0, 4\)",
        ),
        (
            lambda w: LatentSpaceDisplay.from_estimator(w, WINE.data, components=(1, 1)),
            "each latent once",
        ),
        (
            lambda w: LatentSpaceDisplay.from_estimator(w, WINE.data, labels="side"),
            "labels must be 'auto'.* Got 'side'",
        ),
        (
            lambda w: LatentSpaceDisplay.from_estimator(w, WINE.data, WINE.target, target="class_"),
            "target must be 'auto'.* Got 'class_'",
        ),
        (
            lambda w: LatentSpaceDisplay.from_latents(np.eye(3), prior=np.eye(2)),
            "prior must have a column for each of the 3",
        ),
        (lambda w: LatentGridDisplay.from_estimator(w, image_shape=(3, 4)), r"features, 13. Got"),
        (lambda w: LatentGridDisplay.from_estimator(w, image_shape=13), r"\(height, width\)"),
        (lambda w: LatentGridDisplay.from_estimator(w, components=(0, 1, 2)), "one latent or two"),
        (lambda w: LatentGridDisplay.from_estimator(w, quantiles=(0.9, 0.1)), "ascending order"),
        (lambda w: LatentGridDisplay.from_estimator(w, n_side=1), "at least 2. Got 1"),
        (lambda w: LatentTraversalDisplay.from_estimator(w, n_steps=0.5), "n_steps must be an int"),
        (
            lambda w: ReconstructionDisplay.from_estimator(w, WINE.data, feature_names=["a"]),
            "must hold 13 names.* Got 1",
        ),
        (
            lambda w: ReconstructionDisplay.from_rows(np.eye(3), np.eye(2)),
            r"shape of X, \(3, 3\). Got \(2, 2\)",
        ),
        (lambda w: TrainingDisplay.from_estimator(StandardScaler().fit(np.eye(2))), "no record"),
        (lambda w: TrainingDisplay.from_history({"loss": []}), "max_iter of at least 1"),
        (lambda w: TrainingDisplay.from_history({"loss": [1.0], "kl": []}), "series of one length"),
        (lambda w: ComponentsDisplay.from_estimator(w, WINE.data[:1]), "at least two rows"),
        (
            lambda w: ComponentsDisplay.from_ratios([0.5, 0.2], kl=[1.0]),
            r"kl must hold one value for each of the 2",
        ),
        (
            lambda w: ComponentsDisplay.from_estimator(StandardScaler().fit(np.eye(2))),
            "explained_variance_ratio_",
        ),
    ],
)
def test_bad_input_is_named(call, message, wine):
    with pytest.raises(ValueError, match=message):
        call(wine)


def test_estimator_that_cannot_decode_is_refused():
    Y = np.eye(3, dtype=int)[WINE.target]
    X = WINE.data.to_numpy()
    model = CanonicalCorrelatedAutoencoder(2, max_iter=1, n_folds=1, random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="has no inverse_transform"):
        ReconstructionDisplay.from_estimator(model, X[:3])
    with pytest.raises(ValueError, match="Give X"):
        LatentGridDisplay.from_estimator(model)


# ----------------------------------------------------------------------- looks

# Darkness of each picture in 8 x 8 cells, in hundredths: enough to see a panel, a legend or a line
# of labels that went missing. matplotlib 3.9 and 3.11 differ by up to 6.
LOOKS = {
    "space": """
         1 27 34 24 35 41 11  0
         2  1  2  1  0  0  1  5
         5  6  6  0  1  9  4 30
         6  8  5  1  7 11  2 43
         5  0  5  3  5  2  1 20
         4  0  0  6  3  1  1 14
         3  3  3  3  2  2  3  2
         0  1  6  5  6  5  1  0
    """,
    "grid": """
         1 17 18 20 20 19 18 18
         0 23 25 28 28 26 25 26
         5 24 26 28 28 25 24 25
         6 25 27 29 28 25 24 24
         4 26 27 29 29 26 24 24
         4 27 28 30 29 27 25 25
         1 26 28 30 29 26 25 25
         1  9  9 14 14 13  7  8
    """,
    "strips": """
         0  0  2  1  3  3  0  3
         0  6  6  6  8  7  2  6
         5 25 17 14 13 14 17 25
         8 28 14  9  6  8 14 29
         9 25 11  6  3  6 12 26
         7 25 13  9  8  9 13 26
         2 12  9 12 11 11  9 13
         0  6 13 11  7 11 12  4
    """,
    "traversal": """
         2  4  2  3  4  2  4  4
         3  3  4  7  4  5  5  2
         3  4  3  2  4  4  2  2
         4  3  5  7  4  6  5  2
         2  2  2  3  4  4  3  4
         4  3  5  7  4  6  5  2
         4  4  2  4  2  2  4  2
         4  3  5  5  6  6  3  3
    """,
    "reconstruction": """
         9 10 22 15 15 18 10 22
        13 16 18 28 17 15 11 25
        14 15 19 21 21 18 12 23
        13 13 20 22 15 16  8 19
         5  7  9  9  7 12  8 10
         3  6  6  7  7  7  5  7
         1  1  3  4  5  5  0  5
         0  7  6  4  4  5  8  3
    """,
    "training": """
         1  3  0  1  1  1  1  1
         7  5  9  0  0  0  0  0
         4  4  3  1  0  0  0  1
         2  4  5  5  6  7  7  6
        10  5  0  1  2  0  0  0
         4  4  2  3  4  4  4  3
         7  5  0  3  0  0  0  1
         1  4  3  2  5  3  2  3
    """,
    "components": """
         1 16  0  0  0  0  5  6
         8 27  1  0  0  0  0  0
         8 27 26  0  0  0  0  0
         3 27 51 17  3  2  2  1
         1 17 10  6  2  2  2  3
         5 27 24  0  0  0  0  0
         3 27 51 18  0  0  0  0
         2  7 12  7  6  2  3  3
    """,
    "imputation": """
         1  8  0  6  4  0  5  1
        13 27  2 19  5  1 24  5
        10 14  7 12 12  5 13  9
         3  9  0  5  2  0 11  3
        16 26  6 24 16  8 27 12
         3  8  0  4  4  0  7  1
        13 19  0 12 13  0 21  2
        11 17 10 16 17 11 17 12
    """,
    "levels": """
         0  6  2  2  8  0  7  2
        10 16  0  2  8  1 12  0
        11 24 16 18 31 14 31 22
         3  4  5  9 10 10 12 12
         3 18 13  0  0  0  0  0
         8 28 25  0  0  0  0  0
         9 30 27  0  0  0  0  0
         2  4  6  4  3  5  5  1
    """,
    "outliers": """
         1  8  9  2  2  3  3  0
         2  3  4  0  6 14 26  6
         0  5  5  9 12 10  9  7
         6  9  9 24  6 24  9  4
         7  9 10 24 13 14  9  5
         2  5  7 12  7  9 14  6
         0  0  1  5  4  7  2  4
         0  0  9  6  5  7  8  3
    """,
}


def looks(name, digits, wine, mixed):
    """Pictures whose looks are held."""
    names = WINE.target_names[WINE.target]
    return {
        "space": lambda: LatentSpaceDisplay.from_estimator(wine, WINE.data, names),
        "grid": lambda: LatentGridDisplay.from_estimator(digits, image_shape=(8, 8)),
        "strips": lambda: LatentGridDisplay.from_estimator(wine),
        "traversal": lambda: LatentTraversalDisplay.from_estimator(wine),
        "reconstruction": lambda: ReconstructionDisplay.from_estimator(wine, WINE.data[:6]),
        "training": lambda: TrainingDisplay.from_estimator(wine),
        "components": lambda: ComponentsDisplay.from_estimator(wine, WINE.data),
        "imputation": lambda: draw(ImputationDisplay, wine, WINE.data),
        "levels": lambda: draw(ImputationDisplay, mixed, MIXED),
        "outliers": lambda: draw(OutlierDisplay, None, WINE.data),
    }[name]()


@pytest.mark.parametrize("name", list(LOOKS))
def test_looks(name, digits, wine, mixed):
    figure = looks(name, digits, wine, mixed).figure_
    figure.set_dpi(80)
    darkness = 100 * (1 - pixels(figure, 8).mean(-1))
    expected = np.array(LOOKS[name].split(), dtype=float).reshape(8, 8)
    np.testing.assert_allclose(darkness, expected, atol=7)
    assert np.corrcoef(darkness.ravel(), expected.ravel())[0, 1] > 0.9
