"""The site: `nox -s docs` builds it. Nothing is fetched while it is built or read."""

import contextlib
import inspect
import re
import tomllib
import warnings
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  the gallery links to it

import skvae

DOCS = Path(__file__).parent
PROJECT = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]

project = PROJECT["name"]
author = PROJECT["authors"][0]["name"]
copyright = author
version = release = skvae.__version__
html_baseurl = PROJECT["urls"]["Documentation"]

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
# The gallery's page of times would load scripts from elsewhere; each example states its own.
exclude_patterns = ["_build", "_templates", "**sg_execution_times.rst"]
templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_title = "skvae"
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages without pages below them.
ALONE = "index", "auto_examples/plot_tutorial", "comparison", "benchmarks", "glossary"
html_sidebars = {page: [] for page in ALONE}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

# Docstrings state types in words, so signatures need no annotations beside them.
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
toc_object_entries_show_parents = "hide"
autosummary_imported_members = True
autosummary_ignore_module_all = False
numpydoc_show_class_members = False

# A reference that leads nowhere is a warning, and a warning fails the build. Those to other
# projects would need their inventories, which are on the network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(sklearn|numpy|scipy|torch|matplotlib|pandas)\..*")]


# The gallery's settings hold a function, by which examples are run as tests are.
suppress_warnings = ["config.cache"]


strict = contextlib.ExitStack()


def stop_on_warning(gallery_conf, name, when):
    """Examples run as tests do, with warnings as errors."""
    strict.close()
    if when == "before":
        strict.enter_context(warnings.catch_warnings())
        warnings.simplefilter("error")


sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_.*\.py$",
    "within_subsection_order": "ExampleTitleSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib", stop_on_warning),
    "reset_modules_order": "both",
    "doc_module": ("skvae",),
    "backreferences_dir": "generated/backreferences",
}


def escape(app, what, name, obj, options, lines):
    """Escape what docstrings write as mathematics: p(x|z), and shapes such as (n_components_,)."""
    end = lines.index("Examples") if "Examples" in lines else len(lines)
    for i, line in enumerate(lines[:end]):
        line = re.sub(r"``docs/(\w+)\.md``", r":doc:`/\1`", line)
        line = re.sub(r"(``.*?``)|\|", lambda found: found[1] or r"\|", line)
        lines[i] = re.sub(r"(?<=[a-z])_(?=[,)])", r"\_", line) if " of shape " in line else line


def skip_member(app, what, name, obj, skip, options):
    """Leave out what scikit-learn's base classes bring to every estimator."""
    home = getattr(inspect.unwrap(obj) if callable(obj) else obj, "__module__", None) or ""
    return True if home.startswith("sklearn.") else None


def trim(app, doctree):
    """Take away the empty line that doctests need before the closing fence."""
    for block in doctree.findall(nodes.literal_block):
        block.rawsource = text = block.astext().rstrip()
        block.children = [nodes.Text(text)]


def write_mathml(translator, node, *, display):
    """Write a formula as MathML, which browsers draw without a script or a font from elsewhere."""
    formula = tex2mathml(node.astext(), as_block=display)
    translator.body.append(f"<p>{formula}</p>" if display else formula)
    raise nodes.SkipNode


def write_inline(translator, node):
    write_mathml(translator, node, display=False)


def write_block(translator, node):
    write_mathml(translator, node, display=True)


html_math_renderer = "mathml"


def setup(app):
    app.connect("autodoc-process-docstring", escape, priority=100)  # before numpydoc
    app.connect("autodoc-skip-member", skip_member)
    app.connect("doctree-read", trim)
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
