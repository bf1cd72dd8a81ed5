"""Asks the Prometheus beside a fleet what Grafana would ask it."""

import math
import time
from dataclasses import dataclass
from typing import Any

from tests.fakes import get
from tests.grafana.queries import PanelQuery

STEP_SECONDS = 8


@dataclass(frozen=True)
class Prometheus:
    """One Prometheus server; `since` is where ranges begin (unix seconds)."""

    url: str
    since: float

    def targets(self) -> dict[str, str]:
        """The health of each target, by the peer or service that it is."""
        found = self._get("targets")["activeTargets"]
        return {one["labels"].get("peer") or one["labels"]["service"]: one["health"] for one in found}

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def has_data(self, asked: PanelQuery) -> bool:
        """Whether a panel with this query shows anything."""
        now = time.time()
        if asked.is_instant:
            found = self._get("query", query=asked.expression)["result"]
            return any(not math.isnan(float(one["value"][1])) for one in found)
        span = {"start": self.since, "end": now, "step": STEP_SECONDS}
        found = self._get("query_range", query=asked.expression, **span)["result"]
        return any(not math.isnan(float(value)) for one in found for _, value in one["values"])

    def has_series(self, name: str) -> bool:
        return bool(self._get("series", **{"match[]": name, "start": self.since}))

    def samples_read(self, expression: str) -> int:
        """How many samples Prometheus reads to evaluate the expression once."""
        answer = self._get("query", query=expression, stats="all")
        return int(answer["stats"]["samples"]["totalQueryableSamples"])

    def _get(self, what: str, **parameters: Any) -> Any:
        answer = get(f"{self.url}/api/v1/{what}", params=parameters)
        assert answer.status_code == 200, f"{parameters}: {answer.text}"
        return answer.json()["data"]
