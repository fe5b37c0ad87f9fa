"""The pages of docs/ are run as they stand."""

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.md") if ">>> " in page.read_text())


@pytest.mark.parametrize("page", PAGES)
def test_page_shows_what_it_says(page):
    failed, attempted = doctest.testfile(str(DOCS / page), module_relative=False)
    assert attempted > 0
    assert failed == 0
