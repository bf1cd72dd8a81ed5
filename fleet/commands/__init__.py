"""The subcommands of `peerwatch`: one file each, found by being there.

`command` is the function that typer calls, or a typer application of further subcommands.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import typer


def discover() -> Iterator[tuple[str, Callable[..., Any] | typer.Typer]]:
    """(name, `command`) of each subcommand. The modules load what is heavy only once they are called."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda one: one.name):
        yield module.name, importlib.import_module(f"{__name__}.{module.name}").command
