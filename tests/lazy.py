"""Modules that are imported once a test uses them, so that collecting it does not cost what torch and TRL cost."""

import gc
import importlib
from typing import Any


class _Lazy:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # pytest asks each name of a test module what it is.
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        # Imports leave hardly any garbage, and looking for it again and again takes a seventh of their time.
        gc.disable()
        try:
            return getattr(importlib.import_module(self._name), attribute)
        finally:
            gc.enable()


def lazily(name: str) -> Any:
    """The module of that name, imported with the first attribute that is asked of it."""
    return _Lazy(name)
