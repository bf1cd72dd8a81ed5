"""Two watchers, of which one or the other fails at random moments around an alert: how often each alert is told."""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.alerts.standby.test_two_watchers import AFTER_SECONDS, Pair, titles
from tests.fakes import Webhook, wait_for

pytestmark = pytest.mark.bench

ROUNDS = 24
FAULTS = ("first killed", "first stopped", "second killed", "cable cut", "nothing")
# A service accepts what the sender is killed before it records: as with one watcher, that is told again.
MOST_REPEATED = 2


def test_no_alert_is_lost_and_hardly_one_is_told_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    webhook, chance, repeated = Webhook(), random.Random(7), []
    pair = Pair(tmp_path, webhook.url)
    try:
        pair.start()
        for number in range(ROUNDS):
            fault = chance.choice(FAULTS)
            before = titles(webhook)
            begin, end = chance.uniform(0, 2 * AFTER_SECONDS), chance.uniform(0, 2 * AFTER_SECONDS)
            is_early = chance.random() < 0.5
            if is_early:
                pair.stall("a")
                time.sleep(begin / 4)
            _break(pair, fault)
            if not is_early:
                time.sleep(begin)
                pair.stall("a")
            _wait_for_one_more(webhook, before, "PeerStalled: a", f"{number}: {fault}")
            time.sleep(end / 2)
            is_healed_first = chance.random() < 0.5
            if is_healed_first:
                _mend(pair, fault)
                time.sleep(end)
            pair.recover("a")
            _wait_for_one_more(webhook, before, "Resolved: PeerStalled: a", f"{number}: {fault}")
            if not is_healed_first:
                _mend(pair, fault)
            pair.wait("standing by")
            time.sleep(0.5)
            after = titles(webhook) - before
            for title in ("PeerStalled: a", "Resolved: PeerStalled: a"):
                # Two that do not see each other both tell.
                if after[title] > 1 and fault != "cable cut":
                    repeated.append((number, fault, title, after[title]))
    finally:
        pair.close()
        webhook.close()
    with capsys.disabled():
        print(f"\n{ROUNDS} rounds, repeated: {repeated or 'none'}")
    assert len(repeated) <= MOST_REPEATED, repeated


def _wait_for_one_more(webhook: Webhook, before: dict[str, int], title: str, what: str) -> None:
    wait_for(lambda: titles(webhook)[title] > before.get(title, 0), 30, f"{what}: {title}", every=0.02)


def _break(pair: Pair, fault: str) -> None:
    assert pair.first.process is not None
    if fault == "first killed":
        pair.first.kill()
    elif fault == "first stopped":
        pair.first.process.send_signal(signal.SIGSTOP)
    elif fault == "second killed":
        pair.second.kill()
    elif fault == "cable cut":
        pair.cable.cut()


def _mend(pair: Pair, fault: str) -> None:
    assert pair.first.process is not None
    if fault == "first killed":
        pair.first.start()
    elif fault == "first stopped":
        pair.first.process.send_signal(signal.SIGCONT)
    elif fault == "second killed":
        pair.second.start()
    elif fault == "cable cut":
        pair.cable.is_cut = False
