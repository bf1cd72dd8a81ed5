"""One row for each peer, from the alert loop's status and the service manager's process states. Pure."""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from alerts.durations import describe_duration
from alerts.sizes import show_size
from fleet.processes.state import ProcessState

# A running peer switches between these all the time.
STEADY_STATES = frozenset({"training", "generating", "saving", "waiting"})

_LONGEST_TEXT = 200
_BAR_WIDTH = 20
# As trainer.run and fleet.processes.rl_swarm log it.
_START_STEP = re.compile(r"(?:Z INFO|^peerwatch:) starting: (.+)")


@dataclass(frozen=True)
class Row:
    """One peer, each field as shown; `-` is not measured."""

    peer: str
    state: str
    speed: str
    memory: str
    rank: str
    reward: str
    alerts: str
    # What a starting trainer is at.
    start_step: str = ""
    # What the swarm's contract has credited; empty where no contract is read.
    credited: str = ""
    # The machine elsewhere that it is on; empty for one of this fleet.
    machine: str = ""
    # Steps of the whole run: `120/1000`, with a bar and a share; empty where the total is not known.
    steps: str = ""
    # Of what is counted in steps; another speed names its unit itself.
    speed_unit: str = " steps/s"

    @property
    def shown_state(self) -> str:
        return f"{self.state}: {self.start_step}" if self.state == "starting" and self.start_step else self.state

    def line(self) -> str:
        where = f" on {self.machine}" if self.machine else ""
        text = f"{self.peer}{where} {self.shown_state}, {self.speed}{self.speed_unit}, {self.memory}"
        text = f"{text}, rank {self.rank}, reward {self.reward}"
        text = f"{text}, credited {self.credited}" if self.credited else text
        text = f"{text}, {self.steps}" if self.steps else text
        return f"{text}, alerts: {self.alerts}" if self.alerts else text


def clean(text: object) -> str:
    """Foreign text on one line, without control characters, at most _LONGEST_TEXT long."""
    shown = printable(text)
    return shown if len(shown) <= _LONGEST_TEXT else shown[: _LONGEST_TEXT - 1] + "…"


def printable(text: object) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


def service_line(process: ProcessState | None) -> str:
    """The status of an installed program."""
    if process is None or process.state == "STOPPED":
        return "stopped"
    if process.is_finished:
        return "finished"
    if process.has_failed:
        return f"failed (exit code {process.exit_code}); see {process.log}"
    if process.state == "BACKOFF":
        return f"exited, restarting; see {process.log}"
    return f"{process.state.lower()}, pid {process.pid}" if process.pid else process.state.lower()


def find_start_step(lines: Iterable[str]) -> str | None:
    """The latest step of a trainer's start in lines of its log; None where they hold none."""
    found = None
    for line in lines:
        if match := _START_STEP.search(line):
            found = clean(match[1])
    return found


def rows(
    names: Iterable[str],
    status: Mapping[str, Any] | None,
    processes: Iterable[ProcessState],
    start_steps: Mapping[str, str] = MappingProxyType({}),
) -> list[Row]:
    """A row for each peer of the fleet, in its order, then of machines elsewhere; an unknown value is `-`."""
    reported = {one.get("peer"): one for one in (status or {}).get("peers", [])}
    own = list(names)
    names = [*own, *(str(name) for name in reported if name and name not in own)]
    trainers = {process.name: process for process in processes if process.group == "peer"}
    return [_row(name, reported.get(name, {}), trainers.get(name), start_steps.get(name, "")) for name in names]


def _row(name: str, peer: Mapping[str, Any], trainer: ProcessState | None, start_step: str) -> Row:
    speed, per_round = peer.get("steps_per_second"), peer.get("progress_unit") == "round"
    return Row(
        peer=name,
        state=_state(peer, trainer),
        speed=f"{describe_duration(1 / speed)} a round" if per_round and speed else _number(speed, "{:.2f}"),
        speed_unit=" rounds/s" if per_round and not speed else "" if per_round else Row.speed_unit,
        memory=_memory(peer.get("memory_bytes"), peer.get("memory_limit_bytes")),
        rank=_rank(peer.get("rank"), peer.get("ranked_peers")),
        reward=_number(peer.get("reward_mean"), "{:.3f}"),
        alerts=clean(", ".join(str(alert) for alert in peer.get("alerts") or [])),
        start_step=start_step,
        machine=_machine(peer.get("machine"), peer.get("pushed")),
        credited=_credited(peer.get("registered"), peer.get("credited_reward")),
        steps=_steps(peer.get("steps_total"), peer.get("expected_steps")),
    )


def _state(peer: Mapping[str, Any], trainer: ProcessState | None) -> str:
    if trainer is not None and trainer.has_failed:
        return "failed"
    if trainer is not None and trainer.is_finished:
        return "finished"
    state = clean(peer.get("state") or "-")
    # The service manager knows of a restart before the next scrape does.
    return "starting" if state in ("-", "down") and trainer is not None and trainer.pid else state


def _number(value: Any, form: str) -> str:
    return form.format(value) if isinstance(value, int | float) else "-"


def _memory(used: Any, limit: Any) -> str:
    text = show_size(used) if isinstance(used, int | float) else "-"
    return f"{text} of {show_size(limit)}" if isinstance(limit, int | float) else text


def _steps(done: Any, expected: Any) -> str:
    if not isinstance(done, int | float) or not isinstance(expected, int | float) or expected <= 0:
        return ""
    share = min(1.0, done / expected)
    full = round(share * _BAR_WIDTH)
    return f"{'━' * full}{'╌' * (_BAR_WIDTH - full)} {done:.0f}/{expected:.0f} {share:.0%}"


def _rank(rank: Any, ranked: Any) -> str:
    if not isinstance(rank, int | float):
        return "-"
    return f"{rank:.0f}/{ranked:.0f}" if isinstance(ranked, int | float) else f"{rank:.0f}"


def _machine(name: Any, pushes: Any) -> str:
    if not isinstance(name, str) or not name:
        return ""
    return f"{clean(name)} (pushed)" if pushes else clean(name)


def _credited(is_registered: Any, reward: Any) -> str:
    if is_registered is False:
        return "nothing: not registered"
    return f"{reward:.0f}" if isinstance(reward, int | float) else ""


def describe_standby(status: Mapping[str, Any] | None) -> str:
    """How the alert loop stands to another watcher of the fleet, in one line; empty where there is nothing to say."""
    standby = (status or {}).get("standby") or {}
    first, problem = clean(standby.get("of") or ""), clean(standby.get("problem") or "")
    if standby.get("role") == "standing by":
        away = f", which does not answer: {problem}" if problem else ""
        return f"the alert loop stands by for {first}{away}"
    if standby.get("role") == "notifying":
        return f"the alert loop has taken over from {first}: {problem or 'it does not answer'}"
    return ""


def event_line(event: Mapping[str, Any]) -> str:
    """A notification in one line: its time, its title and the first line of its body."""
    at = event.get("at")
    clock = time.strftime("%H:%M:%S", time.localtime(at)) if isinstance(at, int | float) else ""
    first, _, _ = str(event.get("body") or "").partition("\n")
    title = event.get("title") or event.get("rule")
    return clean(f"{clock} {title}{f': {first}' if first else ''}").strip()
