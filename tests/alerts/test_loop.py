"""The whole alert loop as a process: real sidecar pages in, real mail and webhooks out."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts.delivery.retry_policy import SEND_TIMEOUT_SECONDS
from tests.alerts.conftest import ROOT, AlertLoop, Sidecar, sidecar_page
from tests.fakes import LOOPBACK, Mailbox, Webhook, reserve_ports, wait_for
from tests.programs import require

MakeLoop = Callable[..., AlertLoop]
TOKEN = "hunter2-hunter2-hunter2"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    yield webhook
    webhook.close()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox(reserve_ports(1)[0])
    mailbox.start()
    yield mailbox
    mailbox.stop()


def _stall(sidecar: Sidecar) -> None:
    sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)


def _wait_for_round(loop: AlertLoop) -> None:
    """Until a round that began after this call has been evaluated."""
    before = loop.get("/api/status").json()["now"]
    wait_for(lambda: loop.get("/api/status").json()["now"] > max(before, 1) + 0.3, 10, "an evaluation", every=0.05)


def test_a_stall_and_its_end_arrive_by_mail_and_by_webhook(
    make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook, mailbox: Mailbox
) -> None:
    loop = make_loop({"sly_fox": sidecar}, {"hook": webhook.url, "mail": mailbox.url})
    loop.start()
    _wait_for_round(loop)
    assert not loop.firing()
    _stall(sidecar)
    for receiver in (webhook, mailbox):
        message = wait_for(lambda r=receiver: r.messages, 10, "the alert")[0]
        assert message.title == "PeerStalled: sly_fox"
        assert message.says("No progress for 1 min ", "limit 30 s", "Since 20", "What to do:", "see where it hangs")
    sidecar.serve()
    for receiver in (webhook, mailbox):
        message = wait_for(lambda r=receiver: r.messages[1:], 10, "the resolution")[0]
        assert message.title == "Resolved: PeerStalled: sly_fox"
        assert message.says("Lasted 1 min ")
    events = loop.get("/api/alerts").json()["events"]
    assert [(event["kind"], event["rule"], event["peer"]) for event in events] == [
        ("firing", "PeerStalled", "sly_fox"),
        ("resolved", "PeerStalled", "sly_fox"),
    ]
    assert loop.stop() == 0


def test_status_pages_and_metrics_agree(make_loop: MakeLoop, sidecar: Sidecar) -> None:
    sidecar.serve(footprint=2**33, limit=2**32)
    loop = make_loop({"sly_fox": sidecar})
    loop.start()
    wait_for(loop.firing, 10, "MemoryExceeded fires")
    status = loop.get("/api/status").json()
    peer = status["peers"][0]
    assert (peer["peer"], peer["peer_id"], peer["state"], peer["up"], peer["sidecar_up"]) == (
        "sly_fox",
        "QmA",
        "training",
        True,
        True,
    )
    assert (peer["memory_bytes"], peer["rank"], peer["ranked_peers"], peer["round"]) == (2**33, 1, 3, None)
    assert peer["alerts"] == ["MemoryExceeded"]
    assert status["outbox"] == {"pending": 0, "failed": 0}
    assert loop.get("/targets").json() == [
        {"targets": [sidecar.url.split("/")[2]], "labels": {"fleet": "test", "peer": "sly_fox"}}
    ]
    metrics = loop.get("/metrics").text
    assert 'alerts_firing{rule="MemoryExceeded",severity="critical"} 1.0' in metrics
    for name in (
        "host_memory_available_bytes",
        "host_swap_used_bytes",
        "host_cpu_seconds_total",
        "host_disk_free_bytes",
    ):
        assert f"\n{name}" in metrics
    promtool = require("promtool")
    result = subprocess.run([promtool, "check", "metrics"], input=metrics, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert loop.get("/-/healthy").text == "ok\n"


def test_the_page_escapes_all_that_it_shows(make_loop: MakeLoop, sidecar: Sidecar) -> None:
    nasty = "<script>alert(1)</script>"
    sidecar.serve(footprint=2**33, limit=2**32, nickname="<img src=x onerror=alert(2)>")
    loop = make_loop({nasty: sidecar}, {"<b>hook": f"json://{LOOPBACK}:{reserve_ports(1)[0]}/{TOKEN}"}, fleet="<i>demo")
    loop.start()
    wait_for(lambda: "connection refused" in loop.get("/").text, 10, "the alert and the failed delivery")
    page = loop.get("/")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "&lt;img src=x" in page.text
    assert not any(markup in page.text for markup in ("<script>", "<img", "<i>demo", "<b>hook"))
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self';")
    assert loop.get("/page.css").headers["content-type"].startswith("text/css")


def test_a_request_under_a_foreign_name_is_refused(make_loop: MakeLoop, sidecar: Sidecar) -> None:
    loop = make_loop({"a": sidecar})
    loop.start()
    for path in ("/", "/api/status", "/metrics"):
        assert loop.get(path, headers={"Host": "evil.example"}).status_code == 421


def test_a_route_that_fails_delays_neither_others_nor_the_evaluation_and_no_secret_shows(
    make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook, tmp_path: Path
) -> None:
    with socket.create_server((LOOPBACK, 0)) as mute:
        secret = tmp_path / "secret url"
        secret.write_text(f"json://operator:{TOKEN}@{LOOPBACK}:{mute.getsockname()[1]}/{TOKEN}\n")
        routes = {"mute": f"file:{secret}", "closed": "json://x:${PASSWORD}@" + f"{LOOPBACK}:{reserve_ports(1)[0]}"}
        loop = make_loop({"a": sidecar}, {**routes, "hook": webhook.url})
        loop.environment = {**os.environ, "PASSWORD": TOKEN}
        _stall(sidecar)
        loop.start()
        wait_for(lambda: webhook.messages, 10, "the alert by the route that works")
        _wait_for_round(loop)
        wait_for(lambda: "connection refused" in loop.output(), 10, "the log of the failure")
        assert loop.pending() == 2
        seen = "".join(loop.get(path).text for path in ("/", "/api/status", "/api/alerts", "/metrics", "/targets"))
        began = time.monotonic()
        assert loop.stop() == 0
        assert time.monotonic() - began < 0.75 * SEND_TIMEOUT_SECONDS
    assert TOKEN not in seen + loop.output()


def test_an_alert_survives_a_restart_and_is_sent_once(make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook) -> None:
    loop = make_loop({"a": sidecar}, {"hook": webhook.url})
    _stall(sidecar)
    loop.start()
    wait_for(lambda: webhook.messages, 10, "the alert")
    assert loop.stop() == 0
    loop.start()
    _wait_for_round(loop)
    assert loop.firing() == {("PeerStalled", "a")}
    sidecar.serve()
    wait_for(lambda: len(webhook.messages) > 1, 10, "the resolution")
    assert [message.title for message in webhook.messages] == ["PeerStalled: a", "Resolved: PeerStalled: a"]


def test_a_peer_that_is_no_longer_configured_drops_its_alert_without_notification(
    make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook
) -> None:
    loop = make_loop({"a": sidecar, "b": sidecar}, {"hook": webhook.url})
    _stall(sidecar)
    loop.start()
    wait_for(lambda: webhook.messages, 10, "the alerts")
    loop.stop()
    del loop.settings["targets"][1]
    loop.start()
    _wait_for_round(loop)
    assert loop.firing() == {("PeerStalled", "a")}
    assert [message.title for message in webhook.messages] == ["PeerStalled: a, b"]
    assert "PeerStalled of b is no longer monitored" in loop.output()


def test_sidecars_that_answer_nonsense_stop_neither_the_loop_nor_the_others(
    make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook
) -> None:
    hostile = Sidecar(lambda: os.urandom(200_000))
    try:
        loop = make_loop(
            {"hostile": hostile, "good": sidecar},
            {"hook": webhook.url},
            rules={"PeerDown": {"for": "0s", "unreachable_after": "1s"}},
        )
        loop.start()
        wait_for(lambda: loop.firing() == {("PeerDown", "hostile")}, 10, "PeerDown of the hostile one")
        hostile.page = lambda: sidecar_page() + 'trainer_info{nickname="' + "x" * 10**6 + '"} 1\n'
        _stall(sidecar)
        wait_for(lambda: ("PeerStalled", "good") in loop.firing(), 10, "PeerStalled of the good one")
        assert wait_for(lambda: webhook.messages, 5, "the message")[0].says("PeerDown: hostile", "not a sidecar's")
    finally:
        hostile.close()


def test_the_process_stays_light(make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook) -> None:
    """Runs the same entry point, and prints what it has imported when it ends."""
    loop = make_loop({"a": sidecar}, {"hook": webhook.url})
    _stall(sidecar)
    loop.write_config()
    program = (
        "import sys; from alerts.__main__ import main; code = main(); "
        "print(sorted({'torch', 'transformers', 'trl', 'hivemind'} & set(sys.modules))); sys.exit(code)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--config", str(loop.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    try:
        wait_for(lambda: webhook.messages, 20, "a delivered alert")
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=90)
    assert (process.returncode, output) == (0, "[]\n")


def test_a_port_that_is_taken_costs_one_clear_line(make_loop: MakeLoop, sidecar: Sidecar) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        address = f"{LOOPBACK}:{taken.getsockname()[1]}"
        loop = make_loop({"a": sidecar}, listen=address)
        assert _run_to_the_end(loop) == (
            1,
            f"cannot listen on {address}: Address already in use; stop that process, or set another `listen`\n",
        )


def test_a_second_loop_on_the_same_folder_is_refused(make_loop: MakeLoop, sidecar: Sidecar, tmp_path: Path) -> None:
    loop = make_loop({"a": sidecar})
    loop.start()
    code, output = _run_to_the_end(loop)
    assert code == 1
    assert output == f"another alert loop uses {tmp_path}/state; stop it, or set another `state_dir`\n"
    assert loop.get("/-/healthy").status_code == 200


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("json://${PEERWATCH_UNSET}@host", "route phone: environment variable PEERWATCH_UNSET is not set\n"),
        ("file:/nowhere/url", "route phone: file:/nowhere/url: No such file or directory\n"),
        (f"tgram://{TOKEN}", "route phone: apprise does not understand its URL; see https://appriseit.com/services/\n"),
    ],
)
def test_a_route_that_cannot_work_is_reported_before_the_start(
    make_loop: MakeLoop, sidecar: Sidecar, url: str, line: str
) -> None:
    loop = make_loop({"a": sidecar}, {"phone": url})
    assert _run_to_the_end(loop) == (2, f"{loop.config}: routes[0].url: {line}")


def _run_to_the_end(loop: AlertLoop) -> tuple[int, str]:
    """Exit status and output of a start that fails."""
    first = loop.process
    loop.launch()
    assert loop.process is not None
    code = loop.process.wait(timeout=90)
    loop.process = first or loop.process
    return code, (loop.folder / f"run-{loop.runs:03}.log").read_text()
