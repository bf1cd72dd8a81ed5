"""Numbers and labels from objects of somebody else's make, read without ever raising."""

import math
import sys
from decimal import Decimal
from numbers import Real
from typing import Any

from exporter.textfile_reader import MAX_LABEL_CHARACTERS


def to_number(value: Any) -> float | None:
    """A number of Python, or the only one of an array of numpy or torch; anything else, truth values too, is none."""
    try:
        if hasattr(value, "item") and math.prod(value.shape) == 1:
            value = value.item()
        return float(value) if isinstance(value, Real | Decimal) and not isinstance(value, bool) else None
    except Exception:  # noqa: BLE001 objects of somebody else's make, in the training thread
        return None


def to_label(value: object) -> str:
    """A text that the page can hold: in UTF-8, and no longer than its readers take."""
    return "" if value is None else str(value).encode(errors="replace").decode()[:MAX_LABEL_CHARACTERS]


def read_accelerator_memory(device: str) -> float | None:
    """Bytes that this process's torch holds on a device of this type; None for others, or where it cannot tell."""
    torch: Any = sys.modules.get("torch")
    try:
        if device == "cuda" and torch.cuda.is_initialized():
            return float(sum(torch.cuda.memory_reserved(index) for index in range(torch.cuda.device_count())))
        if device == "mps":
            return float(torch.mps.driver_allocated_memory())
    except Exception:  # noqa: BLE001 a driver that fails, or a torch that is half imported
        return None
    return None
