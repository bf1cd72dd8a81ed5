"""The swarm's DHT, as the trainer sees it; `node` is what runs in the DHT's own process.

The DHT runs in its own process, forked here, with libp2p's daemon p2pd as its child. Neither outlives the trainer,
however that ends: an identity cannot rejoin a swarm while its previous process is still connected.
"""

import contextlib
import errno
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import psutil

from exporter.identity.peer_id import read_peer_id
from exporter.system.process_identity import is_running
from trainer.config import SwarmConfig
from trainer.protocol import EXPIRATION_SECONDS, MAX_CLOCK_DIFFERENCE_SECONDS
from trainer.readable import MAX_VALUE_BYTES
from trainer.sealing import Members, Seal
from trainer.stopping import SIGNALS, delayed
from trainer.swarm.error import SwarmError
from trainer.swarm.leftovers import daemon_sockets, end_leftovers, find_daemon, record_dht_process
from trainer.swarm.reachability import has_listener, reachable
from trainer.swarm.records import Found

# hivemind reads it on import. Errors reach the caller as exceptions; its log adds only noise.
os.environ.setdefault("HIVEMIND_LOGLEVEL", "CRITICAL")

import hivemind
from hivemind.utils import get_dht_time

from trainer.swarm import node

log = logging.getLogger(__name__)

START_SECONDS = 60.0
CALL_SECONDS = 10.0
GUARD_SECONDS = 0.5
# Linux keeps the port of a connection for a minute after its end.
PORT_SECONDS = 90


class Swarm:
    """A running DHT. After the start only one thread may call its methods: hivemind's pipe is not thread-safe."""

    def __init__(self, config: SwarmConfig, run_dir: Path, identity_path: Path) -> None:
        """Forks the DHT and waits until it has joined. Raises SwarmError. Call it before torch starts threads.

        A leader without a reachable initial peer starts the swarm; a restarted one joins the others.
        """
        self._config, self._run_dir, self._identity_path = config, run_dir, identity_path
        self.leaders, self.leads = config.leaders, config.leader
        self.is_signed, self.shards = config.signed, config.shards
        end_leftovers(run_dir, identity_path)
        _wait_for_port(config)
        seal, members = _read_seal(config, identity_path)
        known = reachable(config.initial_peers)
        if not known and not config.leader:
            # None is reachable: libp2p's own attempt gives the reason.
            known = config.initial_peers
        # torch starts a process for shared memory here, and waits for it in a loop that a signal makes infinite.
        with delayed():
            self._dht = _GuardedDHT(
                run_dir,
                seal,
                start=False,
                record_validators=[node.SealedOnly(members) if seal else node.ReadableOnly()],
                initial_peers=known or None,
                host_maddrs=[config.listen_multiaddr()],
                announce_maddrs=config.announce or None,
                identity_path=str(identity_path),
                node_id=node.place_in_swarm(read_peer_id(identity_path)),
                nat_port_map=False,
                auto_nat=False,
                use_relay=False,
                startup_timeout=START_SECONDS / 2,
                # The clock of a member may be off by minutes; hivemind would refuse to join.
                strict=False,
            )
            self._dht.run_in_background(await_ready=False)
        try:
            self._dht.wait_until_ready(START_SECONDS)
            self.addresses = list(self._call("the DHT", node.addresses))
        except BaseException as error:
            self.close()
            if isinstance(error, Exception):
                raise SwarmError(_explain(error, config)) from error
            raise

    def store(self, key: str, value: Any, subkey: str | None = None, *, outlast: float = 0.0) -> bool:
        """Stores a value in the swarm; whether the swarm accepted it.

        It expires after `outlast` (Unix seconds), as far as clocks of peers differ. Raises SwarmError, and ValueError
        for a value that is too large or of no form that the swarm has.
        """
        packed = _pack(key, value)
        usual = get_dht_time() + EXPIRATION_SECONDS
        expiration = min(max(usual, outlast + 1.0), usual + MAX_CLOCK_DIFFERENCE_SECONDS)
        record = {"key": key, "subkey": subkey, "expiration": expiration}
        if len(packed) <= node.PIECE_BYTES:
            return bool(self._call(f"storing {key}", node.store, **record, packed=packed, pieces=0))
        pieces = [packed[at : at + node.PIECE_BYTES] for at in range(0, len(packed), node.PIECE_BYTES)]
        for index, piece in enumerate(pieces):
            self._call(f"storing {key}", node.take_piece, index=index, piece=piece)
        return bool(self._call(f"storing {key}", node.store, **record, packed=b"", pieces=len(pieces)))

    def get(self, key: str) -> Any:
        """The newest value under a key, or {subkey: value} where it has subkeys; None on a miss. Raises SwarmError."""
        found = self.find(key)
        if isinstance(found, Mapping):
            return {subkey: entry.value for subkey, entry in found.items()}
        return found and found.value

    def find(self, key: str) -> Found | dict[Any, Found] | None:
        """As `get`, with the time at which each value expires. Raises SwarmError."""
        found = self._call(f"reading {key}", node.find, key=key)
        if isinstance(found, Mapping):
            return {subkey: Found(*entry) for subkey, entry in found.items()}
        return found and Found(*found)

    def connected_peers(self) -> list[str]:
        """The ids of the peers that p2pd is connected to. Raises SwarmError."""
        return list(self._call("the DHT", node.connected))

    def dial_initial_peers(self) -> int:
        """Connects to the initial peers that answer and are not connected; how many. Raises SwarmError."""
        present = set(self.connected_peers())
        missing = [one for one in self._config.initial_peers if one.rpartition("/p2p/")[2] not in present]
        found = reachable(missing)
        return int(self._call("dialling", node.dial, addresses=found)) if found else 0

    def restore_node(self) -> bool:
        """Builds the node again where its p2pd is gone; whether that was so. Raises SwarmError."""
        if self._call("the DHT", node.has_daemon):
            return False
        self.rebuild_node()
        return True

    def rebuild_node(self) -> None:
        """Builds the node again, whatever its state, with the records that it keeps. Raises SwarmError."""
        known = reachable(self._config.initial_peers)
        self._call("rebuilding the DHT's node", node.rebuild, seconds=START_SECONDS, initial_peers=known)

    def is_alive(self) -> bool:
        """Whether the DHT process runs; it cannot be restarted, but its node can be built again."""
        return bool(self._dht.is_alive())

    def close(self) -> None:
        """Leaves the swarm within a few seconds, whatever the state of the DHT."""
        with contextlib.suppress(Exception):
            self._dht.shutdown()
        end_leftovers(self._run_dir, self._identity_path, grace_seconds=0.5)

    def _call(
        self, action: str, coroutine: Callable[..., Any], *, seconds: float = CALL_SECONDS, **arguments: Any
    ) -> Any:
        with _as_swarm_error(action):
            future = self._dht.run_coroutine(partial(coroutine, **arguments), return_future=True)
            return future.result(timeout=seconds)


