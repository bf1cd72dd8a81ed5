"""The section of the configuration that opens the sidecars to a watcher elsewhere."""

from exporter.files import yaml_text
from fleet.configuration.elsewhere import FIRST_PORT
from fleet.joining.outside_files import OutsideFiles

_HEAD = "\n# A watcher on another machine reaches the sidecars here; written by `peerwatch join`.\n"


def add_section(text: str, machine: str, files: OutsideFiles) -> str:
    """The text of a configuration with the section at its end."""
    section = {
        "machine": machine,
        "port": FIRST_PORT,
        **{name: str(path) for name, path in files._asdict().items()},
    }
    if text and not text.endswith("\n"):
        text += "\n"
    return text + _HEAD + yaml_text.dump({"outside": section})
