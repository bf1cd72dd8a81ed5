"""The reader process: joins the DHT as a client, and answers queries with checked and bounded records.

A process of its own, because hivemind forks when it joins: here nothing else runs that a fork could break, and when
the DHT dies or loses all its peers, this process ends and is replaced while the board stays up. It leads a process
group of its own, which holds the DHT's process and p2pd too, and kills the group when its parent process is gone.
"""

import gc

if __name__ == "__main__":
    # Imports leave hardly any garbage, and looking for it again and again takes a sixth of their time.
    gc.disable()

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgpack
from hivemind import DHT
from hivemind.dht.node import DHTNode
from hivemind.dht.routing import DHTID
from hivemind.dht.validation import DHTRecord, RecordValidatorBase
from hivemind.p2p import PeerID
from hivemind.p2p.p2p_daemon import Multiaddr
from hivemind.utils.timed_storage import ValueWithExpiration

from exporter.leaderboard.config import LeaderboardConfig, load
from exporter.leaderboard.records import read_messages, read_rewards
from exporter.sources._bootnodes import InitialPeers
from trainer.protocol import ROUND_AND_STAGE_KEY, outputs_key, read_round_and_stage, rewards_keys
from trainer.readable import is_readable
from trainer.sealing import Members, Opener

JOIN_SECONDS = 60.0
READ_SECONDS = 15.0
PROBE_SECONDS = 2.0
PING_SECONDS = 3.0
# How often initial peers that are not connected are dialled again.
DIAL_SECONDS = 60.0
# After the parent process is gone: the time for a clean exit, which removes p2pd's sockets.
ORPHAN_GRACE_SECONDS = 4.0
BEAM_SIZE = 100

_NIL = msgpack.packb(None)
_log = logging.getLogger("leaderboard.dht")


class _Gate(RecordValidatorBase):
    """Puts nil in the place of each value that would not decode; refuses none, as that would refuse the whole key."""

    def validate(self, record: DHTRecord) -> bool:
        return True

    def strip_value(self, record: DHTRecord) -> bytes:
        return record.value if is_readable(record.value) else _NIL


class _SealedGate(RecordValidatorBase):
    """Shows only records that their owner sealed; the answer of a node that holds others counts for nothing."""

    def __init__(self, members: Members) -> None:
        self._opener = Opener(members, lambda key: bytes(DHTID.generate(key).to_bytes()))

    def validate(self, record: DHTRecord) -> bool:
        try:
            self.strip_value(record)
        except ValueError:
            return False
        return True

    def strip_value(self, record: DHTRecord) -> bytes:
        now = time.time()
        return self._opener.open_record(record.value, record.key, record.subkey, record.expiration_time, now)


class _Lost(Exception):
    """This process can no longer serve the DHT and has to be replaced; the text says why."""


def find_open_port(initial_peers: Sequence[str]) -> bool:
    """Whether any of the addresses accepts a TCP connection, or cannot be tried that way.

    Cheap to repeat while a fleet starts, where each failed join would cost seconds of CPU.
    """
    for address in initial_peers:
        parts = address.split("/")
        if len(parts) < 5 or parts[1] not in ("ip4", "ip6") or parts[3] != "tcp":
            return True
        try:
            socket.create_connection((parts[2], int(parts[4])), timeout=PROBE_SECONDS).close()
        except OSError:
            continue
        return True
    return False


