"""The alert loop's configuration file."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.config import AlertsConfig, ConfigError, load

SMALLEST = {"fleet": "demo", "state_dir": "/var/lib/peerwatch"}


def _load(tmp_path: Path, **settings: Any) -> AlertsConfig:
    path = tmp_path / "alerts.yaml"
    path.write_text(yaml.safe_dump({**SMALLEST, **settings}))
    return load(path)


def test_the_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    config = _load(tmp_path)
    assert (config.listen, config.interval, config.timeout) == ("127.0.0.1:8750", 15, 5)
    assert config.reminder == 4 * 3600
    assert config.rules.of("PeerDown").for_ == 30


def test_the_previous_releases_file_is_still_read(tmp_path: Path) -> None:
    config = _load(tmp_path, interval_seconds=7.5, timeout_seconds=2)
    assert (config.interval, config.timeout) == (7.5, 2)


def test_a_rule_takes_its_settings_under_its_name(tmp_path: Path) -> None:
    config = _load(tmp_path, rules={"PeerDown": {"for": "2m", "severity": "warning"}, "RankDrop": {"enabled": False}})
    assert config.rules.of("PeerDown").for_ == 120
    assert config.rules.of("PeerDown").severity == "warning"
    assert not config.rules.of("RankDrop").enabled


def test_a_written_configuration_is_read_back_unchanged(tmp_path: Path) -> None:
    config = _load(tmp_path, reminder="90m", rules={"PeerDown": {"for": "1m30s"}})
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json", by_alias=True)))
    assert load(path) == config


def test_every_error_is_reported_at_once_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        _load(
            tmp_path,
            listen="8750",
            colour="red",
            targets=[{"peer": "a\nb", "url": "ftp://x"}],
            rules={"PeerDown": {"for": "30"}, "PeerStaled": {}},
        )
    lines = [line.partition(": ")[2] for line in str(raised.value).splitlines()]
    assert sorted(line.partition(":")[0] for line in lines) == [
        "colour",
        "listen",
        "rules.PeerDown.for",
        "rules.PeerStaled",
        "targets.0.peer",
        "targets.0.url",
    ]


@pytest.mark.parametrize(
    "routes",
    [
        [{"name": "a", "url": ["tgram://hunter2"]}],
        [{"name": "a", "url": "hunter2"}, {"name": "a", "url": "hunter2"}],
    ],
)
def test_no_error_shows_a_secret(tmp_path: Path, routes: list[dict[str, Any]]) -> None:
    with pytest.raises(ConfigError) as raised:
        _load(tmp_path, routes=routes)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("text", ["a: [", "\x00", "- 1", "[" * 20_000, f"interval: {'9' * 6000}"])
def test_an_invalid_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "alerts.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"^[^\n]*alerts.yaml[^\n]*$"):
        load(path)
