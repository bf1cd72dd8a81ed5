"""Low-rank adapters: the only importer of peft, which is optional."""

import importlib.util
from typing import Any

from trainer.config import LoraOptions


def adapters(options: LoraOptions | None) -> Any:
    """The `peft.LoraConfig` for TRL; None if all weights are trained. Raises ValueError if peft is not installed."""
    if options is None:
        return None
    if importlib.util.find_spec("peft") is None:
        raise ValueError("lora: peft is not installed; pip install 'peerwatch[lora]', or remove lora")
    from peft import LoraConfig

    return LoraConfig(
        r=options.r, lora_alpha=options.alpha, target_modules=options.target_modules, task_type="CAUSAL_LM"
    )