def join(config: LeaderboardConfig, initial_peers: Sequence[str]) -> DHT:
    """A client of the swarm's DHT that stores and caches nothing for others. Raises _Lost."""
    dht = DHT(
        initial_peers=initial_peers,
        start=False,
        client_mode=True,
        record_validators=[_SealedGate(config.swarm_members) if config.signed else _Gate()],
        identity_path=None if config.identity_path is None else str(config.identity_path),
        startup_timeout=JOIN_SECONDS,
        nat_port_map=False,
        auto_nat=False,
        cache_locally=False,
        cache_nearest=0,
        reuse_get_requests=False,
        # Clocks of members may differ by minutes; hivemind would refuse to join.
        strict=False,
        # The ban of a node that did not answer doubles each time: after an outage it would outlast the outage.
        blacklist_time=0,
    )
    # Goes along with the fork. hivemind's pipe to its process breaks on a message of more than 64 KiB, so that nothing
    # of the user's making, such as the names of many peers, may travel on it.
    dht.leaderboard_config, dht.leaderboard_peers = config, tuple(initial_peers)
    try:
        dht.run_in_background(await_ready=True, timeout=JOIN_SECONDS)
    # hivemind passes on whatever ended its process: connection, daemon, configuration, time-out.
    except Exception as error:  # noqa: BLE001
        raise _Lost(f"cannot join the swarm: {str(error) or type(error).__name__}") from None
    return dht


async def read(dht: DHT, node: DHTNode, *, queries: list[list[Any]]) -> bytes:
    """Runs in the DHT's process: the JSON answer to `queries`, None for each that found nothing in time."""
    config: LeaderboardConfig = dht.leaderboard_config
    keys = [_keys(query, config.shards) for query in queries]
    wanted = {key for of_query in keys for key in of_query}
    searches = await node.get_many(
        wanted, sufficient_expiration_time=float("inf"), beam_size=BEAM_SIZE, return_futures=True
    )
    _, unfinished = await asyncio.wait(searches.values(), timeout=READ_SECONDS)
    found = {key: _unwrap(search) for key, search in searches.items()}
    now = time.time()
    answers = [
        _answer(query, _join([found[key] for key in of_query]), now, config)
        for query, of_query in zip(queries, keys, strict=True)
    ]
    peers = len(node.protocol.routing_table.uid_to_peer_id)
    return json.dumps({"peers": peers, "answers": answers, "unfinished": len(unfinished)}).encode()


async def dial(dht: DHT, node: DHTNode) -> int:
    """Runs in the DHT's process: connects to the initial peers that are not connected; how many of them answered.

    A swarm that was split has several parts, and hivemind never asks the initial peers again: whoever has found one
    part stays in it, even when it stands still.
    """
    present = {str(peer.peer_id) for peer in await node.p2p.list_peers()}
    known = [address.rpartition("/p2p/") for address in dht.leaderboard_peers]
    missing = [(where, peer_id) for where, _, peer_id in known if peer_id not in present]
    return sum(await asyncio.gather(*(_dial(node, where, peer_id) for where, peer_id in missing)))


async def _dial(node: DHTNode, where: str, peer_id: str) -> bool:
    try:
        peer = PeerID.from_base58(peer_id)
        await asyncio.wait_for(node.p2p._client.connect(peer, [Multiaddr(where)]), PING_SECONDS)
        return await asyncio.wait_for(node.protocol.call_ping(peer), PING_SECONDS) is not None
    # What p2pd says of a peer that is down is of many kinds, and means all the same.
    except Exception:  # noqa: BLE001
        return False


def _keys(query: list[Any], shards: int) -> list[str]:
    kind, *arguments = query
    if kind == "position":
        return [ROUND_AND_STAGE_KEY]
    return [outputs_key(*arguments)] if kind == "outputs" else rewards_keys(arguments[0], arguments[1], shards)


def _join(parts: list[Any]) -> Any:
    """What several keys hold, as if it were one; None where none of them holds anything."""
    if len(parts) == 1:
        return parts[0]
    held = [part for part in parts if isinstance(part, dict)]
    return {subkey: item for part in held for subkey, item in part.items()} if held else None


def _unwrap(search: "asyncio.Future[Any]") -> Any:
    """The found value; of a key with subkeys {subkey: (value, expiry)}; None for nothing found."""
    if not search.done():
        search.cancel()
        return None
    if search.cancelled() or search.exception() is not None or search.result() is None:
        return None
    value = search.result().value
    if not isinstance(value, dict):
        return value
    return {
        subkey: (item.value, item.expiration_time)
        for subkey, item in value.items()
        if isinstance(item, ValueWithExpiration)
    }


