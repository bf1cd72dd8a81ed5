"""What is usual in a phase is its own, also where collections show it only together with its neighbours."""

import random

import pytest

from exporter.activity.model import Activity, Limits
from exporter.activity.usage import Usage
from tests.exporter.activity.test_model import INTERVAL, Peer


def of_phases(generating_cores, *, generating, training, steps=300, silent=0.01):
    """Steps of two phases, as collections of five seconds show them, and then a silence within the first."""
    activity, limits = Activity(), Limits(10.0, max(5.0, 2 * generating), generating)
    chance, now, begin, collected_at, spent, used = random.Random(1), 0.0, 0.0, 0.0, 0.0, 0.0
    for _ in range(steps):
        lasts = chance.uniform(0.8, 1.2)
        for phase, seconds, cores in (
            ("generating", generating * lasts, generating_cores),
            ("training", training * lasts, 2.0),
        ):
            begin = now
            while collected_at + INTERVAL <= begin + seconds:
                part = collected_at + INTERVAL - now
                now, used = now + part, used + part * cores
                spent += part if phase == "generating" else 0.0
                own = spent if phase == "generating" else INTERVAL - spent
                activity.observe(Usage(INTERVAL, used / INTERVAL), phase, begin, limits, now, own_seconds=own)
                collected_at, used, spent = now, 0.0, 0.0
            used += (begin + seconds - now) * cores
            spent += begin + seconds - now if phase == "generating" else 0.0
            now = begin + seconds
    begin, own = now, now - collected_at
    for at in (now + 1.0, now + 6.0):
        activity.observe(Usage(at - collected_at, silent), "generating", begin, limits, at, own_seconds=at - begin)
        collected_at = at
    return activity.state, activity.stall_after()


def test_a_phase_that_waits_for_a_server_is_not_at_rest_whatever_its_neighbour_does():
    assert of_phases(0.01, generating=12.0, training=6.0)[0] == "unknown"


@pytest.mark.parametrize("generating", [4.6, 6.0])
def test_a_phase_hardly_longer_than_a_collection_is_not_known_by_its_neighbours(generating):
    # A tenth of a collection in which others work uses ten times what a wait for a server does, which itself uses less
    # beside other programs.
    assert of_phases(0.015, generating=generating, training=3.0, silent=0.008)[0] == "unknown"


def test_a_rest_in_a_phase_never_seen_alone_is_judged_as_a_longer_step_that_waits_for_a_server():
    # 3.5 times the longest silence that collections have seen, whatever the pace allows.
    assert of_phases(0.01, generating=1.5, training=4.0) == ("rest", pytest.approx(5.5, abs=0.1))
    assert of_phases(0.01, generating=4.2, training=3.0) == ("rest", pytest.approx(3.5 * 4.5, rel=0.2))


def test_a_rest_in_a_phase_that_works_whenever_it_is_seen_is_one():
    state, limit = of_phases(2.0, generating=1.5, training=4.0)
    assert state == "rest"
    assert 5.0 <= limit < 5.3


def test_what_a_phase_did_alone_long_ago_when_it_was_longer_is_not_what_it_does_now():
    peer = Peer()
    peer.activity = Activity()
    for cores, own_seconds, count in ((0.3, INTERVAL, 20), (2.0, 2.0, 256)):
        peer.own_seconds = own_seconds
        for _ in range(count):
            peer.progress_at = peer.now + 4.5
            peer.collect(5, cores=cores)
    assert peer.activity.usual_cores == 2.0


def test_a_rest_longer_than_any_silence_was_need_not_have_been_seen():
    peer = Peer(limits=Limits(10.0, 5.0, 1.0))
    peer.activity, peer.own_seconds = Activity(), INTERVAL
    for _ in range(80):
        peer.progress_at = peer.now + 4.5
        peer.collect(5)
    peer.progress_at = peer.now
    peer.collect(5, cores=0.0)
    assert peer.judged() == ("rest", 5.0)
