"""There is an alert route, and each is usable; `--test-routes` sends each a test message."""

from collections.abc import Iterator

from fleet.alert_loop.access import Access
from fleet.alert_loop.client import AlertClient, AlertClientError
from fleet.configuration.checks import find_start_problems
from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site


def examine(site: Site) -> Iterator[Finding]:
    alerts = site.loaded.composition.alerts
    routes = alerts.routes if alerts is not None else ()
    if not routes:
        yield warning("no alert route: nobody is notified", "add one to alerts.routes in the configuration")
        return
    broken = [problem for problem in find_start_problems(site.loaded, site.environment) if not problem.is_warning]
    for problem in broken:
        yield failure(problem.message, "fix it in the configuration")
    if broken:
        return
    if site.tests_routes:
        yield from _test(site)
    else:
        yield ok(f"{len(routes)} alert routes; --test-routes sends each a test message")


def _test(site: Site) -> Iterator[Finding]:
    assert site.loaded.config is not None
    try:
        results = AlertClient(Access.of(site.loaded)).test(None)
    except AlertClientError as error:
        yield failure(f"cannot test the routes: {error}", "start the fleet, then test again")
        return
    for result in results:
        if result["delivered"]:
            yield ok(f"route {result['route']} delivered a test message")
        else:
            yield failure(f"route {result['route']}: not delivered: {result['reason']}", "fix its URL or its service")
