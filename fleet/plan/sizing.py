"""What `peerwatch init` and `peerwatch plan --write` write, from the plan; pure."""

from collections.abc import Mapping

from alerts.sizes import show_size
from fleet.configuration.checks import Machine
from fleet.configuration.template import Sizing, render
from fleet.plan.answer import Answer, Case, answer, case, fitted, memory_limit
from fleet.plan.recipe import Recipe
from trainer.config import TrainerConfig

# Of one peer, or with a place of their own in the file.
_NOT_OF_ALL = ("name", "run_dir", "swarm", "model", "device", "grpo")
# Only a measurement shows whether more help; each takes a minute to load and a browser's memory.
MOST_UNMEASURED = 4


def size(planned: Case, wanted: int | None, *, may_cut: bool = True) -> tuple[int, Sizing, str]:
    """(count of peers, sizing, warning or ""): as many as fit, in the largest batches; or as many as wanted.

    `may_cut`: whether the batches are ours to choose.
    """
    work = fitted(planned) if may_cut else None
    cut = case(planned.shape, work, planned.host) if work and work != planned.work else planned
    result = answer(cut)
    peers = wanted or max(1, result.peers if planned.pace else min(result.peers, MOST_UNMEASURED))
    sizing = Sizing(
        model=planned.shape.name,
        memory_limit_bytes=memory_limit(cut, peers),
        grpo=_batches(cut) if cut is not planned else {},
        reasons=tuple(_reasons(cut, result, peers)),
    )
    warning = ""
    if peers > result.peers:
        what = "1 peer is more than fits" if peers == 1 else f"{peers} peers are more than fit"
        warning = f"{what}: {result.bound.name} allows {result.peers} ({result.bound.why})"
    return peers, sizing, warning


def write(recipe: Recipe, config: TrainerConfig, fleet: str) -> str:
    """A whole configuration of the recipe's peers; `config` is what it changes."""
    planned = recipe.planned
    own = config.model_dump(mode="json", exclude_defaults=True)
    kept = {name: value for name, value in own.items() if name not in _NOT_OF_ALL}
    work = planned.work
    lora = {**kept.get("lora", {}), "r": work.lora_rank} if work.lora_rank else None
    grpo = {**config.grpo, **recipe.options}
    if "steps_per_generation" in grpo and "gradient_accumulation_steps" in recipe.options:
        # It is the number of passes where it is given, and would undo the smaller batch.
        grpo["steps_per_generation"] = work.accumulation
    sizing = Sizing(
        model=config.model,
        memory_limit_bytes=recipe.memory_limit_bytes,
        grpo=grpo,
        reasons=(
            f"Each peer needs {show_size(planned.peer_bytes)} at its peak, as `peerwatch plan` reckons.",
            *(f"So that so many fit: {one.setting}; it costs {one.cost}." for one in recipe.changes),
        ),
        trainer={**kept, "dtype": work.dtype, **({"lora": lora} if lora else {})},
    )
    machine = Machine(int(planned.host.memory_bytes), planned.host.cores)
    # What finds a Mac's GPU or a card there can also be checked here.
    device = "cpu" if planned.host.device == "cpu" else "auto"
    return render(fleet, recipe.peers, machine, device=device, sizing=sizing)


def _batches(cut: Case) -> Mapping[str, int]:
    return {
        "per_device_train_batch_size": cut.work.batch,
        "gradient_accumulation_steps": cut.work.accumulation,
    }


def _reasons(cut: Case, result: Answer, peers: int) -> list[str]:
    known = "measured" if cut.measured_bytes else "predicted"
    lines = [
        f"A peer needs {show_size(cut.peer_bytes)} at its peak ({known}); "
        f"{result.peers} fit, limited by {result.bound.name}."
    ]
    if peers < result.peers and cut.is_measurable:
        lines.append("`peerwatch plan --measure` shows whether more of them make more steps.")
    return lines
