"""How large a model is, from its config.json alone: no torch, no weights."""

import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainer.config import is_path
from trainer.suited import TINY, TINY_SHAPE

# Decoders with a gated MLP and RMS norms, whose weights follow from the configuration as counted below.
FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3"})

_COUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([MB])\s*", re.IGNORECASE)


class ShapeError(ValueError):
    """The size of a model is unknown; one line for the user."""


@dataclass(frozen=True)
class Shape:
    """The sizes that a decoder's memory follows from; `origin` says where they are from."""

    name: str
    origin: str
    parameters: int
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    head_size: int
    tied: bool

    @property
    def linear_sizes(self) -> tuple[tuple[int, int], ...]:
        """(in, out) of each linear map of one layer."""
        q, kv = self.heads * self.head_size, self.key_value_heads * self.head_size
        h, i = self.hidden, self.intermediate
        return ((h, q), (h, kv), (h, kv), (q, h), (h, i), (h, i), (i, h))


# Published configurations of models that swarms train, for planning without the model on this machine.
_KNOWN: dict[str, tuple[str, int, int, int, int, int, int, int, bool]] = {
    # family, vocabulary, hidden, intermediate, layers, heads, key/value heads, head size, tied
    "SmolLM2-135M": ("llama", 49152, 576, 1536, 30, 9, 3, 64, True),
    "SmolLM2-360M": ("llama", 49152, 960, 2560, 32, 15, 5, 64, True),
    "Qwen2.5-0.5B": ("qwen2", 151936, 896, 4864, 24, 14, 2, 64, True),
    "Qwen3-0.6B": ("qwen3", 151936, 1024, 3072, 28, 16, 8, 128, True),
    "Llama-3.2-1B": ("llama", 128256, 2048, 8192, 16, 32, 8, 64, True),
    "Qwen2.5-1.5B": ("qwen2", 151936, 1536, 8960, 28, 12, 2, 128, True),
    "Qwen3-1.7B": ("qwen3", 151936, 2048, 6144, 28, 16, 8, 128, True),
    "Qwen2.5-3B": ("qwen2", 151936, 2048, 11008, 36, 16, 2, 128, True),
    "Llama-3.2-3B": ("llama", 128256, 3072, 8192, 28, 24, 8, 128, True),
    "Qwen3-4B": ("qwen3", 151936, 2560, 9728, 36, 32, 8, 128, True),
    "Qwen2.5-7B": ("qwen2", 152064, 3584, 18944, 28, 28, 4, 128, False),
}


def find_shape(model: str) -> Shape:
    """Of `tiny`, a local folder, or a Hugging Face id. Raises ShapeError."""
    if model == TINY:
        return from_config(TINY, {"model_type": "qwen2", **TINY_SHAPE}, "built in")
    if is_path(model) or Path(model).is_dir():
        return _of_file(model, Path(model).expanduser() / "config.json", "its config.json")
    cached = _cached_config(model)
    if cached:
        return _of_file(model, cached, "its config.json in the Hugging Face cache")
    known = next((name for name in _KNOWN if _is_variant(model, name)), None)
    if known:
        return replace(_known_shape(known), name=model, origin=f"published configuration of {known}")
    fetched = _fetch_config(model)
    if fetched:
        return _of_file(model, fetched, "its config.json from Hugging Face")
    raise ShapeError(
        f"{model} is neither a folder, nor in the Hugging Face cache, nor built in, and Hugging Face does not "
        "have it or does not answer; give its size, like --parameters 0.5B"
    )


def with_parameters(text: str) -> Shape:
    """A model of so many parameters (`0.5B`, `150M`), else like the known one next in size. Raises ShapeError."""
    match = _COUNT.fullmatch(text)
    count = int(float(match[1]) * {"M": 10**6, "B": 10**9}[match[2].upper()]) if match else 0
    if count < 10**6:
        raise ShapeError(f"{text!r} is not a number of parameters; write it like 0.5B or 150M")
    near = min(
        (_known_shape(name) for name in _KNOWN),
        key=lambda one: max(one.parameters / count, count / one.parameters),
    )
    return replace(near, name=f"{text} parameters", parameters=count, origin=f"shape as of {near.name}, next in size")


def from_config(name: str, config: Mapping[str, Any], origin: str) -> Shape:
    """Counts the weights. Raises ShapeError for a family whose layers are built otherwise, or a missing size."""
    family = config.get("model_type")
    if family not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise ShapeError(
            f"{name} is of the family {family!r}, not one of {known}; give its size, like --parameters 0.5B"
        )
    try:
        h, i = int(config["hidden_size"]), int(config["intermediate_size"])
        vocabulary, layers = int(config["vocab_size"]), int(config["num_hidden_layers"])
        heads = int(config["num_attention_heads"])
        shape = Shape(
            name=name,
            origin=origin,
            parameters=0,
            vocabulary=vocabulary,
            hidden=h,
            intermediate=i,
            layers=layers,
            heads=heads,
            key_value_heads=int(config.get("num_key_value_heads") or heads),
            head_size=int(config.get("head_dim") or h // heads),
            tied=bool(config.get("tie_word_embeddings", False)),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ShapeError(
            f"{name}: its config.json lacks a size ({error}); give the model's, like --parameters 0.5B"
        ) from None
    return replace(shape, parameters=_count(shape, family, config))


def _count(shape: Shape, family: str, config: Mapping[str, Any]) -> int:
    q, kv, h = shape.heads * shape.head_size, shape.key_value_heads * shape.head_size, shape.hidden
    layer = sum(rows * columns for rows, columns in shape.linear_sizes) + 2 * h
    if family == "qwen2":
        layer += q + 2 * kv
    elif config.get("attention_bias"):
        layer += q + 2 * kv + h
    if family == "qwen3":
        layer += 2 * shape.head_size
    if config.get("mlp_bias"):
        layer += 2 * shape.intermediate + h
    embeddings = shape.vocabulary * h * (1 if shape.tied else 2)
    return embeddings + shape.layers * layer + h


def _known_shape(name: str) -> Shape:
    family, vocabulary, hidden, intermediate, layers, heads, key_value_heads, head_size, tied = _KNOWN[name]
    config = {
        "model_type": family,
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "head_dim": head_size,
        "tie_word_embeddings": tied,
    }
    return from_config(name, config, "published configuration")


def _is_variant(model: str, known: str) -> bool:
    """`Gensyn/Qwen2.5-0.5B-Instruct` and `Qwen/Qwen2.5-Coder-0.5B` have the shape of Qwen2.5-0.5B."""
    name = model.rpartition("/")[2].lower().replace("-coder-", "-").replace("-math-", "-")
    return name == known.lower() or name.startswith(f"{known.lower()}-")


def _of_file(model: str, path: Path, origin: str) -> Shape:
    try:
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise ShapeError(f"{path}: {error.strerror}; give the model's size, like --parameters 0.5B") from None
    except ValueError:
        raise ShapeError(f"{path} is not JSON; give the model's size, like --parameters 0.5B") from None
    if not isinstance(config, dict):
        raise ShapeError(f"{path} is not a configuration; give the model's size, like --parameters 0.5B")
    return from_config(model, config, origin)


def _cached_config(model: str) -> Path | None:
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "config.json")
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _fetch_config(model: str) -> Path | None:
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(model, "config.json", etag_timeout=5))
    except (OSError, ValueError):
        # Every way to fail derives from these: no network, no such model, no access, an invalid name.
        return None
