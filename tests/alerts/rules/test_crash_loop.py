"""CrashLoop: what counts as a restart, and what does not."""

import json
from typing import Any

from alerts.rules import View
from alerts.rules.crash_loop import MAX_RESTARTS, Settings, judge, remember
from tests.alerts.rules.pages import NOW, silent, view

SETTINGS = Settings()
# One restart is a loop.
ONE = Settings(restarts=1)


def _see(starts: list[float | None], *, every: float = 15.0, age: float = 5.0) -> View:
    """The last view of a peer whose process started `starts` seconds after NOW; None is one without a process."""
    memory: dict[str, Any] = {}
    seen = view()
    for number, start in enumerate(starts):
        now = NOW + number * every + age
        seen = view(now=now, up=int(start is not None), started=None if start is None else NOW + start)
        memory = dict(remember(seen._replace(memory=memory), SETTINGS))
        seen = seen._replace(memory=memory)
    return seen


def test_each_new_process_is_a_restart_even_if_it_was_gone_in_between() -> None:
    seen = _see([0, None, 30, 30, None, 75, 90, 105])
    verdict = judge(seen, SETTINGS)
    assert (verdict.condition, verdict.summary) == ("active", "4 restarts in 1 min 20 s; limit 4 in 2 h.")


def test_it_keeps_firing_while_the_trainer_is_down_and_the_sidecar_is_silent() -> None:
    seen = _see([0, 15, 30, 45, 60, None])
    assert judge(seen, SETTINGS).condition == "active"
    quiet = silent(60)._replace(memory=remember(silent(60)._replace(memory=seen.memory), SETTINGS))
    assert judge(quiet, SETTINGS).condition == "unknown"
    again = view(now=NOW + 90, up=0, started=None, memory=dict(quiet.memory))
    assert judge(again, SETTINGS).condition == "active"


def test_the_same_start_measured_twice_is_no_restart() -> None:
    assert judge(_see([0, 1.5, 0, 2, 0, 1, 0]), ONE).condition == "inactive"


def test_starts_while_the_loop_was_not_running_do_not_count() -> None:
    assert judge(_see([-9000, -8000, -7000, -6000, -5000, -4000]), ONE).condition == "inactive"


def test_the_memory_stays_bounded() -> None:
    few, many = (_see([15.0 * number for number in range(times * MAX_RESTARTS)]) for times in (2, 4))
    assert len(json.dumps(dict(many.memory))) == len(json.dumps(dict(few.memory)))
    assert judge(many, SETTINGS).condition == "active"
