"""Machines that join over HTTP: with the token, under a name that is theirs, or not at all."""

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from alerts.machines.joined import FOLDER, TOKEN_FILE, ensure_token, read_joined
from alerts.web.joining import Joining
from alerts.web.login import FREE_ATTEMPTS
from alerts.web.requests.request_body import MAX_REQUEST_BYTES
from tests.certificates import write_certificate

LOGIN = "watcher:" + "s3cret" * 4


class Watcher:
    """The handler as the alert loop serves it."""

    def __init__(self, folder: Path, certificate: Path) -> None:
        self.folder = folder
        self.joined = 0
        self.token = ensure_token(folder, certificate)
        joining = Joining(folder, self.token, frozenset({"listed"}), self._note)
        self.client = TestClient(Starlette(routes=joining.routes()))
        self.certificate = certificate.read_text()

    def _note(self) -> None:
        self.joined += 1

    def join(self, token: str | None = None, **changes: object) -> tuple[int, str]:
        content = {"name": "rack-1", "url": "https://10.0.0.5:9800", "login": LOGIN, "certificate": self.certificate}
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        answer = self.client.post("/api/machines", content=json.dumps({**content, **changes}), headers=headers)
        return answer.status_code, answer.text


@pytest.fixture
def watcher(tmp_path: Path) -> Watcher:
    return Watcher(tmp_path, write_certificate(tmp_path)[0])


def test_a_machine_joins_once_and_its_secrets_stay_with_the_owner(watcher: Watcher) -> None:
    assert watcher.join()[0] == 201
    assert watcher.join()[0] == 200
    assert watcher.joined == 1
    (machine,) = read_joined(watcher.folder)
    assert (machine.name, machine.url) == ("rack-1", "https://10.0.0.5:9800")
    assert machine.login is not None
    assert machine.login.get_secret_value() == LOGIN
    assert machine.certificate is not None
    assert machine.certificate.read_text() == watcher.certificate
    for path in [watcher.folder / TOKEN_FILE, *(watcher.folder / FOLDER).iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path
    # It has moved.
    assert watcher.join(url="https://10.0.0.9:9800")[0] == 201
    assert [one.url for one in read_joined(watcher.folder)] == ["https://10.0.0.9:9800"]


def test_a_name_belongs_to_who_joined_with_it(watcher: Watcher, tmp_path: Path) -> None:
    assert watcher.join()[0] == 201
    (tmp_path / "other").mkdir()
    status, reason = watcher.join(certificate=write_certificate(tmp_path / "other")[0].read_text())
    assert (status, "another machine is watched as rack-1" in reason) == (409, True)
    assert watcher.join(name="listed")[0] == 409
    assert [one.name for one in read_joined(watcher.folder)] == ["rack-1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../etc/cron.d/x"},
        {"name": ".hidden"},
        {"name": "a" * 65},
        {"name": 5},
        {"url": "http://10.0.0.5:9800"},
        {"url": "https://user:password@10.0.0.5"},
        {"url": "https://10.0.0.5/path"},
        {"url": "file:///etc/passwd"},
        {"login": "short:pw"},
        {"login": "file:/etc/passwd"},
        {"login": "file:etc-ssl-private-key"},
        {"login": "watcher:${TELEGRAM_TOKEN}_aaaa"},
        {"certificate": "no certificate"},
        {"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        {"unknown": 1},
        {"certificate": "x" * MAX_REQUEST_BYTES},
    ],
)
def test_what_is_no_machine_is_refused_and_leaves_nothing(watcher: Watcher, changes: dict[str, object]) -> None:
    status, reason = watcher.join(**changes)
    assert status == 422
    assert LOGIN not in reason
    assert watcher.joined == 0
    assert read_joined(watcher.folder) == []


def test_wrong_tokens_are_refused_and_slowed_down(watcher: Watcher) -> None:
    assert [watcher.join("wrong")[0] for _ in range(FREE_ATTEMPTS)] == [401] * FREE_ATTEMPTS
    assert watcher.join("wrong")[0] == 429
    assert read_joined(watcher.folder) == []


def test_the_token_stays_and_its_file_follows_the_certificate(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    renewed = write_certificate(tmp_path / "new")[0]
    assert ensure_token(watcher.folder, renewed) == watcher.token
    assert (watcher.folder / TOKEN_FILE).read_text() == f"{watcher.token}\n{renewed.read_text()}"


def test_a_damaged_file_costs_only_its_machine(watcher: Watcher) -> None:
    assert watcher.join()[0] == 201
    assert watcher.join(name="rack-2")[0] == 201
    assert watcher.join(name="rack-3")[0] == 201
    (watcher.folder / FOLDER / "rack-1.json").write_text("{")
    (watcher.folder / FOLDER / "rack-3.pem").write_text("half a certif")
    assert [one.name for one in read_joined(watcher.folder)] == ["rack-2"]
    (watcher.folder / FOLDER / "rack-3.pem").unlink()
    assert [one.name for one in read_joined(watcher.folder)] == ["rack-2"]
