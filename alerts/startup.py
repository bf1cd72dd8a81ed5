"""Prepares what the alert loop needs of its configuration, and finds its mistakes: at the start, and in `check`.

Routes bring apprise, which takes a third of a second to load: only a configuration that has some pays for it.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from alerts.config import AlertsConfig, ConfigError
from alerts.delivery.settings import Route
from alerts.secret_references import UnresolvedReferenceError, resolve
from alerts.web.tls import Certificate

if TYPE_CHECKING:
    from alerts.telegram.bot import Bot


class StartProblem(NamedTuple):
    """Why the loop would not start, at its place in the configuration; the message holds no secret."""

    location: tuple[str | int, ...]
    message: str


@dataclass
class Prepared:
    """What the configuration refers to. `urls` and `bots` go by route name; a text that is not configured is empty."""

    urls: dict[str, str] = field(default_factory=dict)
    bots: "dict[str, Bot]" = field(default_factory=dict)
    deadman_url: str = ""
    password: str = ""
    certificate: Certificate | None = None
    problems: list[StartProblem] = field(default_factory=list)


def prepare(config: AlertsConfig, environment: Mapping[str, str] = os.environ) -> Prepared:
    """Resolves every reference and opens every route, without sending anything; all problems at once."""
    prepared = Prepared()
    for index, route in enumerate(config.routes):
        _prepare_route(prepared, index, route, environment)
    if config.deadman is not None:
        url = _resolve(prepared, ("deadman", "url"), config.deadman.url.get_secret_value(), environment)
        if url and not _is_web_address(url):
            prepared.problems.append(
                StartProblem(("deadman", "url"), "must be an address that begins with https:// or http://")
            )
        prepared.deadman_url = url
    if config.login is not None:
        password = config.login.password.get_secret_value()
        prepared.password = _resolve(prepared, ("login", "password"), password, environment)
        if not password:
            prepared.problems.append(StartProblem(("login", "password"), "the password is empty"))
    if config.tls is not None:
        try:
            prepared.certificate = Certificate(config.tls)
        except ConfigError as error:
            prepared.problems.append(StartProblem(("tls",), str(error)))
    return prepared


def describe(problems: list[StartProblem]) -> Iterator[str]:
    """One line each, such as `routes[0].url: …`."""
    for location, message in problems:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
        yield f"{path}: {message}"


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _prepare_route(prepared: Prepared, index: int, route: Route, environment: Mapping[str, str]) -> None:
    where = ("routes", index, "url")
    url = _resolve(prepared, where, route.url.get_secret_value(), environment, prefix=f"route {route.name}: ")
    if not url:
        return
    from alerts.delivery.apprise_sender import RouteError, make_service

    try:
        make_service(route.name, url)
        if route.commands:
            # It brings httpx, which only a loop that listens to commands has to load.
            from alerts.telegram.bot import make_bot

            prepared.bots[route.name] = make_bot(route.name, url)
    except RouteError as error:
        prepared.problems.append(StartProblem(where, str(error)))
    prepared.urls[route.name] = url


def _resolve(
    prepared: Prepared,
    where: tuple[str | int, ...],
    text: str,
    environment: Mapping[str, str],
    *,
    prefix: str = "",
) -> str:
    try:
        return resolve(text, environment)
    except UnresolvedReferenceError as error:
        prepared.problems.append(StartProblem(where, f"{prefix}{error}"))
        return ""
