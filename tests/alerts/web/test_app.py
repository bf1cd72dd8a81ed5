"""Host names."""

import pytest

from alerts.web.app import allowed_hosts, is_allowed

LOOPBACK_ONLY = allowed_hosts("127.0.0.1:8750", ["watch.example.org"])
EVERYWHERE = allowed_hosts("0.0.0.0:8750", [])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8750",
        "localhost",
        "LOCALHOST:1",
        "[::1]:8750",
        "host.docker.internal:8750",
        "watch.example.org",
        "Watch.Example.org:80",
    ],
)
def test_a_name_of_our_own_is_answered(host: str) -> None:
    assert is_allowed(host, LOOPBACK_ONLY)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.0.2.7",
        "",
        "a b",
        "x@localhost",
        "[::1",
        "/",
        "*address",
    ],
)
def test_a_foreign_name_is_not(host: str) -> None:
    assert not is_allowed(host, LOOPBACK_ONLY)


def test_a_loop_that_listens_everywhere_answers_to_any_address_but_to_no_foreign_name() -> None:
    assert is_allowed("192.0.2.7:8750", EVERYWHERE)
    assert is_allowed("[2001:db8::1]:8750", EVERYWHERE)
    assert not is_allowed("evil.example:8750", EVERYWHERE)
