"""References to secrets: what replaces them, what is refused, and that no message shows a value."""

import re
from pathlib import Path

import pytest

from alerts.secret_references import UnresolvedReferenceError, doubts, resolve, resolve_url

# Every kind of character that ends something in a URL, or that apprise would read in its own way.
HARD = "p@ss/w:o?r#d%40 +&;=,'\"[]\\$ä€😀"


def test_a_variable_is_inserted_in_place() -> None:
    assert resolve_url("tgram://${TOKEN}/${CHAT}", {"TOKEN": "1:a", "CHAT": "-7"}) == "tgram://1:a/-7"


@pytest.mark.parametrize(
    ("text", "value", "url"),
    [
        ("mailto://me:${X}@host", "p@s:/?#%40 +", "mailto://me:p%40s%3A%2F%3F%23%2540%20%2B@host"),
        ("mailto://${X}:pw@host", "me@example.org", "mailto://me%40example.org:pw@host"),
        ("mailto://me:a${X}b@host/?from=me@host", "@", "mailto://me:a%40b@host/?from=me@host"),
        ("mailto://me@host:25?pass=${X}&to=a@b", "a&b=c;d", "mailto://me@host:25?pass=a%26b%3Dc%3Bd&to=a@b"),
        ("json://host/${X}", "T0/B0?#%2F", "json://host/T0/B0%3F%23%252F"),
        ("json://host/@${X}/a@b", "ä b", "json://host/@%C3%A4%20b/a@b"),
        ("json://${X}:8080/a", "[::1]", "json://[::1]:8080/a"),
        ("json://me:pw@${X}/", "example.org:8080", "json://me:pw@example.org:8080/"),
        ("tgram://bot${X}/@channel", "123:A-b_c", "tgram://bot123:A-b_c/@channel"),
        ("${X}", "mailto://a:p%40b@host", "mailto://a:p%40b@host"),
        ("${X}", '"mailto://a:p%40b@host"', "mailto://a:p%40b@host"),
        ("${X}/more?b=${X}", "json://host/a", "json://host/a/more?b=json%3A%2F%2Fhost%2Fa"),
        # The line end that `$(cat file)` in a manifest or a file from Windows leaves.
        ("json://host/${X}", "token\r\n", "json://host/token"),
        ("json://host/${X}", "\ufefftoken\n", "json://host/token"),
    ],
)
def test_a_variable_in_a_url_is_encoded_as_its_place_there_requires(text: str, value: str, url: str) -> None:
    assert resolve_url(text, {"X": value}) == url


def test_a_value_is_never_searched_for_references() -> None:
    environment = {"X": "${Y}", "Y": "secret"}
    assert resolve_url("json://host/${X}", environment) == "json://host/%24%7BY%7D"
    assert resolve("${X}", environment) == "${Y}"


def test_a_password_that_is_no_part_of_a_url_is_taken_as_it_is() -> None:
    assert resolve("${X}", {"X": HARD + "\n"}) == HARD


def test_a_file_holds_the_whole_url(tmp_path: Path) -> None:
    path = tmp_path / "a secret"
    path.write_text("json://host/${NOT_A_REFERENCE}\n")
    assert resolve_url(f"file:{path}", {}) == "json://host/${NOT_A_REFERENCE}"


@pytest.mark.parametrize(
    "content",
    [
        b"json://host/a",
        b"\xef\xbb\xbfjson://host/a\r\n",
        b"\r\n json://host/a \n\n",
        b'"json://host/a"\n',
        b"'json://host/a'",
    ],
)
def test_a_file_from_another_system_holds_the_same_url(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "url").write_bytes(content)
    assert resolve_url(f"file:{tmp_path}/url", {}) == "json://host/a"


def test_a_password_file_keeps_its_quotes(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b'\xef\xbb\xbf"open sesame"\r\n')
    assert resolve(f"file:{tmp_path}/password", {}) == '"open sesame"'


@pytest.mark.parametrize("environment", [{}, {"TOKEN": ""}, {"TOKEN": "\n"}])
def test_an_unset_variable_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(UnresolvedReferenceError, match="variable TOKEN is not set"):
        resolve_url("tgram://${TOKEN}/5", environment)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnresolvedReferenceError, match=r"file:.*missing: No such file"):
        resolve(f"file:{tmp_path}/missing", {})
    (tmp_path / "empty").touch()
    with pytest.raises(UnresolvedReferenceError, match="is empty"):
        resolve(f"file:{tmp_path}/empty", {})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hunter2\nhunter3\n", "several lines"),
        (b"hunter2\x00", "control character"),
        (b"hunter2\xff", "not UTF-8"),
        ("hunter2".encode("utf-16"), "not UTF-8"),
        (b"hunter2" * 20_000, "larger than 64 KiB"),
    ],
)
def test_a_file_that_cannot_be_meant_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    for read in (resolve, resolve_url):
        with pytest.raises(UnresolvedReferenceError, match=words) as raised:
            read(f"file:{path}")
        assert str(path) in str(raised.value)
        assert "hunter" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("json://${X}/a", "me:hunter2@host", "stands where the host goes"),
        ("json://${X}/a", "hunter2/b", "stands where the host goes"),
        ("json://a:b@host:${X}/a", "hunter2?", "stands where the host goes"),
        ("json://host/${X}", "hunter2\nhunter3", "several lines"),
        ("json://host/${X}", "hunter2\x1b[1m", "control character"),
        ("json://host/${X}", "hunter2\udcff", "not UTF-8"),
        ("json://host/${X:-hunter2}", "a", "only \\$\\{NAME\\} is replaced"),
        ("json://host/${1X}", "a", "only \\$\\{NAME\\} is replaced"),
        ("mailto://me:hunter2@x@host", "", "more than one @"),
        ("${X}", "mailto://me:hunter2@x@host", "more than one @"),
    ],
)
def test_a_value_that_cannot_be_meant_there_is_named(text: str, value: str, words: str) -> None:
    with pytest.raises(UnresolvedReferenceError, match=words) as raised:
        resolve_url(text, {"X": value})
    assert "hunter" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("mailto://me:${X}@host", "hunter%402", "not percent-encoded"),
        ("json://host/${X}", '"hunter2"', "begins and ends with a quote"),
        ("mailto://${X}@host", "me:hunter2", "\\$\\{USER\\}:\\$\\{PASSWORD\\}"),
        ("tgram://$TELEGRAM_TOKEN/42", "", "\\$ before a name in capitals"),
    ],
)
def test_what_is_probably_not_meant_is_a_doubt(text: str, value: str, words: str) -> None:
    (doubt,) = doubts(text, {"X": value})
    assert re.search(words, doubt)
    assert "hunter" not in doubt
    assert "TELEGRAM_TOKEN" not in doubt


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mailto://me:${X}@host", "100%sure"),
        ("mailto://${X}:pw@host", "a:b"),
        ("${X}", '"json://host/a%20b"'),
        ("json://host/a$b", ""),
        ("file:/a/$HOME", ""),
    ],
)
def test_what_may_be_meant_is_none(text: str, value: str) -> None:
    assert not list(doubts(text, {"X": value}))
