"""Reads the alert loop's status and new events; without an answer, None or nothing, never an error."""

from typing import Any

import httpx

from fleet.alert_loop.access import Access


class Feed:
    """The alert loop of one fleet."""

    def __init__(self, access: Access, timeout_seconds: float = 2.0, *, since: float | None = None) -> None:
        """`since` is the Unix time from which events are new; without it, those after the first call are."""
        self._since = since
        self._access = access
        self._timeout_seconds = timeout_seconds
        self._last_event: int | None = None

    def status(self) -> dict[str, Any] | None:
        return self._get("/api/status")

    def new_events(self) -> list[dict[str, Any]]:
        """Events since the last call."""
        answer = self._get("/api/alerts")
        if answer is None:
            return []
        events = [event for event in answer.get("events", []) if isinstance(event.get("id"), int)]
        seen, newest = self._last_event, max((event["id"] for event in events), default=0)
        self._last_event = max(newest, seen or 0)
        if seen is not None:
            return [event for event in events if event["id"] > seen]
        return [event for event in events if self._since is not None and event.get("at", 0.0) >= self._since]

    def _get(self, path: str) -> dict[str, Any] | None:
        try:
            with self._access.open(self._timeout_seconds) as client:
                answer = client.get(path).raise_for_status().json()
        except (httpx.HTTPError, OSError, ValueError):
            return None
        return answer if isinstance(answer, dict) else None