class _GuardedDHT(hivemind.DHT):
    """A DHT process that exits, and ends p2pd, as soon as the trainer is gone."""

    def __init__(self, run_dir: Path, seal: Seal | None, **options: Any) -> None:
        self._run_dir, self.seal = run_dir, seal
        self.pieces: list[bytes] = []
        self._trainer_pid = os.getpid()
        super().__init__(**options)

    def run(self) -> None:
        """The DHT process's main function."""
        # Inherited from the trainer, whose handlers are not meant for this process.
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        record_dht_process(self._run_dir, [])
        threading.Thread(target=self._guard, name="guard", daemon=True).start()
        try:
            super().run()
        except Exception:
            # If it was killed in the middle of a message to this process, the message's end is seen before its own.
            time.sleep(GUARD_SECONDS)
            if os.getppid() == self._trainer_pid:
                raise
            self._end()

    def _guard(self) -> None:
        daemon = None
        while os.getppid() == self._trainer_pid:
            if hasattr(self, "_node") and not (daemon and is_running(daemon)):
                daemon = find_daemon(psutil.Process())
                if daemon:
                    record_dht_process(self._run_dir, [*daemon_sockets(daemon), *self._client_sockets()])
            time.sleep(GUARD_SECONDS)
        self._end()

    def _end(self) -> NoReturn:
        end_leftovers(self._run_dir, Path(self.kwargs["identity_path"]), grace_seconds=0.0)
        os._exit(1)

    def _client_sockets(self) -> list[Path]:
        with contextlib.suppress(AttributeError, LookupError):
            return [Path(self._node.p2p._client_listen_maddr["unix"])]
        return []


def _read_seal(config: SwarmConfig, identity_path: Path) -> tuple[Seal | None, Members]:
    """What a signed swarm's records are sealed with, and who may write there. Raises SwarmError."""
    if not config.signed:
        return None, Members(())
    try:
        seal = Seal.read(identity_path)
    except (OSError, ValueError) as error:
        raise SwarmError(f"swarm.signed: {identity_path.name} cannot sign: {error}") from error
    own = (seal.peer_id,) if config.leader and not config.leaders else ()
    return seal, Members((*own, *config.leaders), frozenset(config.members))


def _pack(key: str, value: Any) -> bytes:
    try:
        packed = node.pack(value)
    except Exception as error:
        raise ValueError(f"{key} cannot be stored: {type(error).__name__} {error}") from error
    if len(packed) > MAX_VALUE_BYTES:
        raise ValueError(f"{key} cannot be stored: {len(packed)} bytes; readers take {MAX_VALUE_BYTES}")
    return packed


@contextlib.contextmanager
def _as_swarm_error(action: str) -> Iterator[None]:
    try:
        yield
    except SwarmError:
        raise
    except Exception as error:
        raise SwarmError(f"{action}: {type(error).__name__} {error}".rstrip()) from error


def _wait_for_port(config: SwarmConfig) -> None:
    """Until the port can be listened on. Raises SwarmError.

    libp2p shares a port in use without an error, so each process would get a part of the connections. A connection to
    elsewhere may hold it, too, as the port lies in Linux's range for them: such a one is waited for.
    """
    if config.port == 0:
        return
    deadline = None
    while True:
        try:
            family, kind, _, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen(1)
            return
        except OSError as error:
            is_held = error.errno == errno.EADDRINUSE and not has_listener(config.port)
            if not is_held or (deadline is not None and time.monotonic() > deadline):
                raise SwarmError(
                    f"swarm.port: cannot listen on {config.host} port {config.port}: {error.strerror}; "
                    "choose another port, or stop the process that has it"
                ) from error
        if deadline is None:
            deadline = time.monotonic() + PORT_SECONDS
            log.warning(
                "swarm.port: a connection to elsewhere holds port %d; waiting for it, %d s at most",
                config.port,
                PORT_SECONDS,
            )
        time.sleep(1.0)


def _explain(error: Exception, config: SwarmConfig) -> str:
    text = " ".join(str(error).split())
    if "already taken" in text:
        return "swarm: the identity of identity.pem is already taken by another peer; each peer needs its own"
    if config.initial_peers:
        peers = ", ".join(config.initial_peers)
        return f"swarm.initial_peers: no initial peer could be reached: {peers} ({text[:200]})"
    return f"swarm: the DHT failed to start: {type(error).__name__}: {text[:300]}"
