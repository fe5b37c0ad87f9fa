"""What a release says of itself: its version, the dependencies that are run, README's links."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import skvae

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [Requirement(line) for line in PROJECT["dependencies"]]


def pins(name):
    """Versions that a file of constraints pins, by name."""
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line and line[0] != "#")


def test_version_heads_the_changelog():
    newest = re.search(r"^## \[(.*?)\] - (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[1] == skvae.__version__
    assert re.fullmatch(r"unreleased|\d{4}-\d\d-\d\d", newest[2])


@pytest.mark.parametrize("needed", DEPENDENCIES, ids=lambda needed: needed.name)
def test_oldest_declared_version_is_the_one_that_is_run(needed):
    """The pin is the declared bound, or its last patch release."""
    (bound,) = (Version(spec.version) for spec in needed.specifier if spec.operator == ">=")
    pinned = Version(pins("constraints-oldest.txt")[needed.name])
    assert pinned in needed.specifier
    assert pinned.release[:2] == (*bound.release, 0)[:2]


def test_conda_recipe_needs_what_the_package_needs():
    recipe = (ROOT / "conda" / "recipe.yaml").read_text()
    run = re.search(r"\n  run:\n((?:    - .*\n)+)", recipe)[1]
    needed = {line.removeprefix("    - ").replace(" ", "") for line in run.splitlines()}
    names = {"torch": "pytorch"}  # as conda-forge calls it
    declared = {f"{names.get(d.name, d.name)}{d.specifier}" for d in DEPENDENCIES}
    assert needed == declared | {"python" + PROJECT["requires-python"]}


def test_everything_is_pinned():
    """But what is only compared with: its newest version is the one to compare with."""
    extras = {**PROJECT["optional-dependencies"], "needed": PROJECT["dependencies"]}
    del extras["bench"]
    wanted = {Requirement(line).name for lines in extras.values() for line in lines}
    assert wanted <= set(pins("constraints.txt"))


@pytest.mark.parametrize(
    "link", re.findall(r"\]\((?!http)(.*?)\)", (ROOT / "README.md").read_text())
)
def test_readme_links_to_files(link):
    assert (ROOT / link).exists()
