"""Process trees as Linux and macOS show them: recorded, with the names of people and hosts replaced."""

from collections.abc import Mapping
from pathlib import Path

from fleet.attach.facts import ProcessFacts

PYTHON = "/home/ann/grpo/.venv/bin/python3"
FOLDER = Path("/home/ann/grpo")
SECRET = "hf_" + "Zk3" * 10


def process(
    pid: int,
    parent: int,
    command: str,
    *,
    folder: Path | None = FOLDER,
    out: str = "/dev/null",
    err: str = "",
    stdin: str = "/dev/null",
    files: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    unit: str | None = None,
    maps_torch: bool = False,
    is_of_fleet: bool = False,
    user: str = "ann",
) -> ProcessFacts:
    """One process, its command line written with spaces."""
    return ProcessFacts(
        pid,
        parent,
        user,
        tuple(command.split()),
        1000.0 + pid,
        folder=folder,
        streams={0: stdin, 1: out, 2: err or out} if folder is not None and out else {},
        files=tuple(map(Path, files)),
        environment=environment or {},
        unit=unit,
        maps_torch=maps_torch,
        is_of_fleet=is_of_fleet,
    )


# accelerate starts a process for each GPU, and each forks workers of its data loader.
ACCELERATE = [
    process(1, 0, "/sbin/init", folder=None, user="root"),
    process(90, 1, "tmux new -s night accelerate launch train.py", out="/dev/pts/3"),
    process(100, 90, "-bash", out="/dev/pts/3"),
    process(
        110,
        100,
        f"{PYTHON} /home/ann/grpo/.venv/bin/accelerate launch --num_processes 2 train.py --hf_token {SECRET}",
        out="pipe:[501]",
        maps_torch=True,
    ),
    process(111, 100, "tee -a train.log", stdin="pipe:[501]", out="/dev/pts/3"),
    process(120, 110, f"{PYTHON} -u train.py --hf_token {SECRET}", out="pipe:[501]", maps_torch=True),
    process(
        121,
        110,
        f"{PYTHON} -u train.py --hf_token {SECRET}",
        out="pipe:[501]",
        files=("/home/ann/grpo/out/runs/Nov28_09-00-00_box/events.out.tfevents.1.box.121.0",),
        maps_torch=True,
    ),
    process(130, 120, f"{PYTHON} -u train.py --hf_token {SECRET}", out="pipe:[501]", maps_torch=True),
    process(140, 121, "/home/ann/grpo/.venv/lib/wandb/bin/wandb-core --port-filename /tmp/p --pid 121"),
    process(
        141,
        121,
        "wandb-core",
        files=("/home/ann/grpo/wandb/run-20261128_090000-abc/run-abc.wandb",),
    ),
    process(200, 100, "sleep 1000", out="/dev/pts/3"),
    process(201, 100, "vim train.py", out="/dev/pts/3"),
    process(202, 100, "bash -c python3 train.py", out="/dev/pts/3"),
]
TRL_SCRIPT = """
import torch
from trl import GRPOConfig, GRPOTrainer
args = GRPOConfig(output_dir="out", report_to=["tensorboard", "wandb"])
GRPOTrainer(model, args=args).train()
"""

SWARM = Path("/home/ann/rl-swarm")
# The login server, the trainer, and its DHT in a forked child with a daemon below.
RL_SWARM = [
    process(300, 1, "bash ./run_rl_swarm.sh", folder=SWARM, out="/dev/pts/1"),
    process(310, 300, "node /usr/bin/yarn start", folder=SWARM / "modal-login", out="/home/ann/rl-swarm/logs/yarn.log"),
    process(
        320,
        300,
        "python -m rgym_exp.runner.swarm_launcher --config-path /home/ann/rl-swarm/configs --config-name rg-swarm.yaml",
        folder=SWARM,
        out="/dev/pts/1",
        files=("/home/ann/rl-swarm/logs/swarm_launcher.log",),
        maps_torch=True,
    ),
    process(330, 320, "python -m rgym_exp.runner.swarm_launcher", folder=SWARM, out="/dev/pts/1", maps_torch=True),
    process(340, 330, "/x/hivemind_cli/p2pd -id=/home/ann/rl-swarm/swarm.pem", folder=SWARM),
]

MAC_PYTHON = "/opt/homebrew/Frameworks/Python.framework/Versions/3.12/Resources/Python.app/Contents/MacOS/Python"
MAC_FOLDER = Path("/Users/ann/mlx")
# psutil on macOS tells no pipes, no sockets and no libraries.
MACOS = [
    process(1, 0, "/sbin/launchd", folder=None, user="root"),
    process(
        501,
        1,
        f"{MAC_PYTHON} -m mlx_lm_lora.train --train --train-mode grpo --adapter-path adapters/night",
        folder=MAC_FOLDER,
        out="/Users/ann/mlx/nohup.out",
    ),
    process(502, 1, f"{MAC_PYTHON} -m mlx_lm.lora --config lora.yaml", folder=MAC_FOLDER, out=""),
    process(503, 1, f"{MAC_PYTHON} -m http.server", folder=MAC_FOLDER),
    process(504, 1, f"{MAC_PYTHON} -m mlx_lm.generate --prompt x", folder=MAC_FOLDER),
]
