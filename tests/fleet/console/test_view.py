"""A fleet in a terminal."""

import io
from typing import Any

import pytest
from rich.console import Console

from fleet.console.screen import Lines, table
from fleet.console.view import Row, clean, describe_standby, event_line, find_start_step, rows
from fleet.processes.rl_swarm import START_STEP
from fleet.processes.state import ProcessState

PEER = {
    "peer": "a",
    "state": "training",
    "up": True,
    "steps_per_second": 1.234,
    "memory_bytes": 600 * 2**20,
    "memory_limit_bytes": 2 * 2**30,
    "rank": 1,
    "ranked_peers": 2,
    "reward_mean": 0.5,
    "alerts": ["PeerStalled"],
}


def _process(state: str, exit_code: int = 0, pid: int = 1) -> ProcessState:
    return ProcessState("peer", "a", state, pid, exit_code, "/log")


def _row(peer: dict[str, Any] | None, process: ProcessState | None) -> Row:
    return rows(["a"], {"peers": [peer]} if peer else None, [process] if process else [])[0]


def test_a_peer_is_one_line() -> None:
    line = "a training, 1.23 steps/s, 600 MiB of 2.0 GiB, rank 1/2, reward 0.500, alerts: PeerStalled"
    assert _row(PEER, _process("RUNNING")).line() == line


def test_a_pace_that_is_of_rounds_says_so() -> None:
    slow = PEER | {"steps_per_second": 1 / 600, "progress_unit": "round"}
    assert "training, 10 min a round, 600 MiB" in _row(slow, _process("RUNNING")).line()
    assert "training, - rounds/s, 600" in _row(slow | {"steps_per_second": None}, _process("RUNNING")).line()
    assert "1.23 steps/s" in _row(PEER | {"progress_unit": "step"}, _process("RUNNING")).line()


def test_peers_of_machines_elsewhere_come_after_our_own() -> None:
    found = rows(["b"], {"peers": [{**PEER, "peer": "a@rack-2"}, {**PEER, "peer": "b"}]}, [])
    assert [(row.peer, row.state) for row in found] == [("b", "training"), ("a@rack-2", "training")]


def test_a_peer_elsewhere_has_its_machine_and_how_its_page_comes() -> None:
    given = [{**PEER, "machine": "rack-2", "pushed": False}, {**PEER, "peer": "c", "machine": "rack-3", "pushed": True}]
    asked, pushed = rows([], {"peers": given}, [])
    assert asked.line().startswith("a on rack-2 training, ")
    assert pushed.line().startswith("c on rack-3 (pushed) training, ")


def test_what_a_contract_credits_is_told_where_one_is_read() -> None:
    credited = _row({**PEER, "registered": True, "credited_reward": 27.0}, _process("RUNNING"))
    assert "reward 0.500, credited 27, alerts" in credited.line()
    absent = _row({**PEER, "registered": False, "credited_reward": 0.0}, _process("RUNNING"))
    assert "credited nothing: not registered" in absent.line()
    assert [column.header for column in table([absent]).columns][-2:] == ["credited", "alerts"]
    assert "credited" not in [column.header for column in table([_row(PEER, None)]).columns]


def test_what_is_not_measured_is_a_dash_and_never_zero() -> None:
    assert _row(None, None).line() == "a -, - steps/s, -, rank -, reward -"


def test_the_service_manager_knows_best_whether_a_peer_failed_or_finished() -> None:
    assert _row(PEER, _process("FATAL")).state == "failed"
    assert _row(PEER, _process("EXITED", 101)).state == "failed"
    assert _row(PEER, _process("EXITED", 100)).state == "finished"
    assert _row({**PEER, "state": "down"}, _process("BACKOFF", pid=0)).state == "down"
    assert _row({**PEER, "state": "down"}, _process("RUNNING")).state == "starting"
    assert _row(None, _process("RUNNING")).state == "starting"


def test_an_unreachable_sidecar_is_shown_as_such_whatever_the_process_does() -> None:
    unreachable = {**PEER, "state": "unreachable", "up": None}
    assert _row(unreachable, _process("RUNNING")).state == "unreachable"
    assert _row(unreachable, _process("STOPPED", pid=0)).state == "unreachable"
    assert _row(unreachable, None).state == "unreachable"


def test_text_from_the_swarm_cannot_control_the_terminal() -> None:
    hostile = "\x1b[2Jx\x07\u202e[red]y\n"
    assert clean(hostile) == " [2Jx  [red]y "
    assert len(clean("x" * 5000)) == 200
    out = io.StringIO()
    row = Row("a", "training", "-", "-", "-", "-", clean(hostile))
    Console(file=out, width=120, color_system=None).print(table([row]))
    assert "[red]y" in out.getvalue()
    assert "\x1b" not in event_line({"at": None, "title": hostile})


def test_an_event_is_its_title_and_the_first_line_of_its_body() -> None:
    event = {"at": None, "title": "PeerStalled: a", "body": "No progress for 33 s.\nWhat to do: see stacks.log."}
    assert event_line(event) == "PeerStalled: a: No progress for 33 s."


def test_without_a_terminal_only_changes_and_a_line_every_quarter_minute_are_printed(capsys: Any) -> None:
    screen = Lines()

    def show(state: str, now: float) -> str:
        screen.show([Row("a", state, "-", "-", "-", "-", "")], now)
        return str(capsys.readouterr().out)

    assert "a is starting" in show("starting", 100.0)
    assert show("starting", 101.0) == ""
    assert "a is training" in show("training", 102.0)
    assert show("generating", 103.0) == ""
    assert "steps/s" in show("training", 115.0)
    assert "a is failed" in show("failed", 116.0)


def test_a_starting_peer_is_shown_with_what_it_is_at() -> None:
    log = [
        "2026-01-02T03:04:05Z INFO starting: joining the swarm",
        "a warning in between",
        "2026-01-02T03:04:09Z INFO starting: building the model",
    ]
    step = find_start_step(log)
    assert step == "building the model"
    starting = rows(["a"], {"peers": [PEER | {"state": "starting"}]}, [], {"a": step})[0]
    assert starting.line().startswith("a starting: building the model, ")
    training = rows(["a"], {"peers": [PEER]}, [], {"a": step})[0]
    assert training.line().startswith("a training, ")
    assert find_start_step(["2026-01-02T03:04:05Z INFO round 1, stage 0"]) is None
    # An instance of rl-swarm that waits for its owner says so, not only in its log.
    assert find_start_step([f"peerwatch: {START_STEP} nobody is logged in: open http://a"]) == (
        "nobody is logged in: open http://a"
    )


@pytest.mark.parametrize(
    ("standby", "line"),
    [
        (None, ""),
        ({"role": "first", "of": "", "problem": ""}, ""),
        (
            {"role": "standing by", "of": "https://first:8750", "problem": ""},
            "the alert loop stands by for https://first:8750",
        ),
        (
            {"role": "standing by", "of": "https://first:8750", "problem": "no connection"},
            "the alert loop stands by for https://first:8750, which does not answer: no connection",
        ),
        (
            {"role": "notifying", "of": "https://first:8750", "problem": "no connection"},
            "the alert loop has taken over from https://first:8750: no connection",
        ),
    ],
)
def test_a_standby_is_told_in_one_line(standby: dict[str, str] | None, line: str) -> None:
    assert describe_standby({"standby": standby}) == line
    assert describe_standby(None) == ""
