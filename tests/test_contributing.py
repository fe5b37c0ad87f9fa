"""A component is its own file, an export, an alias and a line of the changelog; this counts it."""

import ast
import doctest
import importlib
import inspect
import re

import pytest
from floors import ROOT, read_sources, room_of

from skvae import Autoencoder, VariationalAutoencoder
from skvae.corruptions import Corruption
from skvae.estimators._components import COMPONENTS, CORRUPTIONS, STARTS
from skvae.starts import Start

TABLES = {**COMPONENTS, "init": (STARTS, Start), "corruption": (CORRUPTIONS, Corruption)}
tables = pytest.mark.parametrize(("aliases", "kind"), TABLES.values(), ids=TABLES.keys())


def home(kind):
    """Module right under skvae that gives a base and its components: "skvae.priors"."""
    return importlib.import_module(".".join(kind.__module__.split(".")[:2]))


def components(kind):
    """Classes that the folder exports, and that can be made without arguments."""
    module = home(kind)
    exported = [getattr(module, name) for name in module.__all__]
    return {
        cls
        for cls in exported
        if inspect.isclass(cls)
        and issubclass(cls, kind)
        and not inspect.isabstract(cls)
        and cls is not kind
        and not any(
            p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
            for p in inspect.signature(cls).parameters.values()
        )
    }


@tables
def test_aliases_are_the_exported_components(aliases, kind):
    assert set(aliases.values()) == components(kind)
    assert len(aliases) == len(components(kind))
    for cls in aliases.values():
        assert isinstance(cls(), kind)


# Files that name components of a folder: each its own besides.
NAMING = {"estimators/_components.py"}
# Registered pairs, starts that begin as the random one, what "auto" chooses from, and the one model
# that there is machine code for.
MODEL = "fitting/_compiled.py"
EXCEPTED = {
    "likelihoods": {"likelihoods/_auto.py", "likelihoods/_nonparanormal.py", MODEL},
    "posteriors": {"objectives/_kl.py", MODEL},
    "priors": {"objectives/_kl.py", MODEL},
    "starts": {"starts/_principal.py", "starts/_boltzmann.py"},
}


def naming(sources, module, names):
    """Paths of the sources that import one of the names from a module or from below it."""
    return {
        path
        for path, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
        and re.match(rf"{re.escape(module)}(\.|$)", node.module or "")
        and names & {alias.name for alias in node.names}
    }


@tables
def test_no_other_file_names_a_component(aliases, kind):
    room = room_of(home(kind).__name__.removeprefix("skvae."))
    names = {cls.__name__ for cls in components(kind)}
    files = naming(read_sources(), f"skvae.{room}", names)
    files = {file for file in files if room_of(file) != "testing"}  # the laws' own examples
    assert files - {f"{room}/__init__.py"} == NAMING | EXCEPTED.get(room, set())


def test_a_name_is_seen():
    sources = {
        "a.py": "from skvae.priors import Flow as Other",
        "b.py": "def f():\n    from skvae.priors._flow import Flow",
        "c.py": "from skvae.posteriors import Flow",
        "d.py": "from skvae.priors import Prior",
    }
    assert naming(sources, "skvae.priors", {"Flow"}) == {"a.py", "b.py"}


ESTIMATORS = [VariationalAutoencoder, Autoencoder]


def documented(estimator, name):
    """Aliases that an estimator's docstring lists for a parameter."""
    entry = re.search(rf"(?ms)^    {name} : \{{(.*?)\}}", estimator.__doc__)
    return set(re.findall(r'"(\w+)"', entry[1])) if entry else set()


@pytest.mark.parametrize("name", TABLES)
def test_docstrings_list_the_aliases(name):
    """Each estimator lists those that suit it; no alias is left out by both."""
    listed = {estimator: documented(estimator, name) for estimator in ESTIMATORS}
    aliases, _ = TABLES[name]
    assert set.union(*listed.values()) == set(aliases)
    if name == "likelihood":
        assert listed[VariationalAutoencoder] == listed[Autoencoder]


def test_worked_example_runs():
    page = str(ROOT / "CONTRIBUTING.md")
    failed, attempted = doctest.testfile(page, module_relative=False)
    assert attempted > 10
    assert failed == 0


def test_worked_example_is_short():
    """Under 30 lines of code, which is what ``CellLikelihood`` is for."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    block = re.search(r">>> class Logistic.*\n((?:\.\.\..*\n)+)", page)[1]
    lines = [line for line in block.splitlines() if line.strip("." + " ")]
    assert len(lines) < 30
