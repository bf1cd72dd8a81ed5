"""`python -m fleet.processes.pod`: writes what a peer's containers read in a pod, from one file for all peers.

The peers of a StatefulSet share their settings; each has its name, its seed and its address. The trainer and the
sidecar are containers of their own, so this runs before both.
"""

import argparse
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from exporter.files import yaml_text
from exporter.identity.peer_id import read_peer_id
from exporter.machine.machine_file import MACHINE_FILE, MachineDescription
from exporter.run_folder import write_atomically
from trainer.config import TrainerConfig

TRAINER_FILE = "trainer.yaml"
TRAINER_PORT, SIDECAR_PORT = 38331, 9700
_IDENTITY = "identity.pem"
_SEEDS = 2**32
_FAILED = 2


def describe_peer(shared: dict[str, Any], name: str, host: str, own_id: str) -> dict[str, Any]:
    """The trainer's settings of the peer called `name`, which ends in its number; `own_id` is empty until it has one.

    The first one leads if the file says that its peers have a leader. Raises ValueError with one line.
    """
    number = name.rpartition("-")[2]
    if not number.isdecimal():
        raise ValueError(f"--name {name}: does not end in a number, as the pods of a StatefulSet do")
    taken: list[str] = [key for key in ("name", "run_dir") if key in shared]
    swarm = shared.get("swarm") or {}
    if not isinstance(swarm, dict):
        raise ValueError("swarm: must be a mapping")
    taken += [f"swarm.{key}" for key in ("host", "port") if key in swarm]
    if taken:
        raise ValueError(f"{', '.join(taken)}: set for each pod; remove it")
    others = [
        address for address in swarm.get("initial_peers") or [] if not own_id or not str(address).endswith(own_id)
    ]
    seed = shared.get("seed", 0)
    own_seed = (seed + zlib.crc32(name.encode())) % _SEEDS if type(seed) is int else seed
    return {
        **shared,
        "name": name,
        "run_dir": ".",
        "seed": own_seed,
        "swarm": {
            **swarm,
            "host": host,
            "port": TRAINER_PORT,
            "initial_peers": others,
            "leader": bool(swarm.get("leader")) and number == "0",
        },
    }


def write_peer(config: Path, folder: Path, name: str, host: str) -> None:
    """Writes the files of one peer. Raises OSError, or ValueError with one line for each mistake."""
    identity = folder / _IDENTITY
    settings = describe_peer(yaml_text.load(config), name, host, read_peer_id(identity) if identity.exists() else "")
    try:
        TrainerConfig.model_validate(settings)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
        raise ValueError("\n".join(f"{config}: {line}" for line in lines)) from None
    folder.mkdir(parents=True, exist_ok=True)
    machine = MachineDescription(name, {name: SIDECAR_PORT}, (folder,))
    write_atomically(folder / MACHINE_FILE, machine.render())
    write_atomically(folder / TRAINER_FILE, yaml_text.dump(settings).encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fleet.processes.pod", description="Write the files of one peer.")
    parser.add_argument("--config", type=Path, required=True, help="the trainer's settings, the same for all peers")
    parser.add_argument("--folder", type=Path, required=True, help="the run folder of this peer")
    parser.add_argument("--name", required=True, help="the pod's name, such as trainer-0")
    parser.add_argument("--host", required=True, help="the pod's address")
    given = parser.parse_args(arguments)
    try:
        write_peer(given.config, given.folder, given.name, given.host)
    except (OSError, ValueError) as error:
        for line in str(error).splitlines():
            print(f"pod: {line}", file=sys.stderr)
        return _FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
