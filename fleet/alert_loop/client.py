"""A client of a fleet's running alert loop, with the token from its state folder."""

from typing import Any

import httpx

from alerts.config import TOKEN_FILE
from fleet.alert_loop.access import Access

# A test message may take a minute.
TIMEOUT_SECONDS = 75.0


class AlertClientError(Exception):
    """The loop does not answer, or refuses a request; the text is one line."""


class AlertClient:
    """The alert loop of one fleet."""

    def __init__(self, access: Access) -> None:
        self._url = access.url
        self._token = access.folder / TOKEN_FILE
        self._access = access

    def alerts(self) -> dict[str, Any]:
        """Alerts, silences and events, as in /api/alerts."""
        return self._request("GET", "/api/alerts")

    def silence(self, request: dict[str, str]) -> dict[str, Any]:
        return self._request("POST", "/api/silences", request)

    def end_silence(self, number: int) -> None:
        self._request("DELETE", f"/api/silences/{number}")

    def acknowledge(self, rule: str, peer: str) -> list[dict[str, Any]]:
        """Acknowledges firing alerts, and returns them."""
        acknowledged: list[dict[str, Any]] = self._request(
            "POST", "/api/acknowledgements", {"rule": rule, "peer": peer}
        )["acknowledged"]
        return acknowledged

    def test(self, route: str | None) -> list[dict[str, Any]]:
        """For each route, whether a test message was delivered, and if not, why."""
        results: list[dict[str, Any]] = self._request("POST", "/api/test", {"route": route} if route else {})["results"]
        return results

    def _request(self, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        if method != "GET":
            self._check_token()
        try:
            with self._access.open(TIMEOUT_SECONDS) as client:
                answer = client.request(method, path, json=content)
            if answer.status_code == 401:
                raise AlertClientError(
                    f"the alert loop at {self._url} refused {self._token}; another fleet may use its port"
                )
            described = answer.json()
        except httpx.TimeoutException:
            raise AlertClientError(f"the alert loop at {self._url} timed out") from None
        except (httpx.HTTPError, OSError, ValueError):
            raise AlertClientError(
                f"the alert loop does not answer at {self._url}; start the fleet with `peerwatch up`"
            ) from None
        if not isinstance(described, dict):
            raise AlertClientError(f"{self._url} is not an alert loop")
        if answer.status_code >= 400:
            raise AlertClientError(str(described.get("detail", f"the alert loop answered {answer.status_code}")))
        return described

    def _check_token(self) -> None:
        try:
            self._token.read_text()
        except FileNotFoundError:
            raise AlertClientError(
                f"the alert loop left no token in {self._token.parent}; start the fleet with `peerwatch up`"
            ) from None
        except OSError as error:
            raise AlertClientError(f"{self._token}: {error.strerror}") from None
