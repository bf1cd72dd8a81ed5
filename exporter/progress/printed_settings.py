"""What a training was set up with, where a log prints the arguments, one on a line."""

import re

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
            self.found["dtype"] = f"computing in {MIXED[name]}"
        return True
