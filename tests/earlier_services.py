"""Turns installed services into those of a version whose launcher and log rotation lay elsewhere.

`python -m tests.earlier_services STATE_FOLDER`. The service manager has to reload the files afterwards.
"""

import sys
from dataclasses import replace
from pathlib import Path

from fleet.state_folder import StateFolder
from fleet.supervision.installed import digest, read_installed, write_installed

MOVED = {"fleet.processes.launch": "fleet.launch", "fleet.processes.log_rotation": "fleet.rotation"}


def make_earlier(text: str) -> str:
    for now, then in MOVED.items():
        text = text.replace(now, then)
    return text


def names_earlier_module(text: str) -> bool:
    return any(then in text for then in MOVED.values())


def main(folder: StateFolder) -> None:
    installed = read_installed(folder)
    assert installed is not None
    files = {}
    for name in installed.files:
        text = make_earlier(Path(name).read_text())
        Path(name).write_text(text)
        files[name] = digest(text)
    write_installed(folder, replace(installed, files=files))


if __name__ == "__main__":
    main(StateFolder(Path(sys.argv[1]).absolute()))
