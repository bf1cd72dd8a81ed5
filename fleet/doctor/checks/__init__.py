"""The doctor's checks: one file each, found by being there.

A check has a docstring, whose first sentence is its line in docs/doctor.md, and `examine(site)`, which yields at least
one finding; what it raises costs only that check. With `IS_ABOUT_OUR_TRAINERS = True` it is left out where a fleet has
none.
"""

import importlib
import pkgutil
from typing import cast

from fleet.doctor.examination import Check


def discover() -> dict[str, Check]:
    """The checks by name, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: cast(Check, importlib.import_module(f"{__name__}.{name}")) for name in names}
