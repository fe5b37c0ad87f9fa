"""The pages of docs/ are run as they stand, and what notebooks show leads to pages that exist."""

import doctest
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
