"""`peerwatch plan` from outside: for this machine, for another, and what it says of mistakes."""

import json
import os
from pathlib import Path

import pytest

from tests.fleet.commands.test_commands import peerwatch

MAC = ("--memory", "32GiB", "--cores", "10", "--device", "mps")


def test_another_machine_is_planned_without_the_model_being_here(tmp_path: Path) -> None:
    result = peerwatch("plan", "--model", "Qwen/Qwen2.5-0.5B-Instruct", *MAC, "--json", folder=tmp_path)
    data = json.loads(result.stdout)

    assert (result.returncode, result.stderr) == (0, "")
    assert data["peers"] >= 1
    assert (data["machine"]["system"], data["machine"]["is_this_one"]) == ("darwin", False)
    assert data["threads_per_peer"] == 10 // data["peers"]


def test_this_machine_is_planned_with_the_configuration_that_lies_here(tmp_path: Path) -> None:
    (tmp_path / "peerwatch.yaml").write_text("fleet: a\ntrainer: {model: tiny, grpo: {max_completion_length: 48}}\n")

    result = peerwatch("plan", "--json", folder=tmp_path)
    data = json.loads(result.stdout)

    assert result.returncode == 0, result.stderr
    assert (data["model"]["name"], data["model"]["completion_tokens"]) == ("tiny", 48)
    assert data["peers"] <= (os.cpu_count() or 1)


def test_the_device_of_the_command_line_comes_before_the_file_s(tmp_path: Path) -> None:
    (tmp_path / "peerwatch.yaml").write_text("fleet: a\ntrainer: {model: tiny, device: cpu}\n")

    data = json.loads(peerwatch("plan", *MAC, "--json", folder=tmp_path).stdout)

    assert data["machine"]["device"] == "mps"
    assert [one["name"] for one in data["bounds"]] == ["memory", "Metal's working set", "cores"]


def test_no_peer_is_exit_status_1(tmp_path: Path) -> None:
    result = peerwatch("plan", "--parameters", "7B", *MAC, folder=tmp_path)

    assert (result.returncode, result.stderr) == (1, "")
    assert "No peer fits" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--memory", "16"), "--memory: '16' is not a size; write it like 4GiB, 512MiB or 4GB"),
        (("--memory", "16GiB"), "--memory describes another machine; give its --cores too"),
        (("--cores", "4"), "--cores describes another machine; give its --memory too"),
        (("--device", "tpu"), "--device tpu: unknown device; use cpu, mps or cuda"),
        (("--parameters", "huge"), "'huge' is not a number of parameters; write it like 0.5B or 150M"),
        (
            ("--device", "cuda", "--memory", "64GiB", "--cores", "8"),
            "the card's memory is unknown; give it, like --card-memory 24GiB",
        ),
        (
            ("--model", "./none"),
            "none/config.json: No such file or directory; give the model's size, like --parameters 0.5B",
        ),
        (("-f", "none.yaml"), "none.yaml: No such file or directory; `peerwatch init -f none.yaml` writes one"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, arguments: tuple[str, ...], error: str) -> None:
    result = peerwatch("plan", *arguments, folder=tmp_path)

    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"peerwatch: {error}\n")


def test_a_broken_configuration_points_to_check(tmp_path: Path) -> None:
    (tmp_path / "peerwatch.yaml").write_text("fleet: a\npeerz: 1\n")

    result = peerwatch("plan", folder=tmp_path)

    assert result.returncode == 2
    assert result.stderr == (
        "peerwatch: peerwatch.yaml:2: peerz: unknown key; did you mean peers?; `peerwatch check -f peerwatch.yaml` "
        "shows all\n"
    )
