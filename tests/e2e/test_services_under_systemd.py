"""Services under a real systemd, as an ordinary user: installed, killed, changed, upgraded, and removed.

`amber` is a real trainer and `birch` one that is misconfigured. `cedar` is a command that Peerwatch starts, `dune` a
trainer that the machine's own systemd starts: both are cheap scripts.
"""

import shlex
import sys
from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.box_operator import FLEET, SIDECARS, Operator
from tests.e2e.services import REWARD_SOURCE, settings
from tests.fakes import wait_for
from tests.systemd_box import Box, boot

pytestmark = pytest.mark.e2e

UNITS = ".config/systemd/user"
TOKEN = "hunter2%21"
# None that a connection of the box may have.
PORTS = [9331, 9700, 9332, 9701, 8700, 8750]
WITHOUT_COMMAND = {"leaderboard", "alerts", "peer:amber", "sidecar:amber", "sidecar:dune"}
ALL = WITHOUT_COMMAND | {"peer:cedar", "sidecar:cedar"}

# It prints what transformers prints; its child is one that it does not end itself.
COMMAND = """
import itertools, os, time

if not os.fork():
    time.sleep(100_000)
for step in itertools.count(1):
    print({"loss": "0.5", "grad_norm": "0.25", "reward": "0.75", "epoch": str(step / 100)}, flush=True)
    time.sleep(0.3)
"""
OUTSIDE = "step=0; while :; do step=$((step + 1)); echo step $step reward 0.25; sleep 0.3; done"


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    yield from boot()


@pytest.fixture
def operator(box: Box) -> Iterator[Operator]:
    operator = Operator(box)
    operator.box.run("mkdir", FLEET)
    content = settings(["amber", "birch"], PORTS)
    content["peers"][0]["memory_limit"] = "2GiB"
    command = {"kind": "command", "command": [sys.executable, "-IS", "cedar.py"]}
    log = {"path": "dune.log", "pattern": r"step (?P<step>\d+) reward (?P<reward>\S+)"}
    attached = {"kind": "attached", "find": {"unit": "dune.service"}, "progress": [{"log": log}]}
    content["peers"] += [
        {"name": name, "sidecar_port": SIDECARS[name], **peer}
        for name, peer in (("cedar", command), ("dune", attached))
    ]
    content["alerts"]["routes"] = [{"name": "hook", "url": "json://${TOKEN}@127.0.0.1:9/"}]
    operator.write("reward.py", REWARD_SOURCE)
    operator.write("cedar.py", COMMAND)
    operator.write("dune.sh", OUTSIDE)
    operator.write("peerwatch.yaml", yaml.safe_dump(content, sort_keys=False))
    _start_outside(operator)
    yield operator
    operator.end()


def _start_outside(operator: Operator) -> None:
    """As a service of the machine, of the same user."""
    folder = operator.box.home / FLEET
    user = operator.shell("id -u").strip()
    options = {"WorkingDirectory": folder, "StandardOutput": f"append:{folder}/dune.log", "User": user}
    options |= {"Restart": "always", "RestartSec": "0.5"}
    properties = [f"--property={name}={value}" for name, value in options.items()]
    operator.box.as_root("systemd-run", "--quiet", "--unit=dune", *properties, "sh", "dune.sh")


def _outside_pid(operator: Operator) -> int:
    return int(operator.box.as_root("systemctl", "show", "dune.service", "-p", "MainPID", "--value"))


