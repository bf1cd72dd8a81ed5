"""Which requests may change something: real HTTP requests to a real alert loop."""

from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from alerts.config import TOKEN_FILE
from alerts.web.same_origin import refuse
from tests.alerts.conftest import AlertLoop, Sidecar
from tests.fakes import wait_for

FOREIGN = "a request from another site"
UNPROVEN = "nor a header that proves the same origin"
HOST = {"host": "watch.example.org"}


def _post(loop: AlertLoop, path: str, headers: dict[str, str], method: str = "POST") -> tuple[int, str]:
    """Status and text of the answer; {host} and {token} in the headers are the loop's."""
    host = urlsplit(loop.address).netloc
    token = (Path(loop.settings["state_dir"]) / TOKEN_FILE).read_text().strip()
    connection = HTTPConnection(host, timeout=10)
    filled = {name: value.format(host=host, token=token) for name, value in headers.items()}
    connection.request(method, path, b'{"peer": "a", "lasts": "1h", "rule": "NoSuch"}', filled)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.fixture
def loop(make_loop: Callable[..., AlertLoop], sidecar: Sidecar) -> AlertLoop:
    loop = make_loop({"a": sidecar})
    loop.start()
    wait_for(lambda: loop.get("/api/status").json()["now"], 20, "a first evaluation")
    return loop


ALLOWED = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://{host}"},
    {"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "https://{host}", "Sec-Fetch-Site": "same-origin"},
    {"Authorization": "Bearer {token}"},
    {"Authorization": "bearer {token}", "Origin": "http://{host}"},
    {"Authorization": "Bearer wrong", "Sec-Fetch-Site": "same-origin"},
]
REFUSED = [
    ({}, UNPROVEN),
    ({"Authorization": "Bearer wrong"}, UNPROVEN),
    ({"Authorization": "Basic {token}"}, UNPROVEN),
    ({"X-CSRF-Token": "{token}"}, UNPROVEN),
    ({"Referer": "http://{host}/"}, UNPROVEN),
    ({"Origin": "https://evil.example"}, FOREIGN),
    ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, FOREIGN),
    ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, FOREIGN),
    ({"Origin": "http://{host}.evil.example"}, FOREIGN),
    ({"Origin": "null"}, FOREIGN),
    ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, FOREIGN),
    ({"Origin": ""}, FOREIGN),
    ({"Origin": "http://["}, FOREIGN),
    ({"Origin": "http://127.0.0.1:9", "Sec-Fetch-Site": "same-site"}, FOREIGN),
    ({"Origin": "http://127.0.0.1:9"}, FOREIGN),
    ({"Origin": "https://{host}"}, FOREIGN),
    ({"Sec-Fetch-Site": "same-site"}, FOREIGN),
    ({"Sec-Fetch-Site": "cross-site"}, FOREIGN),
    ({"Sec-Fetch-Site": "none"}, FOREIGN),
    ({"Authorization": "Bearer {token}", "Origin": "https://evil.example"}, FOREIGN),
    ({"Authorization": "Bearer {token}", "Origin": "null"}, FOREIGN),
    ({"Authorization": "Bearer {token}", "Sec-Fetch-Site": "cross-site"}, FOREIGN),
    ({"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, "unknown host name"),
]


def test_the_token_or_a_proof_of_the_same_origin_is_needed_to_change_something(loop: AlertLoop) -> None:
    for headers, reason in REFUSED:
        status, text = _post(loop, "/api/silences", headers)
        assert (status in (403, 421), reason in text) == (True, True), (headers, status, text)
    assert loop.get("/api/alerts").json()["silences"] == []
    for headers in ALLOWED:
        assert _post(loop, "/api/silences", headers)[0] == 201, headers
    assert len(loop.get("/api/alerts").json()["silences"]) == len(ALLOWED)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/api/silences/99", 404),
        ("POST", "/api/acknowledgements", 422),
        ("POST", "/api/test", 200),
        ("POST", "/api/silences", 201),
    ],
)
def test_every_request_that_changes_something_is_guarded(loop: AlertLoop, method: str, path: str, status: int) -> None:
    assert _post(loop, path, {}, method)[0] == 403
    assert _post(loop, path, {"Origin": "https://evil.example"}, method)[0] == 403
    assert _post(loop, path, {"Sec-Fetch-Site": "same-origin"}, method)[0] == status


def test_a_page_asked_for_by_https_has_an_https_origin() -> None:
    assert refuse({**HOST, "origin": "https://watch.example.org"}, "https", "secret") == ""
    assert refuse({**HOST, "origin": "http://watch.example.org"}, "https", "secret") == FOREIGN
