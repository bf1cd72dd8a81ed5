"""`python -m alerts --config FILE`: scrapes a fleet's peers, evaluates rules and sends notifications."""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from starlette.routing import Route

from alerts.charts.choose import ChartDrawer
from alerts.config import AlertsConfig, ConfigError, load
from alerts.delivery.apprise_sender import Sender
from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.outbox import Outbox
from alerts.delivery.queue import Queue
from alerts.delivery.route_style import RouteStyles
from alerts.delivery.silence_store import SilenceStore
from alerts.history.api import HistoryApi
from alerts.history.recorder import Recorder
from alerts.history.store import FILE
from alerts.loop import Loop, SteadyClock
from alerts.machines.discovery import Discovery, pause_seconds
from alerts.machines.joined import TOKEN_FILE, ensure_token
from alerts.machines.membership import Membership, Roster, locator, read_membership, with_machines
from alerts.machines.sequences import Sequences
from alerts.scraping.inbox import Inbox
from alerts.standby.endpoint import StandingBy
from alerts.standby.exchange import Here
from alerts.standby.first import First
from alerts.standby.first import ensure_token as ensure_standby_token
from alerts.standby.token import TOKEN_FILE as STANDBY_TOKEN_FILE
from alerts.startup import Prepared, describe, prepare
from alerts.store import FILE as ALERTS_FILE
from alerts.store import Store, StoreError
from alerts.telegram.commands import Commands
from alerts.web.actions import Actions, make_token
from alerts.web.app import make_app
from alerts.web.joining import Joining
from alerts.web.leaderboard_client import BoardReader
from alerts.web.live_page import LivePage
from alerts.web.page.render import Renderer
from alerts.web.page_data import PageData
from alerts.web.peer_page import PeerPages
from alerts.web.pushing import Pushing
from alerts.web.server import make_server
from alerts.web.sparkline_data import SparklineReader
from exporter.files.file_lock import LockTakenError, NoLocksError, check_locks, locked
from exporter.plain_output import allow_any_text
from exporter.serving.listen_address import split_listen
from exporter.serving.open_files import allow_open_files

if TYPE_CHECKING:
    from alerts.telegram.bot import Bot

WRONG_CONFIGURATION = 2
FAILED = 1
STOP_GRACE_SECONDS = 4.0
# The number of the listening socket, from one run of this program to the next in the same process.
_SOCKET_VARIABLE = "PEERWATCH_LISTENING_SOCKET"
# Connections of readers, sidecars and notifications, and the database.
_WANTED_FILES = 4096

log = logging.getLogger("alerts")


