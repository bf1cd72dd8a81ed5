"""What services answer decides, and reaches the reader: each plug-in really sends, to a stand-in of its service."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from alerts.delivery.answers import MAX_REASON_LENGTH, SIGNS, WORDS, Answer, judge, read_reason
from alerts.delivery.apprise_sender import Sender, name_plugin
from alerts.delivery.outcome import DeliveryResult
from alerts.messages.single import Message
from alerts.telegram.bot import make_bot
from tests.alerts.conftest import AlertLoop, Sidecar
from tests.alerts.delivery.refusals import CASES
from tests.alerts.services import Services
from tests.fakes import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
MESSAGE = Message("PeerDown: a", "Gone.")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    services = Services(tmp_path_factory.mktemp("services") / "services.pem")
    yield services
    services.close()


@pytest.fixture
def services(running: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running.status, running.headers = 200, {}
    running.requests.clear()
    return running


def _send(services: Services, url: str, body: str | bytes, status: int = 200) -> DeliveryResult:
    services.status, services.body = status, body.encode() if isinstance(body, str) else body
    sender = Sender({"phone": url.format(host=services.address)})
    return sender.send("phone", MESSAGE)


def test_every_service_that_refuses_with_200_has_a_case() -> None:
    assert SIGNS.keys() | WORDS.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_with_status_200_is_a_refusal_in_the_services_own_words(services: Services, name: str) -> None:
    case = CASES[name]
    refused = _send(services, case.url, case.refused)
    assert services.requests, "nothing was sent"
    assert not refused.accepted
    assert case.says in refused.reason
    assert _send(services, case.url, case.accepted) == DeliveryResult(True)


def test_the_cases_are_sent_by_the_plug_ins_that_they_are_named_after() -> None:
    sender = Sender({name: case.url.format(host="127.0.0.1:8080") for name, case in CASES.items()})
    assert {name: name_plugin(sender.service(name)) for name in CASES} == {name: name for name in CASES}


@pytest.mark.parametrize(
    ("name", "body", "is_rate_limited", "is_permanent"),
    [
        ("dingtalk", {"errcode": 130101, "errmsg": "send too fast"}, True, False),
        ("dingtalk", {"errcode": 300001, "errmsg": "token is not exist"}, False, True),
        ("wecombot", {"errcode": 45009, "errmsg": "api freq out of limit"}, True, False),
        ("wecombot", {"errcode": 40058, "errmsg": "text.content exceed max length 2048"}, False, False),
        ("feishu", {"code": 11232, "msg": "frequency limited psm"}, True, False),
        ("lark", {"code": 19021, "msg": "sign match fail or timestamp is not within one hour"}, False, True),
        ("vonage", {"messages": [{"status": "0"}, {"status": "1", "error-text": "Throttled"}]}, True, False),
        ("synology", {"success": False, "error": {"code": 411, "errors": "create post too fast"}}, True, False),
    ],
)
def test_a_code_tells_a_pause_from_what_a_person_must_change(
    name: str, body: object, is_rate_limited: bool, is_permanent: bool
) -> None:
    found = judge(name, Answer(200, json.dumps(body).encode()))
    assert found is not None
    assert (found.is_rate_limited, found.is_permanent) == (is_rate_limited, is_permanent)


@pytest.mark.parametrize(
    "body",
    [b"", b"ok", b"{}", b"[]", b"null", b"[" * 20_000, b'{"a":' * 20_000, b"9" * 6000, b"\xff\xfe", b'{"code": []}'],
)
def test_an_answer_without_the_services_code_is_no_refusal(body: bytes) -> None:
    for name in SIGNS:
        assert judge(name, Answer(200, body)) is None


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (403, '{"error": "forbidden", "detail": "x"}', "the service answered 403 Forbidden: forbidden"),
        (400, '{"errors": [{"message": "chat is closed"}]}', "the service answered 400 Bad Request: chat is closed"),
        (413, '{"code":41301,"http":413,"error":"too large"}', "413 Request Entity Too Large: too large"),
        (
            502,
            "<html><head><title>x</title></head><h1>502</h1>\r\nnginx &amp; co</html>",
            ": 502 nginx & co",
        ),
        (500, "line one\r\nline\ttwo\x00\u202e", "the service answered 500 Internal Server Error: line one line two"),
        (999, "", "the service answered 999 unknown status"),
        (401, "", "the service answered 401 Unauthorized; check the token or the login in the route's URL"),
    ],
)
def test_the_text_of_an_error_page_reaches_the_reader_on_one_line(
    services: Services, status: int, body: str, reason: str
) -> None:
    outcome = _send(services, "json://{host}/", body, status)
    assert not outcome.accepted
    assert reason in outcome.reason
    assert outcome.reason.isprintable()


def test_what_a_service_repeats_of_the_url_is_masked(services: Services) -> None:
    token = "hunter2-hunter2-hunter2"
    body = f"no route /{token} for user:{token}; Authorization: Bearer abcdef0123456789 https://u:p4ssw0rd@host/"
    outcome = _send(services, f"json://user:{token}@{{host}}/{token}", body, 404)
    assert outcome.reason.startswith("the service answered 404 Not Found: no route /***")
    assert not any(secret in outcome.reason for secret in (token, "abcdef0123456789", "p4ssw0rd"))


LOGIN = b"\n<!DOCTYPE html>\n<html><head><title>x</title></head><body>Please log in</body></html>"


@pytest.mark.parametrize("url", [CASES["dingtalk"].url, CASES["bark"].url, "gotify://{host}/token12345", "ntfy://t"])
def test_a_web_page_in_place_of_the_service_is_no_acceptance(services: Services, url: str) -> None:
    """Of a log-in, a hotel's network, or a server with one page for every address."""
    outcome = _send(services, url, LOGIN)
    assert outcome == DeliveryResult(
        False, "the service refused the message: a web page answered, not the service: Please log in"
    )
    assert _send(services, "json://{host}/", LOGIN).accepted


