"""Whether the watcher that pages are pushed to knows this machine, and why not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.machine.push_format import parse, unpack
from fleet.doctor.findings import Level
from tests.certificates import write_certificate
from tests.fakes import reserve_ports
from tests.fleet.doctor.conftest import Examine, messages
from tests.fleet.tls_watcher import TlsWatcher, tls_watcher


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[TlsWatcher]:
    with tls_watcher(tmp_path / "watcher") as found:
        yield found


def section(folder: Path, url: str, certificate: Path, password: str = "s3cret" * 4) -> str:
    (folder / "login").write_text(f"watcher:{password}\n")
    (folder / "login").chmod(0o600)
    return f"push: {{watcher: '{url}', machine: rack-3, login: login, certificate: {certificate}}}\n"


def test_without_a_section_nothing_is_asked(examine: Examine) -> None:
    assert "nothing is pushed" in messages(examine("push"), Level.OK)


def test_a_watcher_that_knows_the_machine_keeps_nothing_of_it(
    examine: Examine, watcher: TlsWatcher, tmp_path: Path
) -> None:
    watcher.status, watcher.answer = 409, {"sequence": 5000}
    found = examine("push", section(tmp_path, watcher.url, watcher.certificate))
    assert f"{watcher.url} takes what rack-3 pushes" in messages(found, Level.OK)
    ((_, _, body),) = watcher.requests
    assert parse(unpack(body)).pages == {}


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (401, {}, "does not know this machine by this password"),
        (404, {}, "no watcher of Peerwatch, or an older one"),
        (409, {"sequence": True}, "refuses (409)"),
        (413, {"detail": "too large\x1b\nin two lines"}, "refuses (413): too large"),
    ],
)
def test_a_refusal_is_told_in_one_line(
    examine: Examine, watcher: TlsWatcher, tmp_path: Path, status: int, answer: dict[str, Any], said: str
) -> None:
    watcher.status, watcher.answer = status, answer
    found = messages(examine("push", section(tmp_path, watcher.url, watcher.certificate)), Level.FAILURE)
    assert said in found
    assert "\x1b" not in found
    assert "s3cret" not in found


def test_who_shows_another_certificate_is_not_sent_the_password(
    examine: Examine, watcher: TlsWatcher, tmp_path: Path
) -> None:
    other, _ = write_certificate(tmp_path / "other")
    found = messages(examine("push", section(tmp_path, watcher.url, other)), Level.FAILURE)
    assert "its certificate is not the one that this machine knows" in found
    assert "join.token" in found
    assert watcher.requests == []


def test_a_watcher_that_is_not_there_is_named(examine: Examine, watcher: TlsWatcher, tmp_path: Path) -> None:
    (port,) = reserve_ports(1)
    found = messages(
        examine("push", section(tmp_path, f"https://127.0.0.1:{port}", watcher.certificate)), Level.FAILURE
    )
    assert f"cannot reach https://127.0.0.1:{port}: Connection refused" in found
