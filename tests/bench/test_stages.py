"""What the stages cost: the time between them, and the memory of many rounds."""

import time
from collections.abc import Callable
from statistics import median

import psutil
import pytest

from exporter.system.footprint import measure, read_shared_files
from tests.trainer.conftest import make_peer as make_peer
from tests.trainer.peers import QUICK, Peer
from tests.trainer.stages.test_rows import answered
from tests.trainer.swarm.test_others import peer
from tests.trainer.test_driver import CONTROL, STATE, Run
from trainer.protocol import RoundAndStage, outputs_value

pytestmark = pytest.mark.bench

PEERS, QUESTIONS, ROUNDS = 16, 8, 30
SUBJECT = "Stages of the trainer"


def test_between_two_stages(record: Callable[..., None]) -> None:
    """From the end of a stage's last step to the first step of the next, with the outputs of 16 peers read ahead."""
    run = Run(steps_per_stage=1)
    for number in range(ROUNDS):
        for stage in range(3):
            at = RoundAndStage(number, stage)
            for one in range(PEERS):
                run.publisher.publishes(peer(one), at, answers=False)
                key = f"rl_swarm_outputs_{peer(one)}_{number}_{stage}"
                run.publisher.records[key] = {
                    str(n): outputs_value(1.0, at, peer(one), **(answered(n, "5")._asdict() | {"prompt": "p"}))
                    for n in range(QUESTIONS)
                }
    run.start()
    gaps, builds = [], []
    for _ in range(3 * ROUNDS - 1):
        run.driver.on_step_begin(None, STATE, CONTROL)
        run._row = run.trainer.rows.take(1)[0]["row"]
        run.publisher.others.refresh(run.publisher, run.publisher.read_round)
        began = time.perf_counter()
        run.driver.on_step_end(None, STATE, CONTROL)
        run.driver.on_step_begin(None, STATE, CONTROL)
        gaps.append(time.perf_counter() - began)
        began = time.perf_counter()
        run.trainer.rows._built = None
        run.trainer.rows.take(1)
        builds.append(time.perf_counter() - began)
        run.trainer.rows.enter(run.at)
    record(SUBJECT, "between two stages, rows included", f"{1000 * median(gaps):.1f} ms", "< 50 ms")
    record(SUBJECT, f"building the rows of {PEERS} peers", f"{1000 * median(builds):.1f} ms")
    assert median(gaps) < 0.05


def test_memory_of_six_hundred_rounds(make_peer: Callable[..., Peer], record: Callable[..., None]) -> None:
    one = make_peer(
        "rounds",
        swarm={"port": 0, "leader": True},
        grpo=QUICK,
        steps_per_stage=2,
        # Python frees some twenty megabytes of cycles each hundred rounds or so: several times in this.
        max_rounds=640,
        publish_interval_seconds=0.5,
    ).start()
    samples: list[tuple[int, float]] = []
    assert one.process is not None
    while one.process.poll() is None:
        time.sleep(1)
        steps = one.steps()
        if steps:
            try:
                root = psutil.Process(one.process.pid)
                tree = [root, *root.children(recursive=True)]
                # As if it ran alone: otherwise it grows as soon as something else with torch ends.
                alone = sum(measure(part).bytes + read_shared_files(part.pid) for part in tree)
                samples.append((int(steps[-1]["round"]), alone / 2**20))
            except psutil.Error:
                continue
    settled = [(number, size) for number, size in samples if number >= 40]
    middle = sum(number for number, _ in settled) / len(settled)
    mean = sum(size for _, size in settled) / len(settled)
    spread = sum((number - middle) ** 2 for number, _ in settled)
    slope = sum((number - middle) * (size - mean) for number, size in settled) / spread
    record(SUBJECT, "memory slope over 600 rounds", f"{slope:.3f} MiB a round", "< 0.1 MiB")
    assert settled[-1][0] >= 600
    assert slope < 0.1