@pytest.mark.parametrize(
    ("url", "status", "accepted"),
    [
        # What requests goes on with is a GET, without the message.
        ("gotify://{host}/token12345", 301, False),
        ("gotify://{host}/token12345", 302, False),
        (CASES["wecombot"].url, 303, False),
        ("json://{host}/", 301, False),
        # A program of the user's may show a page once it has the message.
        ("json://{host}/", 302, True),
        # With these the message goes along.
        ("gotify://{host}/token12345", 307, True),
        ("gotify://{host}/token12345", 308, True),
    ],
)
def test_a_message_that_is_lost_on_a_redirect_is_not_delivered(
    services: Services, url: str, status: int, accepted: bool
) -> None:
    services.redirect = status, f"http://{services.address}/hunter2-hunter2/login"
    try:
        outcome = _send(services, url, b'{"id": 1}')
    finally:
        services.redirect = None
    assert outcome.accepted is accepted
    if not accepted:
        assert "it sends requests on to http://127.0.0.1, and the message is lost on the way" in outcome.reason
        assert outcome.is_permanent is (status == 301)
        assert "hunter2" not in outcome.reason
    elif status > 303:
        assert b"Gone." in services.requests[-1].body


def test_a_code_counts_though_the_words_beside_it_are_in_another_encoding() -> None:
    body = '{"errcode": 310000, "errmsg": "关键词不匹配"}'.encode("gbk")
    found = judge("dingtalk", Answer(200, body))
    assert found is not None
    assert "errcode 310000" in found.reason


def test_a_long_answer_is_bounded(services: Services) -> None:
    assert len(_send(services, "json://{host}/", "x" * 3_000_000, 500).reason) < MAX_REASON_LENGTH + 100
    assert len(read_reason(json.dumps({"message": "y" * 10_000}).encode())) == MAX_REASON_LENGTH


