"""Judges the values of GRPOConfig's fields as far as the installed trl and transformers end a trainer for them.

Loads neither: `peerwatch check` says the same before anything is started.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from trainer.grpo_settings.convert import Range, convert
from trainer.grpo_settings.fields import FieldType, accelerator_options, compared_texts, field_types, reporters
from trainer.grpo_settings.nested import CACHES, is_installed, judge_inside, judge_model_options, read_mapping
from trainer.suited import TINY, suited_options


class Mistake(NamedTuple):
    """A field and what is wrong with it, with the remedy."""

    name: str
    message: str


@dataclass(frozen=True)
class Setting:
    """What the fields are judged with: the model, the number of rewards, adapters, and whether the device is a CPU."""

    model: str = TINY
    rewards: int = 2
    has_adapters: bool = False
    is_on_cpu: bool = False


_POSITIVE, _FROM_0, _FROM_1, _SHARE = Range(above=0), Range(low=0), Range(low=1), Range(low=0, high=1)
_RANGES = {
    "adam_beta1": Range(low=0, below=1),
    "adam_beta2": Range(low=0, below=1),
    "adam_epsilon": _FROM_0,
    "dataloader_num_workers": _FROM_0,
    "dataloader_prefetch_factor": _FROM_1,
    "generation_batch_size": _FROM_1,
    "gradient_accumulation_steps": _FROM_1,
    "learning_rate": _POSITIVE,
    "max_completion_length": _FROM_1,
    "min_p": _SHARE,
    "neftune_noise_alpha": _FROM_0,
    "num_generations": Range(low=2),
    "num_iterations": _FROM_1,
    "pad_to_multiple_of": _FROM_1,
    "per_device_train_batch_size": _FROM_1,
    "ref_model_sync_steps": _FROM_1,
    "repetition_penalty": _POSITIVE,
    "steps_per_generation": _FROM_1,
    "temperature": _POSITIVE,
    "top_entropy_quantile": _SHARE,
    "top_k": _FROM_0,
    "top_p": _FROM_0,
    "torch_empty_cache_steps": _FROM_1,
    "warmup_steps": _FROM_0,
}
_LEVELS = ("detail", "debug", "info", "warning", "error", "critical", "passive")
_CHOICES = {
    "cache_implementation": CACHES,
    "dataloader_multiprocessing_context": ("fork", "forkserver", "spawn"),
    "log_level": _LEVELS,
    "log_level_replica": _LEVELS,
    # As torch knows them, which cannot be read from one place of its source.
    "torch_compile_mode": ("default", "lite", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"),
}
# TRL compares these with texts in its loss and its rewards, in the first step.
_COMPARED = ("importance_sampling_level", "loss_type", "multi_objective_aggregation", "scale_rewards", "vllm_mode")
# TRL converts these, whatever the annotation says.
_ALSO = {"scale_rewards": "bool"}
_NOT_NULL = ("num_generations", "report_to")
_PACKAGES = {"deepspeed": "deepspeed", "use_liger_kernel": "liger_kernel", "use_vllm": "vllm"}
_REPORTER_PACKAGES = {
    "azure_ml": ("azureml",),
    "flyte": ("flytekit",),
    "tensorboard": ("tensorboard", "tensorboardX"),
}
_OPTIMIZER_PACKAGES = (
    (r"adamw_anyprecision", "torchdistx"),
    (r"adamw_torch_[48]bit", "torchao"),
    (r"adamw_torch_xla", "torch_xla"),
    (r"adamw_torch_npu_fused", "torch_npu"),
    (r"galore_.*", "galore_torch"),
    (r"(ada)?lomo", "lomo_optim"),
    (r"grokadamw", "grokadamw"),
    (r"schedule_free_.*", "schedulefree"),
    (r"apollo_.*", "apollo_torch"),
    (r"stable_adamw", "optimi"),
    (r"paged_.*|lion_.*|.*_8bit|rmsprop_bnb.*|ademamix.*", "bitsandbytes"),
)
# A peer is one process, and has no evaluation data.
_NEVER = {
    "auto_find_batch_size": "not with GRPO, whose batches hold whole groups; set per_device_train_batch_size",
    "ddp_backend": "a peer trains in one process; remove it",
    "eval_on_start": "a peer has no evaluation data; remove it",
    "fsdp": "a peer trains in one process; remove it",
    "parallelism_config": "a peer trains in one process; remove it",
    "remove_unused_columns": "the rewards need the task's columns; remove it",
}
_CHECKPOINTED = ("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs")
_CHECKPOINTING_OPTIONS = (
    "debug",
    "determinism_check",
    "early_stop",
    "preserve_rng_state",
    "use_reentrant",
)


def judge_fields(options: Mapping[str, Any]) -> tuple[dict[str, Any], list[Mistake]]:
    """The values with text that is a number read as one, and the mistakes of each field by itself."""
    types = field_types()
    values, mistakes = dict(options), []
    for name, value in options.items():
        if types is None or name not in types:
            continue
        try:
            values[name] = read_mapping(name, convert(value, _type_of(name, types)), types[name])
            values[name] = judge_inside(name, values[name], options, _RANGES)
            _check_bounds(name, values[name], types[name])
        except ValueError as error:
            mistakes.append(Mistake(name, str(error)))
    return values, mistakes


def judge_together(values: Mapping[str, Any], setting: Setting) -> Iterator[Mistake]:
    """The mistakes of fields that are valid by themselves, but not together, or not with what is installed."""
    for rule in (_groups, _schedule, _reference, _loading, _model, _precision, _cache, _packages, _others):
        yield from rule(values, setting)


def _type_of(name: str, types: Mapping[str, FieldType]) -> FieldType:
    found = types[name]
    return found._replace(kinds=found.kinds | {_ALSO[name]}) if name in _ALSO else found


def _check_bounds(name: str, value: Any, wanted: FieldType) -> None:
    if name in _NOT_NULL and value is None:
        raise ValueError("should not be null; leave it out for the default")
    bounds = _RANGES.get(name)
    if bounds is not None and isinstance(value, int | float) and not bounds.holds(value):
        raise ValueError(f"should be {bounds.describe()}, not {value!r}")
    choices = wanted.choices or _CHOICES.get(name, ()) or (compared_texts(name) if name in _COMPARED else ())
    for one in value if isinstance(value, list) else str(value).split() if name == "debug" else [value]:
        if choices and isinstance(one, str) and one not in choices:
            raise ValueError(f"{one!r} is unknown; known: {', '.join(choices)}")
    if name in _NEVER and value:
        raise ValueError(_NEVER[name])
    if name == "pad_to_multiple_of" and isinstance(value, str) and value not in ("auto", "none", "null"):
        raise ValueError(f"should be a whole number or auto, not {value!r}")
    if name == "eval_strategy" and value != "no":
        raise ValueError("a peer has no evaluation data; remove it")
    if name == "optim_args" and value and not all("=" in part for part in value.split(",")):
        raise ValueError("should be name=value, name=value, …")
    known = {"accelerator_config": accelerator_options(), **dict.fromkeys(_CHECKPOINTED, _CHECKPOINTING_OPTIONS)}
    for key in value if isinstance(value, dict) and known.get(name) else ():
        if key not in known[name]:
            raise ValueError(f"unknown key {key}; known: {', '.join(known[name])}")


def _groups(values: Mapping[str, Any], setting: Setting) -> Iterator[Mistake]:
    """A batch of generated completions holds whole groups of `num_generations`."""
    both = suited_options(setting.model, values) | dict(values)
    generations, size = both["num_generations"], both["per_device_train_batch_size"]
    batch, steps = both.get("generation_batch_size"), both.get("steps_per_generation")
    if batch is not None and steps is not None:
        yield Mistake("steps_per_generation", "not together with generation_batch_size; set one of them")
        return
    if batch is not None and batch % size:
        message = f"should be a multiple of per_device_train_batch_size ({size}), not {batch}"
        yield Mistake("generation_batch_size", message)
        return
    total = batch if batch is not None else size * (steps or both.get("gradient_accumulation_steps", 1))
    if total % generations:
        name = next(
            (one for one in ("generation_batch_size", "per_device_train_batch_size") if one in values),
            "num_generations",
        )
        yield Mistake(name, f"the {total} completions of a batch are no multiple of num_generations ({generations})")


def _schedule(values: Mapping[str, Any], setting: Setting) -> Iterator[Mistake]:
    kind, options = values.get("lr_scheduler_type"), values.get("lr_scheduler_kwargs")
    options = options if isinstance(options, dict) else {}
    needed = {
        "cosine_with_min_lr": ("min_lr", "min_lr_rate"),
        "cosine_warmup_with_min_lr": ("min_lr", "min_lr_rate"),
        "warmup_stable_decay": ("num_decay_steps",),
    }.get(str(kind), ())
    if needed and not any(options.get(name) is not None for name in needed):
        yield Mistake("lr_scheduler_type", f"{kind} needs lr_scheduler_kwargs: {{{needed[0]}: …}}")
    if kind in ("reduce_lr_on_plateau", "greedy"):
        yield Mistake("lr_scheduler_type", f"{kind} needs evaluation data, which a peer has not; set another one")
    end, rate = options.get("lr_end", 1e-7), values.get("learning_rate", 1e-6)
    if kind == "polynomial" and isinstance(end, int | float) and rate <= end:
        yield Mistake("lr_scheduler_type", f"polynomial needs a learning_rate above {end:g}; set lr_end lower")


def _reference(values: Mapping[str, Any], setting: Setting) -> Iterator[Mistake]:
    if values.get("sync_ref_model") and not values.get("beta"):
        yield Mistake("sync_ref_model", "needs a reference model; set beta above 0")
    elif values.get("sync_ref_model") and setting.has_adapters:
        yield Mistake("sync_ref_model", "not with adapters, whose reference is the model itself; remove one of them")
    weights = values.get("reward_weights")
    if isinstance(weights, list) and len(weights) != setting.rewards:
        yield Mistake("reward_weights", f"{len(weights)} weights for {setting.rewards} rewards; write one for each")
    if setting.model == TINY and values.get("router_aux_loss_coef"):
        yield Mistake("router_aux_loss_coef", "only for models of several experts; remove it")


def _loading(values: Mapping[str, Any], setting: Setting) -> Iterator[Mistake]:
    for name in ("dataloader_multiprocessing_context", "dataloader_persistent_workers", "dataloader_prefetch_factor"):
        if values.get(name) and not values.get("dataloader_num_workers"):
            yield Mistake(name, "needs dataloader_num_workers above 0")
    options = values.get("accelerator_config")
    if isinstance(options, dict) and options.get("dispatch_batches"):
        yield Mistake("accelerator_config", "dispatch_batches cannot hold a task's texts; remove it")


def _model(values: Mapping[str, Any], setting: Setting) -> Iterator[Mistake]:
    options = values.get("model_init_kwargs")
    # The tiny model is made here, and not loaded.
    for message in judge_model_options(options) if setting.model != TINY and isinstance(options, dict) else ():
        yield Mistake("model_init_kwargs", message)


def _precision(values: Mapping[str, Any], setting: Setting) -> Iterator[Mistake]:
    for one, other in (("fp16", "bf16"), ("fp16_full_eval", "bf16_full_eval")):
        if values.get(one) and values.get(other):
            yield Mistake(one, f"not together with {other}; set one of them")
    if values.get("tf32") and setting.is_on_cpu:
        yield Mistake("tf32", "needs an NVIDIA GPU; remove it")


def _cache(values: Mapping[str, Any], setting: Setting) -> Iterator[Mistake]:
    options = values.get("generation_kwargs")
    inside = options.get("cache_implementation") if isinstance(options, dict) else None
    for name, cache in (("cache_implementation", values.get("cache_implementation")), ("generation_kwargs", inside)):
        if cache == "quantized" and not is_installed("optimum") and not is_installed("hqq"):
            yield Mistake(name, "a quantized cache needs the package optimum-quanto or hqq, and neither is installed")
        if setting.is_on_cpu and str(cache).startswith("offloaded"):
            yield Mistake(name, f"{cache} needs a GPU to offload from; remove it")


def _packages(values: Mapping[str, Any], setting: Setting) -> Iterator[Mistake]:
    for name, package in _PACKAGES.items():
        if values.get(name) and not is_installed(package):
            yield Mistake(name, f"needs the package {package}, which is not installed")
    optimizer = str(values.get("optim", ""))
    needed = next((package for pattern, package in _OPTIMIZER_PACKAGES if re.fullmatch(pattern, optimizer)), None)
    if needed is not None and not is_installed(needed):
        yield Mistake("optim", f"{optimizer} needs the package {needed}, which is not installed")
    given = values.get("report_to")
    for one in given if isinstance(given, list) else [given]:
        if one in (None, "all", "none") or not reporters():
            continue
        packages = _REPORTER_PACKAGES.get(one, (one,))
        if one not in reporters():
            yield Mistake("report_to", f"{one!r} is unknown; known: all, none, {', '.join(reporters())}")
        elif not any(map(is_installed, packages)):
            yield Mistake("report_to", f"{one} needs the package {packages[0]}, which is not installed")


def _others(values: Mapping[str, Any], setting: Setting) -> Iterator[Mistake]:
    if values.get("log_completions_hub_repo") and not values.get("log_completions"):
        yield Mistake("log_completions_hub_repo", "needs log_completions: true")
    low, high = values.get("vllm_importance_sampling_clip_min"), values.get("vllm_importance_sampling_clip_max", 3.0)
    if low is not None and high is not None and low >= high:
        yield Mistake("vllm_importance_sampling_clip_min", f"should be below the clip's maximum, {high:g}, not {low:g}")
