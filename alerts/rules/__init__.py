"""The alert rules: one file each, named after its rule, found by being there.

A rule's module holds its settings (`class Settings`), a pure `judge` and the fixed word `RULE`. Its docstring is the
runbook: the first line says what the alert means, "What to do:" is printed by the messages. The configuration, the
alert loop, its page and messages, the files for Prometheus and Alertmanager and the manual find it by its file name.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

from alerts.durations import Duration
from alerts.restart_record import Record
from alerts.scraping.page import Page

Severity = Literal["critical", "warning", "info"]
Scope = Literal["peer", "host"]
Chart = Literal["memory", "step rate", "rank", "reward", "host memory", "disk"]
Evidence = Literal["process", "waiting", "biggest", "cause", "log", "stacks", "restart"]
Memory = Mapping[str, Any]


class RuleSettings(BaseModel):
    """What every rule lets its user set; a rule adds its thresholds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, serialize_by_alias=True)

    enabled: bool = True
    severity: Severity = "critical"
    for_: Duration = Field(default=0.0, alias="for", description="how long the condition must hold before it fires")
    recover_after: Duration = Field(default=0.0, description="how long it must be gone before it is resolved")
    restart: bool = Field(
        default=False, description="restart the peer when this fires, within the limits of `restarts`"
    )


class View(NamedTuple):
    """What a rule sees: one peer, or the host, now. `peer` is its name; the host's page holds `host_` samples.

    Times are epoch seconds, `unreachable_seconds` a steady duration; `clock_step_seconds` is by how much the clock was
    set, or the host slept, at `clock_stepped_at`.
    """

    peer: str
    now: float
    page: Page | None = None
    failure: str = ""
    unreachable_seconds: float = 0.0
    clock_stepped_at: float = 0.0
    clock_step_seconds: float = 0.0
    memory: Memory = MappingProxyType({})
    scope: Scope = "peer"
    restart: Record | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether the condition holds. `unknown` keeps the alert's state: a failed read is neither problem nor recovery.

    `severity` is one of its own where how bad it is depends on what was measured; else it is the configured one.

    `until` is the epoch second from which time alone makes it active, if nothing else changes: it is evaluated then.
    """

    condition: Literal["active", "inactive", "unknown"]
    summary: str = ""
    since: float | None = None
    until: float | None = None
    severity: Severity | None = None


UNKNOWN = Verdict("unknown")


def active(summary: str, *, since: float | None = None, severity: Severity | None = None) -> Verdict:
    """The condition holds: number, unit and limit in one sentence, and since when if the page says so."""
    return Verdict("active", summary, since, severity=severity)


def inactive(summary: str = "", *, until: float | None = None) -> Verdict:
    """The condition does not hold, `until` when it will; the sentence is shown if this ends an alert."""
    return Verdict("inactive", summary, until=until)


def unknown(*, until: float) -> Verdict:
    """Not known yet; time alone makes the condition hold from then on."""
    return Verdict("unknown", until=until)


class Judge(Protocol):
    """Pure: the same view and settings give the same verdict."""

    def __call__(self, view: View, settings: Any, /) -> Verdict: ...


@dataclass(frozen=True)
class Rule:
    """One alert rule. `remember` folds a view into what the rule must know of the past: bounded, as JSON.

    While it fires, alerts of the rules that it `inhibits` are not notified: of the same peer, or of all peers if its
    scope is the host.

    `scope` says what it is about, `evidence` what is gathered once when it fires. A rule that is no problem shows
    nowhere: it is there for its notifications. `restart` says when a restart of the peer can help; empty: never.

    `promql` is where the condition holds; `keeps` where it is unknown although the page can be read, so that an alert
    that fires goes on. None: the rule learns from the past, which PromQL cannot, and Prometheus reads `alerts_firing`.

    `chart` is what a message shows of the last hours. `reads` are metrics that the history would not keep otherwise.
    """

    settings: type[RuleSettings]
    judge: Judge
    doc: str
    promql: str | None = None
    keeps: str = ""
    remember: Callable[[View, Any], Memory] | None = None
    scope: Scope = "peer"
    evidence: tuple[Evidence, ...] = ()
    is_problem: bool = True
    inhibits: tuple[str, ...] = ()
    restart: Literal["", "at once", "after a checkpoint"] = ""
    chart: Chart | None = None
    reads: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The first sentence of the runbook."""
        return self.doc.strip().splitlines()[0]

    @property
    def remedy(self) -> str:
        """What to try first."""
        _, _, remedy = self.doc.partition("What to do:")
        return " ".join(remedy.split())


@cache
def discover() -> dict[str, Rule]:
    """The rules of this folder by name: `peer_stalled.py` is PeerStalled. What several rules share begins with `_`."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("_"):
            continue
        name = "".join(word.capitalize() for word in module.name.split("_"))
        found[name] = importlib.import_module(f"{__name__}.{module.name}").RULE
    return found


def is_problem(rule: str) -> bool:
    """Whether people are shown the alerts of this rule; one that an older version had is shown."""
    found = discover().get(rule)
    return found is None or found.is_problem
