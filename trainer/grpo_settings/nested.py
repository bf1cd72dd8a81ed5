"""Judges the mappings within GRPOConfig's fields: the options of generation, of the schedule and of the model."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trainer.grpo_settings.convert import Range, convert
from trainer.grpo_settings.fields import FieldType
from trainer.grpo_settings.options import attentions, experts, generation_options, schedule_options

# These take a file's path as well.
_OR_A_FILE = ("accelerator_config", "deepspeed", "fsdp_config")
# transformers passes them nothing.
_WITHOUT_OPTIONS = ("constant", "constant_with_warmup")
_GENERATION_BOUNDS = {
    "max_length": Range(low=1),
    "max_new_tokens": Range(low=1),
    "num_beams": Range(low=1),
    "num_return_sequences": Range(low=1, high=1),
    "top_h": Range(above=0, high=1),
    "typical_p": Range(above=0),
}
_SCHEDULE_BOUNDS = {"power": Range(low=0), "timescale": Range(low=1)}
_NO_DRAFTS = "drafts are for a single question at a time; remove it"
_NO_FILE = "a file cannot hold it; remove it"
_NO_CODE = "transformers loads it from the hub as code of others; remove it"
_NEVER_IN_GENERATION = {
    **dict.fromkeys(("assistant_early_exit", "is_assistant", "prompt_lookup_num_tokens"), _NO_DRAFTS),
    **dict.fromkeys(("assistant_model", "compile_config", "continuous_batching_config", "logits_processor"), _NO_FILE),
    **dict.fromkeys(("prefix_allowed_tokens_fn", "stopping_criteria", "streamer"), _NO_FILE),
    **dict.fromkeys(("constraints", "dola_layers", "force_words_ids"), _NO_CODE),
    "disable_compile": "TRL sets it; remove it",
    "input_ids": "TRL sets it; remove it",
    "return_dict_in_generate": "TRL takes the tokens alone; remove it",
    "stop_strings": "TRL generates without the tokenizer that finds them; set eos_token_id instead",
    "synced_gpus": "a peer trains in one process; remove it",
    "token_healing": "TRL generates without the tokenizer that it needs; remove it",
}
# Lists whose entries are no plain values: whether one is an entry, and an example. Few types can be read for them.
_LISTS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "bad_words_ids": (lambda one: isinstance(one, list), "[[5, 6], [7]]"),
    "sequence_bias": (
        lambda one: isinstance(one, list) and len(one) == 2 and isinstance(one[0], list),
        "[[[5, 6], -2.0]]",
    ),
    "exponential_decay_length_penalty": (lambda one: isinstance(one, int | float), "[20, 1.1]"),
}
# As transformers.generation knows them, which cannot be read from one place of its source.
CACHES = (
    *("dynamic", "static", "offloaded", "offloaded_static", "quantized", "paged"),
    *("sliding_window", "hybrid", "hybrid_chunked", "offloaded_hybrid", "offloaded_hybrid_chunked"),
)
_GENERATION_CHOICES = {"cache_implementation": CACHES, "early_stopping": ("never",)}
_DTYPES = ("auto", "bfloat16", "float16", "float32")
_PLACEMENTS = ("auto", "balanced", "balanced_low_0", "sequential")
_DEVICE = re.compile(r"(cpu|cuda|mps|xpu|npu|hpu|mlu|musa|neuron|xla)(:[0-9]{1,3})?")
# Either of them will do.
_ATTENTION_PACKAGES = {
    "flash_attention_2": ("flash_attn", "kernels"),
    "flash_attention_3": ("flash_attn_interface", "kernels"),
    "flash_attention_4": ("flash_attn", "kernels"),
}


# What the usual ways to quantize need.
_QUANTIZERS = {
    **dict.fromkeys(("bitsandbytes", "bitsandbytes_4bit", "bitsandbytes_8bit"), "bitsandbytes"),
    "gptq": "optimum",
    "hqq": "hqq",
    "torchao": "torchao",
}


def read_mapping(name: str, value: Any, wanted: FieldType) -> Any:
    """A mapping that may be written as JSON. Raises ValueError where it can be neither."""
    if not isinstance(value, str) or "dict" not in wanted.kinds:
        return value
    if value.startswith("{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", "too deep")
            raise ValueError(f"is no JSON ({reason}); write a mapping, such as {{name: value}}") from None
    if name in _OR_A_FILE:
        return value
    raise ValueError("should be a mapping, such as {name: value}, not text")


def judge_inside(name: str, value: Any, fields: Mapping[str, Any], bounds: Mapping[str, Range]) -> Any:
    """The mapping of one field with its numbers read as such. Raises ValueError with what is wrong inside."""
    if not isinstance(value, dict):
        return value
    if name == "generation_kwargs":
        return _generation(value, bounds)
    kind = str(fields.get("lr_scheduler_type", "constant"))
    if name == "lr_scheduler_kwargs" and kind not in _WITHOUT_OPTIONS:
        return _schedule(value, kind)
    return value


def judge_model_options(options: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the options that a model is loaded with."""
    dtype = options.get("dtype", options.get("torch_dtype"))
    if dtype is not None and dtype not in _DTYPES:
        yield f"dtype: {str(dtype)[:60]!r} is unknown; known: {', '.join(_DTYPES)}"
    attention = options.get("attn_implementation")
    if attention is not None and not isinstance(attention, str | dict):
        yield f"attn_implementation: should be text, not {str(attention)[:60]}"
    # One with a slash comes from the hub.
    if isinstance(attention, str) and attentions() and "/" not in attention and attention not in attentions():
        yield f"attn_implementation: {attention[:60]!r} is unknown; known: {', '.join(attentions())}"
    one = options.get("experts_implementation")
    if isinstance(one, str) and experts() and one not in experts():
        yield f"experts_implementation: {one[:60]!r} is unknown; known: {', '.join(experts())}"
    is_of_the_hub = isinstance(attention, str) and "/" in attention
    packages = ("kernels",) if is_of_the_hub else _ATTENTION_PACKAGES.get(str(attention), ())
    if packages and not any(map(is_installed, packages)):
        yield f"attn_implementation: {attention} needs the package {' or '.join(packages)}; install it, or use sdpa"
    if options.get("use_kernels") and not is_installed("kernels"):
        yield "use_kernels: needs the package kernels; install it, or remove use_kernels"
    yield from _placement(options.get("device_map"))
    if options.get("quantization_config") is not None:
        yield from judge_quantization(options["quantization_config"])


