"""Kills the alert loop at random instants while alerts come and go and every service is flaky; checks what arrived.

Duplicates are judged by the database as the kill left it: what it holds as delivered must never arrive again.
"""

import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from os import kill
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import yaml

from tests.alerts.bot_api import TOKEN, BotApi
from tests.alerts.conftest import ROOT, Sidecar, sidecar_page
from tests.fakes import LOOPBACK, Mailbox, Webhook, reserve_ports, wait_for

PEERS = tuple("ABCDEF")
ROUTES = ("hook", "mail", "phone")
TURN_SECONDS = 1.5
SHORTEST_LIFE, LONGEST_LIFE = 0.02, 0.9
# Each service fails so often, in one of these ways.
FAILURE_SHARE = 0.35
# A word for each alert, so that everything that arrives is distinct, however much was grouped.
WORDS = "{% for alert in alerts %}[{{ alert.kind }}{{ alert.peer }}{{ alert.since | int }}] {% endfor %}"
_WORD = re.compile(r"\[([a-z]+)([A-F])(\d+)\]")


class Notice(NamedTuple):
    """One notification of one alert; each stall has another start."""

    kind: str
    peer: str
    since: str


class Outcomes:
    """How the services answer; once `is_calm`, without failures."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self.is_calm = False
        self.met: dict[str, int] = {}

    def next(self, *problems: str) -> str:
        """`ok`, or one of the problems."""
        with self._lock:
            is_ok = self.is_calm or self._chance.random() > FAILURE_SHARE
            outcome = "ok" if is_ok else self._chance.choice(problems)
            self.met[outcome] = self.met.get(outcome, 0) + 1
        if outcome == "hang":
            time.sleep(0.4)
        return outcome

    def count(self) -> int:
        """How many attempts were answered."""
        return sum(self.met.values())


@dataclass
class Inbox:
    """What one service has accepted: when, and which notices, in order."""

    arrivals: list[tuple[float, list[Notice]]] = field(default_factory=list)

    def take(self, text: str) -> None:
        self.arrivals.append((time.monotonic(), [Notice(*match) for match in _WORD.findall(text)]))

    def notices(self) -> list[tuple[float, Notice]]:
        return [(at, one) for at, lines in self.arrivals for one in lines]


class FlakyBotApi(BotApi):
    """A Bot API that is busy, broken or gone at times."""

    def __init__(self, certificate: Path, outcomes: Outcomes, inbox: Inbox) -> None:
        super().__init__(certificate)
        self._outcomes = outcomes
        self._inbox = inbox

    def answer(self, method: str, content: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if method != "sendMessage":
            return super().answer(method, content)
        outcome = self._outcomes.next("429", "500", "reset", "hang")
        if outcome in ("reset", "hang"):
            raise ConnectionResetError
        if outcome == "500":
            return 500, {"ok": False, "error_code": 500, "description": "Internal Server Error"}
        if outcome == "429":
            self.retry_after = 1
        status, answer = super().answer(method, content)
        if status == 200:
            self._inbox.take(content["text"])
        return status, answer


class FlakyWebhook(Webhook):
    """A receiver of webhooks that is busy, broken or gone at times."""

    def __init__(self, outcomes: Outcomes, inbox: Inbox) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outcome = outcomes.next("429", "500", "reset", "hang")
                if outcome in ("reset", "hang"):
                    raise ConnectionResetError
                if outcome == "ok":
                    inbox.take(content)
                self.send_response({"ok": 200}.get(outcome) or int(outcome))
                self.end_headers()
                if outcome == "429":
                    self.wfile.write(b'{"retry_after": 0.5}')

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self.messages = []
        self._server = Server((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()


class FlakyMailbox(Mailbox):
    """A mail server that is busy or gone at times."""

    def __init__(self, outcomes: Outcomes, inbox: Inbox) -> None:
        super().__init__(reserve_ports(1)[0])
        self._outcomes = outcomes
        self._inbox = inbox

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        outcome = self._outcomes.next("451", "554", "reset")
        if outcome == "reset":
            server.transport.abort()
        if outcome != "ok":
            return f"{outcome} Not now"
        answer = await super().handle_DATA(server, session, envelope)
        self._inbox.take(self.messages[-1].body)
        self.messages.clear()
        return answer


@dataclass
class Report:
    """What a campaign did and found."""

    kills: int = 0
    seconds: float = 0.0
    events: int = 0
    arrivals: int = 0
    repeated: int = 0
    attempts_refused: int = 0
    wrong: list[str] = field(default_factory=list)


class Campaign:
    """One database, killed again and again."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self._folder = folder
        self._chance = random.Random(seed)
        self._outcomes = Outcomes(seed)
        self._inboxes = {route: Inbox() for route in ROUTES}
        self._sidecars = {peer: Sidecar() for peer in PEERS}
        self._hook = FlakyWebhook(self._outcomes, self._inboxes["hook"])
        self._mailbox = FlakyMailbox(self._outcomes, self._inboxes["mail"])
        self._bot_api = FlakyBotApi(folder / "telegram.pem", self._outcomes, self._inboxes["phone"])
        self._mailbox.start()
        self._database = folder / "state" / "alerts.sqlite"
        # At each kill: when, and what the database then held as delivered.
        self._recorded: list[tuple[float, set[tuple[str, Notice]]]] = []
        # Everything that the database ever held, by number: it forgets what is old.
        self._news: dict[int, tuple[str, Notice]] = {}
        self._events: set[int] = set()
        self._write_config()
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.alerts.killing.fork_parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=self._bot_api.environment,
        )

    def close(self) -> None:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(90)
        self._parent.stdout.close()
        self._mailbox.stop()
        for server in (self._hook, self._bot_api, *self._sidecars.values()):
            server.close()

    def run(self, kills: int) -> Report:
        """Kills the loop so often, then lets everything be delivered, and checks what arrived."""
        began = time.monotonic()
        for number, sidecar in enumerate(self._sidecars.values()):
            sidecar.page = _flapping(number / len(PEERS))
        for number in range(kills):
            process = self._start()
            # However slow the machine, two lives of three get as far as the worst moments.
            if number % 3 == 1:
                _wait_for_more(self._outcomes.count)
            elif number % 3 == 2:
                _wait_for_more(self._count_logged)
            time.sleep(self._chance.uniform(SHORTEST_LIFE, LONGEST_LIFE if number % 3 == 0 else LONGEST_LIFE / 3))
            self._kill(process)
            self._read_database()
        seconds = time.monotonic() - began
        for sidecar in self._sidecars.values():
            sidecar.serve()
        self._outcomes.is_calm = True
        process = self._start()
        wait_for(self._is_all_delivered, 90, f"everything delivered; pending: {self._count_waiting()}", every=0.1)
        self._kill(process)
        self._read_database()
        return self._judge(Report(kills, seconds))

    def _write_config(self) -> None:
        templates = self._folder / "templates"
        templates.mkdir()
        for name in ("body.txt", "body.html"):
            (templates / name).write_text(WORDS)
        urls = {"hook": self._hook.url, "mail": self._mailbox.url, "phone": f"tgram://{TOKEN}/4242"}
        settings = {
            "fleet": "test",
            "state_dir": str(self._folder / "state"),
            "listen": f"{LOOPBACK}:0",
            "interval": "0.1s",
            "timeout": "1s",
            "grouping": {"wait": "0.05s", "interval": "0.2s"},
            "templates": str(templates),
            "targets": [{"peer": peer, "url": one.url} for peer, one in self._sidecars.items()],
            "routes": [{"name": route, "url": urls[route], "commands": route == "phone"} for route in ROUTES],
            "rules": {"PeerStalled": {"recover_after": "0s"}},
        }
        (self._folder / "alerts.yaml").write_text(yaml.safe_dump(settings))

    def _start(self) -> int:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(f"{self._folder / 'alerts.yaml'} {self._folder / 'loop.log'}\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())

    def _kill(self, process: int) -> None:
        assert psutil.pid_exists(process), (self._folder / "loop.log").read_text()[-3000:]
        kill(process, signal.SIGKILL)
        wait_for(lambda: not psutil.pid_exists(process), 10, "the loop's end", every=0.002)

    def _count_logged(self) -> int:
        """How many transitions the loop has written down, by its log."""
        log = self._folder / "loop.log"
        return log.read_bytes().count(b"PeerStalled: ") if log.exists() else 0

    def _read_database(self) -> None:
        """Reads a copy: opening the database itself would repair what the kill left, which is the loop's task."""
        killed_at = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            for path in self._database.parent.glob("alerts.sqlite*"):
                with suppress(FileNotFoundError):
                    shutil.copy(path, folder)
            copy = Path(folder) / self._database.name
            rows = _ask(copy, "SELECT id, route, event ->> 'kind', peer, CAST(event ->> 'since' AS INTEGER) FROM news")
            sent = "SELECT n.id FROM news n JOIN notifications d ON d.id = n.notification WHERE d.state = 'delivered'"
            delivered = [number for (number,) in _ask(copy, sent)]
            events = _ask(copy, "SELECT id FROM events WHERE rule = 'PeerStalled'")
        self._news.update({row[0]: (row[1], Notice(row[2], row[3], str(row[4]))) for row in rows})
        self._events.update(number for (number,) in events)
        self._recorded.append((killed_at, {self._news[number] for number in delivered}))

    def _count_waiting(self) -> int:
        waiting = "SELECT count(*) FROM notifications WHERE state = 'pending'"
        news = "SELECT count(*) FROM news WHERE notification IS NULL"
        return sum(int(row[0]) for query in (waiting, news) for row in _ask(self._database, query))

    def _is_all_delivered(self) -> bool:
        return (
            not _ask(self._database, "SELECT 1 FROM alerts WHERE state ->> 'phase' = 'firing'")
            and not self._count_waiting()
        )

    def _judge(self, report: Report) -> Report:
        report.events = len(self._events)
        report.attempts_refused = sum(count for outcome, count in self._outcomes.met.items() if outcome != "ok")
        for route, inbox in self._inboxes.items():
            expected = [notice for _, (whose, notice) in sorted(self._news.items()) if whose == route]
            notices = inbox.notices()
            arrived = [one for _, one in notices]
            report.arrivals += len(arrived)
            report.repeated += len(arrived) - len(set(arrived))
            report.wrong += [f"{route}: never arrived: {one}" for one in expected if one not in set(arrived)]
            report.wrong += [f"{route}: nobody sent: {one}" for one in set(arrived) - set(expected)]
            report.wrong += self._find_disorder(route, expected, arrived)
            report.wrong += self._find_repeats(route, notices)
            if len(expected) != report.events:
                report.wrong.append(f"{route}: {len(expected)} news of {report.events} events")
        return report

    def _find_disorder(self, route: str, expected: list[Notice], arrived: list[Notice]) -> list[str]:
        wrong = []
        for peer in PEERS:
            wanted = [one for one in expected if one.peer == peer]
            came = [one for one in dict.fromkeys(arrived) if one.peer == peer]
            wrong += [f"{route}: {peer} came out of order"] if came != wanted else []
        return wrong

    def _find_repeats(self, route: str, notices: list[tuple[float, Notice]]) -> list[str]:
        first = {}
        for killed_at, delivered in self._recorded:
            for one in delivered:
                first.setdefault(one, killed_at)
        return [
            f"{route}: {one} arrived although the database had it as delivered"
            for at, one in notices
            if at > first.get((route, one), at)
        ]


def _ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(path)
    try:
        return database.execute(query).fetchall()
    except sqlite3.OperationalError:  # It was killed before it had made the tables.
        return []
    finally:
        database.close()


def _wait_for_more(count: Callable[[], int]) -> None:
    """Until there is one more, or five seconds have passed."""
    before, end = count(), time.monotonic() + 5
    while count() == before and time.monotonic() < end:
        time.sleep(0.005)


def _flapping(phase: float) -> Callable[[], str]:
    """A peer that stalls and recovers in turns; each stall has its own start."""
    start = time.time()

    def page() -> str:
        turn = int((time.time() - start) / TURN_SECONDS + phase)
        began = start - 50_000 + 10 * turn
        stalled = {"last_step": began, "phase_start": began - 100, "started": began - 200}
        return sidecar_page(**(stalled if turn % 2 else {}))

    return page
