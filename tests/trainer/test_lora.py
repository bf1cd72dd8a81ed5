"""LoRA options become a configuration of peft; weights of four bits need a bitsandbytes that knows the device."""

import sys
from types import ModuleType

import pytest

from trainer.config import LoraOptions
from trainer.lora import adapters, four_bits


def test_all_weights_are_trained_by_default() -> None:
    assert adapters(None) is None


def test_the_options_reach_peft() -> None:
    made = adapters(LoraOptions(r=8, alpha=16, target_modules=["q_proj"]))

    assert (made.r, made.lora_alpha, made.target_modules, made.task_type) == (8, 16, {"q_proj"}, "CAUSAL_LM")


def test_four_bits_need_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ValueError, match=r"^load_in_4bit: bitsandbytes is not installed; pip install bitsandbytes, or"):
        four_bits("float32", "cpu")


@pytest.mark.parametrize(("devices", "device"), [(None, "cpu"), ({"cpu", "cuda"}, "mps")])
def test_four_bits_need_one_that_computes_on_the_device(
    monkeypatch: pytest.MonkeyPatch, devices: set[str] | None, device: str
) -> None:
    installed = ModuleType("bitsandbytes")
    installed.__dict__.update({"__version__": "0.1"} | ({"supported_torch_devices": devices} if devices else {}))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    monkeypatch.setitem(sys.modules, "bitsandbytes", installed)
    with pytest.raises(ValueError, match=f"^load_in_4bit: bitsandbytes 0.1 has no {device}; pip install --upgrade"):
        four_bits("float32", device)
