"""Talks to the running alert loop of a fleet, with the token that lies in its state folder."""

from pathlib import Path
from typing import Any

import httpx

from alerts.config import TOKEN_FILE

# The loop waits a minute for a service that is tested.
TIMEOUT_SECONDS = 75.0


class AlertClientError(Exception):
    """The loop does not answer, or refuses; the text is one line."""


class AlertClient:
    """The alert loop at `url`; `folder` is its state folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        # Without the environment's proxies, which could not reach this machine's loopback.
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False)

    def alerts(self) -> dict[str, Any]:
        """Alerts, silences and events, as /api/alerts tells them."""
        return self._ask("GET", "/api/alerts")

    def silence(self, wanted: dict[str, str]) -> dict[str, Any]:
        return self._ask("POST", "/api/silences", wanted)

    def end_silence(self, number: int) -> None:
        self._ask("DELETE", f"/api/silences/{number}")

    def acknowledge(self, rule: str, peer: str) -> list[dict[str, Any]]:
        """The alerts that are acknowledged by this."""
        found: list[dict[str, Any]] = self._ask("POST", "/api/acknowledgements", {"rule": rule, "peer": peer})[
            "acknowledged"
        ]
        return found

    def test(self, route: str | None) -> list[dict[str, Any]]:
        """Each route with whether a message was delivered, and if not, why."""
        results: list[dict[str, Any]] = self._ask("POST", "/api/test", {"route": route} if route else {})["results"]
        return results

    def _ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {} if method == "GET" else {"Authorization": f"Bearer {self._token()}"}
        try:
            answer = self._client.request(method, path, json=content, headers=headers)
            described = answer.json()
        except httpx.TimeoutException:
            raise AlertClientError(f"the alert loop at {self._url} does not answer in time") from None
        except (httpx.HTTPError, ValueError):
            raise AlertClientError(
                f"the alert loop does not answer at {self._url}; start the fleet with `peerwatch up`"
            ) from None
        if not isinstance(described, dict):
            raise AlertClientError(f"what answers at {self._url} is no alert loop")
        if answer.status_code >= 400:
            raise AlertClientError(str(described.get("detail", f"the alert loop answered {answer.status_code}")))
        return described

    def _token(self) -> str:
        path = self._folder / TOKEN_FILE
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            raise AlertClientError(
                f"the alert loop has left no token in {self._folder}; start the fleet with `peerwatch up`"
            ) from None
        except OSError as error:
            raise AlertClientError(f"{path}: {error.strerror}") from None
