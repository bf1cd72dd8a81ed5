"""What a training was set up with is read from whatever a Trainer has, and shown as short texts."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exporter.metrics import SETTINGS
from exporter.progress.readers import make_reader
from exporter.progress.reported import ReportedProgress
from exporter.progress.run_settings import MAX_CHARACTERS, clean_settings, read_settings


def test_the_arguments_of_grpo_are_told_as_a_person_writes_them() -> None:
    arguments = SimpleNamespace(
        learning_rate=5e-06,
        beta=0.0,
        num_generations=8,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        max_completion_length=256,
        bf16=True,
        fp16=False,
    )
    model = SimpleNamespace(dtype="torch.float32", peft_config={"default": object()})
    found = read_settings(arguments, model)
    assert found.items() >= {
        ("learning_rate", "5e-06"),
        ("beta", "0"),
        ("num_generations", "8"),
        ("per_device_train_batch_size", "4"),
        ("gradient_accumulation_steps", "2"),
        ("max_completion_length", "256"),
        ("dtype", "float32, computing in bfloat16"),
        ("lora", "yes"),
    }
    assert read_settings(arguments, SimpleNamespace(dtype="torch.bfloat16"))["dtype"] == "bfloat16"


def test_what_another_trainer_lacks_is_empty() -> None:
    found = read_settings(SimpleNamespace(learning_rate=0.001), None)
    assert found["learning_rate"] == "0.001"
    assert {found[name] for name in ("beta", "num_generations", "dtype", "lora")} == {""}


def test_a_library_that_is_not_loaded_is_not_loaded_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "trl", raising=False)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="2.9.0+cpu"))
    found = read_settings(None, None)
    assert (found["trl"], found["torch"]) == ("", "2.9.0+cpu")
    assert "trl" not in sys.modules


class Hostile:
    """Raises whatever is asked of it, or answers far too much."""

    @property
    def learning_rate(self) -> Any:
        raise SystemError("no")

    num_generations = "8\n\x1b[31m" + "x" * 10**6

    def __getattr__(self, name: str) -> Any:
        raise ValueError(name)


def test_hostile_objects_cost_only_what_they_would_tell() -> None:
    found = read_settings(Hostile(), Hostile())
    assert set(found) <= set(SETTINGS)
    assert all(len(text) <= MAX_CHARACTERS and text.isprintable() for text in found.values())
    assert found["num_generations"].startswith("8[31mx")
    assert found["learning_rate"] == found["lora"] == ""


def test_only_known_settings_are_told() -> None:
    assert clean_settings({"task": "chain_sum", "api_key": "hf_secret"}) == {"task": "chain_sum"}


def test_the_arguments_that_a_log_prints_are_told(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(
        "2026-01-02 03:04:05,678 - DEBUG - x:1 - Training parameters GRPOConfig(\n"
        "beta=0.001,\nbf16=True,\nfp16=False,\ngradient_accumulation_steps=4,\nlearning_rate=5e-07,\n"
        "max_completion_length=None,\nnum_generations=2,\nhub_token=<HUB_TOKEN>,\n"
        "accelerator_config={'learning_rate=1': False, 'per_device_train_batch_size': 9},\n"
        "learning_rate=" + "9" * 300 + ",\n"
        "{'loss': 0.5, 'reward': 0.5, 'epoch': 0.1}\n"
    )
    reported = ReportedProgress({"log": make_reader("log", {"path": "run.log"}, tmp_path)})

    def read(now: float) -> dict[str, str]:
        (labels,) = [one.labels for one in reported.read(now) if one.name == "trainer_settings_info"]
        return {name: text for name, text in labels.items() if text}

    assert read(1.0) == {
        "beta": "0.001",
        "dtype": "computing in bfloat16",
        "gradient_accumulation_steps": "4",
        "learning_rate": "5e-07",
        "num_generations": "2",
    }
    with log.open("a") as file:
        file.write("learning_rate=1e-06,\n{'loss': 0.5, 'reward': 0.5, 'epoch': 0.2}\n")
    assert read(2.0)["learning_rate"] == "1e-06"


def test_a_log_that_prints_none_tells_none(tmp_path: Path) -> None:
    (tmp_path / "run.log").write_text("{'loss': 0.5, 'reward': 0.5, 'epoch': 0.1}\n")
    reported = ReportedProgress({"log": make_reader("log", {"path": "run.log"}, tmp_path)})
    assert "trainer_settings_info" not in {one.name for one in reported.read(1.0)}
