"""A dictionary on one line, as transformers' Trainer prints it, and with it TRL, LLaMA-Factory, ms-swift and OpenRLHF.

    {'loss': '0.0101', 'grad_norm': '0.508', 'learning_rate': '5e-07', 'reward': '0.7144', 'epoch': '0.16'}

Sources: transformers/trainer_callback.py (ProgressCallback, PrinterCallback: version 5 prints floats as strings of four
digits, version 4 as they are; neither prints the step), trl/trainer/grpo_trainer.py (`log`: None for a reward that no
sample has), swift/trainers/patcher.py (`add_train_message`: 'global_step/max_steps': '1/100'),
openrlhf/trainer/ppo_trainer.py (`Global step 5: {…}`, without an epoch).
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice

from exporter.progress.formats import MAX_VALUES, Printed, read_number
from exporter.progress.names import translate, unscored

_PAIR = re.compile(r"""['"]([^'"{}]{1,200})['"]: ?['"]?([^'",{}\[\]]{1,64})""")
_STEP_BEFORE = re.compile(r"\bglobal[ _]step[ :]+(\d{1,15})\b[^{]{0,64}$", re.IGNORECASE)
_STEP_WITHIN = re.compile(r"^(\d{1,15})/(\d{1,15})$")
_STEP_ALONE = re.compile(r"^\d{1,15}$")
_OWN_STEP_NAMES = ("global_step", "step")
_STEP_NAMES = ("global_step/max_steps", "steps[global_step/max_steps]")


class Format:
    markers: tuple[bytes, ...] | None = (b"{'", b'{"')

    def is_open(self) -> bool:
        return False

    def parse(self, line: str) -> Iterable[Printed]:
        begin = line.find("{")
        if begin < 0 or not line.endswith("}"):
            return ()
        pairs = {found[1]: found[2] for found in islice(_PAIR.finditer(line, begin), MAX_VALUES)}
        before = _STEP_BEFORE.search(line[max(0, begin - 128) : begin])
        own = next((pairs[name] for name in _OWN_STEP_NAMES if _STEP_ALONE.match(pairs.get(name, ""))), None)
        values = {name: number for name, text in pairs.items() if (number := read_number(text)) is not None}
        values |= unscored({name: None if text.strip() == "None" else text for name, text in pairs.items()})
        if "epoch" not in pairs and (own is not None or not before):
            # A loop of somebody's own, which prints as this one does.
            return (Printed(values, int(own) if own else None),) if _tells_training(values, own) else ()
        within = next((found for name in _STEP_NAMES if (found := _STEP_WITHIN.match(pairs.get(name, "")))), None)
        if within:
            return (Printed(values, int(within[1]), int(within[2])),)
        return (Printed(values, int(before[1]) if before else None),)


def _tells_training(values: Mapping[str, float], step: str | None) -> bool:
    """A step alone is no report of training, nor is the reward alone, which samples have, too."""
    known = translate(values)
    return bool(known) if step else len(known) > 1 and not known.keys().isdisjoint(("loss", "reward"))
