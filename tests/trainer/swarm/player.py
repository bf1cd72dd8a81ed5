"""A peer without a model: node, publisher and rounds as in a trainer, with a fixed reward for each step.

Arguments: run folder, SwarmConfig as JSON, `rest` to publish what was earned and earn no more. Prints its address, then
what a trainer's log says of its sums: a line for each step, and at a restart what was saved. Ends with its standard
input: what waits is published then.
"""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from trainer.config import SwarmConfig
from trainer.rounds import Plan, RoundProgress, advance, follow, keep_up, lead, list_sums
from trainer.run import read_progress
from trainer.swarm.dht import Swarm
from trainer.swarm.error import SwarmError
from trainer.swarm.identity import ensure_identity
from trainer.swarm.publisher import Publisher

STEP_SECONDS = 0.2
PLAN = Plan(steps_per_stage=15, stages_per_round=3)
STEPS_PER_ROUND = PLAN.steps_per_stage * PLAN.stages_per_round


class Telemetry:
    """Takes what a trainer's telemetry takes, and keeps nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_args: None


def end_with_input(publisher: Publisher) -> None:
    sys.stdin.read()
    publisher.close(60)
    os._exit(0)


def join(config: SwarmConfig, run_dir: Path) -> Swarm:
    """A start that fails, as the others are being killed too, is repeated, as a supervisor would."""
    while True:
        try:
            return Swarm(config, run_dir, run_dir / "identity.pem")
        except SwarmError as error:
            print(error, flush=True)
            time.sleep(1.0)


def decide(publisher: Publisher, progress: RoundProgress) -> RoundProgress:
    swarm = publisher.ask_round_and_stage().result(60)
    progress = (lead if publisher.leads else follow)(progress, swarm, PLAN)
    if publisher.leads or swarm is not None:
        publisher.put_sums(progress)
    return progress


def find_pace() -> float:
    """Seconds of a step: a round takes half as long as a start, at least, however busy the machine is.

    Sums count some rounds late, so that a peer which is killed must be back within those.
    """
    return max(STEP_SECONDS, (time.time() - psutil.Process().create_time()) / (2 * STEPS_PER_ROUND))


def play(publisher: Publisher, progress: RoundProgress) -> None:
    pace = find_pace()
    print(f"event=progress_resumed sums={list_sums(progress)}", flush=True)
    progress = decide(publisher, progress)
    while True:
        time.sleep(pace)
        if "rest" in sys.argv[3:]:
            continue
        position = progress.position
        if position is None:
            progress = decide(publisher, progress)
            continue
        at = position.round_and_stage
        progress = advance(progress, 1.0, PLAN, leader=publisher.leads)
        if publisher.leads:
            progress = keep_up(progress, publisher.furthest, PLAN)
        publisher.put_sums(progress)
        print(f"round={at.round} stage={at.stage} stage_reward={position.reward + 1.0:.4f}", flush=True)
        if publisher.leads:
            publisher.announce(at, is_new=False)
            if progress.position is not None and progress.position.round_and_stage != at:
                publisher.announce(progress.position.round_and_stage, is_new=True)


def main() -> None:
    run_dir, config = Path(sys.argv[1]), SwarmConfig.model_validate_json(sys.argv[2])
    peer_id = ensure_identity(run_dir / "identity.pem")
    swarm = join(config, run_dir)
    print(swarm.addresses[0], flush=True)
    publisher = Publisher(swarm, Telemetry(), run_dir, peer_id, interval_seconds=0.5)
    publisher.start()
    threading.Thread(target=end_with_input, args=[publisher], daemon=True).start()
    play(publisher, read_progress(run_dir))


if __name__ == "__main__":
    main()
