"""The rooms of the source, their files and the arrows between them, as the imports say: `python -m tests.architecture`.

A room is a folder with modules. The modules at the top of a package are each a room of their own, as the wiring and
what all rooms use stand there side by side.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGES = ("alerts", "exporter", "fleet", "grafana", "trainer")

MAX_FILES = 20
MAX_LINES = 400

Graph = Mapping[str, frozenset[str]]


class Import(NamedTuple):
    """`name` is dotted, with the imported attribute behind its module."""

    name: str
    line: int


def find_sources() -> list[Path]:
    """Every module of the packages."""
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def name_module(path: Path) -> str:
    """The dotted name of a source file; a package's is that of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find_imports(path: Path) -> Iterator[Import]:
    """The imports of a file, those within functions too; raises ValueError for a relative one."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path.relative_to(ROOT)}:{node.lineno}: relative import")
            for alias in node.names:
                yield Import(f"{node.module}.{alias.name}", node.lineno)


def graph_modules() -> Graph:
    """Which modules each module imports."""
    modules = {name_module(path): path for path in find_sources()}
    return {
        name: frozenset(
            found
            for one in find_imports(path)
            for found in [one.name if one.name in modules else one.name.rpartition(".")[0]]
            if found in modules and found != name
        )
        for name, path in modules.items()
    }


def find_room(module: str) -> str:
    """The folder of a module; a module at a package's top stands for itself."""
    if (ROOT / module.replace(".", "/")).is_dir():
        return module
    package, _, _ = module.rpartition(".")
    return module if package in PACKAGES else package


def graph_rooms(modules: Graph) -> Graph:
    """Which rooms each room imports from."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, imported in modules.items():
        room = find_room(module)
        found[room] |= {find_room(one) for one in imported} - {room}
    return {room: frozenset(others) for room, others in found.items()}


def find_cycles(graph: Graph) -> list[list[str]]:
    """The strongly connected components of more than one node, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    cycles: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = []
            while (one := stack.pop()) != node:
                component.append(one)
            if component:
                cycles.append(sorted([*component, node]))

    for node in graph:
        if node not in index:
            visit(node)
    return cycles


def count_files() -> dict[Path, int]:
    """The modules that lie in each folder itself."""
    counts: dict[Path, int] = defaultdict(int)
    for path in find_sources():
        counts[path.parent.relative_to(ROOT)] += 1
    return counts


def count_lines() -> dict[Path, int]:
    return {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in find_sources()}


def find_large() -> list[str]:
    """Rooms with too many files, and modules with too many lines.

    A room of plug-ins, which are alike and found by being there, may grow: who knows one knows all.
    """
    large = [
        f"{folder}/ has {count} files"
        for folder, count in count_files().items()
        if count > MAX_FILES and "def discover(" not in (ROOT / folder / "__init__.py").read_text()
    ]
    return large + [f"{path} has {count} lines" for path, count in count_lines().items() if count > MAX_LINES]


def describe() -> Iterator[str]:
    """Rooms with their sentence, files and arrows; then the cycles and what is too large."""
    modules = graph_modules()
    rooms = graph_rooms(modules)
    for folder, count in sorted(count_files().items()):
        room = ".".join(folder.parts)
        doc = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text())) or ""
        yield f"{folder}/ ({count} files): {doc.splitlines()[0] if doc else ''}"
        inside = sorted(one for one in modules if find_room(one) == room or one.rpartition(".")[0] == room)
        yield f"    {' '.join(one.removeprefix(room).lstrip('.') or '__init__' for one in inside)}"
        arrows = rooms.get(room, frozenset()) if room not in PACKAGES else frozenset()
        if arrows:
            yield f"    → {' '.join(sorted(arrows))}"
    cycles = [*find_cycles(modules), *find_cycles(rooms)]
    for cycle in cycles:
        yield f"cycle: {' ↔ '.join(cycle)}"
    large = find_large()
    yield from large
    yield f"{len(modules)} modules in {len(count_files())} rooms, {len(cycles)} cycles, {len(large)} too large"


if __name__ == "__main__":
    print("\n".join(describe()))
    sys.exit(0)
