"""Holds the arrows between the folders: who may import whom, read from the imports in the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("alerts", "exporter", "fleet", "grafana", "trainer")

ALLOWED_ACROSS = {
    "alerts": (),
    "exporter": ("trainer.protocol",),
    "trainer": ("exporter.metrics", "exporter.pace", "exporter.run_folder", "exporter.telemetry"),
    "fleet": ("alerts", "exporter", "grafana.prometheus", "trainer"),
    "grafana": ("alerts", "exporter"),
}

# Each outside system has one door in each package that uses it.
DOORS = {
    "apprise": {"alerts/plugins.py", "alerts/send.py", "fleet/checks.py"},
    "hivemind": {"exporter/leaderboard/dht.py", "trainer/swarm.py"},
    "sqlite3": {
        "alerts/store.py",
        "alerts/history/archive.py",
        "alerts/history/store.py",
        "exporter/leaderboard/store.py",
    },
}


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def _sources() -> list[Path]:
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(found) > 30
    return found


def _is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def test_folders_import_only_what_the_design_allows() -> None:
    wrong = []
    for path in _sources():
        home = path.relative_to(ROOT).parts[0]
        for name, line in _imports(path):
            package = name.split(".")[0]
            if package not in PACKAGES or package == home:
                continue
            if not any(_is_within(name, module) for module in ALLOWED_ACROSS[home]):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert not wrong, "\n".join(wrong)


def test_each_outside_system_has_one_door() -> None:
    wrong = []
    for path in _sources():
        place = str(path.relative_to(ROOT))
        for name, line in _imports(path):
            package = name.split(".")[0]
            if package in DOORS and place not in DOORS[package]:
                wrong.append(f"{place}:{line}: {name}")
    assert not wrong, "\n".join(wrong)


def test_every_module_opens_with_a_sentence() -> None:
    missing = [str(path.relative_to(ROOT)) for path in _sources() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not missing
