"""No trainer waits for a log-in to wandb.

Without WANDB_MODE=offline, rl-swarm 0.4 waits for one at its second round, or dies.
"""

from collections.abc import Iterator

from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site

_OFFLINE = ("offline", "disabled", "dryrun")


def examine(site: Site) -> Iterator[Finding]:
    failing = False
    for trainer in site.trainers:
        mode = trainer.environment.get("WANDB_MODE", "")
        if mode in _OFFLINE:
            continue
        setting = f"WANDB_MODE is {mode}" if mode else "WANDB_MODE is not set"
        where = f"{trainer.title} (pid {trainer.pid}): {setting}"
        if trainer.logs_to_wandb:
            failing = True
            yield failure(f"{where}; it stops at its second round", "restart it with WANDB_MODE=offline")
        elif mode:
            failing = True
            yield warning(f"{where}: what it logs leaves this machine", "restart it with WANDB_MODE=offline")
    if not failing:
        yield ok("no trainer waits for wandb; Peerwatch starts its own with WANDB_MODE=offline")
