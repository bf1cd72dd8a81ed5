"""Gathers evidence once when an alert fires: what the process does and waits for, how it ended, its log, its stacks.

Each peer's is gathered in a thread of its own, so that a hung disk delays no evaluation for longer than `SECONDS`; what
fails, or comes later, is missing from the message and costs nothing else: a hung disk is what the message may be about.
"""

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil

from alerts import i18n
from alerts.engine.evaluate import Event
from alerts.evidence.redact import redact, redact_lines
from alerts.evidence.trainer_log import describe_cause, describe_log
from alerts.evidence.trainer_process import ask_for_stacks, find_own_trainer, read_tail
from alerts.evidence.waiting import describe_waiting, list_tree
from alerts.i18n import Language, Words
from alerts.i18n.en import WORDS
from alerts.i18n.translatable import say
from alerts.messages.single import shorten
from alerts.rules import Evidence, discover
from exporter.run_folder import find_trainer

SECONDS = 1.0
STACKS_SECONDS = 0.7
MAX_LENGTH = 1000
MAX_AT_ONCE = 8
FRAMES = 8
MAX_UNUSUAL = 3
# In a run folder: what the trainer did before it was last restarted.
RESTART_FILE = "restart.log"

_FRAME = re.compile(r'^\s+File "(?P<file>[^"]*)", line (?P<line>\d+) in (?P<function>.*)$')
_UNUSUAL = {
    psutil.STATUS_STOPPED: "Process {pid} is stopped by a signal (SIGSTOP); SIGCONT resumes it.",
    psutil.STATUS_TRACING_STOP: "Process {pid} is stopped by a debugger.",
    psutil.STATUS_DISK_SLEEP: "Process {pid} is in uninterruptible sleep: it waits for a disk or a device.",
}

log = logging.getLogger(__name__)


class _Work(NamedTuple):
    """A thread that gathers, and the evidence that it has found so far."""

    future: Future[None]
    parts: list[str]


class Gatherer:
    """Gathers from `run_dirs`: the run folders of the peers whose trainers run beside the alert loop."""

    def __init__(self, run_dirs: Mapping[str, Path], language: Language = "en") -> None:
        self._run_dirs = run_dirs
        self._words = i18n.discover()[language]
        self._running: dict[str, Future[None]] = {}

    async def attach(self, events: Sequence[Event]) -> list[Event]:
        """The events, those that fire with the evidence that was found in time."""
        self._running = {peer: future for peer, future in self._running.items() if not future.done()}
        begun: list[_Work | None] = []
        for event in events:
            is_room = sum(work is not None for work in begun) < MAX_AT_ONCE
            begun.append(self._begin(event) if is_room else None)
        waited = [asyncio.wrap_future(work.future) for work in begun if work is not None]
        if waited:
            await asyncio.wait(waited, timeout=SECONDS)
        found = [_write(work.parts, self._words) if work else "" for work in begun]
        return [replace(event, evidence=text) for event, text in zip(events, found, strict=True)]

    def _begin(self, event: Event) -> _Work | None:
        rule, run_dir = discover().get(event.key.rule), self._run_dirs.get(event.key.peer)
        # While a thread of an earlier alert still hangs, the peer gets no second one.
        if rule is None or run_dir is None or event.kind != "firing" or not rule.evidence:
            return None
        if event.key.peer in self._running:
            return None
        work = _Work(Future(), [])
        self._running[event.key.peer] = work.future
        kinds = rule.evidence

        def run() -> None:
            find_parts(kinds, run_dir, work.parts)
            work.future.set_result(None)

        threading.Thread(target=run, name=f"evidence-{event.key.peer}", daemon=True).start()
        return work


def gather(kinds: Sequence[Evidence], run_dir: Path, words: Words = WORDS) -> str:
    """The evidence of these kinds, bounded and without secrets; takes up to `STACKS_SECONDS`, and never raises."""
    parts: list[str] = []
    find_parts(kinds, run_dir, parts)
    return _write(parts, words)


def find_parts(kinds: Sequence[Evidence], run_dir: Path, parts: list[str]) -> None:
    """Adds the evidence of each kind to `parts` once it is found."""
    for kind in kinds:
        try:
            parts += _GATHERERS[kind](run_dir)
        except Exception:  # Evidence that cannot be gathered costs only itself.
            log.warning("cannot gather evidence %s from %s", kind, run_dir, exc_info=True)


def _write(parts: Sequence[str], words: Words) -> str:
    return shorten("\n".join(words.translate(part) for part in list(parts)), MAX_LENGTH, mark=words.shortened)


def find_frames(stacks: str) -> list[str]:
    """The innermost frames of the thread that handled the signal, the main one: `linear.py:114 forward`."""
    _, _, current = stacks.rpartition("Current thread")
    frames: list[str] = []
    for line in current.splitlines()[1:]:
        found = _FRAME.match(line)
        if not found or len(frames) == FRAMES:
            break
        frames.append(f"{Path(found['file']).name}:{found['line']} {found['function']}")
    return frames


def _describe_process(run_dir: Path) -> list[str]:
    process = find_trainer(run_dir)
    if process is None:
        return [say("The process in process.json is not running.")]
    found = []
    for one in list_tree(process):
        with contextlib.suppress(psutil.Error):
            if unusual := _UNUSUAL.get(one.status()):
                found.append(say(unusual, pid=one.pid))
    return list(found[:MAX_UNUSUAL])


def _describe_largest(run_dir: Path) -> list[str]:
    process = find_trainer(run_dir)
    if process is None:
        return []
    sizes = []
    for one in list_tree(process):
        try:
            sizes.append((one.memory_info().rss, one.pid, one.name()))
        except psutil.Error:
            continue
    if not sizes:
        return []
    size, pid, name = max(sizes)
    if pid == process.pid:
        template = "Largest of {count} processes: {name} (PID {pid}, the trainer), {size:.2f} GiB resident."
    else:
        template = "Largest of {count} processes: {name} (PID {pid}, a child of the trainer), {size:.2f} GiB resident."
    return [say(template, count=len(sizes), name=redact(name), pid=pid, size=size / 2**30)]


def _describe_stacks(run_dir: Path) -> list[str]:
    process = find_own_trainer(run_dir)
    if process is None or process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
        return []
    frames = find_frames(ask_for_stacks(process, run_dir / "stacks.log", seconds=STACKS_SECONDS))
    if not frames:
        return []
    return [say("Main thread (all threads: stacks.log):"), *(f"| {redact(frame)}" for frame in frames)]


def _describe_restart(run_dir: Path) -> list[str]:
    try:
        return redact_lines(read_tail(run_dir / RESTART_FILE, 2 * MAX_LENGTH).splitlines())
    except OSError:
        return []


_GATHERERS: Mapping[Evidence, Callable[[Path], list[str]]] = {
    "process": _describe_process,
    "waiting": describe_waiting,
    "biggest": _describe_largest,
    "cause": describe_cause,
    "log": describe_log,
    "stacks": _describe_stacks,
    "restart": _describe_restart,
}
