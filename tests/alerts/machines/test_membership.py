"""Which peers are watched on which machine, over restarts and with names that are taken."""

from pathlib import Path

from alerts.config import AlertsConfig
from alerts.machines.membership import (
    FILE,
    Membership,
    Roster,
    locator,
    read_membership,
    with_machines,
    write_membership,
)

KNOWN = {"rack-1": {"amber": 9700, "basalt": 9701}, "rack-2": {"amber": 9800}, "gone": {"old": 1}}


def make(tmp_path: Path) -> AlertsConfig:
    return AlertsConfig.model_validate(
        {
            "fleet": "all",
            "state_dir": tmp_path,
            "targets": [{"peer": "basalt", "url": "http://127.0.0.1:9700/metrics"}],
            "machines": [
                {"name": "rack-1", "url": "http://10.0.0.5:9700"},
                {"name": "rack-2", "url": "https://[fd00::6]:9800", "login": "a:b", "certificate": "c.pem"},
            ],
        }
    )


def test_each_peer_of_a_machine_is_a_target_with_a_name_of_its_own(tmp_path: Path) -> None:
    config = with_machines(make(tmp_path), KNOWN)
    found = {target.peer: (target.url, target.machine) for target in config.targets}
    assert found == {
        "basalt": ("http://127.0.0.1:9700/metrics", ""),
        "amber": ("http://10.0.0.5:9700/metrics", "rack-1"),
        "basalt@rack-1": ("http://10.0.0.5:9701/metrics", "rack-1"),
        "amber@rack-2": ("https://[fd00::6]:9800/metrics", "rack-2"),
    }
    (last,) = [target for target in config.targets if target.machine == "rack-2"]
    assert last.login is not None
    assert (last.login.get_secret_value(), last.certificate, last.restartable) == ("a:b", Path("c.pem"), False)


def test_a_peer_is_on_its_machine_and_no_other(tmp_path: Path) -> None:
    is_on = locator(with_machines(make(tmp_path), KNOWN))
    assert is_on("amber", "rack-1")
    assert not is_on("amber", "rack-2")
    assert is_on("amber@rack-2", "rack-2")
    assert is_on("basalt", "this-host")
    assert not is_on("amber", "this-host")


def test_what_was_told_is_kept_over_a_restart(tmp_path: Path) -> None:
    assert read_membership(tmp_path) == {}
    write_membership(tmp_path, KNOWN)
    assert read_membership(tmp_path) == KNOWN
    for damaged in ("", "[]", '{"a": 1}', "[" * 9999):
        (tmp_path / FILE).write_text(damaged)
        assert read_membership(tmp_path) == {}


def test_a_machine_that_pushes_has_peers_without_an_address(tmp_path: Path) -> None:
    given = make(tmp_path).model_dump()
    given["machines"] = [{"name": "rack-1", "pushes": True, "login": "a:b"}]
    found = with_machines(AlertsConfig.model_validate(given), KNOWN).targets[1:]
    assert [(one.peer, one.machine, one.pushed, one.url) for one in found] == [
        ("amber", "rack-1", True, ""),
        ("basalt@rack-1", "rack-1", True, ""),
    ]


def test_other_peers_are_taken_up_and_kept_but_not_again_and_again(tmp_path: Path) -> None:
    now, changes = [0.0], []

    def start(known: Membership) -> Roster:
        return Roster(tmp_path, known, lambda: changes.append(now[0]), pause_seconds=60.0, clock=lambda: now[0])

    roster = start(KNOWN)
    assert roster.knows(["rack-1", "rack-2"])
    assert not roster.knows(["rack-1", "rack-9"])
    roster.note("rack-2", {"amber": 9800})
    roster.note("rack-2", {"amber": 9801})
    assert changes == []
    # One that had said nothing yet is waited for.
    roster.note("rack-9", {"new": 1})
    assert changes == [0.0]
    roster = start(read_membership(tmp_path))
    assert roster.knows(["rack-9"])
    for second in range(1, 120):
        now[0] = float(second)
        roster.note("rack-2", {f"amber-{second}": 9800})
        if len(changes) > 1:
            break
    assert changes == [0.0, 60.0]
    assert read_membership(tmp_path) == {**KNOWN, "rack-9": {"new": 1}, "rack-2": {"amber-60": 9800}}
