"""The explorer's page decodes as the estimator does, and is moved by mouse, touch and keyboard."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from browser import Browser, find_chromium
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from skvae import (
    Autoencoder,
    CanonicalCorrelatedAutoencoder,
    LatentExplorer,
    VariationalAutoencoder,
)
from skvae.nn import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS, DIGIT = load_digits(return_X_y=True)
DIGITS = DIGITS / 16
WINE = load_wine(as_frame=True)


def small_decoder(n_in, n_out):
    """A module of the user's own."""
    return torch.nn.Sequential(
        torch.nn.Linear(n_in, 12), torch.nn.ELU(), torch.nn.Linear(12, n_out)
    )


@pytest.fixture(scope="module")
def digits():
    vae = VariationalAutoencoder(2, likelihood="bernoulli", max_iter=8, tol=10.0, random_state=0)
    return vae.fit(DIGITS)


@pytest.fixture(scope="module")
def browser():
    path = find_chromium()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("there is no Chromium, which must be there where CI is set")
        pytest.skip("there is no Chromium")
    with Browser(path) as browser:
        browser.screen(1100, 900)
        yield browser


def page_of(browser, folder, *args, **keywords):
    """Open the explorer of an estimator."""
    explorer = LatentExplorer.from_estimator(*args, **keywords)
    browser.open(explorer.save(folder / "explorer.html"))
    browser.settle()
    assert browser.complaints() == []
    return explorer


def centre(browser, selector):
    """Middle of an element, in pixels."""
    return browser.evaluate(
        f"(r => [r.x + r.width / 2, r.y + r.height / 2])"
        f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
    )


def picture(browser):
    """Pixels of the decoded image as the page shows it."""
    return browser.evaluate(
        "(c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data))"
        "(document.getElementById('picture'))"
    )


def decoded(browser, Z):
    """What the page decodes."""
    return np.array(browser.evaluate(f"{np.asarray(Z).tolist()}.map(latentExplorer.decode)"))


# --------------------------------------------------- what the page computes


