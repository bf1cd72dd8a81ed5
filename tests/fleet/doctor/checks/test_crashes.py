"""The doctor reads the end of each trainer's log for known problems."""

from pathlib import Path

from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages


def test_a_peers_log_is_read(examine: Examine, tmp_path: Path) -> None:
    log = tmp_path / "state" / "peers" / "x" / "trainer.log"
    log.parent.mkdir(parents=True)
    log.write_text("padding\n" * 200_000 + "OSError: [Errno 28] No space left on device\n")
    found = messages(examine("crashes", "peers: [{name: x}]\n"), Level.FAILURE)
    assert "peer x: the disk was full (trainer.log); free some space" in found
