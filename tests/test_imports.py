"""The import rule: lower floors import no higher one, siblings never import each other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skvae

PACKAGE = Path(skvae.__file__).parent

# A room is a module or a package right under skvae; the package's own __init__ stands on top.
FLOORS = {
    0: [
        "_checks",
        "_math",
        "_vjp",
        "_compat",
        "_density",
        "_docs",
        "_flow",
        "_estimator",
        "_labels",
        "_label_terms",
    ],
    1: ["likelihoods", "priors", "posteriors", "nn", "training"],
    2: ["corruptions", "objectives", "regularizers", "schedules"],
    3: ["_components", "_model", "_label_model"],
    4: ["_rbm", "_start", "_step", "_score"],
    5: ["_trainer"],
    6: ["_fitting"],
    7: ["_inference", "_canonical"],
    8: ["_base", "_classifier"],
    9: ["_vae", "_autoencoder", "_multilabel", "_imputer", "_outlier", "display", "metrics"],
    10: ["__init__"],
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}


def room_of(path):
    """Room of a file, given its path relative to the package."""
    return Path(path).parts[0].removesuffix(".py")


def imported_rooms(source):
    """Rooms of skvae that a source imports, at its top or anywhere inside."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "." * node.level
            continue
        elif isinstance(node, ast.ImportFrom) and node.module == "skvae":
            modules = [f"skvae.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module]
        else:
            continue
        for module in modules:
            first, *rest = module.split(".")
            if first == "skvae":
                yield rest[0] if rest else "__init__"


def violations(room, source):
    """One sentence for each import in `source`, a file of `room`, that breaks the rule."""
    if room not in FLOOR_OF:
        return [f"{room} stands on no floor: put it on one in FLOORS"]
    found = []
    for other in imported_rooms(source):
        if other.startswith("."):
            found.append(f"{room} has a relative import")
        elif other not in FLOOR_OF:
            found.append(f"{room} imports skvae.{other}, which is no module on a floor")
        elif other != room and FLOOR_OF[other] >= FLOOR_OF[room]:
            found.append(
                f"{room} (floor {FLOOR_OF[room]}) imports {other} (floor {FLOOR_OF[other]})"
            )
    return found


@pytest.mark.parametrize(
    "path", sorted(p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py"))
)
def test_file_imports_lower_floors_only(path):
    assert violations(room_of(path), (PACKAGE / path).read_text()) == []


@pytest.mark.parametrize(
    ("room", "source", "complaint"),
    [
        ("_math", "from skvae.nn import Network", "_math (floor 0) imports nn (floor 1)"),
        ("_math", "from skvae import _vjp", "_math (floor 0) imports _vjp (floor 0)"),
        ("priors", "import skvae.posteriors._normal", "priors (floor 1) imports posteriors"),
        ("_base", "def fit():\n    from skvae._vae import V", "_base (floor 8) imports _vae"),
        ("_vae", "import skvae", "_vae (floor 9) imports __init__ (floor 10)"),
        ("_vae", "from skvae import Unheard", "_vae imports skvae.Unheard, which is no module"),
        ("nn", "from ._dense import DenseNetwork", "nn has a relative import"),
        ("_helpers", "", "_helpers stands on no floor"),
    ],
)
def test_rule_sees_a_violation(room, source, complaint):
    (found,) = violations(room, source)
    assert found.startswith(complaint)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("nn", "from skvae.nn._dense import DenseNetwork"),
        ("_base", "from skvae import _model\nfrom skvae.nn import Network\nimport numpy"),
        ("__init__", "from skvae._vae import VariationalAutoencoder"),
    ],
)
def test_rule_allows_lower_floors_and_the_own_package(room, source):
    assert violations(room, source) == []


def test_import_needs_neither_pictures_nor_data_frames():
    """A module that is None in sys.modules cannot be imported."""
    program = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(['matplotlib', 'pandas', 'polars', 'skops'])\n"
        "import skvae\n"
        "print('imported')"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.strip() == "imported", result.stderr
