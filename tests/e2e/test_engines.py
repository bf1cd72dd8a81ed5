"""Prometheus, Alertmanager and the alert loop watch the same peers, as processes, for a minute and a half.

They are sixty and more, with each problem in each size; in `make bench` two hundred, with all their shapes.

All three are configured from one configuration. What Prometheus scraped is read back from it and played to our own
engine at the instants at which Prometheus evaluated, so that a busy machine makes no difference; the running loop's
alerts and what Alertmanager notified are compared where a problem is long and plain.
"""

import bisect
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

from alerts.config import AlertsConfig
from alerts.export.alertmanager import render_alertmanager
from alerts.export.prometheus import render_rules
from alerts.rules import discover
from tests.alerts.conftest import AlertLoop
from tests.alerts.engines import Hook, alertmanager, prometheus
from tests.alerts.rules.engines import Evaluation, active_rules, evaluations_of, replay
from tests.alerts.rules.histories import TICKS, History, generate, part_of, settings
from tests.alerts.rules.test_two_engines import LEARNED, SEED
from tests.fakes import LOOPBACK, get

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning"),
]

TICK = 2.0
# Every history is calm until tick 24; what is left out of that leaves enough to learn each peer's pace.
FIRST_TICK, LAST_TICK = 6, 52
# A busy machine may miss what lasts for less.
LASTS_TICKS = 6
HOST_RULES = {name for name, rule in discover().items() if rule.scope == "host"}
# Prometheus reads the rules that learn from the alert loop; and the machine's rules are about this machine.
LEFT_OUT = (LEARNED | HOST_RULES) - {"Watchdog"}
# What is on the alert loop's own page, and on no sidecar's.
OF_THE_LOOP = {"PeerRestarted", "RestartUseless"}


class Pages:
    """All sidecars behind one address: `/NAME` serves the page of the tick that it is now."""

    def __init__(self, histories: Sequence[History]) -> None:
        self.begin = 0.0
        self.pages: Mapping[str, Sequence[str | None]] = {}
        self._histories = histories
        pages = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                page = pages.now(unquote(self.path).strip("/"))
                content = (page or "").encode()
                self.send_response(200 if page is not None else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Quiet((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def play(self, begin: float) -> None:
        self.pages = {one.name: one.pages(begin, TICK) for one in self._histories}
        self.begin = begin

    def now(self, name: str) -> str | None:
        return self.pages[name][min(max(0, int((time.time() - self.begin) / TICK)), TICKS - 1)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Seen(NamedTuple):
    """Prometheus' evaluations and firing alerts, what each evaluation saw of a peer, and what was notified."""

    histories: list[History]
    evaluations: list[float]
    fires: dict[tuple[str, str], set[float]]
    views: dict[str, list[Evaluation]]
    hook: Hook
    loop_notified: set[tuple[str, str, str]]


@pytest.fixture(scope="module", params=[False, pytest.param(True, marks=pytest.mark.bench)], ids=["a part", "all"])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("engines")
    histories = [one for one in generate(SEED) if not one.is_host]
    if not request.param:
        histories = part_of(histories, others=1)
    assert len(histories) >= (200 if request.param else 60)
    pages, hook = Pages(histories), Hook()
    configured = _settings(folder, histories, pages.address, hook.url)
    config = AlertsConfig.model_validate(configured)
    manager = alertmanager(folder, render_alertmanager(config))
    loop = AlertLoop(folder, {**configured, "routes": []})
    manager.start()
    pages.play(time.time() - FIRST_TICK * TICK)
    loop.start()
    server = prometheus(folder, _scraping(loop.address, manager.port), render_rules(config.rules))
    server.start()
    try:
        end = pages.begin + LAST_TICK * TICK
        time.sleep(max(0.0, end - time.time()))
        # Some ticks later the last page is old, and every peer seems stalled.
        loop.stop()
        hook.close()
        ask = _asker(server.url)
        instants = (at for one in ask('ALERTS{alertname="Watchdog"}') for at, _ in one["values"])
        evaluations = sorted(at for at in instants if at <= end)
        fires = {
            (one["metric"]["alertname"], one["metric"]["instance"]): {at for at, _ in one["values"]}
            for one in ask('ALERTS{alertstate="firing",alertname!="Watchdog"}')
        }
        views = {one.name: _views(ask(f'{{instance="{one.name}"}}'), evaluations) for one in histories}
        yield Seen(histories, evaluations, fires, views, hook, _notified_by(folder))
    finally:
        server.stop()
        manager.stop()
        loop.kill()
        pages.close()


def test_on_what_prometheus_scraped_both_engines_fire_and_resolve_alike(seen: Seen) -> None:
    rules = [one for one in active_rules(settings(TICK)) if one.name not in LEFT_OUT | OF_THE_LOOP]
    wrong, compared = [], 0
    for history in seen.histories:
        for rule, course in replay(seen.views[history.name], rules, is_host=False).items():
            if course.is_interrupted or _hovers(rule, history):
                continue
            theirs = [at in seen.fires.get((rule, history.name), ()) for at in seen.evaluations]
            compared += any(theirs)
            if not _are_alike(course.fires, theirs):
                wrong.append(f"{rule} {history.name}\n  loop       {_draw(course.fires)}\n  Prometheus {_draw(theirs)}")
    assert compared > len(seen.histories) // 4
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong)


def test_the_running_loop_and_prometheus_fire_where_they_must(seen: Seen) -> None:
    must = {pair for history in seen.histories if history.is_plain for pair in _expect(history)}
    ours = {(rule, peer) for rule, peer, kind in seen.loop_notified if kind == "firing"}
    assert len({rule for rule, _ in must}) >= 8
    assert not must - ours, sorted(must - ours)
    assert not must - set(seen.fires)


def test_alertmanager_notifies_what_fires_and_is_not_inhibited(seen: Seen) -> None:
    notified = seen.hook.all_notified("all")
    assert notified <= set(seen.fires)
    table = {name: rule.inhibits for name, rule in discover().items()}
    inhibited = {
        (rule, peer)
        for rule, peer in seen.fires
        for cause in table
        if rule in table[cause] and (cause, peer) in seen.fires
    }
    lasting = {pair for pair, instants in seen.fires.items() if len(instants) > 5}
    assert notified >= lasting - inhibited
    over = {pair for pair in lasting - inhibited if max(seen.fires[pair]) < seen.evaluations[-8]}
    assert over <= seen.hook.all_notified("all", "resolved")


def _hovers(rule: str, history: History) -> bool:
    """Whether a count stays at its threshold, where the instants of the evaluations decide."""
    return rule == "NonFinite" and history.name.startswith("nan-0.3")


def _expect(history: History) -> Iterator[tuple[str, str]]:
    """The alerts that fire for long, were every page scraped in time."""
    rules = [one for one in active_rules(settings(TICK)) if one.name not in LEFT_OUT | OF_THE_LOOP]
    evaluations = evaluations_of(history.pages(0.0, TICK), 0.0, TICK)[FIRST_TICK:LAST_TICK]
    for rule, course in replay(evaluations, rules, is_host=False).items():
        if sum(course.fires) >= LASTS_TICKS:
            yield rule, history.name


def _settings(folder: Path, histories: Sequence[History], address: str, hook: str) -> dict[str, Any]:
    rules = settings(TICK) | {name: {"enabled": False} for name in LEFT_OUT} | {"Watchdog": {"enabled": True}}
    return {
        "fleet": "test",
        "state_dir": str(folder / "state"),
        "listen": f"{LOOPBACK}:0",
        "interval": f"{TICK}s",
        "timeout": f"{TICK}s",
        "grouping": {"wait": "0s", "interval": "1s"},
        "targets": [
            {"peer": one.name, "url": f"{address}/{one.name}", "labels": {"instance": one.name}} for one in histories
        ],
        "routes": [{"name": "all", "url": hook}],
        "rules": rules,
    }


def _scraping(loop: str, manager: int) -> dict[str, Any]:
    interval = f"{TICK * 1000:.0f}ms"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": ["rules.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"{LOOPBACK}:{manager}"]}]}]},
        "scrape_configs": [{"job_name": "peerwatch", "http_sd_configs": [{"url": f"{loop}/targets"}]}],
    }


