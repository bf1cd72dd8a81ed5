"""The subcommands of `peerwatch`: one file each, discovered automatically.

`command` is the function that typer calls, or a typer application with subcommands of its own.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import typer


def discover() -> Iterator[tuple[str, Callable[..., Any] | typer.Typer]]:
    """(name, `command`) of each subcommand. The modules import what is heavy only when called."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda one: one.name):
        yield module.name, importlib.import_module(f"{__name__}.{module.name}").command
