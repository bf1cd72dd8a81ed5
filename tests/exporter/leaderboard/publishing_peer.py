"""A real DHT node that publishes what is sent to it; a process of its own, as hivemind forks.

It answers with its address, then with `done` for each list of {"key", "subkey" or absent, "value" or "raw" (msgpack in
hex), "lives" or "expires"} to store, and for None, which forgets everything. Values are stored as any peer's request
would store them, bytes unseen, so that hostile ones get in too.
"""

import json
import os
import threading
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from hivemind import DHT
from hivemind.dht.routing import DHTID
from hivemind.utils import MSGPackSerializer


def end_with_parent() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.3)
        os.killpg(os.getpgrp(), 9)

    threading.Thread(target=watch, daemon=True).start()


async def store(_dht, node, path) -> None:
    """A file, as hivemind's pipe breaks on a message of more than 64 KiB."""
    for record in json.loads(Path(path).read_text()):
        raw = bytes.fromhex(record["raw"]) if "raw" in record else MSGPackSerializer.dumps(record["value"])
        expiry = record.get("expires", time.time() + record.get("lives", 4 * 3600))
        node.protocol.storage.store(DHTID.generate(record["key"]), raw, expiry, subkey=record.get("subkey"))


async def forget(_dht, node) -> None:
    node.protocol.storage.clear()


def serve(pipe: Connection, port: int, identity: str) -> None:
    """Until the pipe is closed."""
    os.setsid()
    end_with_parent()
    os.register_at_fork(after_in_child=end_with_parent)
    dht = DHT(
        start=True,
        host_maddrs=[f"/ip4/127.0.0.1/tcp/{port}"],
        identity_path=identity,
        nat_port_map=False,
        auto_nat=False,
    )
    pipe.send(str(dht.get_visible_maddrs()[0]))
    path = Path(identity).with_suffix(".json")
    try:
        while True:
            records = pipe.recv()
            path.write_text(json.dumps(records))
            dht.run_coroutine(forget if records is None else partial(store, path=str(path)))
            pipe.send("done")
    except EOFError:
        dht.shutdown()
