"""Trainers that somebody else starts, as they run on a machine: TRL with and without a server, and an rl-swarm."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.architecture import ROOT
from tests.fakes import LOOPBACK, reserve_ports

SECRET = "hf_" + "Zk3" * 10
STEP_SECONDS = 0.3

# An inference server: a generation takes it a moment, during which the file `generating` is there.
SERVER = """
import pathlib, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        pathlib.Path("generating").touch()
        time.sleep(0.15)
        pathlib.Path("generating").unlink()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

# A GRPO run of TRL as its owner would write it, endless: `python train.py STEP_SECONDS [SERVER_URL]`. With a server it
# generates as with vLLM beside it: every generation asks the server first and waits for its answer.
TRL_TRAINER = """
import sys, time, urllib.request

from trl import GRPOTrainer

from tests.tiny_grpo import build, count_letters

class ServedTrainer(GRPOTrainer):
    def _generate(self, *args, **kwargs):
        if len(sys.argv) > 2:
            urllib.request.urlopen(sys.argv[2]).read()
        return super()._generate(*args, **kwargs)

def take_time(**columns):
    time.sleep(float(sys.argv[1]))
    return count_letters(**columns)

options = dict(output_dir="out", max_steps=100_000, max_completion_length=4)
build(reward=take_time, trainer_class=ServedTrainer, **options).train()
"""

# The launch script and the trainer's module of rl-swarm 0.4: its DHT is a forked child with a daemon below, its log
# begins anew with each start and holds what TRL prints.
SWARM_SCRIPT = """\
export HF_HUB_OFFLINE=1
"$PYTHON" -m hivemind_exp.gsm8k.train_single_gpu --hf_token "$HF_TOKEN" --identity_path "$PWD/swarm.pem" \\
    --modal_org_id org --contract_address 0x0 --config grpo.yaml --game gsm8k
echo "> Shutting down trainer..."
"""
SWARM_TRAINER = """
import logging, os, subprocess, time

logging.basicConfig(
    filename="logs/swarm.log", filemode="w", level=logging.DEBUG, encoding="utf-8",
    format="%(asctime)s - %(levelname)s - %(name)s:%(lineno)d - %(message)s",
)
if os.fork() == 0:
    subprocess.run([os.getcwd() + "/hivemind_cli/p2pd", "1000"], executable="/bin/sleep")
    os._exit(0)
log = logging.getLogger("hivemind_exp.trainer.hivemind_grpo_trainer:meek soaring vulture")
log.info("Joining round: 7 starting at stage: 0")
step = 0
while True:
    if step % 20 == 0:
        log.info("Training round: %d stage: %d", 7 + step // 60, step // 20 % 3)
    time.sleep(SECONDS)
    step += 1
    values = {"loss": 0.0, "grad_norm": 0.5, "reward": 0.25, "reward_std": 0.1, "kl": 0.001, "epoch": step / 20}
    logging.debug("[PRINT] %s", values)
"""


class Stranger:
    """A trainer in a folder of its own, with all processes below the one that its owner started."""

    def __init__(self, folder: Path, command: list[str], log: str, environment: dict[str, str]) -> None:
        self.folder, self._command, self._log, self._environment = folder, command, log, environment
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts it as its owner does: its output appended to a file, or thrown away."""
        with (self.folder / self._log).open("ab") as out:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=os.environ | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def tree(self) -> list[psutil.Process]:
        top = psutil.Process(self.pid)
        return [top, *top.children(recursive=True)]

    def identities(self) -> list[tuple[int, int]]:
        """Process ids and start ticks."""
        return [
            (one.pid, int(Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()[19]))
            for one in self.tree()
        ]

    def signal(self, number: signal.Signals) -> None:
        for process in self.tree():
            process.send_signal(number)

    def end(self) -> None:
        """Ends all of it, as its owner does."""
        assert self._process is not None
        if self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
        self._process.wait()


def make_trl(folder: Path, *arguments: str) -> Stranger:
    """A real run of TRL; its output is buffered as Python does into a file."""
    folder.mkdir()
    (folder / "train.py").write_text(TRL_TRAINER)
    environment = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_TOKEN": SECRET}
    command = [sys.executable, "-W", "ignore", "train.py", str(STEP_SECONDS), *arguments]
    return Stranger(folder, command, "train.log", environment)


def make_swarm(folder: Path) -> Stranger:
    """A tree in the shape of rl-swarm 0.4."""
    package = folder / "hivemind_exp" / "gsm8k"
    package.mkdir(parents=True)
    (folder / "logs").mkdir()
    (package / "train_single_gpu.py").write_text(SWARM_TRAINER.replace("SECONDS", str(STEP_SECONDS)))
    (folder / "run_rl_swarm.sh").write_text(SWARM_SCRIPT)
    return Stranger(folder, ["bash", "./run_rl_swarm.sh"], "/dev/null", {"PYTHON": sys.executable, "HF_TOKEN": SECRET})


@contextmanager
def run_server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The inference server, and its URL."""
    (port,) = reserve_ports(1)
    with subprocess.Popen([sys.executable, "-c", SERVER, str(port)], cwd=folder) as server:
        try:
            yield server, f"http://{LOOPBACK}:{port}/"
        finally:
            server.kill()


def list_trainers(folder: Path) -> list[dict[str, object]]:
    """What `peerwatch attach --json` tells of the trainers below a folder."""
    done = subprocess.run([sys.executable, "-m", "fleet", "attach", "--json"], capture_output=True, check=True)
    assert SECRET not in done.stdout.decode()
    return [one for one in json.loads(done.stdout) if one["folder"] and Path(one["folder"]).is_relative_to(folder)]
