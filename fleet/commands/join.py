"""`peerwatch join`: lets a watcher on another machine watch this one."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    watcher: Annotated[str, typer.Argument(metavar="URL", help="The watcher's status page, as https://HOST:8750.")],
    token_file: Annotated[
        Path, typer.Option("--token-file", metavar="FILE", help="A copy of join.token from the watcher's state folder.")
    ],
    file: Annotated[Path, typer.Option("-f", "--file", help="The configuration of this machine's fleet.")] = Path(
        "peerwatch.yaml"
    ),
    address: Annotated[
        str, typer.Option("--address", metavar="HOST", help="Where the watcher reaches this machine, if not directly.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="What the watcher calls this machine.")] = "",
    push: Annotated[
        bool, typer.Option("--push", help="The watcher cannot reach this machine: push the sidecars' pages to it.")
    ] = False,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", metavar="DIR", help="Instead of the file's state_dir.")
    ] = None,
) -> int:
    """Let a watcher on another machine watch this one: its sidecars then listen with a certificate and a password.

    Behind NAT, where nothing can come in, they do not: --push has their pages sent instead.

    Example: peerwatch join https://watcher.example.org:8750 --token-file join.token
    """
    from fleet.configuration.load import load_file
    from fleet.joining.join import join, join_by_push
    from fleet.joining.request import JoinError
    from fleet.processes.files import RunError

    try:
        loaded = load_file(file, state_dir)
        if not loaded.is_usable:
            for line in loaded.lines():
                print(line, file=sys.stderr)
            return 2
        if push and address:
            raise ValueError("--address is where the watcher reaches this machine; leave it out with --push")
        if push:
            joined = join_by_push(loaded, file, watcher, token_file, name=name)
        else:
            joined = join(loaded, file, watcher, token_file, address=address, name=name)
    except ValueError as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 2
    except (JoinError, RunError) as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"peerwatch: {error.filename or file}: {error.strerror}", file=sys.stderr)
        return 1
    print(joined.describe())
    return 0
