"""Low-rank adapters and weights of four bits: the only importer of peft and user of bitsandbytes, both optional."""

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


def four_bits(dtype: str, device: str) -> Any:
    """The `transformers.BitsAndBytesConfig` for weights of four bits.

    Raises ValueError without bitsandbytes, or with one that cannot compute on this device.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ValueError(
            "load_in_4bit: bitsandbytes is not installed; pip install bitsandbytes, or remove load_in_4bit"
        )
    import torch
    from transformers import BitsAndBytesConfig

    # One that does not say is of the time of NVIDIA's GPUs alone.
    bitsandbytes = importlib.import_module("bitsandbytes")
    devices = getattr(bitsandbytes, "supported_torch_devices", {"cuda"})
    if device not in devices:
        raise ValueError(
            f"load_in_4bit: bitsandbytes {bitsandbytes.__version__} has no {device}; "
            "pip install --upgrade bitsandbytes, or remove load_in_4bit"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )
