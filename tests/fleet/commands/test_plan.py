"""`peerwatch plan` from outside: for this machine, for another, and what it says of mistakes."""

import json
import os
from pathlib import Path

import pytest

from tests.fleet.commands.test_commands import peerwatch
from tests.fleet.conftest import give_free_ports

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


def test_a_recipe_is_written_as_a_configuration_that_passes_check(tmp_path: Path) -> None:
    asked = ("plan", "--model", "Qwen/Qwen2.5-0.5B-Instruct", "--memory", "16GiB", "--cores", "10", "--device", "mps")

    result = peerwatch(*asked, "--write", "peerwatch.yaml", folder=tmp_path)

    assert result.returncode == 0, result.stderr
    assert "No peer fits: memory allows none" in result.stdout
    assert "With the settings above up to 4 peers fit" in " ".join(result.stdout.split())
    assert "peerwatch.yaml written for 4 peers" in result.stderr
    give_free_ports(tmp_path / "peerwatch.yaml", 4)
    checked = peerwatch("check", folder=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "4 peers" in checked.stdout
    again = peerwatch(*asked, "--write", "peerwatch.yaml", "-f", "peerwatch.yaml", folder=tmp_path)
    assert (again.returncode, again.stderr) == (2, "peerwatch: peerwatch.yaml exists; name another file\n")
    fewer = peerwatch(*asked, "--write", "two.yaml", "--peers", "2", folder=tmp_path)
    assert "two.yaml written for 2 peers" in fewer.stderr
    many = peerwatch(*asked, "--write", "nine.yaml", "--peers", "9", folder=tmp_path)
    assert many.stderr == "peerwatch: nine.yaml is not written: 9 peers do not fit, whatever is set\n"
    assert not (tmp_path / "nine.yaml").exists()


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
        (("--measure-peers", "4"), "--measure-peers is for --measure; leave it out, or give both"),
        (("--peers", "2"), "--peers is for --write; leave it out, or give --write FILE"),
        (
            ("--parameters", "0.5B", *MAC, "--write", "x.yaml"),
            "--write needs a model that can be loaded: give --model beside --parameters",
        ),
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