def _placement(given: Any) -> Iterator[str]:
    """What is wrong with a `device_map`: a placement, a device, or those of the model's parts."""
    known = f"known: {', '.join(_PLACEMENTS)}, and devices such as cpu and cuda:0"
    if isinstance(given, dict):
        for part, device in given.items():
            if device != "disk" and not is_device(device):
                yield f"device_map: {part}: {str(device)[:60]!r} is no device; name one such as cpu or cuda:0"
    elif given is not None and given not in _PLACEMENTS and not is_device(given):
        yield f"device_map: {str(given)[:60]!r} is unknown; {known}"


def is_device(value: object) -> bool:
    """Whether torch knows a device of this name or number."""
    if isinstance(value, str):
        return _DEVICE.fullmatch(value) is not None
    return isinstance(value, int) and not isinstance(value, bool)


def judge_quantization(given: Any) -> Iterator[str]:
    """What is wrong with a `quantization_config`, of a model's own or among its options."""
    bits = {"load_in_4bit", "load_in_8bit"}
    if not isinstance(given, dict) or not (given.get("quant_method") or any(given.get(name) for name in bits)):
        yield "quantization_config: should be a mapping with quant_method, load_in_4bit or load_in_8bit"
        return
    package = _QUANTIZERS.get(str(given.get("quant_method", "bitsandbytes")))
    if package is not None and not is_installed(package):
        yield f"quantization_config: needs the package {package}; pip install {package}, or load other weights"


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    return importlib.util.find_spec(package) is not None


def _generation(value: dict[str, Any], bounds: Mapping[str, Range]) -> dict[str, Any]:
    known, read = generation_options(), dict(value)
    for name, one in value.items():
        if one is None:
            continue
        if name in _NEVER_IN_GENERATION and one is not False:
            raise ValueError(f"{name}: {_NEVER_IN_GENERATION[name]}")
        if name in _LISTS:
            is_entry, example = _LISTS[name]
            if not isinstance(one, list) or not one or not all(map(is_entry, one)):
                raise ValueError(f"{name}: should be a list such as {example}")
        elif name in known:
            read[name] = _convert(name, one, known[name]._replace(choices=_GENERATION_CHOICES.get(name, ())))
        limits = {**bounds, **_GENERATION_BOUNDS}.get(name)
        if limits is not None and isinstance(read[name], int | float) and not limits.holds(read[name]):
            raise ValueError(f"{name}: should be {limits.describe()}, not {read[name]!r}")
    return read


def _schedule(value: dict[str, Any], kind: str) -> dict[str, Any]:
    known, read = schedule_options(kind), dict(value)
    if known is None:
        return read
    for name, one in value.items():
        if name not in known:
            what = f"known: {', '.join(known)}" if known else "it takes none"
            raise ValueError(f"{str(name)[:60]}: unknown option of {kind}; {what}")
        read[name] = _convert(name, one, known[name])
        limits = _SCHEDULE_BOUNDS.get(name)
        if limits is not None and isinstance(read[name], int | float) and not limits.holds(read[name]):
            raise ValueError(f"{name}: should be {limits.describe()}, not {read[name]!r}")
    if "min_lr" in read and "min_lr_rate" in read and None not in (read["min_lr"], read["min_lr_rate"]):
        raise ValueError("min_lr: not together with min_lr_rate; set one of them")
    return read


def _convert(name: str, value: Any, wanted: FieldType) -> Any:
    try:
        read = convert(value, wanted)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if wanted.choices and isinstance(read, str) and read not in wanted.choices:
        raise ValueError(f"{name}: {read[:60]!r} is unknown; known: {', '.join(wanted.choices)}")
    return read
