"""The state of a peer."""

from typing import get_args

import pytest

from alerts.engine.peer_state import SEVERITIES, Phase, is_running, peer_state, read_peer_state
from alerts.scraping.page import parse
from tests.alerts.conftest import sidecar_page

PHASES = get_args(Phase)
RUNNING_PHASES = [phase for phase in PHASES if phase != "stopped"]


@pytest.mark.parametrize("is_up", [True, False, None])
@pytest.mark.parametrize("phase", [*PHASES, "dreaming", None])
def test_a_peer_without_a_reachable_sidecar_is_unreachable_whatever_is_known_of_it(
    is_up: bool | None, phase: str | None
) -> None:
    assert peer_state(is_reachable=False, is_up=is_up, phase=phase) == "unreachable"


@pytest.mark.parametrize(
    ("is_up", "phase", "state"),
    [
        *[(True, phase, phase) for phase in PHASES],
        (True, "dreaming", "running"),
        (True, None, "running"),
        *[(False, phase, "down") for phase in RUNNING_PHASES],
        (False, "stopped", "stopped"),
        (False, "dreaming", "down"),
        (False, None, "down"),
        *[(None, phase, "unknown") for phase in [*PHASES, "dreaming", None]],
    ],
)
def test_the_phase_counts_while_the_process_is_known_to_run(is_up: bool | None, phase: str | None, state: str) -> None:
    assert peer_state(is_reachable=True, is_up=is_up, phase=phase) == state


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "training"),
        ({"phase_start": 1.0, "started": 2.0}, "starting"),
        ({"up": 0}, "down"),
        ({"up": 0, "state": "stopped"}, "stopped"),
        ({"up": None}, "unknown"),
        ({"state": None}, "running"),
    ],
)
def test_the_state_is_read_from_the_sidecars_page(changes: dict[str, float | str | None], state: str) -> None:
    assert read_peer_state(parse(sidecar_page(**changes))) == state
    assert read_peer_state(None) == "unreachable"


def test_the_running_states_are_the_phases_before_the_end() -> None:
    assert {state for state in SEVERITIES if is_running(state)} == {*RUNNING_PHASES, "running"}
