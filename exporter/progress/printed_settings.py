"""What a training was set up with, where a log prints the arguments, one on a line, or a tracker keeps them."""

import re
from collections.abc import Mapping

ARGUMENTS = (
    "learning_rate",
    "beta",
    "num_generations",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "max_completion_length",
)
MIXED = {"bf16": "bfloat16", "fp16": "float16"}
# transformers' TrainingArguments, and all that derive from them, print themselves so.
_PRINTED = re.compile(rf"({'|'.join((*ARGUMENTS, *MIXED))})=([^,]{{1,64}}),")
PRINTED_MARKERS = tuple(f"{name}=".encode() for name in (*ARGUMENTS, *MIXED))


# As transformers hands them to a tracker, with those of the model.
TRACKED = frozenset((*ARGUMENTS, *MIXED, "dtype", "torch_dtype", "peft_config", "transformers_version"))


def translate_tracked(given: Mapping[str, object]) -> dict[str, object]:
    """The settings among arguments by their names."""
    found = {name: given[name] for name in ARGUMENTS if isinstance(given.get(name), int | float | str)}
    weights = next((text for name in ("dtype", "torch_dtype") if isinstance(text := given.get(name), str)), "")
    mixed = next((name for flag, name in MIXED.items() if given.get(flag) is True), "")
    found["dtype"] = describe_dtype(weights, mixed)
    if "transformers_version" in given:
        # There is a model's own configuration too, and an adapter's would be beside it.
        found |= {"transformers": given["transformers_version"], "lora": "yes" if "peft_config" in given else "no"}
    return found


def describe_dtype(weights: str, mixed: str) -> str:
    """Of the weights, and of the computation where that is another; empty where neither is known."""
    weights = weights.removeprefix("torch.")
    if mixed in ("", weights):
        return weights
    return f"{weights}, computing in {mixed}" if weights else f"computing in {mixed}"


class PrintedSettings:
    """The settings that a log prints; a run that begins later in it replaces them."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def take(self, line: str) -> bool:
        """Whether the line is an argument, such as `learning_rate=5e-07,`."""
        printed = _PRINTED.fullmatch(line)
        if printed is None:
            return False
        name, text = printed.groups()
        if name in ARGUMENTS:
            self.found[name] = "" if text == "None" else text
        elif text == "True":
            self.found["dtype"] = describe_dtype("", MIXED[name])
        return True
