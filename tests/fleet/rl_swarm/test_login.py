"""A log-in outlives the launch script, and instances of one account take turns."""

import itertools
import random
from pathlib import Path

import pytest

from fleet.rl_swarm.login import Turns, keep, read_account, wait_for_turn
from tests.fleet.rl_swarm.stand_in import make_checkout

PERIOD = 3 * 3600.0


def test_the_account_is_that_of_who_is_logged_in(tmp_path: Path) -> None:
    assert read_account(make_checkout(tmp_path / "a", "0.6")) == "org-of-ann"
    assert read_account(make_checkout(tmp_path / "b", "0.6", account=None)) is None
    file = tmp_path / "a" / "modal-login" / "temp-data" / "userData.json"
    for text in ("", "{}", "[1]", '{"x": ', '{"a\\u0000b": {}}', "[" * 100_000):
        file.write_text(text)
        assert read_account(tmp_path / "a") is None
    file.write_text('{"only-a-key": {"email": "a@b.c"}}')
    assert read_account(tmp_path / "a") == "only-a-key"


def test_what_the_script_removes_is_put_back(tmp_path: Path) -> None:
    checkout, store = make_checkout(tmp_path / "rl-swarm", "0.6"), tmp_path / "store"
    assert keep(checkout, store) == []
    data = checkout / "modal-login" / "temp-data"
    before = {path.name: path.read_text() for path in data.iterdir()}
    for path in data.iterdir():
        path.unlink()
    assert sorted(keep(checkout, store)) == ["userApiKey.json", "userData.json"]
    assert {path.name: path.read_text() for path in data.iterdir()} == before
    assert {path.stat().st_mode & 0o777 for path in (*data.iterdir(), *store.iterdir())} == {0o600}
    assert store.stat().st_mode & 0o777 == 0o700


def test_another_account_takes_the_place_of_the_copies(tmp_path: Path) -> None:
    checkout, store = make_checkout(tmp_path / "rl-swarm", "0.6"), tmp_path / "store"
    keep(checkout, store)
    make_checkout(checkout, "0.6", account="org-of-bob")
    (checkout / "modal-login" / "temp-data" / "userApiKey.json").write_text("{")
    keep(checkout, store)
    assert "org-of-bob" in (store / "userData.json").read_text()
    # One that is being written is not taken for one that is whole.
    assert "org-of-ann" in (store / "userApiKey.json").read_text()


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ({}, 0.0),
        ({"a": 1000.0}, 180.0),
        ({"a": 1000.0 - 100}, 80.0),
        ({"a": 1000.0 - 200}, 0.0),
        # Three hours later they would submit together.
        ({"a": 1000.0 - PERIOD}, 180.0),
        ({"a": 1000.0 - PERIOD + 100}, 280.0),
        ({"a": 1000.0, "b": 1180.0}, 360.0),
    ],
)
def test_a_start_keeps_apart_from_all_that_follow_the_others(starts: dict[str, float], expected: float) -> None:
    assert wait_for_turn(starts, 1000.0, 180.0, PERIOD) == pytest.approx(expected)


def test_any_starts_are_kept_apart() -> None:
    random.seed(7)
    for count in (1, 3, 10, 100):
        starts: dict[str, float] = {}
        for number in range(count):
            now = random.uniform(0, 1e6)
            starts[str(number)] = now + wait_for_turn(starts, now, 60.0, PERIOD)
        gap = min(60.0, PERIOD / (2 * count))
        for one, other in itertools.combinations(starts.values(), 2):
            assert gap - 0.01 <= (one - other) % PERIOD <= PERIOD - gap + 0.01


def test_turns_are_kept_between_processes_and_restarts(tmp_path: Path) -> None:
    assert Turns(tmp_path / "a").take("one", 60.0, PERIOD, now=1000.0) == 0
    assert Turns(tmp_path / "a").take("two", 60.0, PERIOD, now=1001.0) == pytest.approx(59)
    # A restart of the first gives up its own place.
    assert Turns(tmp_path / "a").take("one", 60.0, PERIOD, now=1002.0) == pytest.approx(118)
    (tmp_path / "a" / "turns.json").write_text("damaged")
    assert Turns(tmp_path / "a").take("one", 60.0, PERIOD, now=1003.0) == 0
    assert Turns(tmp_path / "a").take("two", 0.0, PERIOD, now=1003.0) == 0
