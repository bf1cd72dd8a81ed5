"""Which requests may change something: real HTTP requests to a real alert loop."""

from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.datastructures import Headers

from alerts.config import TOKEN_FILE
from alerts.web.requests.same_origin import refuse
from tests.alerts.conftest import AlertLoop, Sidecar
from tests.fakes import wait_for

FOREIGN = "a request from another site"
UNPROVEN = "nor a header that proves the same origin"
HOST = {"host": "watch.example.org"}


def _post(loop: AlertLoop, path: str, headers: dict[str, str], method: str = "POST") -> tuple[int, str]:
    """Status and text of the answer; {host} and {token} in the headers are the loop's."""
    host = urlsplit(loop.address).netloc
    token = (Path(loop.settings["state_dir"]) / TOKEN_FILE).read_text().strip()
    connection = HTTPConnection(host, timeout=60)
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
    ({"Origin": "[zz]"}, FOREIGN),
    ({"Origin": "http://[zz]"}, FOREIGN),
    ({"Origin": "http://127.0.0.1:99999"}, FOREIGN),
    ({"Origin": "http://l\xf6calhost"}, FOREIGN),
    ({"Origin": "http://" + "a" * 10_000}, FOREIGN),
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


MALFORMED_HOSTS = ["[zz]", "[::1", "", "a b", "localhost:65536", "localhost:x", "l\xf6calhost", "a" * 10_000]


def test_a_malformed_host_is_a_bad_request_and_leaves_no_traceback(loop: AlertLoop) -> None:
    for host in MALFORMED_HOSTS:
        status, text = _post(loop, "/api/silences", {"Host": host, "Sec-Fetch-Site": "same-origin"})
        assert (status, "Host header" in text) == (400, True), host
    connection = HTTPConnection(urlsplit(loop.address).netloc, timeout=60)
    connection.putrequest("GET", "/", skip_host=True)
    for _ in range(2):
        connection.putheader("Host", "localhost")
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()
    assert loop.stop() == 0
    assert "Traceback" not in loop.output()


def test_a_body_or_number_of_any_size_leaves_no_traceback(loop: AlertLoop) -> None:
    same = {"Sec-Fetch-Site": "same-origin"}
    nested = httpx.post(f"{loop.address}/api/silences", content="[" * 16_000, headers=same, timeout=60)
    assert (nested.status_code, nested.json()) == (422, {"detail": "request is not JSON"})
    assert _post(loop, f"/api/silences/{'9' * 30}", same, "DELETE")[0] == 404
    assert loop.stop() == 0
    assert "Traceback" not in loop.output()


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
    assert refuse(Headers({**HOST, "origin": "https://watch.example.org"}), "https", "secret") == ""
    assert refuse(Headers({**HOST, "origin": "http://watch.example.org"}), "https", "secret") == FOREIGN


def test_of_two_origins_none_counts() -> None:
    both = [
        (b"host", b"watch.example.org"),
        (b"origin", b"https://watch.example.org"),
        (b"origin", b"https://evil.example"),
    ]
    assert refuse(Headers(raw=both), "https", "secret") == FOREIGN
