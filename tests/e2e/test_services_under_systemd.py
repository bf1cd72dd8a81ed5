"""Services under a real systemd, as an ordinary user: installed, killed, changed, upgraded, and removed."""

import shlex
import sys
from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.services import REWARD_SOURCE, settings
from tests.fakes import wait_for
from tests.systemd_box import Box, boot

pytestmark = pytest.mark.e2e

FLEET = "my fleet 100% é"
UNITS = ".config/systemd/user"
TOKEN = "hunter2%21"
STATUS = f"{sys.executable} -m fleet services status || true"
ONE_OF_EACH = ["alerts", "exporter", "exporter.leaderboard", "trainer"]
PROCESSES = "pgrep -l -u $(id -u) 'python|p2pd'"
PORTS = [38331, 9700, 38332, 9701, 8700, 8750]


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    yield from boot()


class Operator:
    """What the box's user does in the folder of the fleet."""

    def __init__(self, box: Box) -> None:
        self.box = box

    def shell(self, script: str, status: int = 0, **environment: str) -> str:
        return self.box.run("sh", "-c", f"cd {shlex.quote(FLEET)} 2>/dev/null; {script}", status=status, **environment)

    def peerwatch(self, *arguments: str, status: int = 0, **environment: str) -> str:
        command = shlex.join([sys.executable, "-m", "fleet", *arguments])
        return self.shell(f"exec timeout 300 {command}", status, **environment)

    def write(self, name: str, text: str) -> None:
        self.shell(f"printf %s {shlex.quote(text)} > {shlex.quote(name)}")

    def systemctl(self, *arguments: str, status: int = 0) -> str:
        return self.shell(f"XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user {shlex.join(arguments)}", status)

    def pids(self) -> dict[str, int]:
        """The pid of each program that runs, by its title."""
        lines = self.shell(STATUS).splitlines()
        running = [line.split() for line in lines if " running, pid " in line]
        return {words[0]: int(words[-1]) for words in running}

    def steps(self, name: str) -> int:
        text = self.shell(f"grep '^trainer_steps_total ' state/peers/{name}/trainer.prom 2>/dev/null || true")
        return int(float(text.split()[1])) if text else 0


@pytest.fixture
def operator(box: Box) -> Iterator[Operator]:
    operator = Operator(box)
    operator.box.run("mkdir", FLEET)
    content = settings(["amber", "birch"], PORTS)
    content["peers"][0]["memory_limit"] = "2GiB"
    content["alerts"]["routes"] = [{"name": "hook", "url": "json://${TOKEN}@127.0.0.1:9/"}]
    operator.write("reward.py", REWARD_SOURCE)
    operator.write("peerwatch.yaml", yaml.safe_dump(content, sort_keys=False))
    return operator


def test_services_are_installed_killed_changed_upgraded_and_removed(operator: Operator) -> None:
    _a_dry_run_changes_nothing(operator)
    operator.peerwatch("services", "install", TOKEN=TOKEN)
    # It waits for the leader's port before it reads this.
    operator.write("state/peers/birch/trainer.yaml", "nonsense: 1\n")
    _systemd_finds_nothing_wrong(operator)
    wait_for(lambda: operator.steps("amber") > 2, 60, "the peer trains", every=1)
    _a_wrong_configuration_is_not_restarted(operator)
    _only_the_alert_loop_gets_the_secret(operator)
    _only_what_has_changed_is_restarted(operator)
    assert "up to date" in operator.peerwatch("services", "install")
    assert "is running as services of systemd" in operator.peerwatch("up", status=2)
    assert "amber" in operator.peerwatch("status")
    _a_killed_program_is_restarted_and_leaves_no_child(operator)
    _an_edited_unit_is_kept(operator)
    _moved_modules_are_taken_over(operator)
    _a_stopped_peer_leaves_its_sibling_alone(operator)
    _uninstall_leaves_nothing(operator)


