"""`peerwatch init`: a commented configuration, sized for this machine."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    peers: Annotated[int, typer.Option(min=1, max=256, help="How many peers to run here.")] = 2,
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")] = Path("peerwatch.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> int:
    """Write a commented configuration, sized for this machine.

    Example: peerwatch init --peers 3 -o peerwatch.yaml
    """
    from fleet.checks import Machine
    from fleet.example import render
    from trainer.config import TrainerConfig

    task = TrainerConfig.model_fields["task"].default
    text = render(_fleet_name(output), peers, Machine.here(), task=task)
    try:
        with open(os.open(output, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL), 0o600), "w") as file:
            file.write(text)
    except FileExistsError:
        print(f"peerwatch: {output} exists; use --force to overwrite it, or -o for another file", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"peerwatch: cannot write {output}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"{output} written; next: peerwatch check -f {output}, then peerwatch up -f {output}")
    return 0


def _fleet_name(output: Path) -> str:
    """The folder's name where it can be a fleet's, so that two fleets of one user keep apart."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", output.absolute().parent.name).strip("-.")[:50]
    return name or "fleet"
