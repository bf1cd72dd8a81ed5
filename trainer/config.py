"""The configuration of one peer's trainer, validated without loading torch."""

import difflib
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from exporter.files import yaml_text
from exporter.files.file_model import FileModel
from exporter.serving.listen_address import is_host_name
from trainer.grpo_settings.fields import known_fields
from trainer.grpo_settings.values import Mistake, Setting, judge_fields, judge_together
from trainer.multiaddr import check_multiaddr, check_peer_address
from trainer.protocol import MAX_SHARDS, check_peer_id
from trainer.rewards import discover
from trainer.suited import TINY
from trainer.tasks.table import FILES

# GRPOConfig fields that the trainer sets itself: why, and the remedy.
OWN_FIELDS = {
    "disable_tqdm": "the trainer always prints plain step lines; remove it",
    "logging_steps": "the trainer logs every step; remove it",
    "logging_strategy": "the trainer logs every step; remove it",
    "num_train_epochs": "a run has rounds, not epochs; set max_rounds, or grpo.max_steps",
    "output_dir": "checkpoints go to the peer's run folder; remove it",
    "resume_from_checkpoint": "the trainer always resumes the latest complete checkpoint; remove it",
    "save_steps": "the trainer saves by time; set the trainer's save_interval_seconds",
    "save_strategy": "the trainer saves by time; set the trainer's save_interval_seconds",
    "seed": "each peer's seed comes from the trainer's own key; set `seed` outside of grpo",
    "use_cpu": "the trainer's `device` decides; set `device: cpu`",
}


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean …?` for the known name closest to a misspelt one, else an empty string."""
    found = difflib.get_close_matches(str(name), list(names), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def is_table(task: str) -> bool:
    """Whether a task is a dataset with columns, of the hub or in a file, and not one of reasoning-gym."""
    return "/" in task or Path(task).suffix.lower() in FILES


def is_file_task(task: str) -> bool:
    """Whether a task is a path, not a dataset of reasoning-gym or of the hub."""
    return is_path(task) or Path(task).suffix.lower() in FILES


def is_path(text: str) -> bool:
    """Whether a model or a task is written as a path."""
    return text.startswith(("/", "./", "../", "~"))


def judge_grpo(options: dict[str, Any]) -> tuple[dict[str, Any], list[Mistake]]:
    """The values of GRPOConfig's fields as it takes them, and the mistakes of each field by itself."""
    known = known_fields() if options else None
    mistakes = []
    for name in options:
        if name in OWN_FIELDS:
            mistakes.append(Mistake(name, OWN_FIELDS[name]))
        elif known is not None and name not in known:
            near = nearest(name, known)
            mistakes.append(Mistake(name, f"unknown field of trl.GRPOConfig{near}"))
    values, wrong = judge_fields({name: value for name, value in options.items() if name not in OWN_FIELDS})
    return {**options, **values}, mistakes + wrong


def _check_grpo(options: dict[str, Any]) -> dict[str, Any]:
    values, mistakes = judge_grpo(options)
    if mistakes:
        raise ValueError(_joined(mistakes))
    return values


def _joined(mistakes: Iterable[Mistake]) -> str:
    return "; ".join(f"{name}: {message}" for name, message in mistakes)


def _check_reward(name: str) -> str:
    path, colon, function = name.rpartition(":")
    if colon and path.endswith(".py"):
        if not function.isidentifier():
            raise ValueError(f"{name!r} names no function; write path/to/file.py:function")
        return name
    if name not in discover():
        known = ", ".join(discover())
        raise ValueError(f"unknown reward {name!r}: neither built in ({known}) nor path/to/file.py:function")
    return name


def _check_host(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not is_host_name(host):
            raise ValueError(f"{host!r} is neither an address nor a host name, such as 127.0.0.1") from None
    return host


class SwarmConfig(FileModel):
    """The listen address, and the peers to join. Without initial peers it starts a new swarm."""

    host: Annotated[str, AfterValidator(_check_host)] = Field(
        default="127.0.0.1", description="address or name to listen on"
    )
    port: int = Field(default=38331, ge=0, le=65535, description="0 takes any free port")
    announce: list[Annotated[str, AfterValidator(check_multiaddr)]] = Field(
        default_factory=list,
        description="multiaddrs to announce to other peers, if not the listen address",
    )
    initial_peers: list[Annotated[str, AfterValidator(check_peer_address)]] = Field(
        default_factory=list, description="multiaddrs of peers to join, each ending in /p2p/PEER_ID"
    )
    leader: bool = Field(default=False, description="this peer leads the swarm's rounds; one per swarm")
    signed: bool = Field(
        default=False, description="count only records that their owner signed; all peers of the swarm must agree"
    )
    leaders: list[Annotated[str, AfterValidator(check_peer_id)]] = Field(
        default_factory=list, max_length=16, description="ids of the peers that may lead, the leader first"
    )
    shards: int = Field(
        default=1, ge=1, le=MAX_SHARDS, description="keys over which rewards are spread; all peers must agree"
    )
    members: list[Annotated[str, AfterValidator(check_peer_id)]] = Field(
        default_factory=list, description="ids of the peers of a signed swarm; empty: every peer that signs"
    )

    @model_validator(mode="after")
    def _check_leaders(self) -> Self:
        if self.signed and not self.leader and not self.leaders:
            raise ValueError("signed: name the peers that may lead in `leaders`, as ids")
        return self

    def listen_multiaddr(self) -> str:
        """Host and port as a libp2p multiaddr."""
        try:
            kind = f"ip{ipaddress.ip_address(self.host).version}"
        except ValueError:
            kind = "dns"
        return f"/{kind}/{self.host}/tcp/{self.port}"


class StallConfig(FileModel):
    """Seconds without a step that count as a stall; while a peer steps, its pace decides between floor and ceiling."""

    floor_seconds: PositiveFloat = 10.0
    ceiling_seconds: PositiveFloat = 3600.0
    starting_seconds: PositiveFloat = 600.0
    waiting_seconds: PositiveFloat = 1800.0
    saving_seconds: PositiveFloat = 600.0


class LoraOptions(FileModel):
    """Low-rank adapters: the model's own weights stay as they are, which saves their gradients and optimizer state."""

    r: int = Field(default=16, ge=1, le=65536)
    alpha: float = Field(default=32.0, gt=0, le=1e6)
    target_modules: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = "all-linear"


class StageRewards(FileModel):
    """Weights of what the stages themselves reward, beside `rewards`; each is 0 to 1 before its weight."""

    format: NonNegativeFloat = Field(default=0.2, description="the form that the stage asks for")
    valid_choice: NonNegativeFloat = Field(default=0.2, description="choosing one of the answers shown, or none")
    correct_choice: NonNegativeFloat = Field(default=0.5, description="choosing a correct answer")
    consensus: NonNegativeFloat = Field(default=0.5, description="agreeing with most judgements")
    recreated_question: NonNegativeFloat = Field(default=0.2, description="repeating the question")


class TrainerConfig(FileModel):
    """One peer. `grpo` takes any field of trl.GRPOConfig; relative paths count from the file's folder."""

    name: str = Field(min_length=1, max_length=64, description="nickname of the peer")
    run_dir: Path = Field(description="folder of this peer's files")
    model: str = Field(default=TINY, min_length=1, description="tiny, a Hugging Face id, or a local path")
    task: str = Field(default="chain_sum", min_length=1, description="a reasoning-gym dataset, a hub id, or a file")
    task_options: dict[str, Any] = Field(
        default_factory=dict, description="options of that dataset; peers of one swarm need the same"
    )
    rewards: list[Annotated[str, AfterValidator(_check_reward)]] = Field(
        default_factory=lambda: ["correctness", "answer_form"],
        min_length=1,
        description="built-in rewards, or path/to/file.py:function with TRL's signature of a reward function",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["float32", "bfloat16"] = Field(default="float32", description="of the weights in memory")
    lora: LoraOptions | None = Field(default=None, description="train adapters only; null: all weights")
    load_in_4bit: bool = Field(
        default=False, description="frozen weights of four bits below adapters; needs lora and bitsandbytes"
    )
    grpo: Annotated[dict[str, Any], AfterValidator(_check_grpo)] = Field(default_factory=dict)
    steps_per_stage: PositiveInt = 20
    stages_per_round: int = Field(default=3, ge=1, le=100, description="1: no peer reads what others answer")
    stage_rewards: StageRewards = Field(default_factory=StageRewards)
    others_timeout_seconds: float = Field(
        default=10.0, ge=0, le=3600, description="how long a stage waits for what others published"
    )
    max_rounds: PositiveInt | None = Field(
        default=None, description="rounds after which the run is finished; null: no limit"
    )
    publish_interval_seconds: PositiveFloat = 5.0
    save_interval_seconds: PositiveFloat = Field(
        default=300.0, description="a checkpoint at least so often, and at the end of each stage"
    )
    least_free_gib: float = Field(
        default=0.5,
        ge=0,
        le=1e6,
        description="free space in GiB that a checkpoint must leave; with less nothing is saved",
    )
    poll_interval_seconds: PositiveFloat = Field(
        default=2.0, description="how often a waiting follower polls the round"
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    swarm: SwarmConfig = Field(default_factory=SwarmConfig)
    stall: StallConfig = Field(default_factory=StallConfig)

    @model_validator(mode="after")
    def _check_grpo_together(self) -> Self:
        setting = Setting(self.model, len(self.rewards), self.lora is not None, self.device in ("cpu", "mps"))
        mistakes = list(judge_together(self.grpo, setting))
        if mistakes:
            raise ValueError(_joined(Mistake(f"grpo.{name}", message) for name, message in mistakes))
        return self

    @model_validator(mode="after")
    def _check_four_bits(self) -> Self:
        if self.load_in_4bit and (self.lora is None or self.model == TINY):
            raise ValueError(
                "load_in_4bit: needs lora and a model other than tiny: weights of four bits are not trained"
            )
        return self

    @property
    def trained_as(self) -> str:
        """What a checkpoint must have been made from to be resumed: model, and rank of its adapters."""
        return self.model if self.lora is None else f"{self.model} with LoRA of rank {self.lora.r}"


def load_config(path: Path) -> TrainerConfig:
    """Reads a YAML file; relative paths in it count from its folder. Raises ValueError, one line per error."""
    try:
        config = TrainerConfig.model_validate(yaml_text.load(path))
    except ValidationError as error:
        errors = [": ".join([str(path), *_place(e["loc"]), _plain(e["msg"])]) for e in error.errors()]
        raise ValueError("\n".join(errors)) from error
    folder = path.resolve().parent
    rewards = [str(folder / name) if ".py:" in name else name for name in config.rewards]
    task = str(folder / Path(config.task).expanduser()) if is_file_task(config.task) else config.task
    return config.model_copy(update={"run_dir": folder / config.run_dir, "rewards": rewards, "task": task})


def _place(location: tuple[str | int, ...]) -> list[str]:
    return [".".join(map(str, location))] if location else []


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
