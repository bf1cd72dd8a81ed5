"""Installed services are up to date and survive a log-out and a reboot."""

from collections.abc import Iterator

from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site
from fleet.processes.files import RunError
from fleet.supervision.deployment import is_current


def examine(site: Site) -> Iterator[Finding]:
    try:
        installed = site.installed
    except RunError as error:
        message, _, remedy = str(error).partition("; ")
        yield failure(message, remedy)
        return
    if installed is None:
        yield ok("not installed as services; `peerwatch services install` runs a fleet without a terminal")
        return
    yield ok(f"fleet {installed.fleet} is installed as services of {installed.manager}")
    if not is_current(site.loaded, installed):
        yield warning(
            "Peerwatch or the configuration has changed since the services were installed",
            "run `peerwatch services install`",
        )
    for caveat in installed.service_manager(site.loaded.folder).caveats():
        message, _, remedy = caveat.partition("; ")
        yield warning(message, remedy or "see docs/services.md")