ESTIMATORS = {
    **{
        activation: VariationalAutoencoder(
            3, hidden_layer_sizes=(16, 12), activation=activation, max_iter=5, tol=10.0
        )
        for activation in ACTIVATIONS
    },
    "bernoulli": VariationalAutoencoder(2, likelihood="bernoulli", max_iter=5, tol=10.0),
    "linear": VariationalAutoencoder(2, hidden_layer_sizes=(), max_iter=3, tol=10.0),
    "random start": VariationalAutoencoder(2, init="random", max_iter=5, tol=10.0),
    "whitened": VariationalAutoencoder(4, whiten=True, max_iter=5, tol=10.0),
    "deterministic": Autoencoder(2, max_iter=5, tol=10.0),
    "many weights": VariationalAutoencoder(2, hidden_layer_sizes=(200, 200), max_iter=3, tol=10.0),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_page_decodes_as_inverse_transform(name, browser, tmp_path):
    estimator = ESTIMATORS[name].set_params(random_state=0).fit(DIGITS)
    explorer = page_of(browser, tmp_path, estimator, DIGITS, image_shape=(8, 8))
    assert explorer.payload["decoder"]["kind"] == "dense"
    low, high = explorer.payload["low"], explorer.payload["high"]
    Z = np.vstack([estimator.transform(DIGITS[::90]), low, high])
    np.testing.assert_allclose(decoded(browser, Z), estimator.inverse_transform(Z), atol=1e-4)


def test_page_decodes_a_pipeline_in_the_units_of_its_columns(browser, tmp_path):
    pipe = make_pipeline(StandardScaler(), VariationalAutoencoder(3, max_iter=5, tol=10.0))
    X = WINE.data
    explorer = page_of(browser, tmp_path, pipe.fit(X), X, WINE.target_names[WINE.target])
    assert explorer.payload["decoder"]["kind"] == "dense"
    Z = pipe.transform(X[::20])
    expected = pipe.inverse_transform(Z)
    error = np.abs(decoded(browser, Z) - expected) / X.std().to_numpy()
    assert error.max() < 1e-4
    # The table shows the row of the point, in the order of the columns.
    rows = browser.evaluate(
        "[...document.querySelectorAll('tbody tr')].map(r => [r.cells[0].textContent,"
        " r.querySelector('.now span').textContent])"
    )
    here = decoded(browser, [browser.evaluate("latentExplorer.point")])[0]
    assert [name for name, _ in rows] == list(X.columns)
    shown = [float(text.replace("−", "-")) for _, text in rows]
    np.testing.assert_allclose(shown, here, rtol=1e-3)


@pytest.mark.parametrize(
    "estimator",
    [
        VariationalAutoencoder(2, decoder=small_decoder, max_iter=5, tol=10.0, random_state=0),
        make_pipeline(
            QuantileTransformer(n_quantiles=20),
            VariationalAutoencoder(2, max_iter=3, tol=10.0, random_state=0),
        ),
        PCA(2),
    ],
    ids=["module", "bent pipeline", "PCA"],
)
def test_other_decoders_are_a_grid(estimator, browser, tmp_path):
    X = WINE.data[["alcohol", "hue", "proline", "ash"]].to_numpy()
    explorer = page_of(browser, tmp_path, estimator.fit(X), X)
    payload = explorer.payload["decoder"]
    assert payload["kind"] == "grid"
    axes = np.linspace(payload["low"], payload["high"], payload["side"])
    nodes = np.array([axes[[0, 5], [0, 1]], axes[[7, 3], [0, 1]]])
    scale = X.std(0)
    error = np.abs(decoded(browser, nodes) - estimator.inverse_transform(nodes)) / scale
    assert error.max() < 1e-3
    Z = estimator.transform(X[::9])
    between = np.abs(decoded(browser, Z) - estimator.inverse_transform(Z)) / scale
    assert between.max() < 0.1


def test_grid_moves_two_latents_and_holds_the_others(browser, tmp_path):
    explorer = page_of(browser, tmp_path, PCA(3).fit(DIGITS), DIGITS, image_shape=(8, 8))
    assert explorer.payload["decoder"]["moved"] == [0, 1]
    assert browser.evaluate("document.querySelectorAll('input[type=range]').length") == 2


# ------------------------------------------------------------ moving about


def test_drag_changes_what_is_decoded(digits, browser, tmp_path):
    page_of(browser, tmp_path, digits, DIGITS, DIGIT, image_shape=(8, 8))
    x, y = centre(browser, "#plane")
    seen = []
    for places in ([(x, y)], [(x, y), (x + 90, y - 60)], [(x + 90, y - 60), (x - 120, y + 80)]):
        browser.drag(places)
        seen.append((browser.evaluate("latentExplorer.point"), picture(browser)))
    (start, _), (right, _), (left, _) = seen
    assert right[0] > start[0] > left[0]
    assert right[1] > start[1] > left[1]
    for point, shown in seen:
        ink = np.array(shown).reshape(64, 4)[:, 0]
        expected = digits.inverse_transform([point])[0]
        np.testing.assert_allclose(ink, 255 * (1 - expected), atol=1.01)


def test_a_finger_moves_the_point(digits, browser, tmp_path):
    page_of(browser, tmp_path, digits, DIGITS, DIGIT, image_shape=(8, 8))
    browser.screen(390, 844, is_phone=True)
    try:
        before = browser.evaluate("latentExplorer.point")
        x, y = centre(browser, "#plane")
        browser.touch([(x, y), (x + 40, y), (x + 100, y - 70)])
        after = browser.evaluate("latentExplorer.point")
        assert after[0] > before[0]
        assert after[1] > before[1]
        assert browser.evaluate("scrollY") == 0
        # What is decoded is seen beside the finger, and nothing is wider than the phone.
        bottom = "document.getElementById('picture').getBoundingClientRect().bottom"
        assert browser.evaluate(bottom) < 844
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        browser.screen(1100, 900)


def test_keys_move_the_point(digits, browser, tmp_path):
    explorer = page_of(browser, tmp_path, digits, DIGITS, DIGIT, image_shape=(8, 8))
    browser.evaluate("document.getElementById('plane').focus()")
    start = np.array(browser.evaluate("latentExplorer.point"))
    span = np.subtract(explorer.payload["high"], explorer.payload["low"])
    browser.press("ArrowRight")
    browser.press("ArrowUp", shift=True)
    moved = np.array(browser.evaluate("latentExplorer.point"))
    np.testing.assert_allclose(moved - start, span * [0.02, 0.1])
    browser.press("Enter")
    there = np.array(browser.evaluate("latentExplorer.point"))
    Z = digits.transform(DIGITS)
    assert np.abs(Z - there).max(1).min() < 1e-5  # float32 of a real row
    browser.press("Home")
    np.testing.assert_array_equal(browser.evaluate("latentExplorer.point"), start)


def test_sliders_move_further_latents(browser, tmp_path):
    pca = VariationalAutoencoder(4, max_iter=0).fit(DIGITS)
    page_of(browser, tmp_path, pca, DIGITS, DIGIT, image_shape=(8, 8))
    browser.evaluate("document.querySelectorAll('input[type=range]')[3].focus()")
    before = browser.evaluate("latentExplorer.point"), picture(browser)
    browser.press("End")
    after = browser.evaluate("latentExplorer.point"), picture(browser)
    assert after[0][:3] == before[0][:3]
    assert after[0][3] > before[0][3]
    assert after[1] != before[1]
    # Either axis can be any latent.
    browser.evaluate(
        "(s => { s.value = 3; s.dispatchEvent(new Event('change')); })"
        "(document.querySelectorAll('#axes select')[1])"
    )
    browser.drag([centre(browser, "#plane")])
    assert browser.evaluate("latentExplorer.point[3]") != after[0][3]


def test_one_latent_moves_along_a_line(browser, tmp_path):
    vae = VariationalAutoencoder(1, max_iter=0).fit(WINE.data)
    page_of(browser, tmp_path, vae, WINE.data, WINE.data["alcohol"])
    before = browser.evaluate("latentExplorer.point")
    x, y = centre(browser, "#plane")
    browser.drag([(x + 100, y)])
    assert browser.evaluate("latentExplorer.point") != before


def test_nearest_row_is_nearest(digits, browser, tmp_path):
    page_of(browser, tmp_path, digits, DIGITS[:300], DIGIT[:300], image_shape=(8, 8))
    x, y = centre(browser, "#plane")
    browser.drag([(x - 70, y + 30)])
    point = browser.evaluate("latentExplorer.point")
    distance = np.linalg.norm(digits.transform(DIGITS[:300]) - point, axis=1)
    found = browser.evaluate("[...document.querySelectorAll('#near span')].map(e => e.textContent)")
    expected = [f"{DIGIT[i]} · {i}" for i in np.argsort(distance)[:5]]
    assert found == expected
    browser.drag([centre(browser, "#near li:nth-child(2) button")])
    there = digits.transform(DIGITS[[np.argsort(distance)[1]]])[0]
    np.testing.assert_allclose(browser.evaluate("latentExplorer.point"), there, atol=1e-5)


# ------------------------------------------------------------ the page itself


def test_page_asks_for_nothing(digits, browser, tmp_path):
    explorer = page_of(browser, tmp_path, digits, DIGITS, DIGIT, image_shape=(8, 8))
    assert [url for url in browser.requests() if not url.startswith("file:")] == []
    assert len([url for url in browser.requests() if url.startswith("file:")]) <= 1
    assert re.findall(r"(?:src|href)=|https?://|@import|url\(", explorer.to_html()) == []


def test_dark_and_light_follow_the_user(digits, browser, tmp_path):
    page_of(browser, tmp_path, digits, DIGITS, DIGIT, image_shape=(8, 8))
    ground = {}
    for scheme in ("light", "dark"):
        browser.screen(1100, 900, scheme=scheme)
        ground[scheme] = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    browser.screen(1100, 900)
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 24, 27)"}


