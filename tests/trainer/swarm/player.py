"""A peer without a model: node, publisher and rounds as in a trainer, with a fixed reward for each step.

Arguments: run folder, SwarmConfig as JSON. Prints its address, then a JSON line [round, stage, sum] for each reward
that the swarm accepted. Ends with its standard input.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from trainer.config import SwarmConfig
from trainer.rounds import Plan, RoundProgress, advance, follow, from_record, lead, to_record
from trainer.swarm.dht import Swarm
from trainer.swarm.identity import ensure_identity
from trainer.swarm.publisher import POSITION_FILE, Publisher

STEP_SECONDS = 0.2
PLAN = Plan(steps_per_stage=15, stages_per_round=3)


class Telemetry:
    """Takes what a trainer's telemetry takes, and keeps nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_args: None


class Loud:
    """A node that prints each reward that was accepted."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._swarm, name)

    def store(self, key: str, value: Any, subkey: str | None = None, **options: Any) -> bool:
        accepted = self._swarm.store(key, value, subkey, **options)
        if accepted and key.startswith("rl_swarm_rewards_"):
            print(json.dumps([*map(int, key.split("_")[3:5]), value]), flush=True)
        return accepted


def end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


def play(run_dir: Path, publisher: Publisher) -> None:
    saved = run_dir / POSITION_FILE
    progress = from_record(json.loads(saved.read_text())) if saved.exists() else RoundProgress()

    def decide() -> RoundProgress:
        swarm = publisher.ask_round_and_stage().result(60)
        return lead(progress, swarm, PLAN) if publisher.leads else follow(progress, swarm, PLAN)

    progress = decide()
    while True:
        position = progress.position
        if position is None:
            time.sleep(STEP_SECONDS)
            progress = decide()
            continue
        time.sleep(STEP_SECONDS)
        at = position.round_and_stage
        publisher.put_reward(at, position.reward + 1.0)
        progress = advance(progress, 1.0, PLAN, leader=publisher.leads)
        if publisher.leads:
            publisher.announce(at, is_new=False)
            if progress.position is not None and progress.position.round_and_stage != at:
                publisher.announce(progress.position.round_and_stage, is_new=True)
        publisher.save_progress(to_record(progress))


def main() -> None:
    run_dir, config = Path(sys.argv[1]), SwarmConfig.model_validate_json(sys.argv[2])
    peer_id = ensure_identity(run_dir / "identity.pem")
    swarm = Swarm(config, run_dir, run_dir / "identity.pem")
    print(swarm.addresses[0], flush=True)
    threading.Thread(target=end_with_input, daemon=True).start()
    publisher = Publisher(Loud(swarm), Telemetry(), run_dir, peer_id, interval_seconds=0.5)
    publisher.start()
    play(run_dir, publisher)


if __name__ == "__main__":
    main()