def _asker(url: str) -> Callable[[str], list[dict[str, Any]]]:
    def ask(selector: str) -> list[dict[str, Any]]:
        answer = get(f"{url}/api/v1/query", params={"query": f"{selector}[10m]"}, timeout=300)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    return ask


def _views(series: Sequence[dict[str, Any]], evaluations: Sequence[float]) -> list[Evaluation]:
    """What each evaluation saw: the page of the latest scrape, rebuilt from the samples that bear its time."""
    lines: dict[float, list[str]] = {}
    up: dict[float, bool] = {}
    for one in series:
        labels = dict(one["metric"])
        name = labels.pop("__name__")
        own = [
            f'{label}="{text}"' for label, text in labels.items() if label not in ("instance", "job", "peer", "fleet")
        ]
        for at, value in one["values"]:
            if name == "up":
                up[at] = value == "1"
            elif not name.startswith(("scrape_", "ALERTS")):
                lines.setdefault(at, []).append(f"{name}{{{','.join(own)}}} {value}" if own else f"{name} {value}")
    scrapes = sorted(up)
    views = []
    for at in evaluations:
        before = bisect.bisect_right(scrapes, at)
        scraped = [scrape for scrape in scrapes[:before] if up[scrape]]
        if before:
            latest = scrapes[before - 1]
            page = "\n".join(lines[latest]) if up[latest] else None
            views.append(Evaluation(at, page, scraped[-1] if scraped else scrapes[0]))
        else:
            views.append(Evaluation(at, None, at))
    return views


def _are_alike(ours: Sequence[bool], theirs: Sequence[bool]) -> bool:
    """Whether both change as often, and each is where the other is within one evaluation."""
    if sum(a != b for a, b in pairwise(ours)) != sum(a != b for a, b in pairwise(theirs)):
        return False
    near = [ours[max(0, place - 1) : place + 2] for place in range(len(ours))]
    return all(fires in around for fires, around in zip(theirs, near, strict=True))


def _draw(fires: Sequence[bool]) -> str:
    return "".join("#" if one else "." for one in fires)


def _notified_by(folder: Path) -> set[tuple[str, str, str]]:
    database = sqlite3.connect(folder / "state" / "alerts.sqlite")
    try:
        return set(database.execute("SELECT rule, peer, kind FROM events"))
    finally:
        database.close()