def test_everything_that_acts_has_a_name(browser, tmp_path):
    vae = VariationalAutoencoder(3, max_iter=0).fit(DIGITS)
    page_of(browser, tmp_path, vae, DIGITS, DIGIT, image_shape=(8, 8))
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    acting = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in ("button", "slider", "combobox", "image")
    ]
    assert len(acting) > 20
    assert all(name for _, name in acting), acting


NASTY = (
    "</script><script>window.hurt = 1</script>"
    '<img src=x onerror="hurt = 1">\u2028&amp;"\'<!--data-->'
)


def test_names_cannot_act(browser, tmp_path):
    X = WINE.data.iloc[:, :3].copy()
    X.columns = [NASTY, "<!--<script>", "]]>${hurt}"]
    y = np.where(WINE.target == 0, NASTY, "<b>bold</b>")
    pipe = make_pipeline(StandardScaler(), VariationalAutoencoder(2, max_iter=0)).fit(X)
    explorer = page_of(browser, tmp_path, pipe, X, y, title=NASTY)
    assert browser.evaluate("window.hurt") is None
    assert (
        browser.evaluate("document.querySelectorAll('img, b, body script').length") == 2
    )  # its own
    head = browser.evaluate("document.querySelector('tbody th').textContent")
    assert head == NASTY
    assert browser.evaluate("document.querySelector('h1').textContent") == NASTY
    # In a notebook, the frame is all there is.
    frame = explorer._repr_html_()
    assert frame.count("<") == 2
    assert 'sandbox="allow-scripts"' in frame


