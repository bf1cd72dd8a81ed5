"""The `peerwatch` command: `python -m fleet` is the same."""

import sys
from typing import Any, cast

import typer

from exporter.plain_output import allow_any_text
from fleet.commands import discover

# typer does not export this class, the base of every error in the command line.
_UsageError: type[Exception] = cast("type[Exception]", typer.BadParameter.__base__)

app = typer.Typer(
    name="peerwatch",
    help="Run and watch the training peers of an RL swarm.",
    epilog="Example: peerwatch up    (without a configuration file, a demo of two small peers)",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

for _name, _command in discover():
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name)
    else:
        app.command(_name)(_command)


def _message(error: Any) -> str:
    return " ".join(str(error.format_message()).split())


def main() -> None:
    """Runs the command line; a usage error is one line and exit status 2."""
    allow_any_text()
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        status = app(prog_name="peerwatch", standalone_mode=False)
    except _UsageError as error:
        print(f"peerwatch: {_message(error)}; see `peerwatch --help`", file=sys.stderr)
        status = 2
    except (typer.Abort, KeyboardInterrupt):
        status = 130
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
