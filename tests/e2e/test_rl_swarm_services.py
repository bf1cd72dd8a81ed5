"""Two instances of rl-swarm as services under a real systemd: started, killed, started again, removed, no orphan."""

import shlex
import sys
from collections.abc import Iterator

import pytest
import yaml

from tests.architecture import ROOT
from tests.fakes import wait_for
from tests.systemd_box import Box, boot

pytestmark = pytest.mark.e2e

PEERS = ("one", "two")
# Of this box alone.
PORTS = {"sidecar": 9700, "alerts": 8750}
PROCESSES = "pgrep -l -u $(id -u) 'python|p2pd|node'"
MAKE = """
from pathlib import Path
from tests.fleet.rl_swarm.stand_in import make_checkout
make_checkout(Path('own'), '0.6')
"""


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    yield from boot()


def test_two_instances_are_installed_killed_restarted_and_removed(box: Box) -> None:
    def shell(script: str, status: int = 0) -> str:
        inside = f"mkdir -p swarm && cd swarm && {{ {script}\n}}"
        return box.run("sh", "-c", inside, status=status, PYTHONPATH=str(ROOT))

    def peerwatch(*arguments: str) -> str:
        return shell(f"exec timeout 300 {shlex.join([sys.executable, '-m', 'fleet', *arguments])}")

    def pid_of(name: str) -> int:
        record = f"state/peers/{name}/process.json"
        text = shell(f"grep -o '\"pid\": [0-9]*' {record} 2>/dev/null | grep -o '[0-9]*$' || true").strip()
        return int(text) if text and shell(f"kill -0 {text} && echo yes || true").strip() else 0

    def daemons(name: str) -> list[str]:
        return shell(f"pgrep -f '[p]2pd.*-id=.*/peers/{name}/identity.pem' || true").split()

    def rounds(name: str) -> int:
        log = f"state/peers/{name}/rl-swarm/logs/swarm_launcher.log"
        return int(shell(f"grep -c 'Starting round' {log} 2>/dev/null || true").strip() or 0)

    shell(f"{sys.executable} -c {shlex.quote(MAKE)}")
    peer = {"kind": "rl-swarm", "folder": "own", "python": sys.executable, "environment": {"PACE": "0.2"}}
    content = {
        "fleet": "swarm",
        "state_dir": "state",
        "ports": PORTS,
        "restart": {"first_delay": "1s"},
        "peers": [{"name": name, **peer, "spacing": "1s", "account": "org-of-ann"} for name in PEERS],
    }
    shell(f"printf %s {shlex.quote(yaml.safe_dump(content))} > peerwatch.yaml")
    peerwatch("services", "install")
    for name in PEERS:
        wait_for(lambda name=name: rounds(name) > 1 and len(daemons(name)) == 1, 90, f"{name} trains", every=1)

    before, old = pid_of("two"), daemons("two")
    shell(f"kill -9 {before}")
    wait_for(lambda: pid_of("two") not in (0, before) and len(daemons("two")) == 1, 90, "two again", every=1)
    assert daemons("two") != old
    first = pid_of("one")
    peerwatch("services", "restart", "one")
    wait_for(lambda: pid_of("one") not in (0, first) and len(daemons("one")) == 1, 90, "one again", every=1)

    peerwatch("services", "uninstall")
    left = [line for line in shell(f"{PROCESSES} || true").splitlines() if "pgrep" not in line]
    assert left == []
    # Identities and logs stay.
    assert shell("ls state/peers/one/identity.pem")