def _a_dry_run_changes_nothing(operator: Operator) -> None:
    listing = "find ~ | sort"
    before = operator.shell(listing)
    said = operator.peerwatch("services", "install", "--dry-run", TOKEN=TOKEN)
    assert "MemoryHigh=2147483648" in said
    assert "run systemctl --user start peerwatch-tried-leaderboard.service" in said
    assert TOKEN not in said
    assert operator.shell(listing) == before


def _systemd_finds_nothing_wrong(operator: Operator) -> None:
    names = operator.shell(f"cd ~/{UNITS} && ls -d peerwatch-tried* | sed 's/[.]d$//' | grep -v @[.]").split()
    assert "peerwatch-tried-trainer@amber.service" in names
    verify = f"XDG_RUNTIME_DIR=/run/user/$(id -u) systemd-analyze --user --man=no verify {shlex.join(names)}"
    assert operator.shell(f"cd ~/{UNITS} && {verify}") == ""


def _a_wrong_configuration_is_not_restarted(operator: Operator) -> None:
    failed = "failed (exit code 2); see"
    wait_for(lambda: failed in operator.shell(STATUS), 60, "the misconfigured peer is given up", every=1)
    operator.peerwatch("services", "status", status=1)
    facts = operator.systemctl("show", "peerwatch-tried-trainer@birch.service", "-p", "NRestarts,ExecMainStatus")
    assert set(facts.split()) == {"NRestarts=0", "ExecMainStatus=2"}


def _only_the_alert_loop_gets_the_secret(operator: Operator) -> None:
    holders = operator.shell(f"grep -rls --exclude-dir=checkpoints '{TOKEN}' ~ || true").splitlines()
    assert [holder.rpartition("/")[2] for holder in holders] == ["alerts.env"]
    assert operator.shell("stat -c %a state/services/alerts.env").strip() == "600"
    holders = [title for title, pid in operator.pids().items() if TOKEN in operator.shell(f"cat /proc/{pid}/environ")]
    assert holders == ["alerts"]
    assert TOKEN not in operator.systemctl("show", "peerwatch-tried-alerts.service")
    assert TOKEN not in operator.shell("cat /proc/*/cmdline 2>/dev/null; true")


def _a_killed_program_is_restarted_and_leaves_no_child(operator: Operator) -> None:
    before = operator.pids()
    killed = f"$(pgrep -x p2pd) {before['peer:amber']} {before['alerts']}"
    operator.shell(f"kill -9 {killed}; sleep 1; rm state/peers/amber/trainer.prom")

    def is_back() -> bool:
        now = operator.pids()
        return all(
            now.get(title) not in (None, pid) for title, pid in before.items() if title in ("peer:amber", "alerts")
        )

    wait_for(is_back, 60, "the killed programs are restarted", every=1)
    assert operator.pids()["sidecar:amber"] == before["sidecar:amber"]
    wait_for(lambda: operator.steps("amber") > 2, 60, "the peer trains again", every=1)
    # One of the trainer and one of the leaderboard.
    wait_for(lambda: len(operator.shell("pgrep -x p2pd || true").split()) == 2, 60, "the DHT is restarted", every=1)


def _an_edited_unit_is_kept(operator: Operator) -> None:
    unit = f"~/{UNITS}/peerwatch-tried-alerts.service"
    operator.shell(f"cp {unit} saved && echo Nice=5 >> {unit}")
    assert "was changed manually" in operator.peerwatch("services", "install", status=2)
    assert "was changed manually" in operator.peerwatch("services", "uninstall", status=2)
    operator.shell(f"mv saved {unit} && mkdir -p {unit}.d && printf '[Service]\\nNice=5\\n' > {unit}.d/own.conf")
    assert "up to date" in operator.peerwatch("services", "install")


def _only_what_has_changed_is_restarted(operator: Operator) -> None:
    before = operator.pids()
    content = yaml.safe_load(operator.shell("cat peerwatch.yaml"))
    del content["peers"][1]
    content["alerts"]["reminder"] = "3h"
    operator.write("reward.py", REWARD_SOURCE)
    operator.write("peerwatch.yaml", yaml.safe_dump(content, sort_keys=False))
    operator.peerwatch("services", "install")
    after = operator.pids()
    same = {title for title in after if after[title] == before.get(title)}
    assert "sidecar:amber" in same
    assert "alerts" not in same
    assert set(after) == {"leaderboard", "alerts", "peer:amber", "sidecar:amber"}
    assert "birch" not in operator.shell(f"ls ~/{UNITS}")
    # systemd unloads a unit without a file a moment later.
    wait_for(lambda: "birch" not in str(_units(operator)), 30, "no unit of the removed peer is loaded", every=1)


