"""What a command line starts, behind interpreters, shells and launchers."""

import pytest

from fleet.attach.command_line import read_command, read_options


@pytest.mark.parametrize(
    ("command", "name", "path", "launcher"),
    [
        ("python3.11 -u -X dev train.py --lr 1", "train.py", "train.py", ""),
        ("/opt/Python.app/Contents/MacOS/Python -m mlx_lm.lora", "mlx_lm.lora", "", ""),
        ("python /venv/bin/trl grpo --model x", "trl", "/venv/bin/trl", ""),
        ("python -Wignore -c print(1)", "", "", ""),
        ("python", "", "", ""),
        (
            "python /venv/bin/accelerate launch --config_file a.yaml src/train.py",
            "train.py",
            "src/train.py",
            "accelerate",
        ),
        (
            "python -m torch.distributed.run --nproc-per-node 2 train.py",
            "train.py",
            "train.py",
            "torch.distributed.run",
        ),
        ("torchrun --nproc_per_node=2 -m verl.trainer.fsdp x=1", "verl.trainer.fsdp", "", "torchrun"),
        ("/venv/bin/python /venv/bin/deepspeed --num_gpus 2 a.py", "a.py", "a.py", "deepspeed"),
        ("mpirun -np 2 python train.py", "train.py", "train.py", "mpirun"),
        ("uv run train.py", "train.py", "train.py", "uv"),
        ("uv run rl @ a.toml", "uv", "uv", ""),
        ("bash ./run_rl_swarm.sh", "run_rl_swarm.sh", "./run_rl_swarm.sh", ""),
        ("-bash", "bash", "-bash", ""),
        ("", "", "", ""),
    ],
)
def test_what_is_started_is_read(command: str, name: str, path: str, launcher: str) -> None:
    started = read_command(command.split())
    assert (started.name, started.path, started.launcher) == (name, path, launcher)


def test_options_are_read_in_every_spelling() -> None:
    words = [
        "train.py",
        "--output-dir",
        "a",
        "--lr=2",
        "--report_to",
        "wandb",
        "tensorboard",
        "--flag",
        "+trainer.logger=[x]",
        "-o",
        "b",
        "last",
    ]
    options = dict(read_options(words))
    assert options["output_dir"] == "a"
    assert options["lr"] == "2"
    assert options["report_to"] == "wandb tensorboard"
    assert options["trainer.logger"] == "[x]"
    assert options["o"] == "b"
