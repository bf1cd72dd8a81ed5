"""The log-in of a checkout: who it is for, and copies of its files that outlive the launch script's clean-up.

`modal-login/temp-data/*.json` hold the account and its key; the launch script removes them whenever it ends, and with
them it logs out every instance that shares them. The copies are as secret as the files are.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from exporter.run_folder import read_bounded, write_atomically

FOLDER = "modal-login"
DATA = Path(FOLDER, "temp-data")
USER_FILE = "userData.json"
FILES = (USER_FILE, "userApiKey.json")
MAX_BYTES = 1 << 20
# Of sums of Unix times, in seconds.
_EXACT = 1e-3


def keep(checkout: Path, copies: Path) -> list[str]:
    """Copies the files that are there, and puts back those that are gone; the names of the latter. Raises OSError."""
    restored = []
    for name in FILES:
        file, copy = checkout / DATA / name, copies / name
        there, kept = _read(file), _read(copy)
        if there is not None and there != kept:
            copies.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(copy, there, mode=0o600)
        elif there is None and kept is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, kept, mode=0o600)
            restored.append(name)
    return restored


def read_account(checkout: Path) -> str | None:
    """The ORG_ID of who is logged in; None where nobody is."""
    content = _read(checkout / DATA / USER_FILE)
    try:
        users = json.loads(content or b"")
        first, user = next(iter(users.items()))
    except (ValueError, RecursionError, AttributeError, StopIteration):
        return None
    account = user.get("orgId", first) if isinstance(user, dict) else first
    return account if isinstance(account, str) and account.isprintable() and 0 < len(account) <= 200 else None


def _read(path: Path) -> bytes | None:
    """The file, if it holds a JSON object; one that is being written may not yet."""
    try:
        content = read_bounded(path, MAX_BYTES)
        return content if isinstance(json.loads(content), dict) else None
    except (OSError, ValueError, RecursionError):
        return None


def wait_for_turn(starts: Mapping[str, float], now: float, spacing: float, period: float) -> float:
    """Seconds to wait before a start, so that it lies `spacing` from the others', in each `period` that follows.

    From 0.5.7 on rewards are submitted every three hours after the start, and the user-operations of one account
    collide. `starts` are Unix times.
    """
    spacing = min(spacing, period / (2 * len(starts) + 2))

    def is_apart(seconds: float) -> bool:
        gaps = ((now + seconds - start) % period for start in starts.values())
        return all(spacing - _EXACT <= gap <= period - spacing + _EXACT for gap in gaps)

    behind = ((start + spacing - now) % period for start in starts.values())
    return next((seconds for seconds in sorted((0.0, *behind)) if is_apart(seconds)), 0.0)


class Turns:
    """The latest starts of the instances of one account, in a folder that they share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, name: str, spacing: float, period: float, *, now: float | None = None) -> float:
        """Records a start that is planned, one instance at a time; the seconds to wait for it. Raises OSError."""
        import fcntl

        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(self._folder / "turns.json", os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            now = time.time() if now is None else now
            starts = _read_starts(file.read())
            starts.pop(name, None)
            seconds = wait_for_turn(starts, now, spacing, period)
            file.seek(0)
            file.truncate()
            json.dump(starts | {name: now + seconds}, file)
        return seconds


def _read_starts(text: str) -> dict[str, float]:
    try:
        return {str(name): float(at) for name, at in json.loads(text or "{}").items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
