"""An identity without a copy is named where a rank hangs on it."""

import shutil
from pathlib import Path

import pytest

from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages
from trainer.swarm.identity import ensure_identity

JOINED = f"swarm: {{initial_peers: [/ip4/192.0.2.1/tcp/1/p2p/Qm{'1' * 44}]}}\npeers: [{{name: x}}]\n"
BACKED_UP = JOINED + "identity_backup: copies\n"


@pytest.fixture(autouse=True)
def key(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "peers" / "x" / "identity.pem"
    ensure_identity(path)
    return path


def test_identities_without_a_known_copy_are_a_warning(examine: Examine) -> None:
    assert "no backup of the identities is configured" in messages(examine("backup", JOINED), Level.WARNING)


def test_a_copy_of_another_key_is_no_copy(examine: Examine, tmp_path: Path) -> None:
    ensure_identity(tmp_path / "copies" / "x.pem")
    assert "peer x: no copy of its identity" in messages(examine("backup", BACKED_UP), Level.WARNING)


def test_a_copy_under_any_name_is_ok(examine: Examine, tmp_path: Path, key: Path) -> None:
    (tmp_path / "copies").mkdir()
    shutil.copy(key, tmp_path / "copies" / "old-mac.key")
    assert [one.level for one in examine("backup", BACKED_UP)] == [Level.OK]


def test_a_swarm_of_its_own_needs_no_copy(examine: Examine) -> None:
    assert [one.level for one in examine("backup", "peers: [{name: x}]\n")] == [Level.OK]
