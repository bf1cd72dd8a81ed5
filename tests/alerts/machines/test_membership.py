"""Which peers are watched on which machine, over restarts and with names that are taken."""

from pathlib import Path

from alerts.config import AlertsConfig
from alerts.machines.membership import (
    FILE,
    find_changed,
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


def test_only_machines_that_are_watched_change(tmp_path: Path) -> None:
    config = make(tmp_path)
    assert find_changed(config, KNOWN, {**KNOWN, "gone": {}}) == []
    assert find_changed(config, KNOWN, {**KNOWN, "rack-2": {"amber": 9801}}) == ["rack-2"]