def test_services_are_installed_killed_changed_upgraded_and_removed(operator: Operator) -> None:
    _a_dry_run_changes_nothing(operator)
    operator.peerwatch("services", "install", TOKEN=TOKEN)
    # It waits for the leader's port before it reads this.
    operator.write("state/peers/birch/trainer.yaml", "nonsense: 1\n")
    _systemd_finds_nothing_wrong(operator)
    _a_command_is_restarted_whole_and_leaves_no_orphan(operator)
    _an_attached_trainer_is_found_again_and_is_its_owners(operator)
    wait_for(lambda: operator.steps("amber") > 2, 60, "the peer trains", every=0.5)
    _a_wrong_configuration_is_not_restarted(operator)
    _only_the_alert_loop_gets_the_secret(operator)
    assert "is running as services of systemd" in operator.peerwatch("up", status=2)
    assert "amber" in operator.peerwatch("status")
    _a_stopped_peer_leaves_its_siblings_alone(operator)
    _moved_modules_are_taken_over(operator)
    _an_edited_unit_is_kept(operator)
    _only_what_has_changed_is_restarted(operator)
    _all_start_again_with_the_machine(operator)
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
    assert {"peerwatch-tried-trainer@amber.service", "peerwatch-tried-trainer@cedar.service"} <= set(names)
    assert "peerwatch-tried-sidecar@dune.service" in names
    assert "peerwatch-tried-trainer@dune.service" not in names
    verify = f"XDG_RUNTIME_DIR=/run/user/$(id -u) systemd-analyze --user --man=no verify {shlex.join(names)}"
    assert operator.shell(f"cd ~/{UNITS} && {verify}") == ""


def _a_command_is_restarted_whole_and_leaves_no_orphan(operator: Operator) -> None:
    """Whichever of its processes is killed: the command itself, or what runs it for the service manager."""
    first = operator.wait_for_run("cedar", "the command's steps are read")
    sidecar = operator.main_pid("sidecar@cedar")
    assert first.reward == 0.75
    before = operator.find("cedar[.]py")
    assert first.pid in before
    assert len(before - {operator.main_pid("trainer@cedar")}) == 2

    operator.shell(f"kill -9 {first.pid}")
    second = operator.wait_for_run("cedar", "the killed command is started again", other_than=first)
    assert not operator.find("cedar[.]py") & before
    before = _whole_command(operator)
    supervising = operator.main_pid("trainer@cedar")

    operator.shell(f"kill -9 {supervising}")
    operator.wait_for_run("cedar", "a command without supervision is started again", other_than=second)
    assert not _whole_command(operator) & before
    assert operator.main_pid("trainer@cedar") != supervising
    assert operator.main_pid("sidecar@cedar") == sidecar


def _whole_command(operator: Operator) -> set[int]:
    """The command, its child, which it forks a moment after it has begun, and what runs it; each of them once."""

    def look() -> set[int] | None:
        found = operator.find("cedar[.]py")
        return found if len(found) == 3 else None

    found = wait_for(look, 60, "the command and its child run once", every=0.5)
    assert found is not None
    return found


def _an_attached_trainer_is_found_again_and_is_its_owners(operator: Operator) -> None:
    """Its sidecar is restarted by us, the trainer by its owner's manager, and neither with the other."""
    first = operator.wait_for_run("dune", "the attached trainer's steps are read")
    assert (first.pid, first.reward) == (_outside_pid(operator), 0.25)
    sidecar = operator.main_pid("sidecar@dune")
    operator.shell(f"kill -9 {sidecar}")
    wait_for(lambda: operator.main_pid("sidecar@dune") not in (0, sidecar), 60, "the sidecar's restart", every=0.5)
    assert operator.wait_for_run("dune", "its restarted sidecar has found it").pid == first.pid

    sidecar = operator.main_pid("sidecar@dune")
    operator.shell(f"kill -9 {first.pid}")
    again = operator.wait_for_run("dune", "its owner's restart is noticed", other_than=first)
    assert again.pid == _outside_pid(operator)
    assert operator.main_pid("sidecar@dune") == sidecar


def _a_wrong_configuration_is_not_restarted(operator: Operator) -> None:
    failed = {"ActiveState": "failed"}
    wait_for(lambda: operator.show("trainer@birch", *failed) == failed, 60, "the peer is given up", every=0.5)
    assert "failed (exit code 2); see" in operator.peerwatch("services", "status", status=1)
    facts = operator.show("trainer@birch", "NRestarts", "ExecMainStatus")
    assert facts == {"NRestarts": "0", "ExecMainStatus": "2"}


