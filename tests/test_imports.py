"""The floors: folders import each other in one direction only, so that they can be drawn as floors.

No list of folders stands here. A room is a folder or a module right under skvae; the rooms that a
room imports lie below it, and a circle of rooms is what breaks the rule.
"""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import skvae

PACKAGE = Path(skvae.__file__).parent


def room_of(path):
    """Room of a file, given its path relative to the package."""
    return Path(path).parts[0].removesuffix(".py")


def imported_rooms(source):
    """Rooms that a source imports, at its top or anywhere inside; "." is a relative import."""
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


def below(sources):
    """Rooms that each room imports, given the sources by path relative to the package."""
    graph = {}
    for path, source in sources.items():
        room = room_of(path)
        graph.setdefault(room, set()).update(r for r in imported_rooms(source) if r != room)
    return graph


def violations(sources):
    """One sentence for each thing that breaks the rule."""
    graph = below(sources)
    found = [f"{room} has a relative import" for room, rooms in graph.items() if "." in rooms]
    known = set(graph) | {"__init__", "."}
    found += [
        f"{room} imports skvae.{other}, which is no room"
        for room, rooms in graph.items()
        for other in sorted(rooms - known)
    ]
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append(" imports ".join(reversed(error.args[1])))
    return found


SOURCES = {p.relative_to(PACKAGE).as_posix(): p.read_text() for p in PACKAGE.rglob("*.py")}


def test_rooms_lie_on_floors():
    assert violations(SOURCES) == []


@pytest.mark.parametrize("room", ["_core", "_sklearn"])
def test_ground_floor_imports_the_ground_floor_only(room):
    assert below(SOURCES)[room] <= {"_core", "_sklearn"}


def test_training_knows_no_autoencoder():
    assert below(SOURCES)["training"] <= {"_core", "_sklearn"}


@pytest.mark.parametrize(
    ("sources", "complaint"),
    [
        (
            {"a/_x.py": "from skvae.b import y", "b/_y.py": "def f():\n    import skvae.a._x"},
            "a imports b imports a",
        ),
        ({"a.py": "from skvae import b", "b.py": "import skvae"}, None),
        (
            {"__init__.py": "from skvae.a import x", "a.py": "import skvae"},
            "__init__ imports a imports __init__",
        ),
        ({"a.py": "from skvae import unheard"}, "a imports skvae.unheard, which is no room"),
        ({"a/_x.py": "from ._y import z", "a/_y.py": ""}, "a has a relative import"),
    ],
)
def test_rule_sees_a_violation(sources, complaint):
    found = violations(sources)
    if complaint is None:
        assert found == []
        return
    (sentence,) = found
    assert set(sentence.split()) == set(complaint.split())


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


# The two modules that give other projects' private names, which any release may change.
COMPATIBILITY = {"_sklearn/compat.py", "_core/compat.py"}


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def private_names(source):
    """Private names of scikit-learn and torch that a source imports, or reads off an import."""
    tree = ast.parse(source)
    foreign = set()  # names in this source that stand for something of theirs
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            paths = [(alias.name, alias.asname or alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            paths = [(f"{node.module}.{a.name}", a.asname or a.name) for a in node.names]
        else:
            continue
        for path, bound in paths:
            parts = path.split(".")
            if parts[0] in ("sklearn", "torch"):
                foreign.add(bound)
                if any(map(is_private, parts)):
                    yield path
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in foreign:
                yield ast.unparse(node)


def test_private_names_of_others_stand_in_the_compatibility_modules_alone():
    users = {path: sorted(private_names(source)) for path, source in SOURCES.items()}
    assert {path for path, names in users.items() if names} == COMPATIBILITY, users


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from sklearn.base import _fit_context as fit_context", "sklearn.base._fit_context"),
        (
            "def f():\n    from sklearn.utils._param_validation import Interval",
            "sklearn.utils._param_validation.Interval",
        ),
        ("import torch._dynamo", "torch._dynamo"),
        ("import torch\ntorch._fused_adam_([])", "torch._fused_adam_"),
        ("from torch import nn\nnn.functional._Reduction", "nn.functional._Reduction"),
        ("from sklearn.decomposition import PCA\nPCA.__init__", None),
        ("from skvae.priors import _flow\n_flow.Flow\nself._units", None),
    ],
)
def test_a_private_name_is_seen(source, name):
    assert list(private_names(source)) == ([] if name is None else [name])
