"""The input of the plan: the peer of a configuration or the command line, and the machine."""

from dataclasses import dataclass, replace
from pathlib import Path

from fleet.configuration.load import DEFAULT_FILE, Loaded, load_file
from fleet.configuration.watched import RlSwarmPeer
from fleet.plan.answer import Case, case
from fleet.plan.calibration import read
from fleet.plan.host import Host, elsewhere, here
from fleet.plan.shapes import find_shape, with_parameters
from fleet.plan.workload import workload
from fleet.state_folder import StateFolder
from trainer.config import TrainerConfig

_DISK_OF = StateFolder.of("plan").root


@dataclass(frozen=True)
class Overrides:
    """Values from the command line; None if not given."""

    model: str | None = None
    parameters: str | None = None
    prompt_tokens: int | None = None
    device: str | None = None
    memory_bytes: int | None = None
    cores: int | None = None
    disk_bytes: int | None = None
    card_bytes: int | None = None

    @property
    def is_elsewhere(self) -> bool:
        return self.memory_bytes is not None


def read_configuration(file: Path | None) -> tuple[TrainerConfig, Loaded | None]:
    """The peer to plan: of the file, else of `peerwatch.yaml` here, else the trainer's defaults. Raises ValueError."""
    path = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    if path is None:
        return TrainerConfig(name="peer", run_dir=Path("peer")), None
    try:
        loaded = load_file(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; `peerwatch init -f {path}` writes one") from None
    if loaded.is_usable and find_instance(loaded) is not None:
        return TrainerConfig(name="peer", run_dir=Path("peer")), loaded
    if loaded.is_usable and not loaded.composition.trainers:
        raise ValueError(
            f"{path}: no peer of `kind: peerwatch` or `rl-swarm`, which alone can be planned; leave out -f or add one"
        )
    if not loaded.is_usable:
        raise ValueError(f"{loaded.lines()[0]}; `peerwatch check -f {path}` shows all")
    return next(iter(loaded.composition.trainers.values())), loaded


def find_instance(loaded: Loaded) -> RlSwarmPeer | None:
    """The first peer of rl-swarm of a file that has no trainer of ours."""
    if loaded.composition.trainers:
        return None
    return next((peer.watched for peer in loaded.peers if isinstance(peer.watched, RlSwarmPeer)), None)


def with_model(config: TrainerConfig, overrides: Overrides) -> TrainerConfig:
    """The configuration with the command line's model in place of its own."""
    return config.model_copy(update={"model": overrides.model}) if overrides.model else config


def pose(config: TrainerConfig, overrides: Overrides) -> Case:
    """The case to be answered. Raises ValueError with one line for the user."""
    host = find_host(config, overrides)
    config = with_model(config, overrides)
    shape = with_parameters(overrides.parameters) if overrides.parameters else find_shape(config.model)
    # The command line's device, or another machine's, takes the place of the file's.
    config = config.model_copy(update={"device": host.device})
    work = workload(config, host.device, prompt_tokens=overrides.prompt_tokens)
    planned = case(shape, work, host)
    measured = read(shape, work) if host.is_here else None
    return replace(planned, measured_bytes=measured[0], pace=measured[1]) if measured else planned


def find_host(config: TrainerConfig, overrides: Overrides) -> Host:
    """The machine of the plan. Raises ValueError if another one is described incompletely."""
    device = overrides.device or config.device
    if not overrides.is_elsewhere:
        for option, value in (("--cores", overrides.cores), ("--disk", overrides.disk_bytes)):
            if value is not None:
                raise ValueError(f"{option} describes another machine; give its --memory too")
        found = here(device, _DISK_OF)
    elif overrides.cores is None:
        raise ValueError("--memory describes another machine; give its --cores too")
    else:
        assert overrides.memory_bytes is not None
        found = elsewhere(
            device,
            overrides.memory_bytes,
            overrides.cores,
            disk_bytes=overrides.disk_bytes,
            card_bytes=overrides.card_bytes,
        )
    if found.device == "cuda" and found.accelerator_bytes is None:
        raise ValueError("the card's memory is unknown; give it, like --card-memory 24GiB")
    return found
