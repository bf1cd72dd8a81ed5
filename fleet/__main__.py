"""The `peerwatch` command: `python -m fleet` is the same."""

import errno
import sys
from typing import Annotated, Any, cast

import typer

from exporter.plain_output import allow_any_text, nowhere
from exporter.version import VERSION
from fleet.commands import discover

# typer does not export this class, the base of every error in the command line.
_UsageError: type[Exception] = cast("type[Exception]", typer.BadParameter.__base__)

# What the disk says that is to take the output.
_OUTPUT_IS_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

app = typer.Typer(
    name="peerwatch",
    help="Run and watch the training peers of an RL swarm.",
    epilog="Example: peerwatch up    (without a configuration file, a demo of two small peers)",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        print(VERSION)
        raise typer.Exit


@app.callback()
def _(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run and watch the training peers of an RL swarm."""


for _name, _command in discover():
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name)
    else:
        app.command(_name)(_command)


def _message(error: Any) -> str:
    return " ".join(str(error.format_message()).split()).rstrip(".")


def main() -> None:
    """Runs the command line; a usage error is one line and exit status 2."""
    allow_any_text()
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        status = app(prog_name="peerwatch", standalone_mode=False)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in _OUTPUT_IS_LOST:
            raise
        # What is left of the output is not attempted again at the exit.
        sys.stdout = nowhere()
        what = error.filename or "the output"
        print(f"peerwatch: cannot write {what}: {error.strerror}; free space where it goes to", file=sys.stderr)
        status = 1
    except _UsageError as error:
        print(f"peerwatch: {_message(error)}; see `peerwatch --help`", file=sys.stderr)
        status = 2
    except (typer.Abort, KeyboardInterrupt):
        status = 130
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
