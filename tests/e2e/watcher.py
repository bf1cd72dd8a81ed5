"""The alert loop that watches machines, asked over TLS with its password, and what it sends."""

import subprocess
from dataclasses import dataclass
from typing import Any

import httpx

from tests.fakes import Webhook

LOGIN = ("operator", "a long password")


@dataclass
class Watcher:
    """Its address, its process and its webhook."""

    url: str
    webhook: Webhook
    process: subprocess.Popen[bytes]

    def status(self) -> dict[str, Any]:
        with httpx.Client(verify=False, auth=LOGIN, trust_env=False) as client:
            return dict(client.get(f"{self.url}/api/status", timeout=20).raise_for_status().json())

    def firing(self) -> set[tuple[str, str]]:
        """Without the clocks, which are off all the time."""
        found = {(one["rule"], one["peer"]) for one in self.alerts() if one["state"] == "firing"}
        return {(rule, peer) for rule, peer in found if rule != "ClockSkew"}

    def alerts(self) -> list[dict[str, Any]]:
        try:
            return list(self.status()["alerts"])
        except httpx.HTTPError:
            return []

    def peers(self) -> set[str]:
        try:
            return {peer["peer"] for peer in self.status()["peers"]}
        except httpx.HTTPError:
            return set()

    def said(self, before: int) -> list[str]:
        """The titles of the messages after the first `before`, without those of the stall that was tried."""
        return [one for one in self.titles(before) if "PeerStalled" not in one and "ClockSkew" not in one]

    def titles(self, before: int) -> list[str]:
        return [one.title for one in self.webhook.messages[before:]]
