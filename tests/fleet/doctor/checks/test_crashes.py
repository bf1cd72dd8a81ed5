"""The doctor reads the end of each trainer's log for known problems."""

import json
import os
from pathlib import Path

from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages


def test_a_peers_log_is_read(examine: Examine, tmp_path: Path) -> None:
    log = tmp_path / "state" / "peers" / "x" / "trainer.log"
    log.parent.mkdir(parents=True)
    log.write_text("padding\n" * 200_000 + "OSError: [Errno 28] No space left on device\n")
    found = messages(examine("crashes", "peers: [{name: x}]\n"), Level.FAILURE)
    assert "peer x: the disk was full (trainer.log); free some space" in found


def test_the_log_of_a_peer_that_somebody_else_starts_is_read_where_its_reader_reads_it(
    examine: Examine, tmp_path: Path
) -> None:
    run_dir = tmp_path / "state" / "peers" / "x"
    run_dir.mkdir(parents=True)
    readers = [{"log": {"path": "train.log"}}, {"log": {"path": "pipe.log"}}]
    (run_dir / "watch.json").write_text(json.dumps({"folder": str(tmp_path), "progress": readers}))
    (tmp_path / "train.log").write_text("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n")
    os.mkfifo(tmp_path / "pipe.log")
    found = messages(
        examine("crashes", f"peers: [{{name: x, kind: attached, find: {{folder: {tmp_path}}}}}]\n"), Level.FAILURE
    )
    assert "peer x: a step needed more memory than there is (train.log); lower the batch size" in found


def test_the_log_of_the_login_server_of_instances_is_read(examine: Examine, tmp_path: Path) -> None:
    log = tmp_path / "state" / "login" / "login.log"
    log.parent.mkdir(parents=True)
    log.write_text("FailedOp(0, AA25 invalid account nonce)\n")
    found = messages(examine("crashes", "peers: [{name: x}]\n"), Level.WARNING)
    assert found.startswith("log-in server: several peers of one account submitted at once (login.log); start them ")
