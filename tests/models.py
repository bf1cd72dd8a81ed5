"""Models of chosen shapes with random weights, saved as the trainer and `peerwatch plan` read them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Shape:
    """A small decoder: the sizes that its memory follows from."""

    family: Literal["llama", "qwen2"]
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    tied: bool = True


QWEN_5M = Shape("qwen2", 4096, 256, 768, 4, 4, 2)
LLAMA_15M = Shape("llama", 8000, 320, 1024, 8, 5, 5)
QWEN_45M = Shape("qwen2", 32000, 512, 1536, 8, 8, 2)
LLAMA_150M = Shape("llama", 32000, 768, 2048, 14, 12, 12, tied=False)


def save_model(folder: Path, shape: Shape, dtype: str = "float32") -> Path:
    """Writes weights, configuration and a byte-level tokenizer; returns the folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    from trainer.data import byte_tokenizer

    tokenizer = byte_tokenizer()
    config_class, model_class = {
        "llama": (LlamaConfig, LlamaForCausalLM),
        "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    }[shape.family]
    sizes: dict[str, Any] = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads,
        "tie_word_embeddings": shape.tied,
        "max_position_embeddings": 2048,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }
    model = model_class(config_class(**sizes)).to(getattr(torch, dtype))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
