"""What an instance of rl-swarm computes with, from rl-swarm's own configuration file; pure but for reading it.

0.4 names TRL's fields; later releases those of genrl, with values that refer to others: `${training.dtype}`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from fleet.configuration.watched import RlSwarmPeer
from fleet.plan.answer import Case, case
from fleet.plan.question import Overrides, find_host
from fleet.plan.shapes import find_shape, with_parameters
from fleet.plan.workload import Workload
from fleet.rl_swarm.checkout import Checkout, read_text
from trainer.config import TrainerConfig
from trainer.suited import TRL_DEFAULTS

# What rl-swarm takes where its files say nothing: genrl/trainer/grpo_trainer.py.
_GENRL_TOKENS = 256
_GENRL_PROMPT_TOKENS = 300
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_POOLS = {"cuda": ("default_large_model_pool", "default_small_model_pool")}
_SMALL_FIRST = ("default_small_model_pool", "default_large_model_pool")


class Instance(NamedTuple):
    """A checkout, with the model and the configuration that a peer sets in place of its own; empty for these."""

    checkout: Checkout
    model: str = ""
    config: Path | None = None


def pose_instance(instance: Instance, overrides: Overrides) -> Case:
    """The case to be answered. Raises ValueError with one line for the user."""
    path = instance.config or instance.checkout.config
    if path is None:
        raise ValueError(f"{instance.checkout.folder}: no configuration of rl-swarm; set `config:`")
    try:
        content = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds no configuration of rl-swarm")
    host = find_host(TrainerConfig(name="peer", run_dir=Path("peer")), overrides)
    read = _read_stages if instance.checkout.is_of_stages else _read_rounds
    try:
        model, work = read(content, host.device)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from None
    if overrides.prompt_tokens:
        work = replace(work, prompt_tokens=overrides.prompt_tokens)
    model = overrides.model or instance.model or model
    shape = with_parameters(overrides.parameters) if overrides.parameters else find_shape(model)
    # Nothing of a checkout is run to find out.
    return replace(case(shape, work, host), is_measurable=False)


def pose_peer(peer: RlSwarmPeer, base: Path, overrides: Overrides) -> Case:
    """As `pose_instance`, for a peer of a file in `base`."""
    checkout = peer.read_checkout(base)
    if checkout is None:
        raise ValueError(f"{peer.locate(base)} is no rl-swarm of 0.4 to 0.7; name that of run_rl_swarm.sh")
    config = base / peer.config.expanduser() if peer.config else None
    return pose_instance(Instance(checkout, peer.model or "", config), overrides)


def _read_stages(content: Mapping[str, Any], device: str) -> tuple[str, Workload]:
    options = {**TRL_DEFAULTS, **content}
    accumulation = options.get("steps_per_generation") or options["gradient_accumulation_steps"]
    return str(options["model_name_or_path"]), Workload(
        batch=int(options["per_device_train_batch_size"]),
        accumulation=max(1, int(accumulation)),
        generations=int(options["num_generations"]),
        completion_tokens=int(options["max_completion_length"]),
        prompt_tokens=int(options["max_prompt_length"]),
        checkpointing=bool(options["gradient_checkpointing"]),
        has_reference=float(options["beta"]) != 0.0,
        dtype=_dtype(options.get("torch_dtype")),
        lora_rank=int(options.get("lora_r") or 16) if options.get("use_peft") else None,
        device=device,
    )


def _read_rounds(content: Mapping[str, Any], device: str) -> tuple[str, Workload]:
    trainer = _get(content, "game_manager.trainer") or {}
    config = trainer.get("config") or {}
    generations = int(_resolve(content, config.get("num_generations")) or 2)
    samples = int(_resolve(content, _get(content, "game_manager.data_manager.num_train_samples")) or 1)
    checkpointing = _resolve(content, config.get("enable_gradient_checkpointing"))
    return _find_model(content, trainer, device), Workload(
        batch=samples * generations,
        accumulation=1,
        generations=generations,
        completion_tokens=int(_resolve(content, config.get("max_new_tokens")) or _GENRL_TOKENS),
        prompt_tokens=_GENRL_PROMPT_TOKENS,
        checkpointing=True if checkpointing is None else bool(checkpointing),
        has_reference=float(_resolve(content, config.get("beta")) or 0.0) != 0.0,
        dtype=_dtype(_resolve(content, config.get("dtype"))),
        lora_rank=None,
        device=device,
    )


def _find_model(content: Mapping[str, Any], trainer: Mapping[str, Any], device: str) -> str:
    """The one that is named; of pools, which rl-swarm chooses from by the card, the first of the likelier one."""
    named = [str(one.get("pretrained_model_name_or_path", "")) for one in trainer.get("models") or ()]
    plain = next((one for one in named if one and "$" not in one), None)
    pools = [content.get(name) or [] for name in _POOLS.get(device, _SMALL_FIRST)]
    model = plain or next((str(pool[0]) for pool in pools if pool), None)
    if model is None:
        raise ValueError("names no model; set `model:`")
    return model


def _dtype(value: object) -> Literal["float32", "bfloat16"]:
    return "float32" if str(value) in ("float32", "None", "auto") else "bfloat16"


def _get(content: Mapping[str, Any], path: str) -> Any:
    found: Any = content
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _resolve(content: Mapping[str, Any], value: Any) -> Any:
    """The value that a reference leads to, at most a few steps away."""
    for _ in range(4):
        found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if not found:
            return value
        value = _get(content, found[1])
    return None
