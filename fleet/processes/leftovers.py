"""Finds and ends processes that a fleet started and that outlived it; never by their name.

A process is ours if it carries our run's own value of `PEERWATCH_OWNER` in its environment, or if it was seen below
our service manager and still has the creation time that it had then.
"""

import contextlib
from collections.abc import Iterable

import psutil

from exporter.run_folder import is_running


def below(pid: int) -> list[psutil.Process]:
    """The process and all its descendants; each remembers its creation time, so that a reused pid is another."""
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []


def end(processes: Iterable[psutil.Process], grace_seconds: float) -> None:
    """Asks with SIGTERM, then kills; psutil signals a process only while its creation time is the one it remembers."""
    alive = [process for process in processes if is_running(process)]
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.terminate()
            process.resume()
    _, alive = psutil.wait_procs(alive, timeout=grace_seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=2)
