"""The ports that the fleet listens on are free."""

from collections.abc import Iterator

from fleet.configuration.checks import taken_ports
from fleet.configuration.peers import services
from fleet.doctor.findings import Finding, failure, ok
from fleet.doctor.site import Site


def examine(site: Site) -> Iterator[Finding]:
    config = site.loaded.config
    assert config is not None
    listening = list(services(config, site.loaded.peers))
    if site.is_running:
        yield ok(f"{len(listening)} ports are the running fleet's")
        return
    taken = list(taken_ports(listening))
    for problem in taken:
        message, _, remedy = problem.message.partition("; ")
        yield failure(message, remedy or "change it in the configuration")
    if not taken:
        yield ok(f"{len(listening)} ports are free")
