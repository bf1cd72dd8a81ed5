"""`peerwatch plan`: how many peers fit on a machine, and why."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.plan.answer import Answer, Case
    from fleet.plan.question import Overrides
    from fleet.plan.recipe import Recipe
    from trainer.config import TrainerConfig


def command(
    file: Annotated[Path | None, typer.Option("-f", "--file", help="Configuration; else ./peerwatch.yaml.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="In place of the configuration's.")] = None,
    parameters: Annotated[
        str | None, typer.Option("--parameters", metavar="0.5B", help="A model of this size.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="16GiB", help="Plan for another machine with this memory.")
    ] = None,
    cores: Annotated[int | None, typer.Option("--cores", min=1, max=4096, help="Its processor cores.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="cpu, mps or cuda; mps is a Mac.")] = None,
    disk: Annotated[str | None, typer.Option("--disk", metavar="100GiB", help="Its free disk.")] = None,
    card_memory: Annotated[
        str | None, typer.Option("--card-memory", metavar="24GiB", help="The memory of its CUDA card.")
    ] = None,
    prompt_tokens: Annotated[
        int | None, typer.Option("--prompt-tokens", min=1, max=10**6, help="Of the longest prompt.")
    ] = None,
    measures: Annotated[
        bool, typer.Option("--measure", help="Measure: run 1, 2, 3, … real peers here for some steps.")
    ] = False,
    measure_limit: Annotated[
        str, typer.Option("--measure-limit", metavar="DURATION", help="Time limit for each number of peers.")
    ] = "15m",
    measure_peers: Annotated[
        int | None,
        typer.Option("--measure-peers", min=1, max=256, help="Measure up to so many, even if fewer do."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write a chart of the measured pace and processor use.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Write a configuration of as many as can fit.")
    ] = None,
    peers: Annotated[int | None, typer.Option("--peers", min=1, max=4096, help="For --write: so many peers.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in bytes.")] = False,
) -> int:
    """Print how many peers fit, with every figure, and the settings with which more do. Exit status 1: not even one.

    Example: peerwatch plan --model Qwen/Qwen2.5-0.5B-Instruct --memory 16GiB --cores 10 --device mps
    """
    from fleet.plan.answer import answer
    from fleet.plan.question import Overrides, find_instance, pose, read_configuration, with_model
    from fleet.plan.recipe import find_recipes
    from fleet.plan.rl_swarm import pose_peer
    from fleet.plan.trial import TrialError

    try:
        if device not in (None, "cpu", "mps", "cuda"):
            raise ValueError(f"--device {device}: unknown device; use cpu, mps or cuda")
        overrides = Overrides(
            model=model,
            parameters=parameters,
            prompt_tokens=prompt_tokens,
            device=device,
            memory_bytes=_size("--memory", memory),
            cores=cores,
            disk_bytes=_size("--disk", disk),
            card_bytes=_size("--card-memory", card_memory),
        )
        config, loaded = read_configuration(file)
        instance = find_instance(loaded) if loaded else None
        if loaded is not None and instance is not None:
            if measures or write:
                option = "--measure" if measures else "--write"
                raise ValueError(f"{option} is for peers of `kind: peerwatch`, and the file has none; leave it out")
            planned = pose_peer(instance, loaded.base, overrides)
        else:
            planned = pose(config, overrides)
        if measure_peers and not measures:
            raise ValueError("--measure-peers is for --measure; leave it out, or give both")
        if peers and not write:
            raise ValueError("--peers is for --write; leave it out, or give --write FILE")
        if write and parameters and not model:
            raise ValueError("--write needs a model that can be loaded: give --model beside --parameters")
        if measures:
            planned = _measure(config, planned, overrides, measure_limit, plot, measure_peers)
    except ValueError as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 2
    except (TrialError, OSError) as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 1
    result = answer(planned)
    # They name fields of our own trainer.
    recipes = () if instance else find_recipes(planned)
    _print(planned, result, recipes, as_json=as_json)
    if write:
        return _write(write, with_model(config, overrides), find_recipes(planned, peers), peers)
    return 0 if result.peers else 1


def _measure(
    config: "TrainerConfig", planned: "Case", overrides: "Overrides", limit: str, chart: Path | None, most: int | None
) -> "Case":
    import signal
    from dataclasses import replace

    from alerts.durations import parse_duration
    from fleet.plan import calibration
    from fleet.plan.measure import is_disturbed, measure
    from fleet.plan.pace import check_plot, plot
    from fleet.plan.progress import Shown
    from fleet.plan.question import with_model
    from fleet.plan.trial import Span

    if overrides.is_elsewhere or overrides.parameters:
        raise ValueError("--measure runs peers here; leave out --memory and --parameters")
    if chart:
        check_plot(chart)
    try:
        span = Span(limit_seconds=parse_duration(limit))
    except ValueError as error:
        raise ValueError(f"--measure-limit {limit}: {error}") from None
    # A closed terminal or a service manager ends the peers as Ctrl-C does.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup ignores SIGHUP, so that a measurement outlives its terminal.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    device = planned.host.device
    config = with_model(config, overrides).model_copy(update={"device": device})
    found = measure(config, planned, span, Shown(), most=most)
    kept = {} if is_disturbed(found, planned.host.cores) else found.pace
    calibration.write(planned.shape, planned.work, peak_bytes=found.peak_bytes, pace=kept)
    if chart:
        use = {count: cores / planned.host.cores for count, cores in found.own_cores.items()}
        plot(found.pace, chart, title=f"{planned.shape.name}, {planned.host.cores} cores, {device}", use=use)
    return replace(planned, measured_bytes=found.peak_bytes, pace=kept)


def _write(path: Path, config: "TrainerConfig", recipes: "Sequence[Recipe]", peers: int | None) -> int:
    """Writes the configuration of so many peers, or of the most that fit; returns the exit status."""
    from fleet.configuration.template import name_fleet
    from fleet.plan.sizing import write

    if not recipes:
        what = "not even 1 peer fits" if peers in (None, 1) else f"{peers} peers do not fit"
        print(f"peerwatch: {path} is not written: {what}, whatever is set", file=sys.stderr)
        return 1
    recipe = recipes[-1]
    text = write(recipe, config, name_fleet(path))
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        print(f"peerwatch: {path} exists; name another file", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"peerwatch: cannot write {path}: {error.strerror}", file=sys.stderr)
        return 2
    count = "1 peer" if recipe.peers == 1 else f"{recipe.peers} peers"
    print(f"{path} written for {count}; next: peerwatch check -f {path}", file=sys.stderr)
    return 0


def _print(planned: "Case", result: "Answer", recipes: "Sequence[Recipe]", *, as_json: bool) -> None:
    import json

    from rich.console import Console

    from fleet.plan.report import describe, show

    if as_json:
        print(json.dumps(describe(planned, result, recipes), indent=2))
    else:
        show(planned, result, recipes, Console(highlight=False))


def _size(option: str, text: str | None) -> int | None:
    from fleet.configuration.values import parse_size

    if text is None:
        return None
    try:
        return parse_size(text)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None