def _answer(query: list[Any], found: Any, now: float, config: LeaderboardConfig) -> Any:
    if query[0] == "position":
        return read_round_and_stage(found)
    if query[0] == "outputs":
        return read_messages(found, query[1], now=now)
    return read_rewards(
        found, now=now, limit=config.max_stage_reward, most=2 * config.max_peers, ours=config.names.keys()
    )


def serve(pipe: Connection, config: LeaderboardConfig) -> None:
    """Answers queries until the pipe closes. Raises _Lost."""
    dht: DHT | None = None
    initial_peers = InitialPeers(config.initial_peers, config.bootnodes)
    dialled_at = 0.0
    try:
        while True:
            queries = json.loads(pipe.recv_bytes())
            if dht is None:
                try:
                    addresses = initial_peers.find(time.time())
                except ValueError as error:
                    pipe.send_bytes(json.dumps({"error": str(error)}).encode())
                    continue
                if not find_open_port(addresses):
                    pipe.send_bytes(json.dumps({"error": "no initial peer accepts connections yet"}).encode())
                    continue
                dht, dialled_at = join(config, addresses), time.monotonic()
            pipe.send_bytes(_ask(dht, queries))
            if time.monotonic() - dialled_at >= DIAL_SECONDS:
                dialled_at = time.monotonic()
                # While the board is busy with the answer; the next question waits for a few seconds at most.
                if _in_dht(dht, dial):
                    _log.warning("connected again to an initial peer that was lost")
    except (EOFError, BrokenPipeError, ConnectionResetError):
        _log.debug("the leaderboard closed the pipe")
    except _Lost as error:
        pipe.send_bytes(json.dumps({"error": str(error)}).encode())
        raise
    finally:
        if dht is not None:
            dht.shutdown()


def _in_dht(dht: DHT, coroutine: Callable[..., Any], **arguments: Any) -> Any:
    """What a coroutine returns that is awaited in the DHT's process. Raises TimeoutError."""
    return dht.run_coroutine(partial(coroutine, **arguments), return_future=True).result(READ_SECONDS + 5)


def _ask(dht: DHT, queries: list[list[Any]]) -> bytes:
    if not dht.is_alive():
        raise _Lost("the DHT's process ended")
    answer: bytes = _in_dht(dht, read, queries=queries)
    # A key with more records than a message carries breaks the connection that it comes by, and all that follows.
    if json.loads(answer)["unfinished"]:
        raise _Lost(f"the DHT did not answer within {READ_SECONDS:.0f} s")
    # hivemind drops each node that does not answer and never asks the initial peers again.
    if json.loads(answer)["peers"] == 0:
        raise _Lost("lost all peers of the DHT")
    return answer


def _end_group_when_orphaned(grace_seconds: float) -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        time.sleep(grace_seconds)
        _end_group()

    threading.Thread(target=watch, name="orphan-watch", daemon=True).start()


def _end_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main() -> None:
    """Reads the arguments, serves, and ends with the whole group, this process included."""
    parser = argparse.ArgumentParser(description="Reads a swarm's DHT for the leaderboard service, which starts it.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--pipe", type=int, required=True, help="the file descriptor of the leaderboard's pipe")
    arguments = parser.parse_args()
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    _end_group_when_orphaned(ORPHAN_GRACE_SECONDS)
    # A fork leaves this process's threads behind: the DHT's process gets a watch of its own.
    os.register_at_fork(after_in_child=partial(_end_group_when_orphaned, 0.0))
    try:
        serve(Connection(arguments.pipe), load(arguments.config))
    except (_Lost, TimeoutError, ValueError) as error:
        print(f"leaderboard: {str(error) or 'the DHT does not answer'}", file=sys.stderr, flush=True)
    # What a failed join leaves behind, and torch's helper that would linger for seconds, are tracked by nobody else.
    _end_group()


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    main()
