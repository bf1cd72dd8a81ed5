"""The swarm's DHT: the only importer of hivemind in the trainer.

The DHT runs in its own process, forked here, with libp2p's daemon p2pd as its child. Neither outlives the trainer,
however that ends: an identity cannot rejoin a swarm while its previous process is still connected.
"""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from exporter.system.process_identity import is_running
from trainer.config import SwarmConfig
from trainer.protocol import EXPIRATION_SECONDS
from trainer.stopping import SIGNALS, delayed
from trainer.swarm.error import SwarmError
from trainer.swarm.leftovers import daemon_sockets, end_leftovers, find_daemon, record_dht_process
from trainer.swarm.reachability import reachable

# hivemind reads it on import. Errors reach the caller as exceptions; its log adds only noise.
os.environ.setdefault("HIVEMIND_LOGLEVEL", "CRITICAL")

import hivemind
from hivemind.utils import get_dht_time

START_SECONDS = 60.0
CALL_SECONDS = 10.0
GUARD_SECONDS = 0.5


class Swarm:
    """A running DHT. After the start only one thread may call its methods: hivemind's pipe is not thread-safe."""

    def __init__(self, config: SwarmConfig, run_dir: Path, identity_path: Path) -> None:
        """Forks the DHT and waits until it has joined. Raises SwarmError. Call it before torch starts threads.

        A leader without a reachable initial peer starts the swarm; a restarted one joins the others.
        """
        self._run_dir, self._identity_path = run_dir, identity_path
        end_leftovers(run_dir, identity_path)
        _require_free_port(config)
        known = reachable(config.initial_peers)
        if not known and not config.leader:
            # None is reachable: libp2p's own attempt gives the reason.
            known = config.initial_peers
        # torch starts a process for shared memory here, and waits for it in a loop that a signal makes infinite.
        with delayed():
            self._dht = _GuardedDHT(
                run_dir,
                start=False,
                initial_peers=known or None,
                host_maddrs=[config.listen_multiaddr()],
                announce_maddrs=config.announce or None,
                identity_path=str(identity_path),
                nat_port_map=False,
                auto_nat=False,
                use_relay=False,
                startup_timeout=START_SECONDS / 2,
            )
            self._dht.run_in_background(await_ready=False)
        try:
            self._dht.wait_until_ready(START_SECONDS)
            self.addresses = [str(address) for address in self._call(_addresses)]
        except BaseException as error:
            self.close()
            if isinstance(error, Exception):
                raise SwarmError(_explain(error, config)) from error
            raise

    def store(self, key: str, value: Any, subkey: str | None = None) -> bool:
        """Stores a value in the swarm; whether the swarm accepted it. Raises SwarmError."""
        expiration = get_dht_time() + EXPIRATION_SECONDS
        with _as_swarm_error(f"storing {key}"):
            future = self._dht.store(key, value, expiration, subkey=subkey, return_future=True)
            return bool(future.result(timeout=CALL_SECONDS))

    def get(self, key: str) -> Any:
        """The newest value under a key, or {subkey: value} where it has subkeys; None on a miss. Raises SwarmError."""
        with _as_swarm_error(f"reading {key}"):
            found = self._dht.get(key, latest=True, return_future=True).result(timeout=CALL_SECONDS)
        if found is None:
            return None
        if isinstance(found.value, Mapping):
            return {subkey: entry.value for subkey, entry in found.value.items() if hasattr(entry, "value")}
        return found.value

    def count_peers(self) -> int:
        """How many peers p2pd is connected to. Raises SwarmError."""
        return int(self._call(_count_peers))

    def is_alive(self) -> bool:
        """Whether the DHT process runs. It exits when p2pd does, and cannot be restarted."""
        return bool(self._dht.is_alive())

    def close(self) -> None:
        """Leaves the swarm within a few seconds, whatever the state of the DHT."""
        with contextlib.suppress(Exception):
            self._dht.shutdown()
        end_leftovers(self._run_dir, self._identity_path, grace_seconds=0.5)

    def _call(self, coroutine: Callable[..., Any]) -> Any:
        with _as_swarm_error("the DHT"):
            return self._dht.run_coroutine(coroutine, return_future=True).result(timeout=CALL_SECONDS)


class _GuardedDHT(hivemind.DHT):
    """A DHT process that exits, and ends p2pd, as soon as the trainer or p2pd is gone."""

    def __init__(self, run_dir: Path, **options: Any) -> None:
        self._run_dir = run_dir
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
        super().run()

    def _guard(self) -> None:
        while os.getppid() == self._trainer_pid and not hasattr(self, "_node"):
            time.sleep(GUARD_SECONDS)
        daemon = find_daemon(psutil.Process())
        record_dht_process(self._run_dir, [*daemon_sockets(daemon), *self._client_sockets()])
        while os.getppid() == self._trainer_pid and daemon and is_running(daemon):
            time.sleep(GUARD_SECONDS)
        end_leftovers(self._run_dir, Path(self.kwargs["identity_path"]), grace_seconds=0.0)
        os._exit(1)

    def _client_sockets(self) -> list[Path]:
        with contextlib.suppress(AttributeError, LookupError):
            return [Path(self._node.p2p._client_listen_maddr["unix"])]
        return []


async def _addresses(_dht: Any, node: Any) -> list[str]:
    return [str(address) for address in await node.get_visible_maddrs()]


async def _count_peers(_dht: Any, node: Any) -> int:
    return len(await node.p2p.list_peers())


@contextlib.contextmanager
def _as_swarm_error(action: str) -> Iterator[None]:
    try:
        yield
    except SwarmError:
        raise
    except Exception as error:
        raise SwarmError(f"{action}: {type(error).__name__} {error}".rstrip()) from error


def _require_free_port(config: SwarmConfig) -> None:
    """libp2p shares a port in use without an error, so each process would get a part of the connections."""
    if config.port == 0:
        return
    try:
        family, kind, _, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise SwarmError(
            f"swarm.port: cannot listen on {config.host} port {config.port}: {error.strerror}; "
            "choose another port, or stop the process that listens there"
        ) from error


def _explain(error: Exception, config: SwarmConfig) -> str:
    text = " ".join(str(error).split())
    if "already taken" in text:
        return "swarm: the identity of identity.pem is already taken by another peer; each peer needs its own"
    if config.initial_peers:
        peers = ", ".join(config.initial_peers)
        return f"swarm.initial_peers: no initial peer could be reached: {peers} ({text[:200]})"
    return f"swarm: the DHT failed to start: {type(error).__name__}: {text[:300]}"
