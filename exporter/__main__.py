"""The sidecar: `python -m exporter --run-dir DIR` serves the metrics of one trainer."""

import contextlib
import gc
import logging
import signal
import ssl
import sys
import threading
import time
from collections.abc import Iterator

from exporter.collectors import discover
from exporter.config import SidecarConfig, parse_arguments
from exporter.metrics import Sample
from exporter.page.answers import Answers
from exporter.page.server import Limits, Server
from exporter.page.tls_files import TlsFiles
from exporter.plain_output import allow_any_text
from exporter.serving.give_way import MAX_CONNECTIONS
from exporter.serving.host_names import scraped_names
from exporter.serving.open_files import allow_connections
from exporter.snapshot import Snapshot, refresh_until
from exporter.version import VERSION

log = logging.getLogger("exporter")


def main() -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status."""
    allow_any_text()
    config = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    snapshot = _make_snapshot(config)
    with contextlib.ExitStack() as stack:
        try:
            servers = [stack.enter_context(server) for server in _make_servers(config, snapshot)]
        except (OSError, ssl.SSLError) as error:
            print(f"python -m exporter: {_explain(config, error)}", file=sys.stderr)
            return 1
        _announce(config, servers[0])
        for server in servers:
            threading.Thread(target=server.serve_forever, name="server", daemon=True).start()
        # What is alive now stays alive: the garbage collector need not visit it again.
        gc.collect()
        gc.freeze()
        refresh_until(stopping, snapshot, config.interval_seconds)
    return 0


def _make_snapshot(config: SidecarConfig) -> Snapshot:
    constant = [Sample("sidecar_build_info", {"version": VERSION}, 1.0)]
    snapshot = Snapshot(discover(config), constant=constant, timeout_seconds=max(1.0, config.interval_seconds / 2))
    snapshot.refresh(time.time())
    return snapshot


def _make_servers(config: SidecarConfig, snapshot: Snapshot) -> Iterator[Server]:
    """The server for this machine, and the one for who comes from outside, if any."""
    tls = TlsFiles(config.tls_cert, config.tls_key) if config.tls_cert and config.tls_key else None
    yield _make_server(config, snapshot, (config.host, config.port), tls, config.credentials)
    machine = config.machine
    if config.outside is not None and machine is not None and machine.certificate and machine.key:
        tls = TlsFiles(machine.certificate, machine.key)
        yield _make_server(config, snapshot, config.outside, tls, config.outside_credentials)


def _make_server(
    config: SidecarConfig,
    snapshot: Snapshot,
    address: tuple[str, int],
    tls: TlsFiles | None,
    credentials: bytes | None,
) -> Server:
    answers = Answers(
        lambda: snapshot.latest(time.time()),
        stale_after_seconds=5.0 * config.interval_seconds + 30.0,
        hosts=scraped_names(address[0], config.allowed_hosts, is_protected=tls is not None or credentials is not None),
        credentials=credentials,
        machine=config.describe_machine if config.machine else None,
    )
    limits = Limits(connections=allow_connections(MAX_CONNECTIONS))
    return Server(address, answers.answer, tls=tls, limits=limits)


def _announce(config: SidecarConfig, server: Server) -> None:
    host, port = server.address
    shown = f"[{host}]" if ":" in host else host
    scheme = "https" if config.tls_cert else "http"
    log.info("peerwatch sidecar %s: %s on %s://%s:%s/metrics", VERSION, config.run_dir, scheme, shown, port)
    if config.is_exposed():
        log.warning("metrics are readable without a password by anyone who can reach %s; set --basic-auth-file", shown)


def _explain(config: SidecarConfig, error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"cannot serve HTTPS with {config.tls_cert} and {config.tls_key}: {error.reason or error}"
    if config.outside is not None:
        host, port = config.outside
        outside = f" or outside on {host}:{port}"
    else:
        outside = ""
    reason = error.strerror or error
    return f"cannot listen on {config.host}:{config.port}{outside}: {reason}; choose another --listen"


if __name__ == "__main__":
    sys.exit(main())
