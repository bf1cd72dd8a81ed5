"""Numbers and labels from objects of somebody else's make, read in the training thread without ever raising."""

import math
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
