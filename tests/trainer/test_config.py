"""What a configuration file may contain, and how its errors are reported."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from trainer.config import SwarmConfig, TrainerConfig, load_config


def errors_of(**options: object) -> str:
    with pytest.raises(ValidationError) as caught:
        TrainerConfig.model_validate({"name": "a", "run_dir": "/tmp/a", **options})
    return "\n".join(error["msg"] for error in caught.value.errors())


def test_a_name_and_a_folder_are_enough() -> None:
    config = TrainerConfig(name="a", run_dir=Path("/tmp/a"))

    assert (config.model, config.swarm.leader, config.stages_per_round) == ("tiny", False, 3)


def test_a_misspelt_grpo_field_suggests_the_nearest_one() -> None:
    assert "did you mean learning_rate?" in errors_of(grpo={"learning_rat": 1e-5})


def test_fields_that_the_trainer_sets_name_the_key_to_use() -> None:
    assert "saves by time; set the trainer's save_interval_seconds" in errors_of(grpo={"save_steps": 5})
    assert "logging_steps: the trainer logs every step; remove it" in errors_of(grpo={"logging_steps": 5})


def test_any_other_grpo_field_is_accepted() -> None:
    config = TrainerConfig(name="a", run_dir=Path("/tmp/a"), grpo={"beta": 0.04, "weight_decay": 0.1})

    assert config.grpo["beta"] == 0.04


@pytest.mark.parametrize("reward", ["corectness", "own.py", "own.py:", "own.py:1st"])
def test_an_unknown_reward_is_rejected(reward: str) -> None:
    assert repr(reward) in errors_of(rewards=[reward])


def test_initial_peers_need_their_ids() -> None:
    assert "/p2p/" in errors_of(swarm={"initial_peers": ["/ip4/192.0.2.1/tcp/1"]})


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "/ip4/127.0.0.1/tcp/7"), ("::1", "/ip6/::1/tcp/7"), ("peer.example", "/dns/peer.example/tcp/7")],
)
def test_the_listen_address_is_written_as_libp2p_does(host: str, address: str) -> None:
    assert SwarmConfig(host=host, port=7).listen_multiaddr() == address


def test_a_file_reports_every_error_on_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "peer.yaml"
    path.write_text("name: a\nrun_dir: run\nswarm: {port: 70000}\nunknown: 1\n")

    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load_config(path)

    first, second = sorted(str(caught.value).splitlines())
    assert first.startswith(f"{path}: swarm.port: ")
    assert second.startswith(f"{path}: unknown: ")


@pytest.mark.parametrize("content", ["- a list", "name: [", "[" * 20_000, f"seed: {'9' * 6000}", "\x00"])
def test_anything_but_a_mapping_is_rejected_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "peer.yaml"
    path.write_text(content)

    with pytest.raises(ValueError, match=r"peer\.yaml:\d+: ") as caught:
        load_config(path)

    assert "\n" not in str(caught.value)


def test_relative_paths_count_from_the_files_folder(tmp_path: Path) -> None:
    path = tmp_path / "peer.yaml"
    path.write_text("name: a\nrun_dir: runs/a\nrewards: [own.py:score, correctness]\ntask: own.jsonl\n")

    config = load_config(path)

    assert config.run_dir == tmp_path / "runs" / "a"
    assert config.rewards == [f"{tmp_path}/own.py:score", "correctness"]
    assert config.task == f"{tmp_path}/own.jsonl"


def test_validating_a_configuration_loads_no_torch() -> None:
    code = (
        "import sys; from trainer.config import TrainerConfig; import trainer.swarm.identity, trainer.run;"
        "TrainerConfig(name='a', run_dir='/tmp/a', grpo={'beta': 0.1});"
        "print(sorted({'torch', 'transformers', 'trl', 'hivemind'} & set(sys.modules)))"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_adapters_and_their_weights_have_options_of_their_own() -> None:
    config = TrainerConfig.model_validate({"name": "a", "run_dir": "/tmp/a", "lora": {"r": 8}, "dtype": "bfloat16"})

    assert config.lora is not None
    assert (config.lora.r, config.lora.target_modules, config.trained_as) == (
        8,
        "all-linear",
        "tiny with LoRA of rank 8",
    )
    assert TrainerConfig(name="a", run_dir=Path("/tmp/a")).trained_as == "tiny"
    assert "float32" in errors_of(dtype="float8")
