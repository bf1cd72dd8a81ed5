"""The commands reach an alert loop that has a login and a certificate."""

import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from fleet.alert_loop.access import Access
from fleet.alert_loop.client import AlertClient, AlertClientError
from fleet.alert_loop.feed import Feed
from tests.alerts.conftest import AlertLoop, Sidecar, make_loop, sidecar
from tests.certificates import write_certificate

__all__ = ["make_loop", "sidecar"]

PASSWORD = "correct horse battery"


@pytest.fixture
def guarded(make_loop: Callable[..., AlertLoop], sidecar: Sidecar, tmp_path: Path) -> AlertLoop:
    """A loop that asks for a name and a password over TLS."""
    certificate, key = write_certificate(tmp_path)
    secret = tmp_path / "page.secret"
    secret.write_text(PASSWORD + "\n")
    loop = make_loop(
        {"a": sidecar},
        login={"user": "op", "password": f"file:{secret}"},
        tls={"certificate": str(certificate), "key": str(key)},
    )
    loop.start()
    return loop


def _access(loop: AlertLoop) -> Access:
    return Access(loop.address, loop.folder / "state", Path(loop.settings["tls"]["certificate"]))


def test_the_commands_authenticate_and_nobody_else(guarded: AlertLoop) -> None:
    assert guarded.address.startswith("https://")
    access = _access(guarded)
    status = Feed(access, 60).status()
    assert status is not None
    assert status["fleet"] == "test"
    client = AlertClient(access)
    silence = client.silence({"rule": "PeerDown", "lasts": "1h"})
    assert [one["id"] for one in client.alerts()["silences"]] == [silence["id"]]
    client.end_silence(silence["id"])
    certificate = access.certificate
    assert certificate is not None
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    with httpx.Client(base_url=guarded.address, verify=context, trust_env=False, timeout=60) as stranger:
        for path in ("/", "/api/status", "/api/stream", "/metrics", "/targets", "/page.js"):
            answer = stranger.get(path)
            assert (answer.status_code, "test" in answer.text) == (401, False), path
        assert stranger.get("/-/healthy").text == "ok\n"
        page = stranger.get("/", auth=("op", PASSWORD))
        assert page.status_code == 200
        assert stranger.get("/metrics", auth=("op", PASSWORD)).status_code == 200
        assert stranger.get("/", auth=("op", "guess")).status_code == 401
    assert PASSWORD not in page.text + guarded.output()


def test_another_loop_on_the_port_is_not_taken_for_ours(guarded: AlertLoop, tmp_path: Path) -> None:
    access = _access(guarded)
    other = access._replace(certificate=write_certificate(tmp_path / "other")[0])
    assert Feed(other).status() is None
    with pytest.raises(AlertClientError, match="does not answer"):
        AlertClient(other).alerts()
    (tmp_path / "empty").mkdir()
    with pytest.raises(AlertClientError, match="another fleet"):
        AlertClient(access._replace(folder=tmp_path / "empty")).alerts()
