"""The whole alert loop as a process: real sidecar pages in, real mail and webhooks out."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.alerts.conftest import AlertLoop, Sidecar
from tests.fakes import Mailbox, Webhook, reserve_ports, wait_for

MakeLoop = Callable[..., AlertLoop]


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


def test_a_stall_and_its_end_arrive_by_mail_and_by_webhook(
    make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook, mailbox: Mailbox
) -> None:
    loop = make_loop({"sly_fox": sidecar}, {"hook": webhook.url, "mail": mailbox.url})
    loop.start()
    wait_for(lambda: loop.get("/api/status").json()["peers"], 10, "the first evaluation")
    assert not loop.firing()
    sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)
    for receiver in (webhook, mailbox):
        message = wait_for(lambda r=receiver: r.messages, 10, "the alert")[0]
        assert message.title == "PeerStalled: sly_fox"
        assert message.says("No progress for 1 min 4", "at most 30 s", "Since 20", "What to do:", "SIGUSR1")
    sidecar.serve()
    for receiver in (webhook, mailbox):
        message = wait_for(lambda r=receiver: r.messages[1:], 10, "the recovery")[0]
        assert message.title == "Recovered: PeerStalled: sly_fox"
        assert message.says("It lasted 1 min 4")
    events = loop.get("/api/alerts").json()["events"]
    assert [(event["kind"], event["rule"], event["peer"]) for event in events] == [
        ("firing", "PeerStalled", "sly_fox"),
        ("resolved", "PeerStalled", "sly_fox"),
    ]
    assert loop.stop() == 0
