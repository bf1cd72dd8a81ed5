"""What is asked of a watcher, and with what."""

import ssl
from pathlib import Path

import pytest

from fleet.joining.outside_files import ensure_files, read_login
from fleet.joining.request import JoinError, Token, ask, check_watcher, read_token
from tests.fakes import reserve_ports


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://watcher.example.org", "https://watcher.example.org:8750"),
        ("watcher", "https://watcher:8750"),
        ("https://10.0.0.1:9000/", "https://10.0.0.1:9000"),
        ("https://[fd00::1]:9000", "https://[fd00::1]:9000"),
    ],
)
def test_an_address_is_completed(given: str, url: str) -> None:
    assert check_watcher(given) == url


@pytest.mark.parametrize(
    "given", ["http://watcher:8750", "https://", "https://a:99999", "https://a/page", "ftp://a", ""]
)
def test_any_other_is_one_line(given: str) -> None:
    with pytest.raises(JoinError, match=r"^[^\n]+$"):
        check_watcher(given)


def test_a_token_comes_with_the_watchers_certificate(tmp_path: Path) -> None:
    certificate = ensure_files(tmp_path / "outside", "watcher").certificate.read_text()
    (tmp_path / "join.token").write_text("t" * 43 + "\n" + certificate)
    assert read_token(tmp_path / "join.token") == Token("t" * 43, certificate)


@pytest.mark.parametrize("content", [b"", b"short\n", b"two words are no token\n", b"\xff" * 50, b"x" * 300])
def test_any_other_file_is_one_line_that_does_not_quote_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "join.token").write_bytes(content)
    with pytest.raises(JoinError, match=r"copy join\.token from the watcher's state folder$"):
        read_token(tmp_path / "join.token")


def test_a_watcher_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (port,) = reserve_ports(1)
    with pytest.raises(JoinError, match=rf"^cannot reach https://127\.0\.0\.1:{port}: [^\n]+$"):
        ask(f"https://127.0.0.1:{port}", Token("t" * 43, ""), {})


def test_the_files_are_made_once_and_for_their_owner(tmp_path: Path) -> None:
    files = ensure_files(tmp_path / "outside", "rack-1")
    before = [path.read_bytes() for path in files]
    ssl.create_default_context(cafile=files.certificate)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
    assert len(read_login(files)) > 40
    assert [path.read_bytes() for path in ensure_files(tmp_path / "outside", "rack-1")] == before
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
