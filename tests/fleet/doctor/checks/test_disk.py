"""A disk that is nearly full, and many old wandb runs, are named."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.doctor.checks import disk
from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages
from tests.programs import small_disk


def test_a_full_disk_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "peerwatch.yaml").write_text("fleet: a\n")
    (tmp_path / "small").mkdir()
    code = (
        "import json, sys\nfrom pathlib import Path\nfrom fleet.doctor.checks import disk\n"
        "from fleet.doctor.site import Site\nfrom fleet.configuration.load import load_file\n"
        "site = Site(load_file(Path(sys.argv[1]), Path(sys.argv[2])))\n"
        "print(json.dumps([(one.level, one.message) for one in disk.examine(site)]))\n"
    )
    command = [*small_disk("size=20m", tmp_path / "small"), sys.executable, "-c", code]
    done = subprocess.run(
        [*command, tmp_path / "peerwatch.yaml", tmp_path / "small" / "state"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ((level, message),) = json.loads(done.stdout)
    assert level == Level.FAILURE
    assert message.startswith("20 MiB free for the fleet's files")


def test_a_read_only_disk_is_a_failure_and_not_ok(tmp_path: Path) -> None:
    (tmp_path / "peerwatch.yaml").write_text("fleet: a\n")
    (tmp_path / "home").mkdir()
    code = (
        "import json, sys\nfrom pathlib import Path\nfrom fleet.doctor.checks import disk\n"
        "from fleet.doctor.site import Site\nfrom fleet.configuration.load import load_file\n"
        "site = Site(load_file(Path(sys.argv[1]), Path(sys.argv[2])))\n"
        "print(json.dumps([(one.level, one.message) for one in disk.examine(site)]))\n"
    )
    command = [*small_disk("ro,size=20g", tmp_path / "home"), sys.executable, "-c", code]
    done = subprocess.run(
        [*command, tmp_path / "peerwatch.yaml", tmp_path / "home" / "state"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ((level, message),) = json.loads(done.stdout)
    assert level == Level.FAILURE
    assert message == f"the fleet's files cannot be written to {tmp_path}/home: read-only file system"


def test_many_wandb_runs_are_a_warning(
    examine: Examine, start_trainer: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "MUCH_WANDB_BYTES", 1000)
    (tmp_path / "logs" / "wandb" / "offline-run-1").mkdir(parents=True)
    (tmp_path / "logs" / "wandb" / "offline-run-1" / "run.wandb").write_bytes(bytes(2000))
    start_trainer()
    assert f"wandb's offline runs in {tmp_path}/logs/wandb take" in messages(examine("disk"), Level.WARNING)


def test_a_disk_with_room_is_ok(examine: Examine) -> None:
    assert messages(examine("disk"), Level.FAILURE) == ""
