"""Low-rank adapters by peft, which only a peer that trains them needs: the one door to it."""

import importlib.util
from typing import Any

from trainer.config import LoraOptions


def adapters(options: LoraOptions | None) -> Any:
    """The `peft.LoraConfig` for TRL; None where all weights are trained. Raises ValueError without peft."""
    if options is None:
        return None
    if importlib.util.find_spec("peft") is None:
        raise ValueError("lora: needs peft, which is not installed; pip install 'peerwatch[lora]', or take lora out")
    from peft import LoraConfig

    return LoraConfig(
        r=options.r, lora_alpha=options.alpha, target_modules=options.target_modules, task_type="CAUSAL_LM"
    )
