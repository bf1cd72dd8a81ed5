"""`peerwatch rules`: the thresholds and the routes of the user's own file."""

from pathlib import Path

import pytest
import yaml

from fleet.commands.rules import Form, command


def test_it_prints_the_rules_with_the_files_thresholds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "peerwatch.yaml"
    path.write_text("fleet: mine\nalerts:\n  rules:\n    PeerDown: {for: 2m}\n    RankDrop: {enabled: false}\n")
    assert not command(Form.prometheus, path)
    rules = {rule["alert"]: rule for rule in yaml.safe_load(capsys.readouterr().out)["groups"][0]["rules"]}
    assert rules["PeerDown"]["for"] == "120s"
    assert "RankDrop" not in rules


def test_a_mistake_in_the_file_prints_no_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "peerwatch.yaml"
    path.write_text("fleet: mine\nalerts:\n  rules:\n    PeerDwn: {for: 2m}\n")
    assert command(Form.prometheus, path) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "did you mean PeerDown?" in printed.err


@pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")
def test_it_prints_the_routes_without_their_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "peerwatch.yaml"
    url = "mailtos://joe:geheim123@gmail.com"
    path.write_text(f"fleet: mine\nalerts:\n  routes:\n    - {{name: mail, url: '{url}', severities: [critical]}}\n")
    assert not command(Form.alertmanager, path)
    text = capsys.readouterr().out
    assert "geheim123" not in text
    assert yaml.safe_load(text)["receivers"][1]["email_configs"][0]["to"] == "joe@gmail.com"
