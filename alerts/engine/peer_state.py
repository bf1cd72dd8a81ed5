"""The state of a peer, for the status page, the API, Telegram, the console, the digest and the charts. Pure."""

from collections.abc import Mapping
from typing import Literal, get_args

from alerts.scraping.page import Page

Phase = Literal["starting", "waiting", "generating", "training", "saving", "stopped"]
PeerState = Phase | Literal["running", "down", "unreachable", "unknown"]
# How much attention a state asks for.
Severity = Literal["good", "calm", "warn", "bad", "none"]

SEVERITIES: Mapping[PeerState, Severity] = {
    # The trainer's own phases.
    "training": "good",
    "generating": "good",
    "saving": "calm",
    "waiting": "calm",
    "starting": "calm",
    # The process runs and reports no phase.
    "running": "calm",
    # The trainer reported its end, and its process may be gone.
    "stopped": "warn",
    # The process is gone without a word.
    "down": "bad",
    # The sidecar does not answer.
    "unreachable": "bad",
    # The sidecar answers and could not check the process, or nothing was scraped yet.
    "unknown": "none",
}
_PHASES: Mapping[str, Phase] = {phase: phase for phase in get_args(Phase)}
_RUNNING = frozenset({"starting", "waiting", "generating", "training", "saving", "running"})


def peer_state(*, is_reachable: bool, is_up: bool | None, phase: str | None) -> PeerState:
    """The state by whether the sidecar answers, whether the process runs, and the trainer's last reported phase.

    A phase outlives its process: it counts only while the process is known to run, except for `stopped`.
    """
    if not is_reachable:
        return "unreachable"
    if is_up is None:
        return "unknown"
    if phase == "stopped":
        return "stopped"
    if not is_up:
        return "down"
    return _PHASES.get(phase or "", "running")


def read_peer_state(page: Page | None) -> PeerState:
    """The state by the latest scrape; `page` is None where the sidecar did not answer."""
    if page is None:
        return peer_state(is_reachable=False, is_up=None, phase=None)
    return peer_state(is_reachable=True, is_up=page.is_up(), phase=page.state())


def is_running(state: str) -> bool:
    """Whether the peer's process is known to run and has not reported its end."""
    return state in _RUNNING
