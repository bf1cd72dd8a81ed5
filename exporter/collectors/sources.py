"""What the sources of the swarm say of this peer, read from the service that reads them once for this host."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from exporter.chain.coordinator import counting_contracts, submit_period
from exporter.collectors import CollectError
from exporter.config import SidecarConfig
from exporter.http_client import HttpClient
from exporter.identity.own_peer import OwnPeer
from exporter.metrics import Sample
from exporter.sources import SourceError
from exporter.sources._answers import get_json
from exporter.watch_file import SwarmIdentity
from trainer.protocol import read_number

# Beyond any reward, and any time.
MAX_NUMBER = 1e30
MAX_SOURCES = 8
MAX_STANDINGS = 16

_LABEL = re.compile(r"[\w.-]{1,64}", re.ASCII)
# Each number of a standing, and the metric that it becomes.
_NUMBERS = {
    "is_listed": "swarm_source_listed",
    "rank": "swarm_source_rank",
    "ranked_peers": "swarm_source_ranked_peers",
    "reward": "swarm_source_reward",
    "stage_reward": "swarm_source_stage_reward",
    "score": "swarm_source_score",
    "wins": "swarm_source_wins",
    "participation": "swarm_source_participation",
    "round": "swarm_source_round",
}
_CHANGES = {
    "reward_changed_at": "swarm_source_reward_change_timestamp_seconds",
    "participation_changed_at": "swarm_source_participation_change_timestamp_seconds",
}


class Told(NamedTuple):
    """One source's answer: numbers by contract ("" without one), in the source's order."""

    source: str
    is_up: bool | None
    success_at: float | None
    standings: Mapping[str, Mapping[str, float]]


class Collector:
    """Reads `/api/standings/{peer id}`; keeps the last values when a read fails."""

    def __init__(self, own: OwnPeer, swarm: SwarmIdentity, url: str) -> None:
        self._own = own
        self._url = url
        self._client = HttpClient()
        self._counting = counting_contracts(swarm.version, swarm.contract)
        self._period = submit_period(swarm.version, swarm.contract)
        self._peer_id = ""
        self._round: float | None = None
        self._round_changed_at: float | None = None
        self._told: tuple[Told, ...] = ()

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self | None:
        swarm = config.watch.swarm if config.watch else None
        if swarm is None or config.sources_url is None:
            return None
        return cls(OwnPeer.configured(config), swarm, config.sources_url)

    def collect(self, now: float) -> list[Sample]:
        own = self._own.read(now)
        self._note_round(own.round, now)
        if not own.peer_id:
            raise CollectError(own.problem, self._of_trainer())
        if own.peer_id != self._peer_id:
            self._peer_id, self._told = own.peer_id, ()
        try:
            _, answer = get_json(self._client, f"{self._url}/api/standings/{quote(self._peer_id, safe='')}")
            self._told = parse(answer)
        except (SourceError, ValueError) as error:
            self._told = tuple(one._replace(is_up=False) for one in self._told)
            raise CollectError(str(error), self._samples()) from None
        return self._samples()

    def _note_round(self, found: float | None, now: float) -> None:
        """The first round that is seen is no change: it may have begun long ago."""
        if found is not None and found != self._round:
            self._round_changed_at = None if self._round is None else now
            self._round = found

    def _of_trainer(self) -> list[Sample]:
        values = {
            "swarm_round_change_timestamp_seconds": self._round_changed_at,
            "swarm_submit_period_seconds": self._period,
        }
        return [Sample(name, {}, value) for name, value in values.items() if value is not None]

    def _samples(self) -> list[Sample]:
        samples = self._of_trainer()
        for told in self._told:
            source = {"source": told.source}
            if told.is_up is not None:
                samples.append(Sample("swarm_source_up", source, float(told.is_up)))
            if told.success_at is not None:
                samples.append(Sample("swarm_source_success_timestamp_seconds", source, told.success_at))
            for contract, numbers in told.standings.items():
                samples += self._of_standing(source | ({"contract": contract} if contract else {}), contract, numbers)
            swarm_round = self._find_round(told)
            if swarm_round is not None and self._round is not None:
                samples.append(Sample("swarm_source_round_lag", source, max(0.0, swarm_round - self._round)))
        return samples

    def _of_standing(self, labels: Mapping[str, str], contract: str, numbers: Mapping[str, float]) -> list[Sample]:
        samples = [Sample(metric, labels, numbers[name]) for name, metric in _NUMBERS.items() if name in numbers]
        counts = contract in self._counting if contract and self._counting else None
        if counts is not None:
            samples.append(Sample("swarm_source_counts", labels, float(counts)))
        if counts is not False:
            samples += [Sample(metric, labels, numbers[name]) for name, metric in _CHANGES.items() if name in numbers]
        return samples

    def _find_round(self, told: Told) -> float | None:
        """The round that the trainer's own is compared with: that of its first contract, or of the only one."""
        own = next((name for name in self._counting if name in told.standings), None)
        if own is None and len(told.standings) == 1:
            own = next(iter(told.standings))
        return None if own is None else told.standings[own].get("round")


def parse(answer: object) -> tuple[Told, ...]:
    """An answer of `/api/standings/{id}`. Raises ValueError, one line, for anything else."""
    try:
        return tuple(_parse_source(one) for one in _items(answer, "sources", MAX_SOURCES))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError("the service's answer is not what sources say of a peer") from None


def _parse_source(found: Mapping[str, Any]) -> Told:
    up = found["up"]
    if up is not None and not isinstance(up, bool):
        raise ValueError(up)
    standings = {}
    for one in _items(found, "standings", MAX_STANDINGS):
        contract = one.get("contract", "")
        numbers = {name: _number(one[name]) for name in (*_NUMBERS, *_CHANGES) if one.get(name) is not None}
        standings[_label(contract) if contract else ""] = numbers
    success_at = found["success_at"]
    return Told(_label(found["source"]), up, None if success_at is None else _number(success_at), standings)


def _items(found: Any, name: str, most: int) -> list[Any]:
    items = found[name]
    if not isinstance(items, list) or len(items) > most:
        raise ValueError(name)
    return items


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError(text)
    return text


def _number(value: Any) -> float:
    number = float(value) if isinstance(value, bool) else read_number(value, limit=MAX_NUMBER)
    if number is None:
        raise ValueError("not a number")
    return number
