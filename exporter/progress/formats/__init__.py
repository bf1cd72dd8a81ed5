"""How trainers print progress, one file for each format: each file in this folder is a format of that name."""

import importlib
import pkgutil
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol

# Of one report; a trainer with a hundred environments prints some thousand.
MAX_VALUES = 2000


class Printed(NamedTuple):
    """One report as it was printed: `values` by the printed names, the others as in a record."""

    values: Mapping[str, float]
    step: int | None = None
    total_steps: int | None = None
    unit: str = "step"
    phase: str | None = None
    round: int | None = None
    stage: int | None = None


class Format(Protocol):
    """Reads one trainer's lines. It keeps only what a report of several lines needs."""

    # Each report, or its first line, holds one of them. None: any line may be one.
    markers: tuple[bytes, ...] | None

    def is_open(self) -> bool:
        """Whether a report has begun that the next lines belong to."""

    def parse(self, line: str) -> Iterable[Printed]:
        """The reports that this line completes. It has no colours, no progress bar, no end, and a bounded length."""


@lru_cache(maxsize=1)
def list_names() -> tuple[str, ...]:
    """The formats there are, as the option `format` names them."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


def create(name: str) -> Format:
    """A format by its name."""
    created: Format = importlib.import_module(f"{__name__}.{name}").Format()
    return created


# As Python prints it; short, and not the beginning of a word or a version.
NUMBER = r"([-+]?(?:\d[\d.]{0,20}(?:[eE][-+]?\d{1,3})?|nan|inf))(?![\w.])"
_FIELD = re.compile(r"\s{0,8}([A-Za-z][^:|,]{0,60}?):?\s{1,8}" + NUMBER)


def read_field(text: str) -> dict[str, float]:
    """The number of a field such as `Loss: 0.5` or `Grad. Norm 0.1 units`; empty where there is none."""
    found = _FIELD.match(text)
    number = read_number(found[2]) if found else None
    return {} if not found or number is None else {found[1]: number}


def read_number(text: str) -> float | None:
    """A number as Python prints it: `1e-05`, `nan`, `np.float64(0.5)`, `tensor(0.5`; None for anything else."""
    text = text.strip()
    if "(" in text:
        text = text[text.rfind("(") + 1 :].removesuffix(")")
    if not text or len(text) > 32 or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None
