"""A real DHT node that publishes what its standard input says; a program of its own, as hivemind forks.

Arguments: port, identity file. Prints its address, then `done` for each line: a list of {"key", "subkey" or absent,
"value" or "raw" (msgpack in hex), "lives" or "expires"} to store, or null to forget everything. Values are stored as
any peer's request would store them, bytes unseen, so that hostile ones get in too.
"""

import json
import os
import sys
import threading
import time
from functools import partial
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


def main() -> None:
    end_with_parent()
    os.register_at_fork(after_in_child=end_with_parent)
    port, identity = sys.argv[1:]
    dht = DHT(
        start=True,
        host_maddrs=[f"/ip4/127.0.0.1/tcp/{port}"],
        identity_path=identity,
        nat_port_map=False,
        auto_nat=False,
    )
    print(dht.get_visible_maddrs()[0], flush=True)
    records = Path(identity).with_suffix(".json")
    for line in sys.stdin:
        records.write_text(line)
        dht.run_coroutine(forget if line == "null\n" else partial(store, path=str(records)))
        print("done", flush=True)
    dht.shutdown()


if __name__ == "__main__":
    main()
