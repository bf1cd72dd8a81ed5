"""The latest evaluation as the JSON of the API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.delivery.outbox import RouteHealth
from alerts.engine.credit import describe_credit
from alerts.engine.evaluate import AlertStates
from alerts.engine.peer_state import read_peer_state
from alerts.engine.status import Status
from alerts.scraping.page import Page
from alerts.scraping.scraper import Scrape

_NUMBERS = {
    "steps_total": ("trainer_steps_total", {}),
    "expected_steps": ("trainer_expected_steps", {}),
    "steps_per_second": ("trainer_steps_per_second", {}),
    "last_step_timestamp": ("trainer_last_step_timestamp_seconds", {}),
    "memory_bytes": ("trainer_memory_bytes", {"kind": "footprint"}),
    "memory_limit_bytes": ("trainer_memory_limit_bytes", {}),
    "rank": ("swarm_rank", {}),
    "ranked_peers": ("swarm_ranked_peers", {}),
    "reward_mean": ("trainer_reward_mean", {}),
    "reward_std": ("trainer_reward_std", {}),
    "groups_without_spread": ("trainer_groups_without_spread_ratio", {}),
    "entropy": ("trainer_entropy", {}),
    "kl": ("trainer_kl", {}),
    "grad_norm": ("trainer_grad_norm", {}),
    "completion_tokens": ("trainer_completion_tokens", {}),
    "completions_cut_off": ("trainer_completion_clipped_ratio", {}),
    "reward_cumulative": ("swarm_reward_cumulative", {}),
    "round": ("swarm_round", {}),
    "stage": ("swarm_stage", {}),
}
_WHOLE = {
    "steps_total",
    "expected_steps",
    "memory_bytes",
    "memory_limit_bytes",
    "rank",
    "ranked_peers",
    "round",
    "stage",
}


def describe_status(
    status: Status, alerts: Sequence[Mapping[str, Any]], deliveries: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """The JSON of /api/status; null where a value was not measured; a state is never null."""
    return {
        "fleet": status.fleet,
        "now": status.now,
        "peers": [_describe_peer(peer, scrape, status.alert_states) for peer, scrape in status.scrapes.items()],
        "alerts": list(alerts),
        "outbox": {
            "pending": sum(counts.get("pending", 0) for counts in deliveries.values()),
            "failed": sum(counts.get("expired", 0) for counts in deliveries.values()),
        },
    }


@dataclass(frozen=True)
class RouteStatus:
    """A route on the status page; never its URL, which holds secrets."""

    name: str
    pending: int
    held: int
    expired: int
    health: RouteHealth


def _describe_peer(peer: str, scrape: Scrape, alert_states: AlertStates) -> dict[str, Any]:
    page = scrape.page or Page()
    info = page.labels("trainer_info")
    described: dict[str, Any] = {
        "peer": peer,
        "peer_id": info.get("peer_id") or None,
        "nickname": info.get("nickname") or None,
        "state": read_peer_state(scrape.page),
        "up": page.is_up(),
        "sidecar_up": scrape.page is not None,
    }
    for name, (metric, labels) in _NUMBERS.items():
        value = page.value(metric, **labels)
        described[name] = int(value) if value is not None and name in _WHOLE else value
    # What `steps_total` and `steps_per_second` count, where readers find it; rounds of rl-swarm take minutes.
    units = (dict(labels).get("unit") for labels, value in page.values("trainer_progress_unit").items() if value)
    described["progress_unit"] = next(units, None)
    described |= describe_credit(page)
    described["alerts"] = sorted(
        key.rule for key, state in alert_states.states.items() if key.peer == peer and state.phase == "firing"
    )
    return described