def _moved_modules_are_taken_over(operator: Operator) -> None:
    """Every program runs under the units of an earlier version, and once under the new ones after the upgrade."""
    operator.peerwatch("services", "stop")
    assert operator.shell(PROCESSES, status=1) == ""
    operator.shell(f"{sys.executable} -m tests.earlier_services state")
    operator.systemctl("daemon-reload")
    operator.peerwatch("services", "start")
    assert "fleet.launch" in operator.systemctl("cat", "peerwatch-tried-trainer@amber.service")
    wait_for(lambda: operator.steps("amber") > 2, 90, "the peer trains under its old unit", every=1)
    wait_for(lambda: _programs(operator) == ONE_OF_EACH, 60, "each program runs once", every=1)
    before, units = operator.pids(), _units(operator)
    assert "run `peerwatch services install`" in operator.shell(STATUS)

    operator.peerwatch("services", "install")

    after = operator.pids()
    assert set(after) == set(before) == {"leaderboard", "alerts", "peer:amber", "sidecar:amber"}
    assert not set(after.values()) & set(before.values())
    wait_for(lambda: operator.steps("amber") > 2, 90, "the peer trains under its new unit", every=1)
    assert operator.pids() == after
    wait_for(lambda: _programs(operator) == ONE_OF_EACH, 60, "each program runs once, after the upgrade", every=1)
    # One of the trainer and one of the leaderboard.
    wait_for(lambda: len(operator.shell("pgrep -x p2pd || true").split()) == 2, 60, "two DHTs, as before", every=1)
    assert _units(operator) == units
    assert operator.shell(f"grep -rlE 'fleet[.](launch|rotation)' ~/{UNITS} state/services", status=1) == ""
    for starts in operator.shell("cd state/launches && grep -ho 'starts.*' *.json").splitlines():
        assert starts.count(",") == 0, "started more than once"
    operator.systemctl("start", "peerwatch-tried-logs.service")
    assert "run `peerwatch services install`" not in operator.shell(STATUS)
    assert "up to date" in operator.peerwatch("services", "install")


def _programs(operator: Operator) -> list[str]:
    """The modules that the user manager runs; orphans included."""
    lines = operator.shell("ps -o args= --ppid $(pgrep -xo -u $(id -u) systemd)").splitlines()
    return sorted(line.split(" -m ")[1].split()[0] for line in lines if " -m " in line)


def _units(operator: Operator) -> list[str]:
    """(unit, state) of all that systemd has loaded of the fleet."""
    lines = operator.systemctl("list-units", "--all", "--plain", "--no-legend", "peerwatch*").splitlines()
    return sorted(" ".join(line.split()[:3]) for line in lines)


def _a_stopped_peer_leaves_its_sibling_alone(operator: Operator) -> None:
    operator.peerwatch("services", "stop", "amber")
    assert set(operator.pids()) == {"leaderboard", "alerts"}
    operator.peerwatch("services", "start")
    assert set(operator.pids()) == {"leaderboard", "alerts", "peer:amber", "sidecar:amber"}


def _uninstall_leaves_nothing(operator: Operator) -> None:
    assert "alert loop of fleet tried" in operator.peerwatch("services", "logs", "alerts")
    operator.peerwatch("services", "uninstall")
    assert operator.shell(f"cd ~/{UNITS} && find . -type f").split() == ["./peerwatch-tried-alerts.service.d/own.conf"]
    assert operator.shell(PROCESSES, status=1) == ""
    assert not operator.shell("ls state/services 2>/dev/null; true")
    assert operator.shell("ls state/peers/amber").split()[0] == "checkpoints"
