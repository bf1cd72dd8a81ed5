"""Shows the progress of a measurement on standard error: a bar on a terminal, else lines."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text


class Shown:
    """The `Progress` of a measurement."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr, highlight=False)

    @contextlib.contextmanager
    def trial(self, title: str) -> Iterator[Callable[[float], None]]:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
        if not self._console.is_terminal:
            self.say(f"{title}: running")
            yield lambda _: None
            return
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(title, total=1.0)
            yield lambda done: progress.update(task, completed=done)

    def say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)
