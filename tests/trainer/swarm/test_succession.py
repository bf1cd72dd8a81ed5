"""Who of the named peers leads, as members die, return, start late and have wrong clocks."""

import pytest

from trainer.swarm.succession import STARTING_SECONDS, Succession

NAMES = ("a", "b", "c")
BEAT = 10.0


class Run:
    """Three peers, their heartbeats and who of them lives."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.living = set(NAMES)
        self.beats: dict[str, object] = {}
        self.peers = {name: Succession(name, NAMES, BEAT, self.now) for name in NAMES}

    def go(self, seconds: float) -> None:
        """Lets time pass, a second at a time."""
        for _ in range(int(seconds)):
            self.now += 1.0
            for name in self.living:
                if self.now % BEAT == 0:
                    self.beats[name] = self.now
                self.peers[name].observe(self.beats, self.now)

    def leaders(self) -> list[str]:
        return [name for name in NAMES if name in self.living and self.peers[name].leads(self.now)]


@pytest.fixture
def run() -> Run:
    run = Run()
    run.go(30)
    return run


def test_the_first_leads_while_it_lives(run: Run) -> None:
    run.go(500)
    assert run.leaders() == ["a"]


def test_the_next_takes_over_after_two_missed_beats_and_steps_back(run: Run) -> None:
    run.living.remove("a")
    run.go(2 * BEAT)
    assert run.leaders() == []
    run.go(BEAT)
    assert run.leaders() == ["b"]
    run.living.remove("b")
    run.go(3 * BEAT)
    assert run.leaders() == ["c"]
    run.living |= {"a", "b"}
    run.peers["b"] = Succession("b", NAMES, BEAT, run.now)
    run.go(BEAT + 1)
    assert run.leaders() == ["a"]


def test_a_first_that_never_came_is_waited_for_while_it_may_start() -> None:
    run = Run()
    run.living.remove("a")
    run.go(STARTING_SECONDS - 1)
    assert run.leaders() == []
    run.go(2)
    assert run.leaders() == ["b"]


def test_the_beats_of_the_dead_count_for_one_who_comes_late_only_once(run: Run) -> None:
    run.living.remove("a")
    run.go(100)
    run.peers["b"] = Succession("b", NAMES, BEAT, run.now)
    run.go(2 * BEAT + 2)
    assert run.leaders() == ["b"]


def test_who_is_not_named_never_leads() -> None:
    other = Succession("d", NAMES, BEAT, 0.0)
    assert not other.may_lead
    assert not other.leads(1e9)


def test_one_that_comes_back_leads_once_it_heard_of_the_swarm(run: Run) -> None:
    run.peers["a"] = Succession("a", NAMES, BEAT, run.now, comes_back=True)
    assert "a" not in run.leaders()
    run.go(1)
    assert run.leaders() == ["a"]

    alone = Succession("a", NAMES, BEAT, run.now, comes_back=True)
    alone.inform()
    assert alone.leads(run.now)


def test_one_that_comes_back_and_hears_nothing_leads_when_the_others_are_gone() -> None:
    alone = Succession("a", NAMES, BEAT, 0.0, comes_back=True)
    assert not alone.leads(STARTING_SECONDS)
    assert alone.leads(STARTING_SECONDS + 1)
    assert Succession("a", ("a",), BEAT, 0.0, comes_back=True).leads(0.0)
