"""What keeps the installed transformers from loading a model's folder, told without loading transformers."""

import ast
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from exporter.files.named_file import read_named
from trainer.grpo_settings.fields import parse_source
from trainer.grpo_settings.model_kind import generates
from trainer.grpo_settings.nested import judge_quantization

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_TOKENIZERS = ("tokenizer.json", "vocab*", "*vocab.json", "*.model", "*.tiktoken", "*.spm", "*.vocab", "tekken.json")
# With these, the weights are of another kind or lie elsewhere.
_ELSEWHERE = frozenset({"gguf_file", "adapter_kwargs"})
_MOST_BYTES = 64 << 20
_REMEDY = "set a folder that a model and its tokenizer were saved to"


class _Unusable(Exception):
    """The folder is of no use; the message is for the user."""


def find_model_mistake(folder: Path, options: Mapping[str, Any]) -> str | None:
    """What is wrong with a model's folder, in one line; `options` are those that it is loaded with."""
    try:
        config = _read_object(folder / "config.json")
        # A model with classes of its own may need other files.
        if "auto_map" not in config:
            _check_kind(config)
            _check_tokenizer(folder)
        if not _ELSEWHERE.intersection(options):
            _check_weights(folder / str(options.get("subfolder") or ""), options)
    except _Unusable as error:
        return f"{error}; {_REMEDY}"
    except OSError as error:
        return f"cannot read {error.filename or folder}: {error.strerror}; check its permissions"
    quantization = config.get("quantization_config")
    return next(judge_quantization(quantization), None) if quantization else None


def read_kind(folder: Path) -> str | None:
    """The kind of model in a folder; None for one with classes of its own, or that cannot be read."""
    try:
        config = _read_object(folder / "config.json")
    except (_Unusable, OSError):
        return None
    kind = config.get("model_type")
    return kind if isinstance(kind, str) and "auto_map" not in config else None


def _check_kind(config: Mapping[str, Any]) -> None:
    kind, classes = config.get("model_type"), config.get("architectures")
    known, models = _names("auto_mappings.py") | _names("configuration_auto.py"), _names("modeling_auto.py")
    if not isinstance(kind, str):
        raise _Unusable("its config.json has no model_type")
    if known and kind not in known:
        raise _Unusable(f"the installed transformers knows no model_type {kind[:60]!r}, as its config.json has")
    if not isinstance(classes, list) or not classes:
        raise _Unusable("its config.json names no architectures")
    if models and classes[0] not in models:
        name = str(classes[0])[:60]
        raise _Unusable(f"the installed transformers knows no architecture {name!r}, as its config.json has")
    if generates(str(classes[0])) is False:
        raise _Unusable(f"its architecture, {classes[0]}, generates no text")


@cache
def _names(file: str) -> frozenset[str]:
    """The texts in one of the tables of models; none where transformers is missing or built otherwise."""
    tree = parse_source("transformers", f"models/auto/{file}")
    nodes = ast.walk(tree) if tree else ()
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _check_weights(folder: Path, options: Mapping[str, Any]) -> None:
    variant, is_safe = options.get("variant"), options.get("use_safetensors")
    kinds = [name for name in _WEIGHTS if is_safe is None or is_safe == name.endswith(".safetensors")]
    names = [name.replace(".", f".{variant}.", 1) if variant else name for name in kinds]
    for name in names:
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return _check_file(folder / name)
        if index.is_file():
            shards = _read_object(index).get("weight_map")
            for shard in sorted(set(map(str, shards.values()))) if isinstance(shards, dict) else ():
                if not (folder / shard).is_file():
                    raise _Unusable(f"{folder} lacks {shard}, which its {index.name} names")
                _check_file(folder / shard)
            return None
    raise _Unusable(f"{folder} has no weights ({' or '.join(names)})")


def _check_file(path: Path) -> None:
    """Weights that are cut off, or a pointer of Git LFS in their place."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start == b"version ":
            raise _Unusable(f"{path} is a pointer of Git LFS, not the weights (run `git lfs pull` there)")
        if path.suffix != ".safetensors":
            if not size:
                raise _Unusable(f"{path} is empty")
            return
        # The format: the header's length in 8 bytes, the header as JSON, and the data that it describes.
        length = int.from_bytes(start, "little")
        if size < 8 or length > size - 8:
            raise _Unusable(f"{path} is cut off")
        if length > _MOST_BYTES:
            return
        try:
            header = json.loads(file.read(length))
            ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
            is_whole = max(ends, default=0) == size - 8 - length
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            raise _Unusable(f"{path} has no header of safetensors") from None
        if not is_whole:
            raise _Unusable(f"{path} is cut off")


def _check_tokenizer(folder: Path) -> None:
    if not any(True for pattern in _TOKENIZERS for _ in folder.glob(pattern)):
        raise _Unusable(f"{folder} has no tokenizer")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        if (folder / name).is_file():
            _read_object(folder / name)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(read_named(path, _MOST_BYTES))
    except FileNotFoundError:
        raise _Unusable(f"{path.parent} has no {path.name}") from None
    except IsADirectoryError:
        raise _Unusable(f"{path} is a folder") from None
    except (ValueError, RecursionError):
        raise _Unusable(f"{path} is no JSON") from None
    if not isinstance(data, dict):
        raise _Unusable(f"{path} is no JSON object")
    return data
