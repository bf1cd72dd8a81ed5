"""The watchers that the sidecars' pages are pushed to know this machine."""

from collections.abc import Iterator

from exporter.machine.push import BehindError, PushError, Watcher
from exporter.machine.push_file import PushDescription
from exporter.machine.push_format import Push, render
from fleet.doctor.findings import Finding, failure, ok
from fleet.doctor.site import Site

# Taken long ago: a watcher that knows the machine says so, and keeps nothing of it.
_FIRST = 1


def examine(site: Site) -> Iterator[Finding]:
    push = site.loaded.composition.push
    if push is None:
        yield ok("not needed: nothing is pushed to a watcher elsewhere")
        return
    for one in push.each():
        yield _ask(one)


def _ask(push: PushDescription) -> Finding:
    try:
        watcher = Watcher(push)
        try:
            watcher.post(render(Push(_FIRST, tuple(push.peers), {})))
        finally:
            watcher.close()
    except BehindError:
        pass
    except (PushError, OSError, ValueError) as error:
        problem, _, remedy = str(error).partition("; ")
        return failure(problem, remedy or "see whether the watcher runs and can be reached from here")
    return ok(f"{push.watcher} takes what {push.machine} pushes")
