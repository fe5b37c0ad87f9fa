"""The floors: folders import each other in one direction only, so that they can be drawn as floors.

No list of folders stands here: ``floors`` reads the rooms that a room imports, which lie below it,
and a circle of rooms is what breaks the rule.
"""

import ast
import graphlib
import os
import re
import subprocess
import sys
import tomllib

import pytest
from floors import PAGE, ROOT, below, drawn, imported_modules, read_sources, room_of

from skvae._sklearn.compat import HAS_CALLBACKS

SOURCES = read_sources()


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


def test_rooms_lie_on_floors():
    assert violations(SOURCES) == []


def test_drawing_is_what_the_imports_say():
    page = PAGE.read_text()
    assert page == drawn(page, SOURCES), "run `python tests/floors.py`"


def test_drawing_changes_with_an_import():
    page = PAGE.read_text()
    more = {**SOURCES, "tables/_more.py": "from skvae._sklearn.rows import check_rows"}
    assert page != drawn(page, more)


def test_modules_of_a_room_are_its_own():
    """Others take what its ``__init__`` gives; two rooms have none that gives anything."""
    taken = {
        path
        for path, source in SOURCES.items()
        for module in imported_modules(source)
        for room, *rest in [module.split(".")[1:]]
        if room not in (room_of(path), "_core", "_sklearn") and any(map(is_private, rest))
    }
    assert taken == {"__init__.py", "metrics.py"}


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


# What README's commands install beside the dependencies, and all that pyproject.toml could bring.
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
README = (ROOT / "README.md").read_text()
(COMMAND,) = re.findall(r"<!-- run -->\n```\n(.*)\n```", README)
(INSTALLED,) = re.findall(r"-e \"\.\[(.*?)\]\"", COMMAND)


def distributions(extras):
    """Names of the distributions that extras bring."""
    return {re.split(r"[^\w-]", wanted)[0] for extra in extras for wanted in EXTRAS[extra]}


ABSENT = sorted(distributions(EXTRAS) - distributions(INSTALLED.split(",")))
# Those of frames need pandas, which who has frames has.
OF_PANDAS = ("outliers", "tables", "tutorial", "words")
OF_FRAMES = {ROOT / "examples" / f"plot_{name}.py" for name in OF_PANDAS}
# The export needs its extra.
OF_EXPORT = {ROOT / "examples" / "plot_onnx.py"}
EXAMPLES = sorted(set((ROOT / "examples").glob("*.py")) - OF_FRAMES - OF_EXPORT)
if not HAS_CALLBACKS:
    EXAMPLES.remove(ROOT / "examples" / "plot_pruned_search.py")

# One epoch, no jobs, forests or pretraining, and no pictures written: what is imported stays.
BARE = f"""
import doctest, runpy, sys

class Absent:
    def find_spec(name, path, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError("not installed: " + name)

sys.meta_path.insert(0, Absent)
import joblib, numpy, matplotlib.figure, sklearn.model_selection
from skvae.starts import BoltzmannMachines, Random
from skvae.training import Budget

initialise = Budget.__init__

def shortened(self, **given):
    initialise(self, **given | dict(max_iter=min(1, given["max_iter"])))

Budget.__init__ = shortened
BoltzmannMachines.write = Random.write
matplotlib.figure.Figure.savefig = lambda *args, **kwargs: None
sklearn.model_selection.cross_val_score = lambda *args, **kwargs: numpy.full(5, 0.5)
joblib.parallel_config("sequential")
"""


def run_bare(program, *args, cwd):
    """Run a program where only what the run command installs is there."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BARE + program, *map(str, args)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_absent_are_those_that_the_run_command_does_not_install():
    assert {"pandas", "polars", "skops", "zuko"} <= set(ABSENT)
    assert "matplotlib" not in ABSENT


def test_readme_and_examples_need_what_the_run_command_installs(tmp_path):
    """After one epoch README's results are others, so of its code only exceptions count here."""
    program = """
class Raising(doctest.DocTestRunner):
    def report_failure(self, *args):
        pass

    def report_unexpected_exception(self, out, test, example, exc_info):
        raise exc_info[1]

try:
    import pandas
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("pandas is there")
_, readme, *examples = sys.argv
test = doctest.DocTestParser().get_doctest(open(readme).read(), {}, "README", None, 0)
assert len(test.examples) > 10
Raising().run(test)
for example in examples:
    print(example, flush=True)
    sys.argv = [example]
    runpy.run_path(example, run_name="__main__")
"""
    assert len(EXAMPLES) >= 5
    run_bare(program, ROOT / "README.md", *EXAMPLES, cwd=tmp_path)


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
