"""The pages of docs/ are run as they stand, and what notebooks show leads to pages that exist."""

import doctest
import json
import re
import tomllib
from pathlib import Path

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from walking import FITS, fits, fitted

import skvae
from skvae._sklearn.compat import HAS_CALLBACKS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SITE = PROJECT["urls"]["Documentation"]
PAGES = sorted(page.name for page in DOCS.glob("*.md") if ">>> " in page.read_text())
if not HAS_CALLBACKS:
    PAGES.remove("watching.md")


@pytest.mark.parametrize("page", PAGES)
def test_page_shows_what_it_says(page):
    failed, attempted = doctest.testfile(str(DOCS / page), module_relative=False)
    assert attempted > 0
    assert failed == 0


QUALITY = {
    (row["data"], row["latents"]): row
    for row in json.loads((ROOT / "benchmarks/results/quality.json").read_text())["rows"]
}
NAMES = ["LL PCA", "LL VAE", "error PCA", "error VAE", "accuracy PCA", "accuracy VAE", "seconds"]


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/comparison.md"])
def test_table_beside_pca_is_what_the_benchmark_wrote(page):
    rows = re.findall(r"^\| ([a-z ]+), (\d+) +\| (.*) \|$", (ROOT / page).read_text(), re.MULTILINE)
    assert len(rows) >= 5
    for data, latents, cells in rows:
        for name, shown_value in zip(NAMES, map(str.strip, cells.split("|")), strict=False):
            value = QUALITY[data, int(latents)].get(name)
            decimals = len(shown_value.partition(".")[2])
            assert shown_value == ("–" if value is None else f"{value:.{decimals}f}"), (data, name)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("is_fitted", [False, True], ids=["unfitted", "fitted"])
@pytest.mark.parametrize(("estimator", "name"), FITS)
def test_representation_links_to_no_page_that_is_not_there(estimator, name, is_fitted):
    """The site has a page for each name that skvae exports; scikit-learn's has none of these."""
    page = f"{SITE}generated/skvae.{estimator.__name__}.html"
    model = fitted(estimator, name) if is_fitted else fits(estimator)[name][0]
    for shown in (model, make_pipeline(StandardScaler(), model)):
        links = re.findall(r"""https?://[^\s"'<>]+""", shown._repr_html_())
        own = {
            link.partition("#")[0]
            for link in links
            if "skvae" in link or estimator.__name__ in link
        }
        assert page in own
        shown_pages = (re.fullmatch(rf"{SITE}generated/skvae\.(\w+)\.html", link) for link in own)
        assert {found[1] for found in shown_pages} <= set(skvae.__all__)
