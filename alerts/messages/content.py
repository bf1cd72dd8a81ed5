"""A message's content as its templates see it: values and ready sentences, in the fleet's language. Pure."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class AlertText:
    """One alert. `at` and `since` are epoch seconds; `when` and `line` are ready sentences."""

    rule: str
    peer: str
    kind: Literal["firing", "reminder", "resolved"]
    severity: str
    summary: str
    at: float
    since: float
    prefix: str
    when: str
    line: str


@dataclass(frozen=True)
class PeerList:
    """Peers with the same alerts, where there are too many for a line each."""

    head: str
    peers: str


@dataclass(frozen=True)
class EvidenceText:
    """Evidence; `head` names its alert where a message reports several."""

    head: str
    text: str


@dataclass(frozen=True)
class Content:
    """A message. It holds either `alerts` only, or `sections` that list the alerts' peers."""

    title: str
    fleet: str
    alerts: tuple[AlertText, ...] = ()
    headline: str = ""
    sections: tuple[PeerList, ...] = ()
    more: str = ""
    frame: str = ""
    remedies: tuple[str, ...] = ()
    evidence: tuple[EvidenceText, ...] = ()
    part: int = 1
    parts: int = 1
    colon: str = ": "
