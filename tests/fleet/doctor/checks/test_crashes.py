"""Known problems are recognised by lines as the trainers write them, and forgotten once the peer continues."""

from pathlib import Path

import pytest

from fleet.doctor.checks.crashes import CLASSES, classify
from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages

LINES = {
    "2026-01-02 03:04:05,678 - ERROR - hivemind_exp.x:12 - DHT IPC error: [Errno 35] x": "the connection to the DHT",
    "[ERROR] [hivemind.dht.dht._run:1] [Errno 11] Resource temporarily unavailable": "the connection to the DHT",
    "hivemind.p2p.p2p_daemon_bindings.utils.P2PDaemonError: Daemon failed to start in 15.0 seconds": "network daemon",
    "P2PDaemonError: Identity from swarm.pem is already taken by another peer": "uses this peer's identity",
    "failed to connect to bootstrap peers": "initial peers could not be reached",
    "RuntimeError: MPS backend out of memory (MPS allocated: 17.9 GB)": "ran out of memory",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB": "ran out of memory",
    "run_rl_swarm.sh: line 350: 12345 Killed: 9 python -m x": "the system killed the trainer",
    "wandb.errors.UsageError: api_key not configured (no-tty)": "wandb waits for a log-in",
    "wandb: Enter your choice:": "wandb waits for a log-in",
    "requests.HTTPError: 429 Client Error: Too Many Requests for url: https://huggingface.co/x": "Hugging Face limits",
    "OSError: [Errno 28] No space left on device": "the disk was full",
    "OSError: [Errno 24] Too many open files: 'x'": "the limit on open files",
    "[2026-01-02][genrl][ERROR] - Failed to submit to chain.": "rewards are not accepted",
    "400 Client Error: Bad Request for url: http://localhost:3000/api/submit-reward": "rewards are not accepted",
    "UserOperation reverted: AA24 signature error": "of one account submitted at once",
    "[x][INFO] - Exception occurred during game run.": "the trainer ended with an error",
    "Error with swarm payloads, continuing with local state": "nothing is learned or shared",
    "Error: listen EADDRINUSE: address already in use :::3000": "a port was in use",
}


@pytest.mark.parametrize(("line", "message"), LINES.items())
def test_a_known_line_is_recognised(line: str, message: str) -> None:
    ((problem, count),) = classify(f"Joining round: 7\n{line}\n")
    assert message in problem.message
    assert count == 1


def test_an_error_that_the_trainer_recovered_from_does_not_count() -> None:
    assert classify("DHT IPC error: x\nJoining round: 8 starting at stage: 0\n") == []
    assert classify("DHT IPC error: x\n{'loss': '0.1', 'reward': '0.5'}\n") == []
    assert classify("DHT IPC error: x\nstep=12 round=3 stage=0 stage_reward=1.5\n") == []


def test_rewards_that_are_refused_outlive_a_round() -> None:
    ((problem, count),) = classify("Failed to submit to chain.\nJoining round: 8\nFailed to submit to chain.\n")
    assert problem.message == "rewards are not accepted by the chain"
    assert count == 2


def test_an_ordinary_log_holds_no_problem() -> None:
    assert classify("round 3, stage 1\nAlready finished round: 3. Next check in 300.0s\nSaving model\n") == []


def test_each_class_names_a_remedy() -> None:
    assert all(problem.remedy for problem in CLASSES)


def test_a_peers_log_is_read(examine: Examine, tmp_path: Path) -> None:
    log = tmp_path / "state" / "peers" / "x" / "trainer.log"
    log.parent.mkdir(parents=True)
    log.write_text("padding\n" * 200_000 + "OSError: [Errno 28] No space left on device\n")
    found = messages(examine("crashes", "peers: [{name: x}]\n"), Level.FAILURE)
    assert "peer x: the disk was full (trainer.log); free some space" in found
