"""Sidecars, leaderboard and alert loop answer; no program has been given up."""

from collections.abc import Iterator

import httpx

from exporter.http_client import HttpClient, ReadError
from fleet.alert_loop.access import Access
from fleet.configuration.compose import leaderboard_url, sidecar_url
from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site
from fleet.processes.supervisord import ControlError
from fleet.supervision.installed import processes as read_processes

ANSWER_SECONDS = 5.0
HEALTH_PATH = "/-/healthy"
MAX_PAGE_BYTES = 1 << 20


def examine(site: Site) -> Iterator[Finding]:
    if not site.is_running:
        yield warning(
            f"fleet {_name(site)} is not running", "start it with `peerwatch up` or `peerwatch services start`"
        )
        return
    problems = [*_given_up(site), *_silent_pages(site)]
    yield from problems
    if not problems:
        board = "" if site.loaded.composition.leaderboard is None else ", the leaderboard"
        yield ok(f"{len(site.loaded.peers)} sidecars{board} and the alert loop answer")


def _name(site: Site) -> str:
    assert site.loaded.config is not None
    return site.loaded.config.fleet


def _given_up(site: Site) -> Iterator[Finding]:
    try:
        processes = read_processes(site.loaded.folder)
    except ControlError as error:
        yield failure(str(error), "stop the fleet and start it again")
        return
    for process in processes:
        if process.has_failed:
            yield failure(f"{process.title} keeps failing and was given up", f"see {process.log}")


def _silent_pages(site: Site) -> Iterator[Finding]:
    config = site.loaded.config
    assert config is not None
    pages = {}
    if site.loaded.composition.leaderboard is not None:
        log = site.loaded.folder.leaderboard / "leaderboard.log"
        pages["the leaderboard"] = (f"{leaderboard_url(config)}/api/healthz", log)
    for peer in site.loaded.peers:
        log = site.loaded.folder.peer(peer.name) / "sidecar.log"
        pages[f"the sidecar of {peer.name}"] = (f"{sidecar_url(config, peer)}/metrics", log)
    yield from _silent_alert_loop(site)
    client = HttpClient(timeout_seconds=ANSWER_SECONDS, max_bytes=MAX_PAGE_BYTES)
    for title, (url, log) in pages.items():
        try:
            status, _, _ = client.get(url)
        except ReadError as error:
            yield failure(f"{title} does not answer: {error}", f"see {log}")
            continue
        if status != 200:
            yield failure(f"{title} is unhealthy: {url} answers {status}", f"see {log}")


def _silent_alert_loop(site: Site) -> Iterator[Finding]:
    access = Access.of(site.loaded)
    remedy = f"see {access.folder / 'alerts.log'}"
    try:
        with access.open(ANSWER_SECONDS) as client:
            status = client.get(HEALTH_PATH).status_code
    except (httpx.HTTPError, OSError) as error:
        yield failure(f"the alert loop does not answer: {access.url}{HEALTH_PATH}: {error}", remedy)
        return
    if status != 200:
        yield failure(f"the alert loop is unhealthy: {access.url}{HEALTH_PATH} answers {status}", remedy)
