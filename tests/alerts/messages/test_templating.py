"""The user's own templates: what they may hold, how mistakes are reported, and that the sandbox holds."""

from html import escape
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.config import AlertsConfig, describe_errors
from alerts.delivery.apprise_sender import Sender
from alerts.engine.evaluate import Event, Key
from alerts.engine.state import Kind
from alerts.messages.grouped import compose
from alerts.messages.news import News
from alerts.messages.single import Style, render
from alerts.messages.templating import MAX_LENGTH, Templates
from tests.fakes import Mailbox, reserve_ports

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
HOSTILE = "<script>alert(1)</script> & {{ 7 * 7 }}"


def _event(peer: str = "a", kind: Kind = "firing", *, summary: str = "Gone.", evidence: str = "") -> Event:
    return Event(Key("PeerDown", peer), kind, 1_700_000_125, 1_700_000_000, "critical", summary, evidence)


def _style(folder: Path | None = None, **changes: Any) -> Style:
    style = Style("demo", find_remedy=lambda _rule: "mend it.", html_limit=3800, templates=Templates(folder))
    return style._replace(**changes)


def _write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_the_default_html_shows_the_plain_text_escaped() -> None:
    message = render(_event(HOSTILE, summary=HOSTILE, evidence=f"| {HOSTILE}\n| second"), _style())
    assert message.title == f"PeerDown: {HOSTILE}"
    assert escape(HOSTILE) in message.html
    assert f"<pre>| {escape(HOSTILE)}\n| second</pre>" in message.html
    assert "<script>" not in message.html
    assert HOSTILE in message.body


def test_a_folder_replaces_what_it_holds_and_may_build_on_the_default(tmp_path: Path) -> None:
    folder = _write(
        tmp_path / "mine", title_txt="[{{ fleet }}] {{ title }}", body_txt='{% include "default/body.txt" %}!'
    )
    message = render(_event(), _style(folder))
    assert message.title == "[demo] PeerDown: a"
    assert message.body.startswith("Gone.\nSince ")
    assert message.body.endswith("!")
    assert message.html == render(_event(), _style()).html


def test_a_template_may_go_through_the_alerts(tmp_path: Path) -> None:
    body = "{% for alert in alerts %}{{ alert.peer }} for {{ (alert.at - alert.since) | duration }};{% endfor %}"
    news = [News(number, _event(peer), 0) for number, peer in enumerate("ab")]
    (message,) = compose(news, _style(_write(tmp_path / "mine", body_txt=body)))
    assert message.body == "a for 2 min 5 s;b for 2 min 5 s;"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"body_txt": "one\n{% for alert in alerts %}\n{{ alert.peer }}\n"}, "body.txt:3: Unexpected end of template"),
        ({"title_txt": "{{ titel }}"}, "title.txt:1: 'titel' is undefined"),
        (
            {"body_html": "\n\n{{ alerts[0].nmae }}"},
            "body.html:3: 'alerts.messages.content.AlertText object' has no attribute",
        ),
        ({"body_txt": "{{ ''.__class__.__mro__[1].__subclasses__() }}"}, "body.txt:1: access to attribute '__class__'"),
        ({"body_txt": "{% include '../secret.txt' %}"}, "../secret.txt"),
        ({"body_txt": "{{ 1 // 0 }}"}, "body.txt:1: ZeroDivisionError"),
        ({"boddy_txt": "x"}, "found boddy.txt"),
    ],
)
def test_a_mistake_is_a_configuration_error_with_its_line(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = _write(tmp_path / "mine", **files)
    route = {"name": "hook", "url": "json://h", "templates": str(folder)}
    with pytest.raises(ValidationError) as raised:
        AlertsConfig.model_validate({"fleet": "f", "state_dir": tmp_path, "routes": [route]})
    (line,) = describe_errors(raised.value)
    assert line.startswith("routes.0.templates: ")
    assert expected in line


def test_a_template_that_fails_on_a_real_message_is_replaced_by_the_default_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _write(tmp_path / "mine", body_txt='\n{{ {"a": 1, "b": 2}[alerts[0].peer] + 1 }}')
    style = _style(folder)
    assert render(_event("a"), style).body == "2"
    for _ in range(2):
        assert render(_event("zebra"), style).body == render(_event("zebra"), _style()).body
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder}/body.txt:2: 'dict object' has no attribute 'zebra'; using the default template"
    ]


def test_the_output_of_a_template_is_bounded(tmp_path: Path) -> None:
    body = "{% for a in range(99999) %}{% for b in range(99999) %}xxxxxxxxxx{% endfor %}{% endfor %}"
    folder = _write(tmp_path / "mine", body_txt=body, title_txt="{{ 'two\nlines ' * 100 }}", body_html=body)
    message = render(_event(), _style(folder, limit=3000))
    assert len(message.body) <= 3000
    assert message.html == ""
    assert "\n" not in message.title
    assert len(message.title) <= 180
    assert MAX_LENGTH < 100_000


def test_a_mail_holds_both_forms(tmp_path: Path) -> None:
    mailbox = Mailbox(reserve_ports(1)[0])
    mailbox.start()
    try:
        sender = Sender({"mail": mailbox.url, "hook": "json://h", "plain": f"{mailbox.url}&format=text"})
        assert [sender.limits(route).html > 0 for route in ("mail", "hook", "plain")] == [True, False, False]
        message = render(_event("sly_fox <b>", summary="<b> & so on"), _style(html_limit=sender.limits("mail").html))
        assert sender.send("mail", message).accepted
    finally:
        mailbox.stop()
    (mail,) = mailbox.messages
    assert mail.title == "PeerDown: sly_fox <b>"
    assert mail.body.splitlines()[0].strip() == "<b> & so on"
    assert "What to do: mend it." in mail.body
    assert "<i>What to do: mend it.</i>" in mailbox.html[0]
    assert escape("<b> & so on") in mailbox.html[0]
