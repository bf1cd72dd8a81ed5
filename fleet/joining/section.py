"""The section of the configuration that lets a watcher elsewhere have the sidecars' pages."""

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from exporter.files import yaml_text
from fleet.configuration.elsewhere import FIRST_PORT
from fleet.joining.outside_files import OutsideFiles

# Its first line, and the indentation of the next one.
_PUSH = re.compile(r"^(push:[ \t]*(?:#[^\n]*)?\n)([ \t]+)", re.MULTILINE)
_REACHES = "A watcher on another machine reaches the sidecars here"
_IS_PUSHED = "The sidecars' pages are pushed to a watcher on another machine"


def add_outside(text: str, machine: str, files: OutsideFiles) -> str:
    """The text of a configuration with the section that opens the sidecars at its end."""
    paths = {name: str(path) for name, path in files._asdict().items()}
    return _add(text, _REACHES, "outside", {"machine": machine, "port": FIRST_PORT, **paths})


def add_push(text: str, machine: str, watcher: str, paths: Mapping[str, str]) -> str:
    """The same with the section that has the pages pushed."""
    return _add(text, _IS_PUSHED, "push", {"watcher": watcher, "machine": machine, **paths})


def add_standby(text: str, watcher: str, certificate: Path | None) -> str:
    """The same with a second watcher in its section `push`. Raises ValueError where that is not written in lines."""
    standby = {"watcher": watcher, **({"certificate": str(certificate)} if certificate else {})}
    found = _PUSH.search(text)
    if found is None:
        lines = ", ".join(f"{name}: {value}" for name, value in standby.items())
        raise ValueError(f"add `standby: {{{lines}}}` to `push` yourself: it is not written in lines there")
    added = textwrap.indent(yaml_text.dump({"standby": standby}), found[2])
    return f"{text[: found.end(1)]}{added}{text[found.end(1) :]}"


def _add(text: str, head: str, name: str, section: Mapping[str, object]) -> str:
    if text and not text.endswith("\n"):
        text += "\n"
    return f"{text}\n# {head}; written by `peerwatch join`.\n{yaml_text.dump({name: dict(section)})}"
