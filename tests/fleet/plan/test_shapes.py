"""The size of a model from its configuration, against the models that transformers builds."""

import json
from pathlib import Path
from typing import Any

import pytest

from fleet.plan.shapes import ShapeError, find_shape, from_config, with_parameters

SIZES = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("llama", {}),
        ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
        ("qwen2", {"tie_word_embeddings": True}),
        ("qwen3", {"head_dim": 32}),
        ("mistral", {"head_dim": 16}),
        ("smollm3", {"tie_word_embeddings": True, "pad_token_id": 0}),
    ],
)
def test_the_weights_counted_are_those_that_transformers_makes(family: str, options: dict[str, Any]) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(family, **SIZES, **options)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)

    assert from_config("a", config.to_dict(), "").parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("model", "millions"),
    [
        ("Gensyn/Qwen2.5-0.5B-Instruct", 494.0),
        ("Qwen/Qwen2.5-Coder-1.5B", 1543.7),
        ("Qwen/Qwen3-0.6B", 596.0),
        ("meta-llama/Llama-3.2-1B-Instruct", 1235.8),
        ("HuggingFaceTB/SmolLM2-135M", 134.5),
        ("tiny", 0.9),
    ],
)
def test_a_known_model_needs_neither_files_nor_network(model: str, millions: float) -> None:
    assert find_shape(model).parameters / 1e6 == pytest.approx(millions, abs=0.06)


def test_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **SIZES}))

    assert find_shape(str(tmp_path)).origin == "its config.json"


@pytest.mark.parametrize("text", ["[]", "no json", '{"model_type": "llama"}', '{"model_type": "gpt2"}'])
def test_an_unusable_configuration_names_the_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(ShapeError, match=r"--parameters 0\.5B"):
        find_shape(str(tmp_path))


def test_an_unknown_model_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(ShapeError, match=r"^nobody/none is neither .*--parameters 0\.5B$"):
        find_shape("nobody/none")


def test_a_number_of_parameters_takes_the_shape_of_its_nearest() -> None:
    shape = with_parameters("0.5B")

    assert (shape.parameters, shape.layers) == (500_000_000, 24)
    assert "Qwen2.5-0.5B" in shape.origin


@pytest.mark.parametrize("text", ["0.5", "big", "-1B", "0B", "1T"])
def test_what_is_no_number_of_parameters_is_refused(text: str) -> None:
    with pytest.raises(ShapeError, match=r"write it like 0\.5B or 150M"):
        with_parameters(text)
