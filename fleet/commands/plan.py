"""`peerwatch plan`: how many peers fit on a machine, and why."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleet.plan.answer import Answer, Case
    from fleet.plan.question import Overrides
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
    plot: Annotated[Path | None, typer.Option("--plot", help="Write a chart of the measured pace.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in bytes.")] = False,
) -> int:
    """Print how many peers fit, with every figure behind the answer. Exit status 1: not even one.

    Example: peerwatch plan --model Qwen/Qwen2.5-0.5B-Instruct --memory 16GiB --cores 10 --device mps
    """
    from fleet.plan.answer import answer
    from fleet.plan.question import Overrides, find_instance, pose, read_configuration
    from fleet.plan.rl_swarm import answer_instance, pose_peer
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
            if measures:
                raise ValueError("--measure runs peers of `kind: peerwatch`, and the file has none; leave it out")
            planned = pose_peer(instance, loaded.base, overrides)
        else:
            planned = pose(config, overrides)
        if measures:
            planned = _measure(config, planned, overrides, measure_limit, plot)
    except ValueError as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 2
    except (TrialError, OSError) as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 1
    result = answer_instance(planned) if instance else answer(planned)
    _print(planned, result, as_json=as_json)
    return 0 if result.peers else 1


def _measure(
    config: "TrainerConfig", planned: "Case", overrides: "Overrides", limit: str, chart: Path | None
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
    found = measure(with_model(config, overrides).model_copy(update={"device": device}), planned, span, Shown())
    kept = {} if is_disturbed(found, planned.host.cores) else found.pace
    calibration.write(planned.shape, planned.work, peak_bytes=found.peak_bytes, pace=kept)
    if chart:
        plot(found.pace, chart, title=f"{planned.shape.name}, {planned.host.cores} cores, {device}")
    return replace(planned, measured_bytes=found.peak_bytes, pace=kept)


def _print(planned: "Case", result: "Answer", *, as_json: bool) -> None:
    import json

    from rich.console import Console

    from fleet.plan.report import describe, show

    if as_json:
        print(json.dumps(describe(planned, result), indent=2))
    else:
        show(planned, result, Console(highlight=False))


def _size(option: str, text: str | None) -> int | None:
    from fleet.configuration.values import parse_size

    if text is None:
        return None
    try:
        return parse_size(text)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None