def _only_the_alert_loop_gets_the_secret(operator: Operator) -> None:
    holders = operator.shell(f"grep -rls --exclude-dir=checkpoints '{TOKEN}' ~ || true").splitlines()
    assert [holder.rpartition("/")[2] for holder in holders] == ["alerts.env"]
    assert operator.shell("stat -c %a state/services/alerts.env").strip() == "600"
    holders = [title for title, pid in operator.pids().items() if TOKEN in operator.shell(f"cat /proc/{pid}/environ")]
    assert holders == ["alerts"]
    assert TOKEN not in operator.systemctl("show", "peerwatch-tried-alerts.service")
    assert TOKEN not in operator.shell("cat /proc/*/cmdline 2>/dev/null; true")


def _a_stopped_peer_leaves_its_siblings_alone(operator: Operator) -> None:
    before = operator.pids()
    assert set(before) == ALL | {"sidecar:birch"}
    assert operator.listed() == before
    operator.peerwatch("services", "stop", "cedar")
    rest = {title: pid for title, pid in before.items() if not title.endswith(":cedar")}
    assert operator.pids() == rest
    assert not operator.find("cedar[.]py")
    operator.peerwatch("services", "start", "cedar")
    after = operator.pids()
    assert set(after) == set(before)
    assert after.items() >= rest.items()


def _an_edited_unit_is_kept(operator: Operator) -> None:
    unit = f"~/{UNITS}/peerwatch-tried-alerts.service"
    operator.shell(f"cp {unit} saved && echo Nice=5 >> {unit}")
    assert "was changed manually" in operator.peerwatch("services", "install", status=2)
    assert "was changed manually" in operator.peerwatch("services", "uninstall", status=2)
    operator.shell(f"mv saved {unit} && mkdir -p {unit}.d && printf '[Service]\\nNice=5\\n' > {unit}.d/own.conf")
    assert "up to date" in operator.peerwatch("services", "install")


def _moved_modules_are_taken_over(operator: Operator) -> None:
    """Every program runs under the units of an earlier version, and once under the new ones after the upgrade.

    The peer that was given up is gone with the same `services install`.
    """
    operator.shell(f"{sys.executable} -m tests.earlier_services state")
    operator.systemctl("daemon-reload")
    _a_killed_program_is_restarted_and_leaves_no_child(operator)
    names = ("leaderboard", "sidecar@amber", "sidecar@birch", "trainer@cedar", "sidecar@cedar", "sidecar@dune")
    operator.systemctl("restart", *(f"peerwatch-tried-{name}.service" for name in names))
    assert "fleet.launch" in operator.systemctl("cat", "peerwatch-tried-trainer@amber.service")
    _each_program_runs_once(operator, sidecars=4)
    before, units = operator.pids(), _units(operator)
    assert "run `peerwatch services install`" in operator.list_services()

    operator.remove_peer("birch")
    operator.shell("rm -f state/peers/amber/trainer.prom")
    operator.peerwatch("services", "install")

    after = operator.pids()
    assert set(after) == set(before) - {"sidecar:birch"} == ALL
    assert not set(after.values()) & set(before.values())
    wait_for(lambda: operator.steps("amber") > 2, 90, "the peer trains under its new unit", every=0.5)
    assert operator.pids() == after
    _each_program_runs_once(operator, sidecars=3)
    assert operator.listed() == after
    _no_unit_is_left_of(operator, "birch")
    assert _units(operator) == [unit for unit in units if "birch" not in unit]
    assert operator.shell(f"grep -rlE 'fleet[.](launch|rotation)' ~/{UNITS} state/services", status=1) == ""
    for starts in operator.shell("cd state/launches && grep -ho 'starts.*' *.json").splitlines():
        assert starts.count(",") == 0, "started more than once"
    operator.systemctl("start", "peerwatch-tried-logs.service")
    assert "run `peerwatch services install`" not in operator.list_services()
    assert "up to date" in operator.peerwatch("services", "install")


