"""What a training was set up with, read from a Trainer's arguments and model, as the labels of trainer_settings_info
and as the mark of its pace.

Nothing is imported for it: a library that the trainer has not loaded has no version to tell.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from exporter.metrics import SETTINGS
from exporter.progress import pace_file
from exporter.progress.printed_settings import ARGUMENTS, MIXED, describe_dtype

MAX_CHARACTERS = 64
_LIBRARIES = ("trl", "transformers", "torch")


def read_settings(args: Any, model: Any) -> dict[str, str]:
    """The settings that can be read, by label; never raises, whatever the objects are."""
    found = {name: _try(getattr, args, name, None) for name in ARGUMENTS}
    found["dtype"] = _try(_find_dtype, args, model)
    found["lora"] = _try(_find_lora, model)
    found |= {name: _try(getattr, sys.modules.get(name), "__version__", "") for name in _LIBRARIES}
    return clean_settings(found)


def clean_settings(given: Mapping[str, Any]) -> dict[str, str]:
    """Those that trainer_settings_info has, as short printable texts; others are left out."""
    return {name: _try(_clean, value) for name, value in given.items() if name in SETTINGS}


def read_mark(args: Any, model: Any) -> str | None:
    """What the pace depends on: the model, the processes and devices, and each argument; None where it is not known."""
    try:
        weights = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
        facts = {
            "name": getattr(getattr(model, "config", None), "_name_or_path", ""),
            "class": type(model).__name__,
            "parameters": sum(count for count, _ in weights),
            "trained": sum(count for count, is_trained in weights if is_trained),
            "processes": args.world_size,
            "device": args.device.type,
        }
        return pace_file.mark(facts, args.to_dict())
    except Exception:  # noqa: BLE001 arguments of somebody else's make: the pace then starts from nothing
        return None


def _find_dtype(args: Any, model: Any) -> str:
    mixed = next((name for flag, name in MIXED.items() if getattr(args, flag, None)), "")
    return describe_dtype(str(getattr(model, "dtype", None) or ""), mixed)


def _find_lora(model: Any) -> str:
    """As peft's models have it, and those of transformers with an adapter."""
    return "" if model is None else "yes" if getattr(model, "peft_config", None) else "no"


def _clean(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(character for character in text if character.isprintable())[:MAX_CHARACTERS]


def _try(read: Callable[..., Any], *given: Any) -> Any:
    try:
        return read(*given)
    except Exception:  # noqa: BLE001 objects of somebody else's make, in the training thread
        return ""
