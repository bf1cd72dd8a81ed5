"""Finds and ends processes that outlived their fleet; never by name.

A process is ours if its environment holds our run's value of `PEERWATCH_OWNER`, or if it was seen below our service
manager and has the same creation time.
"""

import contextlib
from collections.abc import Iterable

import psutil

from exporter.system.process_identity import is_running


def below(pid: int) -> list[psutil.Process]:
    """The process and all its descendants; psutil keeps their creation times, so that a reused pid is not mistaken."""
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []


def end(processes: Iterable[psutil.Process], grace_seconds: float) -> None:
    """SIGTERM, then SIGKILL; psutil signals a process only if its creation time is unchanged."""
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