def test_a_pause_is_read_from_the_header_and_from_the_body(services: Services) -> None:
    services.headers = {"Retry-After": "17"}
    outcome = _send(services, "json://{host}/", "{}", 429)
    assert (outcome.is_rate_limited, outcome.retry_after_seconds) == (True, 17.0)
    services.headers = {}
    assert _send(services, "json://{host}/", '{"message": "x", "retry_after": 1.5}', 429).retry_after_seconds == 1.5
    services.headers = {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert _send(services, "json://{host}/", "{}", 429).retry_after_seconds is None


def test_a_plug_in_that_judges_by_itself_is_believed_and_its_services_words_are_told(services: Services) -> None:
    slack = "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/%23general"
    outcome = _send(services, slack, '{"ok": false, "error": "not_in_channel"}')
    assert outcome == DeliveryResult(False, "the service refused the message: not_in_channel")
    assert _send(services, slack, '{"ok": true, "channel": "C1"}').accepted
    assert _send(services, slack, '{"ok": false, "error": "ratelimited"}').is_rate_limited


def test_a_limit_that_is_refused_as_forbidden_is_a_limit() -> None:
    found = judge("github", Answer(403, b'{"message": "API rate limit exceeded for user"}'))
    assert found is not None
    assert (found.is_rate_limited, found.is_permanent) == (True, False)


@pytest.mark.parametrize(
    "piece", ["<head", "<script>", "<", "<a ", "&lt;", "retry after ", "too many ", '{"errors":[', "too "]
)
def test_a_hostile_answer_is_read_in_no_time(piece: str) -> None:
    body = (piece * 1_000_000)[:1_000_000].encode()
    began = time.thread_time()
    judge("dingtalk", Answer(500, b"<" + body))
    judge("dingtalk", Answer(500, body))
    assert time.thread_time() - began < 15


def test_a_refusal_with_200_is_told_in_the_log_on_the_page_and_in_a_test(
    services: Services, make_loop: Callable[..., AlertLoop], sidecar: Sidecar, tmp_path: Path
) -> None:
    case = CASES["dingtalk"]
    services.body = case.refused.encode()
    loop = make_loop({"a": sidecar}, {"team": case.url})
    loop.environment = services.environment
    sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)
    loop.start()
    wait_for(lambda: "route team: delivery failed: " in loop.output(), 20, "the attempt")
    assert f"the service refused the message: {case.says}; attempt 1, next in 3" in loop.output()
    assert loop.pending() == 1
    assert case.says in loop.get("/").text
    token = (tmp_path / "state" / "api.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(f"{loop.address}/api/test", json={}, headers=headers, trust_env=False, timeout=60).json()
    assert answer["results"] == [
        {"route": "team", "delivered": False, "reason": f"the service refused the message: {case.says}"}
    ]
    assert "a" * 64 not in loop.output()


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (
            400,
            {
                "description": "Bad Request: group chat was upgraded to a supergroup chat",
                "parameters": {"migrate_to_chat_id": -1009876543210},
            },
            "the service answered 400 Bad Request: group chat was upgraded to a supergroup chat; "
            "the chat's number is now -1009876543210: put it into the route's URL",
        ),
        (
            403,
            {"description": "Forbidden: bot was blocked by the user"},
            "the service answered 403 Forbidden: bot was blocked by the user; unblock the bot in Telegram",
        ),
        (
            401,
            {"description": "Unauthorized"},
            "the service answered 401 Unauthorized; the bot's token is refused: take its current one from @BotFather",
        ),
    ],
)
@pytest.mark.parametrize("is_bot", [False, True])
def test_telegrams_words_say_what_to_do(
    services: Services, status: int, answer: dict[str, object], reason: str, is_bot: bool
) -> None:
    url = "tgram://123456789:AAEhBOweik6ad6PsVMRxjeQKXkq8rLHJCQE/-4242"
    services.status, services.body = status, json.dumps({"ok": False, "error_code": status, **answer}).encode()
    sender = Sender({"phone": url}, {"phone": make_bot("phone", url)} if is_bot else {})
    result = sender.send("phone", Message("PeerDown: a", "Gone.", "<b>Gone.</b>"))
    assert result.reason == reason
    assert result.is_permanent
    # What no plain text would change is not sent again as plain text.
    assert len(services.requests) == 1
