"""What `peerwatch init` writes for this machine, from the plan; pure."""

from collections.abc import Mapping

from alerts.sizes import show_size
from fleet.configuration.template import Sizing
from fleet.plan.answer import Answer, Case, answer, case, fitted, memory_limit

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
    if peers < result.peers:
        lines.append("`peerwatch plan --measure` shows whether more of them make more steps.")
    return lines
