"""Which Host headers are a server's own."""

from http import HTTPStatus

import pytest

from exporter.serving.host_names import page_names, parse_host, scraped_names

PAGE_ON_LOOPBACK = page_names("127.0.0.1", ["watch.example.org"])
PAGE_EVERYWHERE = page_names("0.0.0.0", [])
SCRAPED_ON_LOOPBACK = scraped_names("localhost", ["Proxy.example.org"])
SCRAPED_EVERYWHERE = scraped_names("::", [])
BAD, FOREIGN = HTTPStatus.BAD_REQUEST, HTTPStatus.MISDIRECTED_REQUEST


def judge(rule, host, from_browser=True):
    return rule.judge([host], from_browser=from_browser)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8750",
        "localhost",
        "LOCALHOST:1",
        "localhost.",
        "[::1]:8750",
        "[0:0::1]",
        "host.docker.internal:8750",
        "host.containers.internal",
        "watch.example.org",
        "Watch.Example.org:80",
    ],
)
def test_a_name_of_our_own_is_answered(host):
    assert judge(PAGE_ON_LOOPBACK, host) is HTTPStatus.OK


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "internal.evil.example",
        "xinternal",
        "192.0.2.7",
        "0.0.0.0",
    ],
)
def test_a_foreign_name_is_not(host):
    assert judge(PAGE_ON_LOOPBACK, host) is FOREIGN
    assert judge(SCRAPED_ON_LOOPBACK, host, from_browser=False) is FOREIGN


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "a b",
        "a,b",
        "x@localhost",
        "[::1",
        "::1",
        "[zz]",
        "[127.0.0.1]",
        "[]",
        "[::1]x",
        "/",
        "http://localhost",
        "*address",
        "localhost:",
        "localhost:65536",
        "localhost:123456",
        "localhost:-1",
        "localhost:٣",
        "l\xf6calhost",
        "localhost\0",
        "localhost\n",
        "a" * 10_000,
        "localhost:" + "0" * 10_000,
    ],
)
def test_a_malformed_one_is_a_bad_request_whatever_is_allowed(host):
    assert parse_host(host) is None
    assert judge(PAGE_EVERYWHERE, host) is BAD
    assert judge(scraped_names("::", [], is_protected=True), host) is BAD


def test_there_is_one_host_header():
    assert PAGE_EVERYWHERE.judge([], from_browser=True) is BAD
    assert PAGE_EVERYWHERE.judge(["localhost", "localhost"], from_browser=True) is BAD


@pytest.mark.parametrize("host", ["192.0.2.7:8750", "[2001:db8::1]:8750", "localhost"])
def test_a_server_that_listens_everywhere_answers_to_any_address(host):
    assert judge(PAGE_EVERYWHERE, host) is HTTPStatus.OK
    assert judge(SCRAPED_EVERYWHERE, host) is HTTPStatus.OK


def test_a_page_on_the_network_answers_to_no_foreign_name():
    assert judge(PAGE_EVERYWHERE, "evil.example:8750") is FOREIGN
    assert judge(PAGE_EVERYWHERE, "evil.example:8750", from_browser=False) is FOREIGN


def test_what_is_scraped_on_the_network_answers_to_any_name_of_dns_but_not_a_browser():
    for host in ("peer-1.example.org:9700", "sidecar:9700", "my_peer.lan"):
        assert judge(SCRAPED_EVERYWHERE, host, from_browser=False) is HTTPStatus.OK
        assert judge(SCRAPED_EVERYWHERE, host, from_browser=True) is FOREIGN


def test_a_password_or_a_certificate_is_in_the_way_of_foreign_sites_already():
    assert judge(scraped_names("0.0.0.0", [], is_protected=True), "peer-1.example.org") is HTTPStatus.OK


def test_configured_names_are_answered_on_loopback():
    assert judge(SCRAPED_ON_LOOPBACK, "proxy.example.org") is HTTPStatus.OK
