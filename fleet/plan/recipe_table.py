"""The recipes of a plan as a table for a person and as data for a program; pure."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from alerts.sizes import show_size
from fleet.plan.answer import Answer
from fleet.plan.recipe import KEYS, Recipe

_AS_CONFIGURED = "as configured"


def has_more(result: Answer, recipes: Sequence[Recipe]) -> bool:
    """Whether other settings let more peers fit than those that are configured."""
    return bool(recipes) and recipes[-1].peers > result.peers


def more(recipes: Sequence[Recipe]) -> str:
    """What to do with them."""
    count = "1 peer fits" if recipes[-1].peers == 1 else f"up to {recipes[-1].peers} peers fit"
    return f"With the settings above {count}; `--write FILE` writes their configuration, `--peers N` that of fewer."


def recipe_table(recipes: Sequence[Recipe]) -> Table:
    """A row for each count: what each peer takes, and what must be set for it."""
    shown = Table(title=Text("what fits with which settings"), title_justify="left", expand=False)
    shown.add_column("peers", justify="right")
    shown.add_column("each", justify="right", no_wrap=True)
    shown.add_column("settings of each peer", overflow="fold")
    for one in recipes:
        settings = "\n".join(change.setting for change in one.changes) or _AS_CONFIGURED
        shown.add_row(Text(str(one.peers)), Text(show_size(one.planned.peer_bytes)), Text(settings))
    return shown


def costs(recipes: Sequence[Recipe]) -> list[str]:
    """What each kind of change costs, by its most far-reaching value; those that cost learning least first."""
    by_key = {change.key: change for one in recipes for change in one.changes}
    return [f"{by_key[key].setting} costs {by_key[key].cost}." for key in KEYS if key in by_key]


def describe_recipe(one: Recipe) -> dict[str, Any]:
    """Bytes throughout."""
    work = one.planned.work
    return {
        "peers": one.peers,
        "footprint_bytes": one.planned.peer_bytes,
        "memory_limit_bytes": one.memory_limit_bytes,
        "threads_per_peer": one.threads,
        "changes": [{"setting": change.setting, "cost": change.cost} for change in one.changes],
        "batch": work.batch,
        "accumulation": work.accumulation,
        "gradient_checkpointing": work.checkpointing,
        "dtype": work.dtype,
        "completion_tokens": work.completion_tokens,
        "lora_rank": work.lora_rank,
    }