def _a_killed_program_is_restarted_and_leaves_no_child(operator: Operator) -> None:
    units = ("trainer@amber", "alerts", "sidecar@amber")
    trainer, alerts, sidecar = map(operator.main_pid, units)
    operator.shell(f"kill -9 $(pgrep -x p2pd) {trainer} {alerts}")

    def is_back() -> bool:
        return operator.main_pid("trainer@amber") not in (0, trainer) and operator.main_pid("alerts") not in (0, alerts)

    wait_for(is_back, 60, "the killed programs are restarted", every=0.5)
    assert operator.main_pid("sidecar@amber") == sidecar
    # It looks for birch, which may lead too and is no more, for two minutes before it trains.
    _two_dhts_run(operator)


def _two_dhts_run(operator: Operator) -> None:
    """One of the trainer and one of the leaderboard."""
    wait_for(lambda: len(operator.shell("pgrep -x p2pd || true").split()) == 2, 60, "two DHTs", every=0.5)


def _each_program_runs_once(operator: Operator, sidecars: int) -> None:
    modules = ["alerts", *["exporter"] * sidecars, "exporter.leaderboard", "fleet.processes.command", "trainer"]
    wait_for(lambda: _programs(operator) == modules, 60, "each program runs once", every=0.5)
    _whole_command(operator)
    _two_dhts_run(operator)


def _programs(operator: Operator) -> list[str]:
    """The modules that the user manager runs; orphans included."""
    lines = operator.shell("ps -o args= --ppid $(pgrep -xo -u $(id -u) systemd)").splitlines()
    return sorted(line.split(" -m ")[1].split()[0] for line in lines if " -m " in line)


def _units(operator: Operator) -> list[str]:
    """(unit, state) of all that systemd has loaded of the fleet."""
    lines = operator.systemctl("list-units", "--all", "--plain", "--no-legend", "peerwatch*").splitlines()
    return sorted(" ".join(line.split()[:3]) for line in lines)


def _no_unit_is_left_of(operator: Operator, name: str) -> None:
    assert name not in operator.shell(f"ls ~/{UNITS}")
    # systemd unloads a unit without a file a moment later.
    wait_for(lambda: name not in str(_units(operator)), 30, "no unit of the removed peer is loaded", every=0.5)


def _only_what_has_changed_is_restarted(operator: Operator) -> None:
    """The command is removed, and the alert loop reminds less often."""
    before, outside = operator.pids(), _outside_pid(operator)
    operator.remove_peer("cedar", reminder="3h")
    operator.write("reward.py", REWARD_SOURCE)
    operator.peerwatch("services", "install")
    after = operator.pids()
    assert set(after) == WITHOUT_COMMAND
    assert {title for title in after if after[title] != before[title]} == {"alerts"}
    assert not operator.find("cedar[.]py")
    _no_unit_is_left_of(operator, "cedar")
    assert _outside_pid(operator) == outside


def _all_start_again_with_the_machine(operator: Operator) -> None:
    """With the manager of the user, which lingers: what was stopped, and the attached trainer's sidecar too."""
    outside = _outside_pid(operator)
    operator.peerwatch("services", "stop")
    assert operator.running() == []
    user = operator.shell("id -u").strip()
    operator.box.as_root("systemctl", "restart", f"user@{user}.service")
    assert operator.wait_for_run("dune", "the attached trainer is watched").pid == outside == _outside_pid(operator)
    wait_for(lambda: set(operator.pids()) == WITHOUT_COMMAND, 60, "all programs run again", every=0.5)


def _uninstall_leaves_nothing(operator: Operator) -> None:
    outside = _outside_pid(operator)
    assert "alert loop of fleet tried" in operator.peerwatch("services", "logs", "alerts")
    operator.peerwatch("services", "uninstall")
    assert operator.shell(f"cd ~/{UNITS} && find . -type f").split() == ["./peerwatch-tried-alerts.service.d/own.conf"]
    assert operator.running() == []
    assert not operator.shell("ls state/services 2>/dev/null; true")
    assert "checkpoints" in operator.shell("ls state/peers/amber").split()
    assert _outside_pid(operator) == outside
