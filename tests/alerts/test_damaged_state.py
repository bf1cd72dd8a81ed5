"""The alert loop as a process whose database is damaged, deleted or on a full disk."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from alerts.store import Store
from tests.alerts.conftest import AlertLoop, Sidecar
from tests.fakes import Webhook, wait_for

MakeLoop = Callable[..., AlertLoop]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    yield webhook
    webhook.close()


def _stall(sidecar: Sidecar) -> None:
    sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)


def test_a_loop_with_damaged_databases_watches_on_and_says_so(
    make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    Store(state / "alerts.sqlite").close()
    content = bytearray((state / "alerts.sqlite").read_bytes())
    # SQLite quotes the damaged name of a table in its message, which is then no UTF-8.
    at = content.index(b"CREATE TABLE silences")
    content[at : at + 12] = b"CREATE TAB\xff\xfe"
    (state / "alerts.sqlite").write_bytes(content)
    (state / "history.sqlite").write_bytes(bytes(content[:5000]))
    _stall(sidecar)
    loop = make_loop({"a": sidecar}, {"hook": webhook.url})
    loop.start()
    titles = wait_for(
        lambda: len(webhook.messages) >= 2 and [one.title for one in webhook.messages], 20, "both messages"
    )
    assert sorted(titles) == ["Alert states lost: test", "PeerStalled: a"]
    (aside,) = state.glob("alerts.sqlite.damaged-*Z")
    metrics = wait_for(lambda: _metrics_with(loop, 'set_aside_total{database="history"} 1.0'), 10, "the history's")
    assert 'alerts_databases_set_aside_total{database="alerts"} 1.0' in metrics
    assert 'alerts_database_writable{database="alerts"} 1.0' in metrics
    assert f"Database alerts was damaged; it is kept as {aside.name}" in loop.get("/").text
    assert loop.get("/-/healthy").text == "ok\n"
    assert {part.stat().st_mode & 0o077 for part in state.glob("*.sqlite*")} == {0}
    assert loop.stop() == 0
    loop.start()
    assert loop.stop() == 0
    assert loop.output().count("is damaged") == 2
    assert "Traceback" not in loop.output()
    assert len(webhook.messages) == 2


def test_a_database_that_is_deleted_is_written_again(
    make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook, tmp_path: Path
) -> None:
    _stall(sidecar)
    loop = make_loop({"a": sidecar}, {"hook": webhook.url})
    loop.start()
    wait_for(lambda: webhook.messages, 10, "the alert")
    for part in (tmp_path / "state").glob("*.sqlite*"):
        part.unlink()
    wait_for(lambda: "alerts.sqlite was deleted while it was in use" in loop.output(), 10, "the word of it", every=0.05)
    wait_for((tmp_path / "state" / "alerts.sqlite").exists, 10, "the file", every=0.05)
    before = loop.get("/api/status").json()["now"]
    wait_for(lambda: loop.get("/api/status").json()["now"] > before, 10, "a round", every=0.05)
    loop.kill()
    loop.start()
    assert loop.firing() == {("PeerStalled", "a")}
    assert loop.stop() == 0
    assert [one.title for one in webhook.messages] == ["PeerStalled: a"]
    assert "Traceback" not in loop.output()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the files of another process")
def test_alerts_go_out_while_the_disk_is_full(
    make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook, tmp_path: Path
) -> None:
    loop = make_loop({"a": sidecar}, {"hook": webhook.url})
    loop.start()
    log = tmp_path / "state" / "alerts.sqlite-wal"
    wait_for(lambda: log.exists() and log.stat().st_size > 2**15, 10, "a first round", every=0.05)
    assert loop.process is not None
    process = psutil.Process(loop.process.pid)
    # So that nothing can be appended to the database's log, while the loop's own output, which is shorter, goes on.
    process.rlimit(psutil.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))
    _stall(sidecar)
    wait_for(lambda: "alert states cannot be written" in loop.output(), 20, "the word of it", every=0.05)
    assert wait_for(lambda: webhook.messages, 10, "the alert")[0].title == "PeerStalled: a"
    assert loop.get("/-/healthy").text.startswith("ok, but alert states cannot be written: ")
    assert 'alerts_database_writable{database="alerts"} 0.0' in loop.get("/metrics").text
    assert "Database alerts cannot be written" in loop.get("/").text
    process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_for(lambda: "alert states are written again" in loop.output(), 20, "the word of that", every=0.05)
    assert loop.output().count("alert states cannot be written") == 1
    loop.kill()
    loop.start()
    assert loop.firing() == {("PeerStalled", "a")}
    assert loop.stop() == 0
    assert len(webhook.messages) == 1
    assert "Traceback" not in loop.output()


def _metrics_with(loop: AlertLoop, text: str) -> str:
    metrics = loop.get("/metrics").text
    return metrics if text in metrics else ""
