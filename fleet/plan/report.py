"""The plan as a table for a person and as data for a program; pure."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alerts.sizes import show_size
from fleet.plan.answer import SERVICES_BYTES, Answer, Case, available_bytes, checkpoint_bytes
from fleet.plan.footprint import SIDECAR_BYTES
from fleet.plan.host import headroom
from fleet.plan.known_points import compare
from fleet.plan.pace import bars
from fleet.plan.recipe import Recipe
from fleet.plan.recipe_table import costs, describe_recipe, has_more, more, recipe_table

Row = tuple[str, str, str]


def show(planned: Case, result: Answer, recipes: Sequence[Recipe], console: Console) -> None:
    """Every figure with its origin, then the answer and what limits it."""
    console.print(_table("the machine", _machine_rows(planned), ""))
    console.print(_table(f"one peer: {planned.shape.name}", _peer_rows(planned), "footprint"))
    console.print(_table("how many fit", [(one.name, str(one.peers), one.why) for one in result.bounds], ""))
    if has_more(result, recipes):
        console.print(recipe_table(recipes))
        for line in costs(recipes):
            console.print(Text(line))
    for line in bars(planned.pace, planned.host.cores) if planned.pace else ():
        console.print(Text(line))
    lines = sentences(planned, result)
    if has_more(result, recipes):
        lines += [more(recipes), *compare(planned)]
    for line in lines:
        console.print(Text(line))


def sentences(planned: Case, result: Answer) -> list[str]:
    """The answer as sentences."""
    if result.peers == 0:
        lines = [f"No peer fits: {result.bound.name} allows none ({result.bound.why})."]
    else:
        count = "1 peer fits" if result.peers == 1 else f"{result.peers} peers fit"
        lines = [
            f"{count}, limited by {result.bound.name}. Give each {_threads(result.threads)} "
            f"and a memory limit of {show_size(result.memory_limit_bytes)}."
        ]
    if result.peers > 1 and not planned.pace and planned.is_measurable:
        lines.append("Only `peerwatch plan --measure` shows whether so many peers make more steps than fewer.")
    return lines


def describe(planned: Case, result: Answer, recipes: Sequence[Recipe]) -> dict[str, Any]:
    """Bytes throughout. `peers` is the answer; of the lines with a phase, the larger phase counts."""
    host, work = planned.host, planned.work
    return {
        "peers": result.peers,
        "limited_by": result.bound.name,
        "bounds": [{"name": one.name, "peers": one.peers, "why": one.why} for one in result.bounds],
        "threads_per_peer": result.threads,
        "memory_limit_bytes": result.memory_limit_bytes,
        "recipes": [describe_recipe(one) for one in recipes],
        "known_points": list(compare(planned)),
        "measured_steps_per_second": {str(count): value for count, value in planned.pace.items()},
        "machine": {
            "system": host.system,
            "device": host.device,
            "is_this_one": host.is_here,
            "cores": host.cores,
            "cores_origin": host.cores_origin,
            "memory_bytes": host.memory_bytes,
            "memory_origin": host.memory_origin,
            "used_bytes": host.used_bytes,
            "used_origin": host.used_origin,
            "headroom_bytes": headroom(host)[0],
            "services_bytes": SERVICES_BYTES,
            "available_bytes": available_bytes(host),
            "accelerator_bytes": host.accelerator_bytes,
            "disk_free_bytes": host.disk_free_bytes,
        },
        "model": {
            "name": planned.shape.name,
            "parameters": planned.shape.parameters,
            "origin": planned.shape.origin,
            "dtype": work.dtype,
            "lora_rank": work.lora_rank,
            "batch": work.batch,
            "accumulation": work.accumulation,
            "prompt_tokens": work.prompt_tokens,
            "completion_tokens": work.completion_tokens,
        },
        "peer": {
            "footprint_bytes": planned.peer_bytes,
            "is_measured": planned.measured_bytes is not None,
            "predicted_bytes": planned.footprint.bytes,
            "shared_bytes": planned.footprint.shared_bytes,
            "accelerator_bytes": planned.footprint.accelerator_bytes,
            "sidecar_bytes": SIDECAR_BYTES,
            "checkpoint_bytes": checkpoint_bytes(planned.shape, work),
            "lines": [
                {"name": one.name, "bytes": one.bytes, "origin": one.origin, "place": one.place, "phase": one.phase}
                for one in planned.footprint.lines
            ],
        },
    }


def _machine_rows(planned: Case) -> list[Row]:
    host = planned.host
    spare, why = headroom(host)
    origin = "read" if host.is_here else "as given"
    rows = [
        ("memory", show_size(host.memory_bytes), host.memory_origin),
        ("system and other programs", f"−{show_size(host.used_bytes)}", host.used_origin),
        ("headroom", f"−{show_size(spare)}", why),
        ("leaderboard, alert loop", f"−{show_size(SERVICES_BYTES)}", "measured; once for the fleet"),
        ("left for peers", show_size(available_bytes(host)), ""),
        ("cores", str(host.cores), host.cores_origin),
        ("device", host.device, "its memory is the machine's" if host.device != "cuda" else "one card"),
    ]
    if host.accelerator_bytes is not None:
        name = "Metal's limit" if host.device == "mps" else "memory of the card"
        rows.append((name, show_size(host.accelerator_bytes), host.accelerator_origin))
    if host.disk_free_bytes is not None:
        rows.append(("free disk", show_size(host.disk_free_bytes), origin))
    return rows


def _peer_rows(planned: Case) -> list[Row]:
    footprint, work = planned.footprint, planned.work
    rows = [("model", f"{planned.shape.parameters / 1e6:,.1f} M", planned.shape.origin)]
    for line in footprint.lines:
        counts = line.phase in ("always", footprint.phase)
        origin = line.origin if counts else f"{line.origin}; not at the peak"
        rows.append((line.name, show_size(line.bytes) if counts else f"({show_size(line.bytes)})", origin))
    rows.append(("footprint, predicted", show_size(footprint.bytes), f"its peak, while {footprint.phase}"))
    if planned.measured_bytes is not None:
        error = footprint.bytes / planned.measured_bytes - 1
        rows.append(
            (
                "footprint, measured",
                show_size(planned.measured_bytes),
                f"used below; the prediction is {error:+.0%} off",
            )
        )
    rows.append(("sidecar", show_size(SIDECAR_BYTES), "measured; a process beside the peer"))
    rows.append(
        (
            "checkpoints on disk",
            show_size(checkpoint_bytes(planned.shape, work)),
            "weights and optimizer, three times",
        )
    )
    return rows


def _table(title: str, rows: list[Row], emphasis: str) -> Table:
    shown = Table(title=Text(title), title_justify="left", show_header=False, expand=False)
    shown.add_column(overflow="fold")
    shown.add_column(justify="right", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, figure, origin in rows:
        style = "bold" if emphasis and name.startswith(emphasis) else ""
        shown.add_row(Text(name, style=style), Text(figure, style=style), Text(origin, style="dim"))
    return shown


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
