"""deploy/docker: what the images are made from, as whom they run, and that nothing of a fleet gets in."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "deploy" / "docker").glob("*.Dockerfile"))


def _steps(path: Path) -> list[tuple[str, str]]:
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_image_runs_without_rights_from_pinned_packages(path: Path) -> None:
    steps = _steps(path)
    final = steps[max(index for index, (word, _) in enumerate(steps) if word == "FROM") :]
    assert ("USER", "10001:10001") in final
    assert not [rest for word, rest in final if word == "RUN" and "USER" in dict(final[: final.index((word, rest))])]
    assert ("ENTRYPOINT", '["python"]') in final
    assert all(re.fullmatch(r"python:3\.11-slim-bookworm( AS build)?", rest) for word, rest in steps if word == "FROM")
    assert not {"ADD", "EXPOSE", "VOLUME"} & {word for word, _ in steps}
    (install,) = [rest for word, rest in steps if word == "RUN" and "pip install" in rest]
    assert "-c /source/constraints.txt" in install
    extras = re.search(r'/source\[([\w,]+)\]"', install)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras[1].split(",") if extras else ()) <= known.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_image_has_every_package_and_nothing_else_of_this_folder(path: Path) -> None:
    copied = {
        name
        for word, rest in _steps(path)
        if word == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    }
    packages = {one.parent.name for one in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= copied
    assert all((ROOT / name).exists() for name in copied)
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line[0] == "!"} == copied


def test_both_images_differ_in_what_they_install_and_start_only() -> None:
    watcher, trainer = (_steps(ROOT / "deploy" / "docker" / f"{name}.Dockerfile") for name in ("watcher", "trainer"))
    only = [step for step in trainer if step not in watcher]
    assert [word for word, _ in only] == ["RUN", "ARG", "RUN", "CMD"]
