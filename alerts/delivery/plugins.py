"""Which of apprise's plug-ins serve a fleet's routes: only those are loaded.

To find the plug-in behind a URL, apprise loads all of them, more than a hundred, which is a fifth of the memory of an
alert loop. `python -m alerts.delivery.plugins` does that in a process that ends: it reads a JSON list of URLs from
standard input, as they are secrets, and prints the list of the plug-ins' names.
"""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from apprise.manager_plugins import NotificationManager
from apprise.plugins import url_to_dict

ANSWER_SECONDS = 30.0

log = logging.getLogger(__name__)


def load_plugins(urls: Collection[str]) -> None:
    """Loads the plug-ins behind these URLs, unless some are loaded; where that fails, apprise loads all by itself."""
    manager = NotificationManager()
    if not urls or manager:
        return
    try:
        names = _ask(urls)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log.warning("all of apprise is loaded, as its plug-ins could not be asked: %s", type(error).__name__)
        return
    # The manager loads what a folder lists, by its name within apprise.
    with tempfile.TemporaryDirectory(prefix="peerwatch-") as folder:
        for name in names:
            (Path(folder) / f"{name}.py").touch()
        manager.load_modules(path=folder)


def load_all_plugins() -> None:
    """Loads what `load_plugins` has left out."""
    NotificationManager().load_modules()


def find_plugins(urls: Collection[str]) -> list[str]:
    """The names of the plug-ins that serve these URLs, each once; a URL that none serves is left out."""
    found = [(url_to_dict(url, secure_logging=True) or {}).get("schema") for url in urls]
    plugins = [NotificationManager()[schema] for schema in found if schema in NotificationManager()]
    # The plug-in of mail is a package, apprise.plugins.email, whose class is in a module below.
    return sorted({plugin.__module__.split(".")[2] for plugin in plugins})


def _ask(urls: Collection[str]) -> list[str]:
    command = [sys.executable, "-m", "alerts.delivery.plugins"]
    answer = subprocess.run(
        command, input=json.dumps(list(urls)), capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True
    )
    names: list[str] = json.loads(answer.stdout)
    return names


if __name__ == "__main__":
    # What apprise says of a URL may hold it.
    logging.disable()
    print(json.dumps(find_plugins(json.load(sys.stdin))))
