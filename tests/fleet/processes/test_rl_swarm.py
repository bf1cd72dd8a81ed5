"""Instances of rl-swarm are run as its launch script would, without its questions; their log decides how they ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from exporter.run_folder import find_trainer, read_ending
from fleet.processes.owner import OWNER_VARIABLE, owned_by
from fleet.rl_swarm.login import DATA
from tests.fakes import LOOPBACK, arguments_of, reserve_ports, wait_for
from tests.fleet.rl_swarm.stand_in import CONFIGS, CONTRACTS, make_checkout

CRASH = "RuntimeError: MPS backend out of memory (MPS allocated: 15.05 GB)"


def write_start(folder: Path, version: str, **values: object) -> Path:
    """The file that a fleet writes for a peer, of a checkout beside it."""
    checkout = folder / "checkout"
    if not checkout.exists():
        make_checkout(checkout, version)
    run_folder = folder / "peer"
    run_folder.mkdir(exist_ok=True)
    start = {
        "name": "peer",
        "checkout": str(checkout),
        "instance": str(run_folder / "rl-swarm"),
        "store": str(folder / "login"),
        "identity": str(run_folder / "identity.pem"),
        "python": sys.executable,
        "account": None,
        "contract": CONTRACTS[version],
        "config": str(checkout / CONFIGS[version]),
        "model": "",
        "game": "gsm8k",
        "login_port": 3000,
        "arguments": [],
        "environment": {"PACE": "0.01"},
        "spacing": 0.0,
        **values,
    }
    (run_folder / "rl-swarm.json").write_text(json.dumps(start))
    return run_folder / "rl-swarm.json"


def end_all(process: subprocess.Popen[str], owner: str) -> None:
    """Ends what belongs to the owner, a child that was being started meanwhile, too: it holds the output open."""
    process.kill()
    while left := owned_by(owner):
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        time.sleep(0.05)
    process.communicate()


@contextmanager
def running(start: Path, owner: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "fleet.processes.rl_swarm", "--start", str(start)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {OWNER_VARIABLE: owner, "PYTHONSAFEPATH": "1", "HF_TOKEN": "hf_secret"},
    )
    try:
        yield process
    finally:
        end_all(process, owner)


def test_an_exit_with_0_that_the_log_contradicts_is_a_failure(tmp_path: Path) -> None:
    start = write_start(tmp_path, "0.6", environment={"PACE": "0.01", "END": CRASH})
    log = tmp_path / "peer" / "rl-swarm" / "logs" / "swarm_launcher.log"
    for run in (1, 2):
        with running(start, f"{tmp_path}-{run}") as process:
            assert process.wait(timeout=60) == 1
            output = process.stdout.read() if process.stdout else ""
        assert "it exited with 0, but its log tells a failure: a step needed more memory than there is" in output
        assert output.splitlines()[-1] == CRASH
        ending = read_ending(tmp_path / "peer")
        assert ending is not None
        assert ending.exit_code == 1
    # What an earlier run left in a log that is appended to says nothing of the next one.
    assert log.read_text().count(CRASH) == 2
    start = write_start(tmp_path, "0.6", python="/bin/true")
    with running(start, str(tmp_path)) as process:
        assert process.wait(timeout=60) == 100


def test_a_log_that_leads_nowhere_keeps_no_peer_from_its_start(tmp_path: Path) -> None:
    start = write_start(tmp_path, "0.5", python="/bin/true")
    logs = tmp_path / "peer" / "rl-swarm" / "logs"
    for run in (1, 2):
        with running(start, f"{tmp_path}-{run}") as process:
            assert process.wait(timeout=60) == 100
        logs.mkdir(exist_ok=True)
        (logs / f"training_{run}.log").symlink_to("deleted.log")


def test_a_crash_keeps_its_exit_code(tmp_path: Path) -> None:
    start = write_start(tmp_path, "0.4", environment={"PACE": "0", "END": "crash"})
    with running(start, str(tmp_path)) as process:
        assert process.wait(timeout=60) == 1
    assert "Exception during training" in (tmp_path / "peer" / "rl-swarm" / "logs" / "swarm.log").read_text()


@pytest.mark.parametrize("version", ["0.4", "0.7"])
def test_the_trainer_runs_in_a_folder_of_its_own_and_ends_with_its_runner(version: str, tmp_path: Path) -> None:
    start = write_start(tmp_path, version, model="Qwen/Qwen3-0.6B", arguments=["x=1"] if version == "0.7" else [])
    owner = str(tmp_path)
    with running(start, owner) as process:
        wait_for(lambda: any("p2pd" in " ".join(arguments_of(one)[:1]) for one in owned_by(owner)), 30, "its p2pd")
        trainer = wait_for(lambda: find_trainer(tmp_path / "peer"), 30, "the record of its trainer")
        assert Path(trainer.cwd()) == tmp_path / "peer" / "rl-swarm"
        environment = trainer.environ()
        assert environment["ROOT"] == trainer.cwd()
        assert environment["WANDB_MODE"] == "offline"
        assert (environment["ORG_ID"], environment["SWARM_CONTRACT"]) == ("org-of-ann", CONTRACTS[version])
        assert environment["IDENTITY_PATH"] == f"{tmp_path}/peer/identity.pem"
        assert environment["MODEL_NAME"] == "Qwen/Qwen3-0.6B"
        assert not any("secret" in word for word in trainer.cmdline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
        assert not psutil.pid_exists(trainer.pid)
    assert not (tmp_path / "checkout" / "logs").exists()


def test_nobody_logged_in_is_waited_for(tmp_path: Path) -> None:
    make_checkout(tmp_path / "checkout", "0.6", account=None)
    with running(write_start(tmp_path, "0.6"), str(tmp_path)) as process:
        assert process.stdout is not None
        assert "nobody is logged in: open http://localhost:3000" in process.stdout.readline()
        make_checkout(tmp_path / "checkout", "0.6")
        wait_for(lambda: find_trainer(tmp_path / "peer"), 30, "its trainer")


def test_what_cannot_start_is_not_tried_again(tmp_path: Path) -> None:
    start = write_start(tmp_path, "0.6", contract="")
    with running(start, str(tmp_path)) as process:
        assert process.wait(timeout=30) == 2
        assert process.stdout is not None
        assert "its launch script names no contract; set `contract:`" in process.stdout.read()
    with running(write_start(tmp_path, "0.6", checkout=str(tmp_path)), str(tmp_path)) as process:
        assert process.wait(timeout=30) == 2
    with running(write_start(tmp_path, "0.6", python="/no/python"), str(tmp_path)) as process:
        assert process.wait(timeout=30) == 127


YARN = """\
#!{python}
import http.server, os, sys
assert sys.argv[1:] == ["start"]
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@contextmanager
def login_server(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """With a `yarn` that serves the port."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "yarn").write_text(YARN.format(python=sys.executable))
    (programs / "yarn").chmod(0o700)
    options = ["--checkout", str(folder / "checkout"), "--port", str(port), "--store", str(folder / "login")]
    process = subprocess.Popen(
        [sys.executable, "-m", "fleet.processes.login_server", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", OWNER_VARIABLE: f"{folder}"},
    )
    try:
        yield process
    finally:
        end_all(process, f"{folder}")


def is_served(port: int) -> bool:
    return any(one.laddr.port == port and one.status == psutil.CONN_LISTEN for one in psutil.net_connections("tcp"))


def test_the_login_server_is_kept_and_what_the_script_removes_is_put_back(tmp_path: Path) -> None:
    make_checkout(tmp_path / "checkout", "0.6")
    (port,) = reserve_ports(1)
    user = tmp_path / "checkout" / DATA / "userData.json"
    with login_server(tmp_path, port) as process:
        wait_for(lambda: is_served(port), 30, f"a server at {LOOPBACK}:{port}")
        user.unlink()
        wait_for(user.exists, 30, "the log-in")
        with login_server(tmp_path / "checkout", port) as other:
            assert other.stdout is not None
            assert f"port {port} is served already" in other.stdout.readline()
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
        assert not owned_by(str(tmp_path))
    assert time.time() - user.stat().st_mtime < 60
