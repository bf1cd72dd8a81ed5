"""Runs the checks in parallel, each isolated and with a time-out, and yields their findings in order."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from typing import Protocol

from fleet.doctor.findings import Finding, ok, warning
from fleet.doctor.site import Site

CHECK_SECONDS = 180.0


class Check(Protocol):
    """A module of `fleet.doctor.checks`."""

    @staticmethod
    def examine(site: Site) -> Iterable[Finding]: ...


def examine(site: Site, checks: Mapping[str, Check]) -> Iterator[tuple[str, Finding]]:
    """(check, finding) of all checks; every check yields at least one."""
    # Several checks read these two at once.
    _ = site.is_running, site.trainers
    running = {name: _start(check, site) for name, check in checks.items()}
    for name, future in running.items():
        for finding in _collect(future):
            yield name, finding


def _start(check: Check, site: Site) -> "Future[list[Finding]]":
    future: Future[list[Finding]] = Future()
    # A daemon, unlike a pool's threads: a check that hangs must not keep the command from ending.
    threading.Thread(target=lambda: future.set_result(_examine(check, site)), daemon=True).start()
    return future


def _examine(check: Check, site: Site) -> list[Finding]:
    if getattr(check, "IS_ABOUT_OUR_TRAINERS", False) and not site.loaded.ours:
        return [ok("not needed: this fleet only watches trainers that are not ours")]
    try:
        return list(check.examine(site))
    except Exception as error:  # noqa: BLE001  One check must not cost the others.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return [warning(f"check failed: {reason}", "report this with the output of `peerwatch doctor --json`")]


def _collect(future: "Future[list[Finding]]") -> list[Finding]:
    try:
        return future.result(CHECK_SECONDS)
    except LateError:
        return [warning(f"no result within {CHECK_SECONDS:g} s", "run doctor again when the machine is less busy")]