def test_a_notebook_shows_the_page_in_a_frame(digits, browser, tmp_path):
    explorer = LatentExplorer.from_estimator(digits, DIGITS, DIGIT, image_shape=(8, 8))
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>notebook</title>{explorer._repr_html_()}")
    browser.open(path)
    browser.settle()
    assert browser.complaints() == []
    (frame,) = browser.frames()
    shown = "document.getElementById('picture').width"
    assert browser.evaluate(shown, frame) == 8
    assert browser.evaluate("typeof latentExplorer") == "undefined"


def test_page_of_digits_is_small():
    vae = VariationalAutoencoder(2, max_iter=0).fit(DIGITS)
    explorer = LatentExplorer.from_estimator(vae, DIGITS, DIGIT, image_shape=(8, 8))
    assert len(explorer.to_html().encode()) < 300_000
    assert explorer.payload["rows"]["n"] == 1000
    wide = VariationalAutoencoder(2, hidden_layer_sizes=(256, 256), max_iter=0).fit(DIGITS)
    explorer = LatentExplorer.from_estimator(wide, DIGITS, DIGIT, image_shape=(8, 8))
    assert len(explorer.to_html().encode()) < 300_000
    assert explorer.payload["rows"]["n"] >= 200


def test_wide_tables_show_the_features_that_change():
    generator = np.random.default_rng(0)
    strong = 3 * generator.standard_normal((60, 2)) @ generator.standard_normal((2, 5))
    X = np.column_stack([0.1 * generator.standard_normal((60, 95)), strong])
    vae = VariationalAutoencoder(2, max_iter=0).fit(X)
    payload = LatentExplorer.from_estimator(vae, X, n_features=5).payload
    assert payload["features"] == [f"x{i}" for i in range(95, 100)]


def test_import_stays_light():
    program = (
        "import sys, skvae\n"
        "print([m for m in ('matplotlib', 'skvae.display', 'html.parser') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"image_shape": (8, 9)}, r"as a row has features, 64. Got \(8, 9\)"),
        ({"y": [1, 2]}, "one value for each of the 1797 rows"),
        ({"n_rows": 0}, "n_rows must be an int of at least 1. Got 0"),
        ({"n_features": 1.5}, "n_features must be an int"),
        ({"feature_names": ["a"]}, "must hold 64 names"),
        ({"y": DIGIT, "target": "number"}, "target must be"),
    ],
)
def test_bad_input_is_named(keywords, message, digits):
    with pytest.raises(ValueError, match=message):
        LatentExplorer.from_estimator(digits, DIGITS, **keywords)


def test_unfitted_estimator_is_refused():
    with pytest.raises(NotFittedError):
        LatentExplorer.from_estimator(VariationalAutoencoder(), DIGITS)


def test_estimator_that_cannot_decode_is_refused():
    X, Y = WINE.data.to_numpy(), np.eye(3, dtype=int)[WINE.target]
    model = CanonicalCorrelatedAutoencoder(2, max_iter=1, n_folds=1, random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="has no inverse_transform"):
        LatentExplorer.from_estimator(model, X)
