"""Holds the rooms and the arrows between them, read from the imports in the source."""

import ast
import re

from tests.architecture import (
    PACKAGES,
    ROOT,
    find_cycles,
    find_imports,
    find_large,
    find_sources,
    graph_modules,
    graph_rooms,
)

ALLOWED_ACROSS = {
    # How a trainer's process is found in its run folder, what its log tells, what this machine has, how a configuration
    # file is read and a page served: the same for every process, with psutil, PyYAML and the standard library only.
    "alerts": (
        "exporter.files",
        "exporter.problems",
        "exporter.machine",
        "exporter.metrics",
        "exporter.plain_output",
        "exporter.run_folder",
        "exporter.serving",
        "exporter.system",
    ),
    "exporter": ("trainer.multiaddr", "trainer.protocol", "trainer.readable", "trainer.sealing"),
    "trainer": (
        "exporter.files",
        "exporter.identity.peer_id",
        "exporter.metrics",
        "exporter.pace",
        "exporter.plain_output",
        "exporter.run_folder",
        "exporter.serving.listen_address",
        "exporter.stacks",
        "exporter.system",
        "exporter.telemetry",
    ),
    "fleet": ("alerts", "exporter", "grafana.prometheus", "trainer"),
    "grafana": ("alerts", "exporter"),
}

# Each outside system has one door in each package that uses it.
DOORS = {
    "apprise": {"alerts/delivery/apprise_sender.py"},
    "hivemind": {"exporter/leaderboard/dht.py", "trainer/swarm/dht.py", "trainer/swarm/node.py"},
    "pynvml": {"exporter/accelerators/nvidia.py"},
    "sqlite3": {
        "alerts/schema.py",
        "alerts/store.py",
        "alerts/history/archive.py",
        "alerts/history/store.py",
        "exporter/files/database.py",
        "exporter/files/database_names.py",
        "exporter/files/database_rows.py",
        "exporter/leaderboard/store.py",
        "exporter/progress/readers/trackio.py",
    },
}


def _is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def test_folders_import_only_what_the_design_allows() -> None:
    wrong = []
    for path in find_sources():
        home = path.relative_to(ROOT).parts[0]
        for name, line in find_imports(path):
            package = name.split(".")[0]
            if package not in PACKAGES or package == home:
                continue
            if not any(_is_within(name, module) for module in ALLOWED_ACROSS[home]):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert not wrong, "\n".join(wrong)


def test_no_arrow_between_modules_or_rooms_comes_back() -> None:
    modules = graph_modules()
    assert len(modules) > 100
    assert not find_cycles(modules)
    assert not find_cycles(graph_rooms(modules))


def test_a_cycle_is_found() -> None:
    graph = {"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"a"}), "d": frozenset({"a"})}
    assert find_cycles(graph) == [["a", "b", "c"]]


def test_rooms_and_modules_stay_small() -> None:
    large = find_large()
    assert not large, "\n".join(large)


def test_each_outside_system_has_one_door() -> None:
    wrong = []
    for path in find_sources():
        place = str(path.relative_to(ROOT))
        for name, line in find_imports(path):
            package = name.split(".")[0]
            if package in DOORS and place not in DOORS[package]:
                wrong.append(f"{place}:{line}: {name}")
    assert not wrong, "\n".join(wrong)


def test_every_module_opens_with_a_sentence() -> None:
    missing = [
        str(path.relative_to(ROOT)) for path in find_sources() if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not missing


def test_every_file_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text().split("## Adding one thing")[0]
    named = set(re.findall(r"`([a-z_0-9]+(?:/[a-z_0-9]+)+\.py)`", text))
    assert len(named) > 40
    assert not [name for name in named if not (ROOT / name).is_file()]
