"""What can be wrong with the status page's login and certificate on this machine."""

import os
import ssl
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from alerts.secret_references import UnresolvedReferenceError, resolve
from alerts.web.tls import load_pair
from fleet.configuration.load import Loaded
from fleet.configuration.yaml_lines import Location, Problem


def find_page_problems(loaded: Loaded, environment: Mapping[str, str] = os.environ) -> Iterator[Problem]:
    """A password that cannot be had, files that are no certificate and key, secrets that others can read."""
    yield from _login(loaded, environment)
    yield from _tls(loaded)


def find_open_file(path: Path, whose: str, where: Location) -> Iterator[Problem]:
    """A warning where other users can read a secret."""
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        message = f"{whose}: other users can read {path}; run `chmod 600` on it"
        yield Problem(where, message, is_warning=True)


def _login(loaded: Loaded, environment: Mapping[str, str]) -> Iterator[Problem]:
    login, where = loaded.composition.login, ("alerts", "login", "password")
    if login is None or not login["password"]:
        return
    try:
        resolve(login["password"], environment)
    except UnresolvedReferenceError as error:
        yield Problem(where, str(error))
        return
    if login["password"].startswith("file:"):
        yield from find_open_file(Path(login["password"].removeprefix("file:")), "login", where)


def _tls(loaded: Loaded) -> Iterator[Problem]:
    alerts, where = loaded.composition.alerts, ("alerts", "tls")
    if alerts is None or alerts.tls is None:
        return
    try:
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), alerts.tls)
    except ValueError as error:
        yield Problem(where, str(error))
        return
    yield from find_open_file(alerts.tls.key, "tls", (*where, "key"))
