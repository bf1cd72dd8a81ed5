"""`python -m exporter.leaderboard --config FILE.yaml`: keeps and serves the swarm's board."""

import argparse
import importlib.metadata
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from exporter.leaderboard.changes import CHANGES_FILE, Changes
from exporter.leaderboard.config import LeaderboardConfig, load
from exporter.leaderboard.standings import Standings
from exporter.leaderboard.standings_api import make_sources_app
from exporter.plain_output import allow_any_text
from exporter.serving.asgi import Server
from exporter.serving.host_names import HostRule, scraped_names
from exporter.serving.listen_address import split_listen

if TYPE_CHECKING:
    from exporter.leaderboard.board_service import BoardService

_log = logging.getLogger("leaderboard")


def listen(address: str) -> socket.socket:
    """A listening socket. Raises ValueError with the address and the reason."""
    host, port = split_listen(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        # create_server appends the address to the system's error text.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ValueError(f"cannot listen on {address}: {reason}; set another `listen`") from None


def serve(config: LeaderboardConfig, config_path: Path, listener: socket.socket) -> bool:
    """Serves until SIGTERM or SIGINT, then returns True; False when the polling thread failed.

    Raises ValueError for a database that cannot be used.
    """
    stop = threading.Event()
    hosts = scraped_names(split_listen(config.listen)[0], config.allowed_hosts)
    changes = Changes(config.database.with_name(CHANGES_FILE))
    standings = Standings(config.make_sources(), changes, config.list_watched())
    board = _open_board(config, config_path, hosts, standings if config.sources else None)
    try:
        server = Server(
            uvicorn.Config(
                board.app if board is not None else make_sources_app(standings, hosts),
                http="h11",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
            )
        )
        # uvicorn raises the signal again after its own shutdown: it must find a handler that lets this return.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())

        def poll_until_stopped() -> None:
            try:
                board.run(stop) if board is not None else stop.wait()
            finally:
                server.should_exit = True

        polling = threading.Thread(target=poll_until_stopped, name="poll", daemon=True)
        polling.start()
        standings.start(stop)
        server.run(sockets=[listener])
        was_signalled = stop.is_set()
        stop.set()
        if board is not None:
            board.end_reader()
        polling.join(1.0)
        return was_signalled
    finally:
        if board is not None:
            board.close()


def _open_board(
    config: LeaderboardConfig, config_path: Path, hosts: HostRule, standings: Standings | None
) -> "BoardService | None":
    """None without the swarm's addresses: then there is no board to keep. Raises ValueError."""
    if not config.keeps_board:
        return None
    try:
        from exporter.leaderboard.board_service import BoardService
    except ModuleNotFoundError as error:
        raise ValueError(f"a board needs the package {error.name}: pip install 'peerwatch[leaderboard]'") from None
    return BoardService(config, config_path, hosts, standings)


def _version() -> str:
    try:
        return importlib.metadata.version("peerwatch")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def main() -> int:
    """Exit code 0 after a signal, 1 for a port or database that cannot be used, 2 for a wrong configuration."""
    allow_any_text()
    parser = argparse.ArgumentParser(description="Keeps and serves the board of an RL swarm.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE.yaml")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # It warns of each malformed request, as often as anyone sends one.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    try:
        config = load(arguments.config)
    except ValueError as error:
        print(f"leaderboard: {error}", file=sys.stderr)
        return 2
    try:
        listener = listen(config.listen)
        host, port = listener.getsockname()[:2]
        _log.info("Peerwatch leaderboard %s on http://%s:%d", _version(), host, port)
        return 0 if serve(config, arguments.config, listener) else 1
    except ValueError as error:
        print(f"leaderboard: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
