"""The end of the trainers' logs, and of their log-in servers', for known problems with a remedy.

Lines before the last progress do not count: the trainer recovered from those errors. Some problems outlive it.
"""

from collections.abc import Iterator
from pathlib import Path

from alerts.evidence.trainer_log import list_logs, read_log_tail
from exporter.problems.tally import classify
from fleet.doctor.findings import Finding, Level, ok
from fleet.doctor.site import Site

TAIL_BYTES = 1 << 20
LOGS_OF_PEER = 2


def examine(site: Site) -> Iterator[Finding]:
    found = False
    for log, title in _logs(site):
        for problem, count in classify(_tail(log)):
            found = True
            times = f", {count} times" if count > 1 else ""
            level = Level.WARNING if problem.is_warning else Level.FAILURE
            yield Finding(level, f"{title}: {problem.message} ({log.name}{times})", problem.remedy)
    if not found:
        yield ok("no known problem at the end of the trainers' logs")


def _logs(site: Site) -> Iterator[tuple[Path, str]]:
    seen = set()
    for peer in site.loaded.peers:
        # A pattern may match every earlier run's too.
        for one in list_logs(site.loaded.folder.peer(peer.name))[:LOGS_OF_PEER]:
            if one.path.resolve() not in seen:
                seen.add(one.path.resolve())
                yield one.path, f"peer {peer.name}"
    # Of instances of rl-swarm; it serves all of a checkout.
    for log in sorted(site.loaded.folder.login.glob("*.log")):
        yield log, "log-in server"
    for trainer in site.trainers:
        folder = trainer.log_folder
        for log in sorted(folder.glob("*.log"))[:50] if folder and folder.is_dir() else ():
            if log.resolve() not in seen and log.name != "sidecar.log":
                seen.add(log.resolve())
                yield log, trainer.title


def _tail(log: Path) -> str:
    try:
        return read_log_tail(log, TAIL_BYTES)
    except OSError:
        return ""
