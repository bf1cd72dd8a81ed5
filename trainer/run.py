"""One run of a peer's process: join the swarm, build or resume the trainer, train, save, leave."""

import contextlib
import gc
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.run_folder import find_trainer, read_bounded, write_process_record
from trainer import checkpoints, events
from trainer.config import TrainerConfig
from trainer.rounds import RoundProgress, from_record, further
from trainer.stopping import Stopper, StopRequested
from trainer.swarm.error import SwarmError
from trainer.swarm.identity import ensure_identity

if TYPE_CHECKING:
    from trainer.swarm.dht import Swarm

log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
IDENTITY_FILE = "identity.pem"
CLOSE_SECONDS = 2.0
# `peerwatch up` shows these lines of the log while a peer starts.
START_STEP = "starting:"


class ConfigurationError(Exception):
    """The configuration cannot be applied. The message is one line for the user."""


def claim(run_dir: Path) -> None:
    """Claims the run folder for this process. Raises ConfigurationError if another trainer uses it."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        holder = find_trainer(run_dir)
        if holder and holder.pid != os.getpid():
            raise ConfigurationError(f"run_dir: {run_dir} is in use by the trainer with PID {holder.pid}")
        write_process_record(run_dir)
    except OSError as error:
        raise ConfigurationError(f"run_dir: {run_dir}: {error.strerror}") from error


def train(config: TrainerConfig, stopper: Stopper) -> bool:
    """Trains until the run is finished (True) or a stop is requested (False).

    Raises ConfigurationError or SwarmError, each with a one-line message for the user.
    """
    identity = config.run_dir / IDENTITY_FILE
    with _as_configuration_error():
        peer_id = ensure_identity(identity)
    # Imported here, not above: these load torch, and the run folder is claimed before.
    log.info("%s loading torch and hivemind", START_STEP)
    with _without_collector():
        from trainer.swarm.dht import Swarm

    log.info("%s joining the swarm", START_STEP)
    swarm = Swarm(config.swarm, config.run_dir, identity)
    try:
        log.info("peer %s (%s) listens on %s", config.name, peer_id, ", ".join(swarm.addresses))
        events.record("swarm_joined", role="leader" if config.swarm.leader else "follower", peer_id=peer_id)
        stopper.enforce_deadline()
        return _train_in(swarm, config, peer_id, stopper)
    finally:
        stopper.disarm()
        swarm.close()


def _train_in(swarm: "Swarm", config: TrainerConfig, peer_id: str, stopper: Stopper) -> bool:
    log.info("%s loading transformers and trl", START_STEP)
    with _without_collector():
        from exporter.pace import Pace
        from exporter.telemetry import PeerTelemetry
        from trainer.driver import RoundDriver, RunFinished
        from trainer.grpo import build_trainer, choose_device, quiet
        from trainer.swarm.others import OtherPeers
        from trainer.swarm.publisher import Publisher

    with _as_configuration_error():
        device = choose_device(config.device)
    telemetry = PeerTelemetry(
        config.run_dir, nickname=config.name, model=config.model, device=device, pace=Pace(**config.stall.model_dump())
    )
    telemetry.set_info(peer_id=peer_id)
    telemetry.set_settings(task=config.task)
    others = OtherPeers(peer_id, telemetry) if config.stages_per_round > 1 else None
    publisher = Publisher(swarm, telemetry, config.run_dir, peer_id, config.publish_interval_seconds, others)
    publisher.start()
    log.info("%s building the model", START_STEP)
    try:
        with quiet():
            folder = config.run_dir / CHECKPOINTS
            with _as_configuration_error():
                checkpoint = checkpoints.find_latest(folder, config.trained_as)
                trainer = build_trainer(
                    config,
                    checkpoints=folder,
                    phases=telemetry,
                    shield=stopper,
                    peer_id=peer_id,
                    others=others,
                    reports=telemetry,
                )
            if checkpoint:
                log.info("resuming from %s", checkpoint.name)
                events.record("resumed", checkpoint=checkpoint.name)
            driver = RoundDriver(
                config,
                peer_id=peer_id,
                trainer=trainer,
                publisher=publisher,
                telemetry=telemetry,
                stopper=stopper,
                others=others,
            )
            trainer.add_callback(driver)
            trainer.add_callback(telemetry)
            with contextlib.suppress(StopRequested, RunFinished):
                log.info("%s waiting for the first step", START_STEP)
                saved = from_record(checkpoints.read_progress(checkpoint)) if checkpoint else RoundProgress()
                driver.start(further(read_progress(config.run_dir), saved))
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
                stopper.disarm()
            stopper.disarm()
            if not driver.is_saved:
                trainer.save_now()
        if publisher.is_swarm_lost:
            raise SwarmError("the DHT process ended; restart the trainer")
        return driver.is_finished
    finally:
        publisher.close(CLOSE_SECONDS)
        telemetry.close()


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Imports leave hardly any garbage, and looking for it again and again takes a seventh of their time.

    What they made stays: a look through all of it would take a third of a second, of the DHT process too.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def read_progress(run_dir: Path) -> RoundProgress:
    """The progress saved in the run folder."""
    from trainer.swarm.publisher import POSITION_FILE

    try:
        return from_record(json.loads(read_bounded(run_dir / POSITION_FILE, 65536)))
    except FileNotFoundError:
        return RoundProgress()
    except (OSError, ValueError) as error:
        log.warning("cannot read the saved round progress, taking the swarm's: %s", error)
        return RoundProgress()


@contextlib.contextmanager
def _as_configuration_error() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise ConfigurationError(str(error)) from error
