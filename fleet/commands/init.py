"""`peerwatch init`: a commented configuration, sized for this machine."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer


def command(
    peers: Annotated[
        int | None, typer.Option(min=1, max=256, help="How many peers to run here; by default as many as fit.")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="tiny, a Hugging Face id, or a local folder.")] = "tiny",
    parameters: Annotated[
        str | None, typer.Option("--parameters", metavar="0.5B", help="The model's size, if it cannot be determined.")
    ] = None,
    output: Annotated[Path, typer.Option("-f", "--file", "-o", "--output", help="The file to write.")] = Path(
        "peerwatch.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> int:
    """Write a commented configuration, sized for this machine as `peerwatch plan` says.

    Example: peerwatch init --model Qwen/Qwen2.5-0.5B-Instruct -f peerwatch.yaml
    """
    from fleet.configuration.checks import Machine
    from fleet.configuration.template import name_fleet, render
    from fleet.plan.question import Overrides, pose
    from fleet.plan.sizing import size
    from trainer.config import TrainerConfig

    config = TrainerConfig(name="peer", run_dir=Path("peer"), model=model)
    try:
        planned = pose(config, Overrides(parameters=parameters))
    except ValueError as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 2
    count, sizing, warning = size(planned, peers)
    text = render(name_fleet(output), count, Machine.here(), sizing=replace(sizing, model=model))
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        with open(os.open(output, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        print(f"peerwatch: {output} exists; use --force to overwrite it, or -f for another file", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"peerwatch: cannot write {output}: {error.strerror}", file=sys.stderr)
        return 2
    if warning:
        print(f"peerwatch: warning: {warning}; see `peerwatch plan -f {output}`", file=sys.stderr)
    peers_text = "1 peer" if count == 1 else f"{count} peers"
    print(f"{output} written for {peers_text}; next: peerwatch check -f {output}, then peerwatch up -f {output}")
    return 0
