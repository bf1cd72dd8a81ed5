"""The section of the configuration that lets a watcher elsewhere have the sidecars' pages."""

from collections.abc import Mapping

from exporter.files import yaml_text
from fleet.configuration.elsewhere import FIRST_PORT
from fleet.joining.outside_files import OutsideFiles

_REACHES = "A watcher on another machine reaches the sidecars here"
_IS_PUSHED = "The sidecars' pages are pushed to a watcher on another machine"


def add_outside(text: str, machine: str, files: OutsideFiles) -> str:
    """The text of a configuration with the section that opens the sidecars at its end."""
    paths = {name: str(path) for name, path in files._asdict().items()}
    return _add(text, _REACHES, "outside", {"machine": machine, "port": FIRST_PORT, **paths})


def add_push(text: str, machine: str, watcher: str, paths: Mapping[str, str]) -> str:
    """The same with the section that has the pages pushed."""
    return _add(text, _IS_PUSHED, "push", {"watcher": watcher, "machine": machine, **paths})


def _add(text: str, head: str, name: str, section: Mapping[str, object]) -> str:
    if text and not text.endswith("\n"):
        text += "\n"
    return f"{text}\n# {head}; written by `peerwatch join`.\n{yaml_text.dump({name: dict(section)})}"
