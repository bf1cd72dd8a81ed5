"""Whether the first watcher may notify, by what it hears of its standby; times are in seconds of a test's own clock."""

from itertools import count

from alerts.standby.lease import Instant, Lease, Silence

AFTER = 60.0


def _at(seconds: float, slept: float = 0.0) -> Instant:
    """So long after the start, of which the machine `slept` a part: only the wall clock goes on then."""
    return Instant(seconds - slept, 1_000_000 + seconds)


def _lease(after: float | None = None) -> Lease:
    numbers = count()
    return Lease(after, _at(0), lambda: f"nonce-{next(numbers)}")


def _accompanied() -> Lease:
    lease = _lease()
    assert lease.note(lease.nonce, AFTER, _at(0))
    return lease


def test_a_watcher_without_a_standby_always_notifies() -> None:
    lease = _lease()
    assert lease.may_notify(_at(0))
    assert lease.may_notify(_at(100_000))
    assert lease.state == "alone"


def test_it_notifies_while_its_standby_asks() -> None:
    lease = _accompanied()
    for seconds in range(0, 600, 10):
        assert lease.may_notify(_at(seconds))
        assert lease.note(lease.nonce, AFTER, _at(seconds + 1))


def test_one_that_starts_again_waits_for_the_standby_that_it_had() -> None:
    lease = _lease(AFTER)
    assert not lease.may_notify(_at(1))
    assert not lease.note("of an earlier run", AFTER, _at(2))
    assert lease.note(lease.nonce, AFTER, _at(2.1))
    assert lease.may_notify(_at(2.2))


def test_a_standby_that_is_gone_delays_what_is_told_by_half_its_delay() -> None:
    lease = _accompanied()
    told = [seconds for seconds in range(1, 200) if lease.may_notify(_at(seconds))]
    assert told == [*range(1, 31), *range(62, 200)]
    assert lease.state == "alone"


def test_a_question_that_waited_in_the_socket_of_a_stopped_watcher_does_not_count() -> None:
    lease = _accompanied()
    old = lease.nonce
    # Stopped for ten minutes; the questions of that time are read before anything else happens.
    for _ in range(5):
        assert not lease.note(old, AFTER, _at(600))
    assert not lease.may_notify(_at(600))
    assert lease.note(lease.nonce, AFTER, _at(601))
    assert lease.may_notify(_at(601))


def test_a_machine_that_slept_is_noticed_by_the_wall_clock() -> None:
    lease = _accompanied()
    assert lease.may_notify(_at(1))
    assert not lease.may_notify(_at(500, slept=499))


def test_one_that_was_alone_and_is_stopped_asks_itself_again_whether_it_still_is() -> None:
    lease = _accompanied()
    for seconds in range(100):
        lease.may_notify(_at(seconds))
    assert lease.state == "alone"
    assert not lease.may_notify(_at(1000))


def test_silence_counts_only_while_somebody_listened() -> None:
    silence = Silence(20.0)
    assert silence.add(5.0) == 5.0
    # A laptop that was closed over night has not listened.
    assert silence.add(30_000.0) == 25.0
    silence.end()
    assert silence.add(5.0) == 5.0
