"""Paths in what the alert loop gets: relative ones in the file are from its folder. Pure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.configuration.elsewhere import WatchedMachine


def describe_watched(machine: WatchedMachine, base: Path) -> dict[str, Any]:
    """A machine to watch as the alert loop has it."""
    login = machine.login.get_secret_value() if machine.login is not None else None
    described = _with_secret_path({"login": login}, "login", base)
    certificate = base / machine.certificate.expanduser() if machine.certificate else None
    return {"name": machine.title, "url": machine.url, "certificate": certificate, **described}


def resolve_paths(given: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The section `alerts` with its paths, those of `file:` references too, resolved against the file's folder."""
    routes = given.get("routes")
    changed: dict[str, Any] = {
        section: _with_secret_path(given[section], key, base)
        for section, key in (("deadman", "url"), ("login", "password"))
        if section in given
    }
    if isinstance(routes, list):
        changed["routes"] = [_with_templates(_with_secret_path(route, "url", base), base) for route in routes]
    if isinstance(given.get("tls"), dict):
        changed["tls"] = {key: _from(base, path) for key, path in given["tls"].items()}
    if isinstance(standby := given.get("standby_of"), dict) and "token_file" in standby:
        changed["standby_of"] = {**standby, "token_file": _from(base, standby["token_file"])}
    if "templates" in given:
        changed["templates"] = _from(base, given["templates"])
    return {**given, **changed}


def _with_secret_path(given: Any, key: str, base: Path) -> Any:
    secret = given.get(key) if isinstance(given, dict) else None
    if not isinstance(secret, str) or not secret.startswith("file:"):
        return given
    return {**given, key: f"file:{_from(base, secret.removeprefix('file:'))}"}


def _with_templates(route: Any, base: Path) -> Any:
    has_templates = isinstance(route, dict) and "templates" in route
    return {**route, "templates": _from(base, route["templates"])} if has_templates else route


def _from(base: Path, path: object) -> object:
    return str(base / Path(path).expanduser()) if isinstance(path, str) else path
