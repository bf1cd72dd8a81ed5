"""Receivers of Alertmanager from apprise's URLs: what is carried over, and that no secret is."""

from pathlib import Path

import pytest
import yaml

from alerts.delivery.settings import Route
from alerts.export.receivers import describe_receiver

# The first use of apprise loads all its plug-ins; one of them imports imghdr, which Python 3.11 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

TOKEN = "123456789:abcdefghijklmnopqrstuvwxyz123456789"
URLS = {
    "email": "mailtos://joe:geheim123@gmail.com?to=ann@example.org&bcc=bob@example.org",
    "telegram": f"tgram://{TOKEN}/-100123/@channel",
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
    "slack by bot": "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#general",
    "discord": "discord://1234567890/geheimgeheim",
    "pagerduty": f"pagerduty://{'G' * 32}@{'H' * 20}?region=eu",
    "opsgenie": "opsgenie://aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "pushover": f"pover://{'u' * 30}@{'a' * 30}",
    "webhook": "jsons://joe:geheim123@hooks.example.org:8443/geheimer/pfad",
    "matrix": "matrix://joe:geheim123@example.org/#room",
}
SECRETS = (
    *("geheim", "abcdefghij", "TIiajkdn", "A1BRTD4JD", "4ddbc191", "1234567890", "G" * 9, "H" * 9, "aaaaaaaa"),
    *("u" * 9, "pfad"),
)


def _describe(url: str) -> tuple[str, list[dict[str, object]], str]:
    receiver = describe_receiver(Route.model_validate({"name": "my phone", "url": url}))
    return receiver.section, receiver.entries, " ".join(receiver.notes)


@pytest.mark.parametrize("kind", URLS)
def test_no_secret_is_printed_and_each_end_is_notified(kind: str) -> None:
    receiver = _describe(URLS[kind])
    text = yaml.safe_dump(receiver)
    assert not [secret for secret in SECRETS if secret in text]
    assert all(entry["send_resolved"] for entry in receiver[1])


def test_each_recipient_gets_a_mail_of_its_own() -> None:
    section, entries, notes = _describe(URLS["email"])
    assert section == "email_configs"
    assert [entry["to"] for entry in entries] == ["ann@example.org", "bob@example.org"]
    assert {entry["smarthost"] for entry in entries} == {"smtp.gmail.com:587"}
    assert entries[0]["auth_password_file"] == "/etc/alertmanager/peerwatch/my-phone.password"
    assert "write the mail account's password to /etc/alertmanager/peerwatch/my-phone.password" in notes


def test_a_mail_server_without_login_gets_no_credentials() -> None:
    _, entries, notes = _describe("mailto://127.0.0.1:2525?from=a@example.org&to=b@example.org&mode=insecure")
    assert entries == [
        {
            "to": "b@example.org",
            "from": "a@example.org",
            "smarthost": "127.0.0.1:2525",
            "require_tls": False,
            "send_resolved": True,
        }
    ]
    assert notes == ""


def test_a_telegram_chat_keeps_its_number_and_the_token_is_a_placeholder() -> None:
    section, entries, notes = _describe(URLS["telegram"])
    assert section == "telegram_configs"
    assert [entry["chat_id"] for entry in entries] == [-100123, 1]
    assert {entry["bot_token"] for entry in entries} == {"FILL_IN_BOT_TOKEN"}
    assert "Alertmanager takes no names" in notes


def test_a_webhook_without_a_path_is_whole_and_one_with_a_path_is_not() -> None:
    assert _describe("json://127.0.0.1:8080")[1][0]["url"] == "http://127.0.0.1:8080/"
    _, entries, notes = _describe(URLS["webhook"])
    assert entries[0]["url"] == "https://hooks.example.org:8443/FILL_IN_PATH"
    assert "in place of FILL_IN_PATH" in notes


def test_what_alertmanager_lacks_is_named(tmp_path: Path) -> None:
    assert "Alertmanager has no Matrix; put a webhook bridge's address" in _describe(URLS["matrix"])[2]
    assert "no-such-file" in _describe(f"file:{tmp_path}/no-such-file")[2]


def test_a_url_that_apprise_does_not_know_shows_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    section, _, notes = _describe("nosuch://geheim123")
    assert section == "webhook_configs"
    assert "apprise does not understand its URL" in notes
    assert "geheim123" not in notes + "".join(capfd.readouterr())
