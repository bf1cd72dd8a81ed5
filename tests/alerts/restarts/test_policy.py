"""When a peer is restarted and when that is given up, over days in milliseconds."""

import pytest

from alerts.restart_record import Record
from alerts.restarts.policy import Facts, RestartPolicy, RestartRequest, step

POLICY = RestartPolicy()
LEAK = RestartRequest("MemoryExceeded", "Memory 3.9 GiB.", can_wait=True)
STALL = RestartRequest("PeerStalled", "No progress for 9 min.", can_wait=False)
GIB = 2**30
HOUR = 3600.0
BEGIN = 1_000_000.0


class Peer:
    """Walks one peer through time."""

    def __init__(self, policy: RestartPolicy = POLICY) -> None:
        self.policy, self.record, self.now = policy, Record(), BEGIN
        self.facts = Facts(started=BEGIN - HOUR, last_step=BEGIN, memory_bytes=3.9 * GIB)

    def sample(
        self, request: RestartRequest | None, after: float = 15.0, *, other: bool = False, **facts: float
    ) -> bool:
        self.now += after
        self.facts = self.facts._replace(**facts)
        self.record, acts = step(self.record, request, self.facts, self.now, self.policy, is_other_restarting=other)
        return acts

    def restart(self, request: RestartRequest) -> None:
        """A restart that helps."""
        while not self.sample(request):
            assert self.record.phase == "waiting"
        self.sample(None, started=self.now + 5, last_step=self.now + 20, memory_bytes=1.0 * GIB)
        assert self.record.phase == "helped"


def test_a_stalled_peer_is_restarted_at_once() -> None:
    assert Peer().sample(STALL)


def test_a_leaking_peer_is_restarted_after_its_next_checkpoint() -> None:
    peer = Peer()
    assert not peer.sample(LEAK, saved_at=BEGIN - 60)
    assert not peer.sample(LEAK)
    assert peer.sample(LEAK, saved_at=peer.now + 10)
    assert peer.record.waited_seconds == 30


def test_a_checkpoint_that_does_not_come_is_waited_for_no_longer_than_allowed() -> None:
    peer = Peer()
    samples = 1
    while not peer.sample(LEAK):
        samples += 1
    assert samples * 15 == POLICY.wait_at_most + 15


def test_a_restart_that_helps_records_its_effect() -> None:
    peer = Peer()
    peer.restart(STALL)
    assert (peer.record.outcome, peer.record.outcome_seconds) == ("trains", 15)
    assert (peer.record.memory_bytes, peer.record.memory_after) == (3.9 * GIB, 1.0 * GIB)


def test_an_alert_that_ends_while_waiting_causes_no_restart() -> None:
    peer = Peer()
    peer.sample(LEAK)
    assert not peer.sample(None)
    assert peer.record.phase == "idle"
    assert not peer.record.past


def test_a_peer_that_leaks_again_is_not_restarted_again() -> None:
    peer = Peer()
    peer.restart(LEAK)
    assert not peer.sample(LEAK, after=HOUR, saved_at=peer.now + HOUR)
    assert peer.record.phase == "useless"
    assert peer.record.outcome == "same reason"
    assert not peer.sample(LEAK, after=20 * HOUR)


def test_the_problem_is_over_once_the_alert_has_ended() -> None:
    peer = Peer()
    peer.restart(LEAK)
    peer.sample(LEAK, after=HOUR)
    peer.sample(None)
    assert peer.record.phase == "idle"


def test_the_same_problem_much_later_is_a_new_one() -> None:
    peer = Peer()
    peer.restart(STALL)
    assert peer.sample(STALL, after=POLICY.again_within + 60)


def test_the_daily_limit_holds_and_ends_with_the_day() -> None:
    peer = Peer(RestartPolicy(daily_limit=2, again_within="60s", back_off="60s"))
    for _ in range(2):
        peer.restart(STALL)
        peer.now += HOUR
    assert not peer.sample(STALL)
    assert (peer.record.outcome, len(peer.record.past)) == ("daily limit", 2)
    peer.sample(None)
    assert peer.sample(STALL, after=24 * HOUR)


def test_each_restart_doubles_the_time_to_the_next() -> None:
    peer = Peer(RestartPolicy(daily_limit=9, again_within="1s", back_off="10m"))
    gaps = []
    for _ in range(4):
        began = peer.now
        while not peer.sample(STALL):
            pass
        gaps.append(round((peer.now - began) / 600))
        peer.sample(None, started=peer.now + 5, last_step=peer.now + 20)
    assert gaps == [0, 1, 2, 4]


def test_two_peers_are_never_restarted_at_once() -> None:
    peer = Peer()
    assert not peer.sample(STALL, other=True)
    assert not peer.sample(STALL, other=True)
    assert peer.sample(STALL)


@pytest.mark.parametrize(
    ("requested", "facts", "outcome"),
    [
        (None, {}, "does not train"),
        (LEAK, {"started": BEGIN + 100, "last_step": BEGIN + 120}, "still fires"),
    ],
)
def test_a_restart_that_did_not_help_is_given_up(
    requested: RestartRequest | None, facts: dict[str, float], outcome: str
) -> None:
    peer = Peer()
    peer.sample(LEAK)
    assert peer.sample(LEAK, saved_at=peer.now + 1)
    peer.sample(requested, **facts)
    assert peer.record.phase == "restarting"
    assert not peer.sample(LEAK, after=POLICY.settle)
    assert peer.record.phase == "useless"
    assert peer.record.outcome == outcome


def test_a_peer_that_is_not_measured_for_a_while_is_not_given_up_early() -> None:
    peer = Peer()
    assert peer.sample(STALL)
    peer.facts = Facts()
    peer.sample(None)
    assert peer.record.phase == "restarting"


def test_a_clock_that_is_set_back_brings_no_second_restart() -> None:
    peer = Peer()
    peer.restart(STALL)
    assert not peer.sample(STALL, after=-HOUR)
    assert peer.record.phase == "useless"
