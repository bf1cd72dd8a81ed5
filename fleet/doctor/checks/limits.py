"""Open files allowed to this shell and to the running trainers.

A swarm's connections use them up.
"""

import resource
from collections.abc import Iterator

import psutil

from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site

# libp2p keeps up to 512 connections, and a trainer some hundred files (shared memory, data sets, checkpoints).
ENOUGH_FILES = 1024
TOO_FEW_FILES = 512
_REMEDY = "raise it before `peerwatch up` with `ulimit -n 4096`; for services, in the service manager"


def examine(site: Site) -> Iterator[Finding]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield _judge(soft, "programs started here")
    for trainer in site.trainers:
        limit = _files_of(trainer.pid)
        if limit is not None and 0 <= limit < ENOUGH_FILES:
            yield _judge(limit, f"{trainer.title} (pid {trainer.pid})")


def _judge(limit: int, who: str) -> Finding:
    if limit == resource.RLIM_INFINITY or limit >= ENOUGH_FILES:
        many = "any number of" if limit == resource.RLIM_INFINITY else str(limit)
        return ok(f"{many} open files for {who}")
    message = f"only {limit} open files for {who}"
    return failure(message, _REMEDY) if limit < TOO_FEW_FILES else warning(message, _REMEDY)


def _files_of(pid: int) -> int | None:
    # macOS shows a process's limits to that process only.
    try:
        return int(psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE)[0])
    except (psutil.Error, AttributeError):
        return None
