"""Shows a running fleet: a live table on a terminal, plain lines elsewhere."""

import contextlib
import errno
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alerts.engine.peer_state import SEVERITIES, Severity
from fleet.console.view import STEADY_STATES, Row

_STATUS_SECONDS = 15.0
_MEASURED = ("steps/s", "memory", "rank", "reward")
_SEVERITY_COLOURS: Mapping[Severity, str] = {"good": "green", "warn": "yellow", "bad": "red"}
_COLOURS: Mapping[str, str] = {
    **{state: _SEVERITY_COLOURS.get(severity, "") for state, severity in SEVERITIES.items()},
    # Only the service manager knows these.
    "failed": "bold red",
    "finished": "cyan",
}


class Screen(Protocol):
    """The output of `up`; a context, which restores the terminal. Raises OSError once the terminal is gone."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def write(self, line: str) -> None: ...
    def show(self, rows: Sequence[Row], now: float) -> None: ...


def open_screen() -> Screen:
    return Terminal() if sys.stdout.isatty() else Lines()


def table(rows: Sequence[Row]) -> Table:
    """The rows as a table; cells are plain text, never rich's markup."""
    shown = Table()
    has_totals = any(row.steps for row in rows)
    has_credit = any(row.credited for row in rows)
    measured = (*_MEASURED, *(("credited",) if has_credit else ()))
    for heading in ("peer", "state", *(("steps",) if has_totals else ()), *measured, "alerts"):
        shown.add_column(heading, justify="right" if heading in measured else "left")
    for row in rows:
        shown.add_row(
            Text(row.peer),
            Text(row.shown_state, style=_COLOURS.get(row.state, "")),
            *((Text(row.steps, style="green"),) if has_totals else ()),
            Text(row.speed),
            Text(row.memory),
            Text(row.rank),
            Text(row.reward),
            *((Text(row.credited),) if has_credit else ()),
            Text(row.alerts, style="bold red"),
        )
    return shown


class Terminal:
    """The table stays at the bottom; messages scroll above it."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._live.stop()

    def write(self, line: str) -> None:
        self._console.print(Text(line))

    def show(self, rows: Sequence[Row], now: float) -> None:
        # rich ignores a closed terminal without an error.
        if not self._console.is_terminal:
            raise OSError(errno.EIO, "the terminal is gone")
        self._live.update(table(rows), refresh=True)


class Lines:
    """Changes of state as they come, and all peers every _STATUS_SECONDS."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._shown_at = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def write(self, line: str) -> None:
        print(line, flush=True)

    def show(self, rows: Sequence[Row], now: float) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(now))
        for row in rows:
            if self._is_change(self._states.get(row.peer), row.shown_state):
                self.write(f"{clock} {row.peer} is {row.shown_state}")
            self._states[row.peer] = row.shown_state
        if rows and now - self._shown_at >= _STATUS_SECONDS:
            self._shown_at = now
            self.write(f"{clock} " + " | ".join(row.line() for row in rows))

    @staticmethod
    def _is_change(before: str | None, now: str) -> bool:
        return before != now and not (before in STEADY_STATES and now in STEADY_STATES)
