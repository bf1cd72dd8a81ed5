"""A fleet without a route is named, and so is a route that cannot be used."""

from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages

ROUTES = "alerts: {routes: [{name: phone, url: '%s'}]}\n"


def test_no_route_is_a_warning(examine: Examine) -> None:
    assert "no alert route" in messages(examine("routes"), Level.WARNING)


def test_a_reference_that_cannot_be_resolved_is_a_failure(examine: Examine) -> None:
    found = messages(examine("routes", ROUTES % "${PEERWATCH_TEST_NOWHERE}"), Level.FAILURE)
    assert "route phone: " in found
    assert "PEERWATCH_TEST_NOWHERE" in found


def test_an_invalid_url_is_a_failure(examine: Examine) -> None:
    assert "apprise does not understand its URL" in messages(examine("routes", ROUTES % "phone-at-home"), Level.FAILURE)


def test_a_usable_route_is_ok(examine: Examine) -> None:
    assert "1 alert routes" in messages(examine("routes", ROUTES % "json://127.0.0.1:9/"), Level.OK)


def test_routes_cannot_be_tested_without_the_alert_loop(examine: Examine) -> None:
    found = messages(examine("routes", ROUTES % "json://127.0.0.1:9/", tests_routes=True), Level.FAILURE)
    assert "start the fleet, then test again" in found
