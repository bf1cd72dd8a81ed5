"""`peerwatch init`: a commented configuration, sized for this machine."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleet.plan.rl_swarm import Instance


def command(
    peers: Annotated[
        int | None, typer.Option(min=1, max=256, help="How many peers to run here; by default as many as fit.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="tiny, a Hugging Face id, or a local folder; default: tiny, or rl-swarm's own."),
    ] = None,
    parameters: Annotated[
        str | None, typer.Option("--parameters", metavar="0.5B", help="The model's size, if it cannot be determined.")
    ] = None,
    rl_swarm: Annotated[
        Path | None,
        typer.Option("--rl-swarm", metavar="FOLDER", help="Run instances of this checkout of rl-swarm, side by side."),
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
    from fleet.configuration.template import name_fleet, render, render_rl_swarm
    from fleet.plan.question import Overrides, pose
    from fleet.plan.rl_swarm import pose_instance
    from fleet.plan.sizing import size
    from trainer.config import TrainerConfig

    overrides = Overrides(parameters=parameters)
    try:
        if rl_swarm is not None:
            planned = pose_instance(_find_instance(rl_swarm, model or ""), overrides)
        else:
            config = TrainerConfig(name="peer", run_dir=Path("peer"), model=model or "tiny")
            planned = pose(config, overrides)
    except ValueError as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 2
    count, sizing, warning = size(planned, peers, may_cut=rl_swarm is None)
    if rl_swarm is not None:
        folder = _find_folder(rl_swarm)
        identity = folder / "swarm.pem" if (folder / "swarm.pem").exists() else None
        name = name_fleet(output)
        text = render_rl_swarm(name, count, folder, identity=identity, model=model or "", sizing=sizing)
    else:
        text = render(name_fleet(output), count, Machine.here(), sizing=replace(sizing, model=model or "tiny"))
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


def _find_folder(given: Path) -> Path:
    """As it is written where its meaning does not change; a `..` may follow a link."""
    folder = given.expanduser().absolute()
    return folder.resolve() if ".." in folder.parts else folder


def _find_instance(folder: Path, model: str) -> "Instance":
    """Raises ValueError where the folder is none."""
    from fleet.plan.rl_swarm import Instance
    from fleet.rl_swarm.checkout import read_checkout

    checkout = read_checkout(_find_folder(folder))
    if checkout is None:
        raise ValueError(f"--rl-swarm {folder}: no rl-swarm of 0.4 to 0.7; name the folder of run_rl_swarm.sh")
    return Instance(checkout, model)
