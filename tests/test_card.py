"""A card says what was fitted, and how well, for every estimator."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score
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
from skvae.card import model_card

pytest.importorskip("skops.card")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, DIGIT = load_digits(return_X_y=True)
X, DIGIT = X[:500] / 16, DIGIT[:500]
SEEN, NEW = slice(0, 400), slice(400, None)
LABELS = np.column_stack([DIGIT % 2 == 0, DIGIT > 4, DIGIT % 3 == 0]).astype(int)
GAPS = np.where(np.random.default_rng(0).random((500, 6)) < 0.2, np.nan, X[:, 26:32])
FRAME = pd.DataFrame({"digit": DIGIT.astype(str), "ink": X.sum(1)})
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}
VAE = VariationalAutoencoder(2, **SMALL)
LATENT = {"training", "latents", "latent_space"}
CASES = {
    "vae": (VAE, X, DIGIT, LATENT),
    "pipeline": (make_pipeline(StandardScaler(), VAE), X, None, LATENT),
    "search": (GridSearchCV(VAE, {"n_components": [2]}, cv=2), X, None, LATENT),
    "frame": (VariationalAutoencoder(2, likelihood="auto", **SMALL), FRAME, None, LATENT),
    "autoencoder": (Autoencoder(2, **SMALL), X, DIGIT, LATENT - {"latents"}),
    "classifier": (CanonicalCorrelatedAutoencoder(**SMALL), X, LABELS, LATENT - {"latents"}),
    "imputer": (VAEImputer(VAE, random_state=0), GAPS, None, {"gaps"}),
    "detector": (VAEOutlierDetector(2, random_state=0), X, None, {"outliers"}),
}


def metrics_of(text):
    """Figures of a rendered card, by their names."""
    lines = text.partition("## Evaluation Results")[2].splitlines()
    rows = [line.split("|")[1:3] for line in lines if line.startswith("|")][2:]
    return {name.strip(): float(value) for name, value in rows}


@pytest.mark.parametrize("name", CASES)
def test_card_of_every_estimator(name, tmp_path):
    estimator, rows, y, pictures = CASES[name]
    fitted = clone(estimator).fit(rows[SEEN], LABELS[SEEN] if name == "classifier" else None)
    new_y = None if y is None else y[NEW]
    card = model_card(fitted, rows[NEW], new_y, folder=tmp_path / "pictures")
    assert {path.stem for path in (tmp_path / "pictures").iterdir()} == pictures
    card.save(tmp_path / "card.md")
    text = (tmp_path / "card.md").read_text()
    last = getattr(fitted, "best_estimator_", fitted)
    last = last[-1] if hasattr(last, "steps") else last
    for fact in (getattr(last, "estimator_", last))._facts():
        assert f"- {fact}\n" in text
    assert "trusted=skvae.trusted_types()" in text
    found = metrics_of(text)
    if name == "classifier":
        predicted = fitted.predict(rows[NEW])
        assert found == {
            f"F1, {average}": pytest.approx(f1_score(new_y, predicted, average=average), abs=1e-3)
            for average in ("micro", "macro")
        }
    elif name == "detector":
        share = np.mean(fitted.predict(rows[NEW]) == -1)
        assert found == {"share of outliers": pytest.approx(share, abs=1e-3)}
    elif name != "imputer":
        score = fitted.score_samples(rows[NEW]).mean()
        assert next(v for k, v in found.items() if "log p" in k) == pytest.approx(score, abs=1e-3)


def test_sparse_labels_are_judged_as_dense_ones():
    dense = CanonicalCorrelatedAutoencoder(**SMALL).fit(X[SEEN], LABELS[SEEN])
    thin = clone(dense).fit(X[SEEN], sparse.csr_array(LABELS[SEEN]))
    found = metrics_of(model_card(thin, X[NEW], sparse.csr_array(LABELS[NEW])).render())
    assert found == metrics_of(model_card(dense, X[NEW], LABELS[NEW]).render())
    assert list(found) == ["F1, micro", "F1, macro"]


def test_single_row_has_no_share_of_variance():
    found = metrics_of(model_card(clone(VAE).fit(X), X[:1]).render())
    assert list(found) == ["mean log p(x) of a row, nats"]


def test_pictures_name_the_extra_that_they_need(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="model_card with a folder requires matplotlib"):
        model_card(clone(VAE).fit(X), folder=tmp_path)


def test_reconstructed_share_is_that_of_r2(tmp_path):
    start = VariationalAutoencoder(5, max_iter=0).fit(X[SEEN])
    rebuilt = PCA(5).fit(X[SEEN])
    rebuilt = rebuilt.inverse_transform(rebuilt.transform(X[NEW]))
    left = ((X[NEW] - rebuilt) ** 2).sum() / ((X[NEW] - X[NEW].mean(0)) ** 2).sum()
    found = metrics_of(model_card(start, X[NEW]).render())
    assert found["share of variance that latents reconstruct"] == pytest.approx(1 - left, abs=1e-3)


def test_card_without_rows_has_no_figures(tmp_path):
    for max_iter, pictures in ((0, {"latents"}), (2, {"latents", "training"})):
        fitted = VariationalAutoencoder(2, max_iter=max_iter).fit(X)
        text = model_card(fitted, folder=tmp_path).render()
        assert metrics_of(text) == {}
        assert {path.stem for path in tmp_path.iterdir()} == pictures


def test_others_are_refused():
    with pytest.raises(TypeError, match="Got PCA"):
        model_card(PCA().fit(X))
    with pytest.raises(NotFittedError):
        model_card(VariationalAutoencoder())