def main() -> int:
    """Runs the alert loop until SIGTERM or SIGINT; returns the exit status."""
    allow_any_text()
    parser = argparse.ArgumentParser(
        prog="python -m alerts",
        description="Scrapes the sidecars of a fleet, evaluates rules and sends notifications.",
        epilog="example: python -m alerts --config alerts.yaml",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the alert loop's YAML file")
    arguments = parser.parse_args()
    try:
        config = load(arguments.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return WRONG_CONFIGURATION
    listed = frozenset(machine.name for machine in config.machines)
    known = read_membership(config.state_dir)
    config = with_machines(config, known)
    prepared = prepare(config)
    if prepared.problems:
        for line in describe(prepared.problems):
            print(f"{arguments.config}: {line}", file=sys.stderr)
        return WRONG_CONFIGURATION
    sender = Sender(prepared.urls, prepared.bots)
    _log_to_stderr(sender.secrets | {prepared.deadman_url, prepared.password, *prepared.logins.values()} - {""})
    for line in describe(prepared.doubts):
        log.warning("%s", line)
    allow_open_files(_WANTED_FILES)
    try:
        with _listen(config) as server_socket, _lock(config.state_dir), server_socket.dup() as kept:
            is_again = asyncio.run(_run(config, sender, prepared, server_socket, known, listed))
            if is_again:
                _begin_again(kept)
    except (_StartError, StoreError) as error:
        print(error, file=sys.stderr)
        return FAILED
    return 0


def _begin_again(listening: socket.socket) -> NoReturn:
    """This program anew in this process, with its socket: who connects meanwhile waits instead of being refused."""
    listening.set_inheritable(True)
    os.execve(sys.executable, sys.orig_argv, os.environ | {_SOCKET_VARIABLE: str(listening.fileno())})


async def _run(
    config: AlertsConfig,
    sender: Sender,
    prepared: Prepared,
    server_socket: socket.socket,
    known: Membership,
    listed: frozenset[str],
) -> bool:
    """Whether the program is to begin again, as other peers are to be watched."""
    clock, certificate = SteadyClock(), prepared.certificate
    store = Store(config.state_dir / ALERTS_FILE)
    queue, silence_store, styles = (
        Queue(store),
        SilenceStore(store),
        RouteStyles(config, sender, peers=len(config.targets)),
    )
    chart_drawer = ChartDrawer(config.state_dir / FILE, config.language, config.timezone) if config.charts else None
    outbox = Outbox(queue, sender, styles, tuple(route.name for route in config.routes), clock, chart_drawer)
    dispatcher = Dispatcher(config, queue, silence_store, styles, outbox, clock, locator(config))
    recorder = Recorder(config.state_dir, config.history)
    inbox = Inbox(config.targets, config.interval, clock)
    loop = Loop(
        config, store, dispatcher, outbox, styles, clock, recorder=recorder, logins=prepared.logins, inbox=inbox
    )
    history = HistoryApi(recorder, [target.peer for target in config.targets], lambda: loop.status)
    actions = Actions(make_token(config.state_dir), loop, silence_store, sender, styles)
    board = BoardReader(config.leaderboard_url) if config.leaderboard_url else None
    curves = SparklineReader([target.peer for target in config.targets], history.read)
    watcher, here = secrets.token_urlsafe(12), Here(loop, dispatcher, silence_store)
    first, second = First(config.fleet, watcher, here, queue), None
    if config.standby_of is not None and prepared.standby_token is not None:
        # Imported only if used, as httpx below.
        from alerts.standby.second import Second

        of, token = config.standby_of, prepared.standby_token
        second = Second(of, token, config.fleet, watcher, here, outbox, config.state_dir)
        first.is_standing_by = lambda: second is not None and second.is_standing_by

    def may_send() -> bool:
        return first.may_send() and (second is None or second.may_send())

    outbox.guard(may_send, first.note_delivered)
    dispatcher.may_notify = may_send
    describe_standby = second.describe if second is not None else first.describe
    page_data = PageData(config, loop, store, dispatcher, outbox, board, curves, describe_standby)
    renderer = Renderer(config.language, styles.style().zone)
    live = LivePage(renderer, page_data.collect)
    peer_pages = PeerPages(config, loop, page_data, history, renderer, styles.style())
    loop.on_status = silence_store.on_change = live.invalidate
    stop, is_changed = asyncio.Event(), asyncio.Event()

    def begin_again() -> None:
        is_changed.set()
        stop.set()

    joining = _make_joining(config, listed, begin_again)
    roster = Roster(config.state_dir, known, begin_again, pause_seconds=pause_seconds(config), clock=clock)
    app = make_app(
        config,
        loop,
        outbox,
        page_data,
        actions,
        live,
        history,
        peer_pages,
        prepared.password,
        joining=joining,
        more_routes=_standby_routes(config, first),
        pushing=_make_pushing(config, prepared, inbox, roster, clock),
    )
    context = certificate.context if certificate is not None else None
    server = make_server(app, context, interval_seconds=config.interval)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _log_start(config, sender, server_socket)
    serving = asyncio.create_task(server.serve(sockets=[server_socket]))
    if store.is_lost and store.aside is not None:
        dispatcher.announce_loss(store.aside)
    outbox.start()
    recorder.start()
    background = [
        asyncio.create_task(curves.run(live.invalidate, live.viewed)),
        asyncio.create_task(first.run()),
        *([asyncio.create_task(second.run())] if second is not None else []),
    ]
    if config.deadman is not None:
        # Imported only if used: it imports httpx, which takes 5 MB; so does alerts.telegram.updates.
        from alerts.delivery.dead_man_switch import DeadManSwitch

        switch = DeadManSwitch(prepared.deadman_url, config.deadman.every, loop.is_healthy)
        actions.heartbeat, page_data.heartbeat = switch.ping, lambda: switch.health
        background.append(asyncio.create_task(switch.run()))
    if board is not None:
        background.append(asyncio.create_task(board.run(live.invalidate)))
    if config.machines:
        background.append(asyncio.create_task(Discovery(config, roster, prepared.logins).run()))
    if certificate is not None:
        background.append(asyncio.create_task(certificate.keep_fresh()))
    commands = Commands(lambda: loop.status, dispatcher, silence_store, styles.style())
    for bot, chats in _group_chats(prepared.bots):
        from alerts.telegram.updates import Updates

        updates = Updates(bot, chats, commands, queue, styles.style().words)
        updates.may_ask = lambda: second is None or not second.is_standing_by
        background.append(asyncio.create_task(updates.run()))
    # These objects live as long as the process: the garbage collector can skip them.
    gc.collect()
    gc.freeze()
    try:
        await loop.run(stop)
    finally:
        for task in background:
            task.cancel()
        live.close()
        server.should_exit = True
        await asyncio.gather(outbox.close(STOP_GRACE_SECONDS), serving, *background, return_exceptions=True)
        recorder.close()
        store.close()
        log.info("begins again with other peers" if is_changed.is_set() else "stopped")
    return is_changed.is_set()


def _make_joining(config: AlertsConfig, listed: frozenset[str], on_change: Callable[[], None]) -> Joining | None:
    """Machines join a page that others can reach, and that has a certificate to know it by."""
    if config.tls is None or config.login is None:
        return None
    try:
        token = ensure_token(config.state_dir, config.tls.certificate)
    except (OSError, UnicodeDecodeError) as error:
        log.error("no machine can join: cannot write %s: %s", config.state_dir / TOKEN_FILE, error)
        return None
    return Joining(config.state_dir, token, listed, on_change)


def _standby_routes(config: AlertsConfig, first: First) -> list[Route]:
    try:
        token = ensure_standby_token(config.state_dir, config.tls.certificate if config.tls is not None else None)
    except (OSError, UnicodeDecodeError) as error:
        log.error("no standby can ask: cannot write %s: %s", config.state_dir / STANDBY_TOKEN_FILE, error)
        return []
    return StandingBy(first, token).routes()


def _make_pushing(
    config: AlertsConfig, prepared: Prepared, inbox: Inbox, roster: Roster, clock: Callable[[], float]
) -> Pushing | None:
    """Takes pages where machines push; without any there is nothing that could be sent."""
    names = [machine.name for machine in config.machines if machine.pushes]
    if not names:
        return None
    passwords = {name: prepared.logins[name].partition(":")[2] for name in names}
    sequences = Sequences(config.state_dir)
    return Pushing(passwords, inbox, roster, sequences, interval_seconds=config.interval, clock=clock)


def _group_chats(bots: "Mapping[str, Bot]") -> "list[tuple[Bot, set[int]]]":
    """Each bot once with the chats of all its routes."""
    chats: dict[str, set[int]] = {}
    for bot in bots.values():
        chats.setdefault(bot.token, set()).update(chat.id for chat in bot.chats)
    return [(bot, chats[bot.token]) for bot in {bot.token: bot for bot in bots.values()}.values()]


def _log_start(config: AlertsConfig, sender: Sender, server_socket: socket.socket) -> None:
    host, port = server_socket.getsockname()[:2]
    try:
        number = version("peerwatch")
    except PackageNotFoundError:
        number = "from source"
    scheme = "https" if config.tls is not None else "http"
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
    log.info(
        "peerwatch %s alert loop of fleet %s at %s: %d peers, %d routes",
        number,
        config.fleet,
        address,
        len(config.targets),
        len(config.routes),
    )
    for route in config.routes:
        if sender.count_recipients(route.name) > 1:
            log.warning(
                "route %s has several recipients: if one fails, all get the message again; give each its own route",
                route.name,
            )


def _log_to_stderr(secrets: set[str]) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Redactor(secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns of each malformed request, as often as anyone sends one.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


@contextlib.contextmanager
def _listen(config: AlertsConfig) -> Iterator[socket.socket]:
    kept = os.environ.pop(_SOCKET_VARIABLE, None)
    if kept is not None:
        with socket.socket(fileno=int(kept)) as server_socket:
            server_socket.set_inheritable(False)
            yield server_socket
        return
    host, port = split_listen(config.listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as server_socket:
        server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server_socket.bind((host, port))
            server_socket.listen()
        except OSError as error:
            raise _StartError(
                f"cannot listen on {config.listen}: {error.strerror}; stop that process, or set another `listen`"
            ) from None
        yield server_socket


@contextlib.contextmanager
def _lock(state_dir: Path) -> Iterator[None]:
    """Locks the state folder: two loops with one database would send everything twice."""
    with contextlib.ExitStack() as stack:
        try:
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(locked(state_dir / "alerts.lock"))
            # On a full disk this cannot be tried, and the loop runs on it all the same.
            with contextlib.suppress(OSError):
                check_locks(state_dir)
        except LockTakenError:
            raise _StartError(f"another alert loop uses {state_dir}; stop it, or set another `state_dir`") from None
        except NoLocksError as error:
            raise _StartError(str(error)) from None
        except OSError as error:
            raise _StartError(f"cannot write to {state_dir}: {error.strerror}; set another `state_dir`") from None
        yield


class _StartError(Exception):
    """The loop cannot start on this machine; the text has the cause and the remedy."""


class _Redactor(logging.Formatter):
    """Masks every part of a route's URL in the log, whoever logs it."""

    def __init__(self, secrets: set[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._secrets = sorted(secrets, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


if __name__ == "__main__":
    sys.exit(main())
