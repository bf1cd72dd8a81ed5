"""Running trainers are found by what they run, not by a word somewhere in a command line."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.doctor.trainers import find_trainers

Start = Callable[..., int]


def test_a_trainer_of_rl_swarm_is_found_with_its_settings(start_trainer: Start, tmp_path: Path) -> None:
    pid = start_trainer(WANDB_MODE="offline", IDENTITY_PATH="swarm.pem", HUGGINGFACE_ACCESS_TOKEN="secret")
    (trainer,) = [one for one in find_trainers() if one.pid == pid]
    assert trainer.environment == {"WANDB_MODE": "offline", "IDENTITY_PATH": "swarm.pem"}
    assert trainer.identity == tmp_path / "swarm.pem"
    assert trainer.log_folder == tmp_path / "logs"


def test_root_moves_the_logs_of_a_trainer(start_trainer: Start, tmp_path: Path) -> None:
    pid = start_trainer(ROOT=str(tmp_path / "elsewhere"))
    (trainer,) = [one for one in find_trainers() if one.pid == pid]
    assert trainer.log_folder == tmp_path / "elsewhere" / "logs"


def test_a_forked_child_is_no_trainer_of_its_own(tmp_path: Path) -> None:
    module = tmp_path / "code_gen_exp" / "runner" / "swarm_launcher.py"
    module.parent.mkdir(parents=True)
    module.write_text("import os, time\nif os.fork():\n    print('up', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "code_gen_exp.runner.swarm_launcher"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        found = [one.pid for one in find_trainers() if one.log_folder == tmp_path / "logs"]
        assert found == [process.pid]
    finally:
        os.killpg(process.pid, 9)
        process.communicate()


@pytest.mark.parametrize(
    ("module", "logs_to_wandb"),
    [
        ("hivemind_exp.gsm8k.train_single_gpu", True),
        ("rgym_exp.runner.swarm_launcher", False),
        ("code_gen_exp.runner.swarm_launcher", False),
    ],
)
def test_each_release_of_rl_swarm_is_known(
    start_trainer: Start, tmp_path: Path, module: str, *, logs_to_wandb: bool
) -> None:
    pid = start_trainer(module, ROOT=str(tmp_path / "elsewhere"))
    (trainer,) = [one for one in find_trainers() if one.pid == pid]
    assert trainer.logs_to_wandb == logs_to_wandb
    assert trainer.log_folder == (tmp_path / ("logs" if logs_to_wandb else "elsewhere/logs"))


def test_a_shell_that_names_the_module_is_no_trainer(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo up; read _ # -m rgym_exp.runner.swarm_launcher"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.pid not in [one.pid for one in find_trainers()]
