"""Reads who imports whom in skvae, and draws it: `python tests/floors.py` brings the drawing in
docs/architecture.md up to date, and a test fails where it is not.

No list of folders stands here. A room is a folder or a module right under skvae. Its floor is one
above the highest of the rooms that it imports, at the top of a file or anywhere inside.
"""

import ast
import graphlib
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "skvae"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- floors -->\n", "<!-- end of floors -->\n"


def read_sources():
    """Text of each file of the package, by its path relative to it."""
    return {p.relative_to(PACKAGE).as_posix(): p.read_text() for p in PACKAGE.rglob("*.py")}


def room_of(path):
    """Room of a file, given its path relative to the package."""
    return Path(path).parts[0].removesuffix(".py")


def imported_modules(source):
    """Modules of skvae that a source imports, by full name; dots alone are a relative import."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            modules = ["." * node.level]
        elif isinstance(node, ast.ImportFrom) and node.module == "skvae":
            modules = [f"skvae.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module]
        else:
            continue
        yield from (m for m in modules if m[0] == "." or m.split(".")[0] == "skvae")


def imported_rooms(source):
    """Rooms that a source imports; "." is a relative import."""
    for module in imported_modules(source):
        parts = module.split(".")
        yield "." if not parts[0] else parts[1] if parts[1:] else "__init__"


def below(sources):
    """Rooms that each room imports, given the sources by path relative to the package."""
    graph = {}
    for path, source in sources.items():
        room = room_of(path)
        graph.setdefault(room, set()).update(r for r in imported_rooms(source) if r != room)
    return graph


def floors(graph):
    """Floor of each room, in ascending order; graphlib.CycleError where there is none."""
    floor = {}
    for room in graphlib.TopologicalSorter(graph).static_order():
        floor[room] = 1 + max((floor[r] for r in graph[room]), default=-1)
    return floor


def drawing(sources):
    """Draw the rooms, the highest floor first: what each is, in its own words, and its imports."""
    graph = below(sources)
    floor = floors(graph)

    def from_above(room):
        return -floor[room], room

    lines, last = [], None
    for room in sorted(graph, key=from_above):
        number = "" if floor[room] == last else floor[room]
        if number != "" and lines:
            lines.append("")
        last = floor[room]
        path = f"{room}.py" if f"{room}.py" in sources else f"{room}/__init__.py"
        name = room if room == "__init__" else path.removesuffix("__init__.py")
        about = ast.get_docstring(ast.parse(sources[path])).split("\n")[0]
        lines.append(f"{number!s:<3}{name:<15}{about}")
        if graph[room]:
            margin = " " * 18
            imports = " ".join(sorted(graph[room], key=from_above))
            lines += textwrap.wrap(
                f"> {imports}", 98, initial_indent=margin, subsequent_indent=margin + "  "
            )
    return "```text\n" + "\n".join(lines) + "\n```\n"


def drawn(page, sources):
    """Text of a page with the drawing between its marks."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + drawing(sources) + END + after


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(), read_sources()))
