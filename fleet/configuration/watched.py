"""The models of peers that are not our trainers: commands that Peerwatch runs, and trainers that others start."""

import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from alerts.durations import Duration
from exporter.chain.coordinator import read_contract
from exporter.files.file_model import FileModel
from exporter.progress.readers import check_options
from exporter.watch_file import MAX_READERS
from fleet.configuration.values import Name, Port, Size
from fleet.rl_swarm.checkout import LOGIN_PORT, Checkout, find_python, read_checkout

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _split(value: object) -> object:
    """The words of a command that is written as in a shell; nothing of a shell's is done with it."""
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ValueError(f"{value[:64]!r} cannot be split into words: {error}; write it as a list") from None


def _as_text(value: object) -> object:
    """Whole numbers as text, as in `CUDA_VISIBLE_DEVICES: 0`."""
    if not isinstance(value, dict):
        return value
    return {name: str(one) if type(one) is int else one for name, one in value.items()}


def _check_variables(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name[:64]!r} is no name of a variable")
    return value


def _one_reader(value: object) -> object:
    """`- log: {path: a}`; `- checkpoints` stands for a reader without options."""
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, dict) and len(value) == 1:
        return {name: {} if options is None else options for name, options in value.items()}
    raise ValueError("each entry is one reader with its options, such as `- log: {path: train.log}`")


Command = Annotated[list[str], BeforeValidator(_split), Field(min_length=1, max_length=1000)]
Environment = Annotated[dict[str, str], BeforeValidator(_as_text), AfterValidator(_check_variables)]
Reader = Annotated[dict[str, dict[str, Any]], BeforeValidator(_one_reader)]


class Stall(FileModel):
    """Bounds of the silence that is a stall; between them it is the trainer's own pace that decides."""

    floor: Annotated[Duration, Field(gt=0)] = 10.0
    ceiling: Annotated[Duration, Field(gt=0)] = 3600.0


class RoundStall(Stall):
    """Of a trainer of rounds: before its pace is known, one that takes hours is no stall."""

    ceiling: Annotated[Duration, Field(gt=0)] = 4 * 3600.0


class Find(FileModel):
    """What tells a trainer that somebody else starts; all that is given must hold."""

    folder: Path | None = Field(default=None, description="its working directory")
    command: str | None = Field(default=None, max_length=1000, description="a regular expression in its command line")
    pid_file: Path | None = Field(default=None, description="a file with its process id")
    unit: str | None = Field(default=None, max_length=256, description="its systemd service, such as train.service")

    @model_validator(mode="after")
    def _tells_something(self) -> "Find":
        if not self.model_fields_set or all(value is None for value in dict(self).values()):
            raise ValueError("nothing tells the trainer: name a folder, a command, a pid_file or a unit")
        try:
            re.compile(self.command or "")
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"command: {(self.command or '')[:64]!r} is no regular expression: {error}") from None
        return self


class WatchedPeer(FileModel):
    """What all kinds have in common."""

    name: Name
    memory_limit: Size | None = None
    sidecar_port: Port | None = None
    progress: list[Reader] = Field(default_factory=list, max_length=MAX_READERS)
    stall: Stall = Stall()
    identity: Path | None = Field(default=None, description="key file of its peer in a swarm, such as swarm.pem")
    contract: Annotated[str | None, BeforeValidator(read_contract)] = Field(
        default=None, max_length=64, description="where its rewards count: name or address"
    )

    def list_readers(self, log: Path) -> list[dict[str, dict[str, Any]]]:
        """The readers as the sidecar takes them."""
        return self.progress

    def find_reader_mistakes(self, base: Path) -> list[tuple[int, str, str]]:
        """(index, reader, what is wrong with it) of each reader that cannot be made."""
        found = []
        for index, one in enumerate(self.progress):
            ((name, options),) = one.items()
            if mistake := check_options(name, options, base):
                found.append((index, name, mistake))
        return found


class CommandPeer(WatchedPeer):
    """A command that Peerwatch starts and supervises. Without `progress`, its own output is read."""

    kind: Literal["command"]
    command: Command
    folder: Path = Field(default=Path("."), description="where it runs; relative to the file's folder")
    environment: Environment = Field(default_factory=dict)

    def list_readers(self, log: Path) -> list[dict[str, dict[str, Any]]]:
        return self.progress or [{"log": {"path": str(log)}}]


class AttachedPeer(WatchedPeer):
    """A trainer that somebody else starts; it is found again after each start."""

    kind: Literal["attached"]
    find: Find
    checkout: Path | None = Field(default=None, description="its rl-swarm, where that is not its working directory")


class RlSwarmPeer(WatchedPeer):
    """One instance of rl-swarm that Peerwatch runs from a checkout, beside others of it.

    Without `identity` it has a key of its own, without `contract` that of the launch script.
    """

    kind: Literal["rl-swarm"]
    folder: Path = Field(description="the checkout; several peers may share one")
    account: str | None = Field(default=None, max_length=200, description="ORG_ID; by default who is logged in")
    model: str | None = Field(default=None, max_length=200, description="MODEL_NAME; by default its configuration's")
    config: Path | None = Field(default=None, description="its configuration file; by default the launch script's")
    game: Literal["gsm8k", "dapo"] = "gsm8k"
    python: Path | None = Field(default=None, description="by default that of the checkout's .venv")
    arguments: list[str] = Field(default_factory=list, max_length=100)
    environment: Environment = Field(default_factory=dict)
    login_port: Port = LOGIN_PORT
    spacing: Annotated[Duration, Field(ge=0, le=3600)] = 180.0
    stall: RoundStall = RoundStall()

    def locate(self, base: Path) -> Path:
        """The checkout's folder."""
        return (base / self.folder.expanduser()).absolute()

    def read_checkout(self, base: Path) -> Checkout | None:
        """None where the folder is no rl-swarm."""
        return read_checkout(self.locate(base))

    def find_python(self, base: Path) -> str:
        return str(base / self.python.expanduser()) if self.python else find_python(self.locate(base))


def describe_watch(peer: WatchedPeer, base: Path, log: Path) -> dict[str, Any]:
    """What `exporter.watch_file` reads."""
    folder = base / peer.folder.expanduser() if isinstance(peer, CommandPeer) else base
    find = {}
    if isinstance(peer, AttachedPeer):
        find = {name: str(value) for name, value in dict(peer.find).items() if value is not None}
        for name in {"folder", "pid_file"} & set(find):
            find[name] = str(base / Path(find[name]).expanduser())
        folder = Path(find.get("folder", base))
    identity = None if peer.identity is None else str(base / peer.identity.expanduser())
    swarm = {name: value for name, value in (("identity_path", identity), ("contract", peer.contract)) if value}
    return {
        **({"swarm": swarm} if swarm else {}),
        "folder": str(folder),
        "find": find,
        "progress": peer.list_readers(log),
        "pace": {"floor_seconds": peer.stall.floor, "ceiling_seconds": peer.stall.ceiling},
    }
