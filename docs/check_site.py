"""Checks the built site: `python docs/check_site.py [wheel]`.

Every internal link and anchor leads somewhere, no page loads anything from elsewhere, and the links
that estimators and the README of a wheel hold lead to pages of the site.
"""

import re
import sys
import tomllib
import zipfile
from email.parser import BytesParser
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import skvae

DOCS = Path(__file__).parent
SITE = DOCS / "_build" / "html"
# What a browser fetches by itself, in contrast to what a reader may follow.
LOADED = {"script", "img", "iframe", "source", "link"}


class Page(HTMLParser):
    """Links, loads and anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        target = attrs.get("href") or attrs.get("src")
        if not target or target.startswith(("data:", "mailto:", "javascript:")):
            return
        is_note = tag == "link" and attrs.get("rel") not in ("stylesheet", "icon", "preload")
        (self.loads if tag in LOADED and not is_note else self.links).append(target)


def lead_nowhere(pages):
    """Yield a sentence for each link or load of a page that is wrong."""
    for path, page in pages.items():
        for target in page.loads:
            if urlsplit(target).netloc:
                yield f"{path}: loads {target} from elsewhere"
        for target in page.links + page.loads:
            if urlsplit(target).scheme or urlsplit(target).netloc:
                continue
            file, anchor = urldefrag(target)
            there = (path.parent / unquote(file.split("?")[0])).resolve() if file else path
            there = there / "index.html" if there.is_dir() else there
            if not there.exists():
                yield f"{path}: {target} does not exist"
            elif there in pages and unquote(anchor) not in pages[there].anchors:
                yield f"{path}: {target} has no such anchor"


def promised(wheel):
    """Yield where the project's own links lead: those of estimators, and of a wheel's README."""
    for name in skvae.__all__:
        link = getattr(getattr(skvae, name), "_get_doc_link", None)
        if link is not None:
            yield name, getattr(skvae, name)()._get_doc_link()
    if wheel is not None:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            readme = BytesParser().parsebytes(archive.read(name)).get_payload()
        for link in re.findall(r"\]\((.*?)\)", readme):
            yield "README", link


def main():
    """Print what is wrong, and exit with 1 if anything is."""
    pages = {
        path.resolve(): Page(path) for path in SITE.rglob("*.html") if "_static" not in path.parts
    }
    wrong = list(lead_nowhere(pages))
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    base = project["urls"]["Documentation"]
    for origin, link in promised(sys.argv[1] if sys.argv[1:] else None):
        if not urlsplit(link).scheme:
            wrong.append(f"{origin}: {link or 'no link'} is not absolute")
        elif link.startswith(base) and not (SITE / urldefrag(link)[0].removeprefix(base)).exists():
            wrong.append(f"{origin}: {link} is not a page of the site")
    print(*wrong, f"{len(pages)} pages, {len(wrong)} wrong links", sep="\n")
    sys.exit(bool(wrong) or not pages)


if __name__ == "__main__":
    main()
