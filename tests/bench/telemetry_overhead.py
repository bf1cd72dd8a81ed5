"""Trains the demo model in one process, with telemetry, rounds and publishing switched on for every other step.

Prints one JSON line: the seconds of the steps with and without, by the clock and of the training thread's CPU time,
and how many cores the publishing thread and the DHT take beside it.
"""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from trainer.config import SwarmConfig, TrainerConfig
from trainer.swarm.dht import Swarm
from trainer.swarm.identity import ensure_identity

WARM_UP_STEPS = 20


def main(run_dir: Path, steps: int) -> None:
    """Measures `steps` steps of each kind."""
    config = TrainerConfig(
        name="bench",
        run_dir=run_dir,
        swarm=SwarmConfig(port=0, leader=True),
        grpo={"max_steps": WARM_UP_STEPS + 2 * steps + 1},
    )
    identity = run_dir / "identity.pem"
    peer_id = ensure_identity(identity)
    swarm = Swarm(config.swarm, run_dir, identity)
    try:
        print(json.dumps(measure(config, swarm, peer_id)), flush=True)
    finally:
        swarm.close()


def measure(config: TrainerConfig, swarm: Swarm, peer_id: str) -> dict[str, Any]:
    """Everything beside the DHT, which has to be forked before torch is used."""
    from transformers import TrainerCallback
    from trl import GRPOTrainer

    from exporter.telemetry import PeerTelemetry
    from trainer import grpo
    from trainer.driver import RoundDriver
    from trainer.rounds import RoundProgress
    from trainer.stopping import Stopper
    from trainer.swarm.publisher import Publisher

    class Switch(TrainerCallback):  # type: ignore[misc]
        """The first callback: a step lasts from one step's begin to the next one's, with all that comes between."""

        def __init__(self) -> None:
            self.is_on = False
            self.seconds: dict[str, list[float]] = {"on": [], "off": [], "on_cpu": [], "off_cpu": []}
            self.began: tuple[float, float] | None = None

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            wall, cpu = time.perf_counter(), time.thread_time()
            if self.began is not None and state.global_step > WARM_UP_STEPS:
                kind = "on" if self.is_on else "off"
                self.seconds[kind].append(wall - self.began[0])
                self.seconds[f"{kind}_cpu"].append(cpu - self.began[1])
            # On, off, off, on: a drift of the machine falls on both alike.
            self.is_on = state.global_step % 4 in (0, 3)
            self.began = time.perf_counter(), time.thread_time()

    class Gate(TrainerCallback):  # type: ignore[misc]
        """Passes events on while the switch is on."""

        def __init__(self, callback: TrainerCallback) -> None:
            for name in dir(TrainerCallback):
                if name.startswith("on_"):
                    setattr(self, name, self._gated(getattr(callback, name), name))

        def _gated(self, method: Any, name: str) -> Any:
            always = name in ("on_train_begin", "on_train_end")
            return lambda *args, **kwargs: method(*args, **kwargs) if always or switch.is_on else None

    class GatedTrainer(grpo.PeerTrainer):
        def _calculate_rewards(self, *args: Any) -> Any:
            return (super() if switch.is_on else super(grpo.PeerTrainer, self))._calculate_rewards(*args)

    class Phases:
        @contextlib.contextmanager
        def phase(self, name: str) -> Iterator[None]:
            with telemetry.phase(name) if switch.is_on else contextlib.nullcontext():
                yield

    switch = Switch()
    assert issubclass(GatedTrainer, GRPOTrainer)
    grpo.PeerTrainer = GatedTrainer  # type: ignore[misc]
    telemetry = PeerTelemetry(config.run_dir)
    publisher = Publisher(swarm, telemetry, config.run_dir, peer_id, config.publish_interval_seconds)
    stopper = Stopper()
    publisher.start()
    with grpo.quiet():
        trainer = grpo.build_trainer(
            config, checkpoints=config.run_dir / "checkpoints", phases=Phases(), shield=stopper
        )
        driver = RoundDriver(
            config, peer_id=peer_id, trainer=trainer, publisher=publisher, telemetry=telemetry, stopper=stopper
        )
        driver.start(RoundProgress())
        for callback in (switch, Gate(driver), Gate(telemetry)):
            trainer.add_callback(callback)
        before, began = beside(publisher), time.monotonic()
        trainer.train()
        cost = {name: (value - before[name]) / (time.monotonic() - began) for name, value in beside(publisher).items()}
    publisher.close(5)
    telemetry.close()
    return {**switch.seconds, "cores": cost}


def beside(publisher: Any) -> dict[str, float]:
    """CPU seconds so far of the publishing thread, and of the DHT process with p2pd."""
    process = psutil.Process()
    threads = [thread for thread in process.threads() if thread.id == publisher.native_id]
    children = [child.cpu_times() for child in process.children(recursive=True) if child.name() != "torch_shm_manager"]
    return {
        "publisher": sum(thread.user_time + thread.system_time for thread in threads),
        "dht": sum(times.user + times.system for times in children),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
