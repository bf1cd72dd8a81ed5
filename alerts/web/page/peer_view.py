"""What the page of one peer shows. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from alerts.engine.peer_state import SEVERITIES, PeerState
from alerts.restart_record import Record
from alerts.scraping.page import Page
from alerts.web.page.chart import Axis, Drawing, TimeTick
from alerts.web.page.marks import DrawnMarks
from exporter.metrics import SETTINGS

FactKind = Literal["text", "number", "duration", "ago", "share"]


class Fact(NamedTuple):
    """One fact: the key of its words, or its own name where it has none, and a value to be shown by its kind."""

    name: str
    kind: FactKind
    value: Any


class SpanChoice(NamedTuple):
    """A span to choose, with its address or its value in one."""

    seconds: float
    address: str
    is_chosen: bool


class Links(NamedTuple):
    """Addresses of related pages; empty where there is none."""

    earlier: str
    later: str
    wider: str
    narrower: str
    alone: str
    other: str
    grafana: str


@dataclass(frozen=True)
class PeerView:
    """The content of the page at `now`, epoch seconds."""

    fleet: str
    peer: str
    now: float
    evaluated_at: float
    window: Any
    axis: Axis
    ticks: Sequence[TimeTick]
    spans: Sequence[SpanChoice]
    links: Links
    # What can be drawn over it: the same earlier, and other peers.
    earlier: Sequence[SpanChoice]
    peers: Sequence[str]
    facts: Sequence[Fact]
    state: PeerState
    alerts: Sequence[Mapping[str, Any]]
    remedies: Mapping[str, str]
    drawings: Sequence[Drawing]
    marks: DrawnMarks
    times: Sequence[float]
    log_end: Any
    is_history_read: bool

    @property
    def severity(self) -> str:
        """How much attention the state asks for."""
        return SEVERITIES[self.state]


def read_facts(page: Page | None, restart: Record | None, now: float) -> list[Fact]:
    """What the peer's sidecar says of the run: identity, model, device, settings, progress, uptime, versions."""
    page = page or Page()
    info = page.labels("trainer_info")
    settings = page.labels("trainer_settings_info")
    started, last = page.value("trainer_start_timestamp_seconds"), page.value("trainer_last_step_timestamp_seconds")
    build = page.labels("sidecar_build_info")
    known = [
        # Whatever else a trainer tells of itself is shown under the name that it gives.
        *(Fact(name, "text", info.pop(name)) for name in ("model", "device", "nickname", "peer_id") if name in info),
        *(Fact(name, "text", text) for name, text in sorted(info.items())),
        *(Fact(name, "text", settings.pop(name, "")) for name in SETTINGS),
        *(Fact(name, "text", text) for name, text in sorted(settings.items())),
        Fact("steps", "number", page.value("trainer_steps_total")),
        Fact("expected_steps", "number", page.value("trainer_expected_steps")),
        Fact("last_step", "ago", last),
        Fact("uptime", "duration", now - started if started and page.is_up() else None),
        Fact("exit_code", "number", page.value("trainer_exit_code") if page.is_up() is False else None),
        Fact("round", "number", page.value("swarm_round")),
        Fact("stage", "number", page.value("swarm_stage")),
        Fact("connected_peers", "number", page.value("swarm_connected_peers")),
        Fact("processes", "number", page.value("trainer_processes")),
        Fact("threads", "number", page.value("trainer_threads")),
        Fact("readers", "text", ", ".join(sorted(_readers(page)))),
        Fact("restarts_today", "number", len(restart.past) if restart and restart.past else None),
        Fact("sidecar_version", "text", build.get("version")),
    ]
    return [fact for fact in known if fact.value not in (None, "")]


def _readers(page: Page) -> set[str]:
    return {dict(labels).get("reader", "") for labels in page.values("trainer_progress_up")} - {""}
