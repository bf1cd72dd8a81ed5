"""The end of a trainer's log: its last lines, and what they say about how it ended.

The log is `trainer.log` in the run folder, or what a `log` reader of the peer follows: of both, the one that was
written last. A reader's path is the user's own and may be a link, such as one to the latest run's log.
"""

import glob
import itertools
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from alerts.evidence.redact import redact, redact_lines
from alerts.evidence.trainer_process import read_tail
from alerts.i18n.translatable import say
from exporter.problems.tally import find_cause
from exporter.run_folder import find_trainer, read_bounded

LOG_FILE = "trainer.log"
# Written by the fleet, for the sidecar: which readers the peer has.
WATCH_FILE = "watch.json"
MAX_WATCH_BYTES = 1 << 16
MAX_MATCHES = 1000
LOG_LINES = 4
LOG_BYTES = 8192
MAX_TITLE = 80
MAX_EXCEPTION = 240


class Log(NamedTuple):
    """A file that a trainer may write to, and how messages name it; `written_at` is Unix time."""

    path: Path
    title: str
    written_at: float


def describe_log(run_dir: Path) -> list[str]:
    """Its last lines, for a message."""
    found = read_log_end(run_dir, LOG_LINES)
    return [say("{file} ends:", file=found[0]), *(f"| {line}" for line in found[1])] if found else []


def read_log_end(run_dir: Path, count: int) -> tuple[str, list[str]] | None:
    """How the log is called, and its last lines; of one that was drawn again, as a progress bar, what was drawn last.

    Bounded and without secrets; None without a log or without a line.
    """
    found = _read_log(run_dir)
    if found is None:
        return None
    drawn = (_last_drawn(line) for line in found[1].split("\n"))
    lines = [line for line in redact_lines(drawn) if line.strip()]
    return (found[0], lines[-count:]) if lines else None


def describe_cause(run_dir: Path) -> list[str]:
    """The exception that ended a trainer, and the known problem that it is; nothing of one that runs."""
    found = None if find_trainer(run_dir) else _read_log(run_dir)
    if found is None:
        return []
    exception, problem, times = find_cause(found[1])
    lines: list[str] = []
    if exception:
        lines.append(say("Last exception: {line}", line=redact(exception, MAX_EXCEPTION)))
    if problem:
        texts = {"problem": say(problem.message), "remedy": say(problem.remedy)}
        if times > 1:
            lines.append(say("Known problem, {count} times: {problem}. Remedy: {remedy}.", count=times, **texts))
        else:
            lines.append(say("Known problem: {problem}. Remedy: {remedy}.", **texts))
    return lines


def _read_log(run_dir: Path) -> tuple[str, str] | None:
    """(how it is called, its end) of the log that was written last."""
    for log in list_logs(run_dir):
        try:
            return log.title, read_log_tail(log.path, LOG_BYTES)
        except OSError:
            continue
    return None


def list_logs(run_dir: Path) -> list[Log]:
    """The logs of a peer that are there, the one written last first."""
    return sorted(_find_logs(run_dir), key=lambda log: log.written_at, reverse=True)


def _find_logs(run_dir: Path) -> Iterator[Log]:
    try:
        own = (run_dir / LOG_FILE).lstat()
        if stat.S_ISREG(own.st_mode) and own.st_size:
            yield Log(run_dir / LOG_FILE, LOG_FILE, own.st_mtime)
    except OSError:
        pass
    for path in _list_watched(run_dir):
        try:
            yield Log(path, _name(path), path.stat().st_mtime)
        except (OSError, ValueError):
            continue


def _list_watched(run_dir: Path) -> Iterator[Path]:
    """The files that the peer's `log` readers may follow, as the run folder tells."""
    try:
        watch = json.loads(read_bounded(run_dir / WATCH_FILE, MAX_WATCH_BYTES))
        folder = str(watch["folder"])
        paths = [str(one["log"]["path"]) for one in watch["progress"] if "log" in one]
    except (OSError, KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return
    for path in paths:
        path = os.path.expanduser(path)
        if not glob.has_magic(path):
            yield Path(folder, path)
        elif "**" not in path:
            pattern = str(Path(glob.escape(folder), path))
            yield from map(Path, itertools.islice(glob.iglob(pattern), MAX_MATCHES))


def read_log_tail(path: Path, max_bytes: int) -> str:
    """The end of a plain file, or of that which a link of its owner leads to. Raises OSError."""
    return read_tail(_follow_link(path), max_bytes)


def _follow_link(path: Path) -> Path:
    """Where a link leads. Raises OSError for one that another user made, who could lead to a file of this one's."""
    link = path.lstat()
    if not stat.S_ISLNK(link.st_mode):
        return path
    target = Path(os.path.realpath(path))
    if link.st_uid not in (os.getuid(), 0, target.lstat().st_uid):
        raise OSError(f"{path} is a link of another user")
    return target


def _name(path: Path) -> str:
    """The path, or the end of a long one: the file's name tells most."""
    text = str(path)
    return redact(text if len(text) <= MAX_TITLE else f"…{text[1 - MAX_TITLE :]}", MAX_TITLE)


def _last_drawn(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part.strip()), "")
