"""Resolves and opens what the configuration refers to, and reports its errors: at start, and in `check`.

Routes need apprise, which takes a third of a second to import, so it is imported only if there are any.
"""

import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from alerts.config import AlertsConfig, ConfigError
from alerts.delivery.settings import Route
from alerts.scraping.target import Machine
from alerts.secret_references import UnresolvedReferenceError, doubts, resolve, resolve_url
from alerts.standby.token import Token, read_token
from alerts.web.tls import Certificate
from exporter.serving.trust import trust

if TYPE_CHECKING:
    from alerts.telegram.bot import Bot


class StartProblem(NamedTuple):
    """An error that prevents the start, with its location in the configuration; the message shows no secret."""

    location: tuple[str | int, ...]
    message: str


@dataclass
class Prepared:
    """What the configuration refers to. `urls` and `bots` are by route name; unset texts are empty."""

    urls: dict[str, str] = field(default_factory=dict)
    bots: "dict[str, Bot]" = field(default_factory=dict)
    deadman_url: str = ""
    password: str = ""
    certificate: Certificate | None = None
    # `user:password` of the machines elsewhere, by their name.
    logins: dict[str, str] = field(default_factory=dict)
    standby_token: Token | None = None
    problems: list[StartProblem] = field(default_factory=list)
    # Valid, but probably not meant.
    doubts: list[StartProblem] = field(default_factory=list)


def prepare(config: AlertsConfig, environment: Mapping[str, str] = os.environ) -> Prepared:
    """Resolves every reference and opens every route; collects all problems and sends nothing."""
    prepared = Prepared()
    for index, route in enumerate(config.routes):
        _prepare_route(prepared, index, route, environment)
    if config.deadman is not None:
        given = config.deadman.url.get_secret_value()
        url = _resolve(prepared, ("deadman", "url"), given, environment).strip()
        # Of a reference that leads nowhere, that is said already.
        if (url or not given.strip()) and not _is_http_url(url):
            prepared.problems.append(
                StartProblem(("deadman", "url"), "must be a URL that begins with https:// or http://")
            )
        prepared.deadman_url = url
    if config.login is not None:
        password = config.login.password.get_secret_value()
        prepared.password = _resolve(prepared, ("login", "password"), password, environment, is_url=False)
        if not password:
            prepared.problems.append(StartProblem(("login", "password"), "the password is empty; set one"))
    if config.tls is not None:
        try:
            prepared.certificate = Certificate(config.tls)
        except ConfigError as error:
            prepared.problems.append(StartProblem(("tls",), str(error)))
    if config.standby_of is not None:
        try:
            prepared.standby_token = read_token(config.standby_of.token_file)
        except ValueError as error:
            prepared.problems.append(StartProblem(("standby_of", "token_file"), str(error)))
    for index, machine in enumerate(config.machines):
        _prepare_machine(prepared, index, machine, environment)
    return prepared


def describe(problems: list[StartProblem]) -> Iterator[str]:
    """One line each, such as `routes[0].url: …`."""
    for location, message in problems:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
        yield f"{path}: {message}"


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_port = parts.port != 0
    except ValueError:
        return False
    host = parts.hostname or ""
    return parts.scheme in ("http", "https") and host != "" and " " not in host and is_port


def _prepare_machine(prepared: Prepared, index: int, machine: Machine, environment: Mapping[str, str]) -> None:
    if machine.login is not None:
        where = ("machines", index, "login")
        login = _resolve(prepared, where, machine.login.get_secret_value(), environment, is_url=False).strip()
        if login and not login.partition(":")[2]:
            prepared.problems.append(StartProblem(where, "must be user:password"))
        prepared.logins[machine.name] = login
    if machine.certificate is not None:
        try:
            trust(machine.certificate)
        except OSError as error:
            reason = "no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
            where = ("machines", index, "certificate")
            prepared.problems.append(StartProblem(where, f"{machine.certificate}: {reason}"))


def _prepare_route(prepared: Prepared, index: int, route: Route, environment: Mapping[str, str]) -> None:
    where = ("routes", index, "url")
    url = _resolve(prepared, where, route.url.get_secret_value(), environment, prefix=f"route {route.name}: ")
    if not url:
        return
    from alerts.delivery.apprise_sender import RouteError, make_service

    try:
        make_service(route.name, url)
        if route.commands:
            # It imports httpx, which only a loop with commands needs.
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
    is_url: bool = True,
) -> str:
    prepared.doubts += [StartProblem(where, f"{prefix}{doubt}") for doubt in doubts(text, environment, is_url=is_url)]
    try:
        return (resolve_url if is_url else resolve)(text, environment)
    except UnresolvedReferenceError as error:
        prepared.problems.append(StartProblem(where, f"{prefix}{error}"))
        return ""
