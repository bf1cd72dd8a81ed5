"""The end of the trainers' logs, for known problems with a remedy.

Lines before the last progress do not count: the trainer recovered from those errors. Some problems outlive it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from fleet.doctor.findings import Finding, ok
from fleet.doctor.known_problems import CLASSES, PROGRESS, Class
from fleet.doctor.site import Site

TAIL_BYTES = 1 << 20
MAX_LINE = 2000
_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def examine(site: Site) -> Iterator[Finding]:
    found = False
    for log, title in _logs(site):
        for problem, count in classify(_tail(log)):
            found = True
            times = f", {count} times" if count > 1 else ""
            yield Finding(problem.level, f"{title}: {problem.message} ({log.name}{times})", problem.remedy)
    if not found:
        yield ok("no known problem at the end of the trainers' logs")


def classify(text: str) -> list[tuple[Class, int]]:
    """The problems since the last progress, with their number of lines, in the order of the table."""
    counts: dict[Class, int] = {}
    for line in text.splitlines():
        line = _COLOR.sub("", line[:MAX_LINE])
        problem = next((one for one in CLASSES if one.pattern.search(line)), None)
        if problem is not None:
            counts[problem] = counts.get(problem, 0) + 1
        elif PROGRESS.search(line):
            counts = {problem: count for problem, count in counts.items() if problem.outlives_progress}
    return [(problem, counts[problem]) for problem in CLASSES if problem in counts]


def _logs(site: Site) -> Iterator[tuple[Path, str]]:
    seen = set()
    for peer in site.loaded.peers:
        log = site.loaded.folder.peer(peer.name) / "trainer.log"
        seen.add(log.resolve())
        yield log, f"peer {peer.name}"
    for trainer in site.trainers:
        folder = trainer.log_folder
        for log in sorted(folder.glob("*.log"))[:50] if folder and folder.is_dir() else ():
            if log.resolve() not in seen and log.name != "sidecar.log":
                seen.add(log.resolve())
                yield log, trainer.title


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            return file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""
