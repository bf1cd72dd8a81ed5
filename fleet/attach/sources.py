"""Where the progress of a trainer can be read: the readers for `progress:`, and what keeps others from being there."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporter.progress.readers.trackio import default_folder, to_file_name
from fleet.attach.command_line import Started, read_command, read_options
from fleet.attach.facts import ProcessFacts, ProcessTree
from fleet.attach.kinds import RL_SWARM, VLLM, ReadText, locate_script
from fleet.attach.rl_swarm import find_swarm

# How the log of a kind is written; of others the log reader finds out.
_FORMATS = {
    "llama-factory": "transformers",
    "mlx": "mlx",
    "ms-swift": "transformers",
    "prime-rl": "prime_rl",
    "transformers": "transformers",
    "trl": "transformers",
    "unsloth": "transformers",
    "verl": "verl",
}
_OF_TRANSFORMERS = ("llama-factory", "ms-swift", "transformers", "trl", "unsloth")
_OUTPUT_NAMES = ("output_dir", "trainer.default_local_dir", "save_path", "adapter_path")
_DEFAULT_OUTPUTS = {"trl": "trainer_output", "unsloth": "trainer_output", "ms-swift": "output", "prime-rl": "outputs"}
_MAX_LOGS = 2
# Workers are started alike.
_MAX_MEMBERS = 16
_VLLM_PORT = 8000

_SETTINGS_FILE = re.compile(r"\.(?:ya?ml|toml|json)$")
# output_dir: x, output_dir = "x", "output_dir": "x", output_dir="x"; in a script only what is written out.
_SETTING = (
    r"""["']?\b(output_dir|logging_dir|report_to|adapter_path)["']?\s*[:=]\s*(\[[^\]\n]*\]|"[^"\n]*"|'[^'\n]*'%s)"""
)
_IN_SETTINGS = re.compile(_SETTING % r"|[^\s,#)]+")
_IN_SCRIPT = re.compile(_SETTING % "")
_UNKNOWN_OUTPUT = "where its output goes is not known: name the file"
_TENSORBOARD_VARIABLES = ("TENSORBOARD_LOGGING_DIR", "TENSORBOARD_DIR", "LOGGING_DIR")
_TRACKERS = ("tensorboard", "trackio", "wandb")


# The files of trackers and metrics below a folder that were written after a Unix time.
ListWritten = Callable[[Path, float], Sequence[Path]]


@dataclass(frozen=True)
class ReaderChoice:
    """A reader of `progress:` with its options, as they stand in the file."""

    name: str
    options: Mapping[str, str]


@dataclass
class Sources:
    """What was found; each reader once. `notes` say in a sentence each what cannot be read, and the remedy."""

    readers: list[ReaderChoice] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, **options: str) -> None:
        """Appends the reader, unless it is there."""
        choice = ReaderChoice(name, options)
        if choice not in self.readers:
            self.readers.append(choice)

    def has(self, name: str) -> bool:
        """Whether a reader of that name was found."""
        return any(reader.name == name for reader in self.readers)


def find_sources(
    kind: str,
    members: Sequence[ProcessFacts],
    tree: ProcessTree,
    read_text: ReadText,
    list_written: ListWritten,
) -> Sources:
    """The readers of a trainer; `members` are its processes, the top-most first. Paths are absolute."""
    found = Sources()
    if kind == VLLM:
        started = read_command(members[0].command)
        # Others of its kind serve no such page: TRL's server none at all, SGLang another.
        if started.name != "vllm" and not started.name.startswith("vllm."):
            return found
        options = dict(read_options(started.arguments))
        port = options.get("port", "")
        port = port if port.isdecimal() and len(port) <= 5 else str(_VLLM_PORT)
        found.add("prometheus", url=f"http://127.0.0.1:{port}/metrics")
        return found
    if kind == RL_SWARM and (log := _find_swarm_log(members, read_text)) is not None:
        found.add("log", path=str(log), format="rl_swarm")
        return found
    settings = read_settings(members, read_text)
    for member in members:
        _add_files(found, member.files)
    # Most trackers open their file for a moment only.
    for folder in _folders_written(kind, members[0], settings):
        _add_files(found, list_written(folder, members[0].created_at))
    _add_trackers(found, kind, members[0], settings)
    _add_output_folder(found, kind, members[0], settings)
    # The log comes last but is the first to be read: of all of them it is written at once.
    logs = Sources()
    # A login server or a tracker below the trainer has a log of its own.
    _add_logs(logs, kind, [one for one in members if one is members[0] or read_command(one.command).is_python], tree)
    found.readers[:0] = logs.readers
    found.notes += logs.notes
    return found


def _find_swarm_log(members: Sequence[ProcessFacts], read_text: ReadText) -> Path | None:
    """Its own log, which has times; nothing else that it writes tells more."""
    opened = {path for member in members for path in member.files}
    return next((path for path in find_swarm(members).logs if path in opened or read_text(path)), None)


def read_settings(members: Sequence[ProcessFacts], read_text: ReadText) -> dict[str, str]:
    """Options that tell where a trainer writes: of its command line, its settings file, its script."""
    settings: dict[str, str] = {}
    for member in members[:_MAX_MEMBERS]:
        started = read_command(member.command)
        if not started.is_python:
            continue
        options = dict(read_options(started.arguments))
        for name, value in _settings_of_files(started, member.folder, read_text):
            options.setdefault(name, value.strip("\"'"))
        for name, value in options.items():
            settings.setdefault(name, value)
    return settings


def _settings_of_files(started: Started, folder: Path | None, read_text: ReadText) -> Iterator[tuple[str, str]]:
    if folder is not None:
        for word in started.arguments[:64]:
            path = word.removeprefix("@").partition("=")[2] or word.removeprefix("@")
            if _SETTINGS_FILE.search(path):
                yield from _IN_SETTINGS.findall(read_text(folder / path))
    script = locate_script(started, folder)
    if script is not None:
        yield from _IN_SCRIPT.findall(read_text(script))


def _folders_written(kind: str, top: ProcessFacts, settings: Mapping[str, str]) -> list[Path]:
    if top.folder is None:
        return []
    output = find_output_folder(kind, top, settings) or top.folder
    return [output, top.folder / top.environment.get("WANDB_DIR", "") / "wandb", default_folder(top.environment)]


def _add_files(found: Sources, paths: Iterable[Path]) -> None:
    for path in paths:
        if path.name.endswith(" (deleted)"):
            continue
        if ".tfevents." in path.name:
            found.add("tensorboard", path=str(_above_run(path.parent, ("runs", "logs", "tensorboard_log"))))
        elif path.suffix == ".wandb":
            found.add("wandb", path=str(_above_run(path.parent, ("wandb",))))
        elif path.suffix in (".db", ".db-wal") and path.parent.name == "trackio":
            found.add("trackio", path=str(path.with_suffix(".db")))
        elif path.suffix == ".jsonl" and _is_metrics(path):
            found.add("jsonl", path=str(path))


def _is_metrics(path: Path) -> bool:
    """A data set may be open too."""
    return re.search(r"log|metric|progress|history|monitor", path.name, re.IGNORECASE) is not None


def _above_run(folder: Path, collections: tuple[str, ...]) -> Path:
    """The folder of all runs, as the next run is in another: `output/runs` for `output/runs/Nov28_09-00-00_host`."""
    return folder.parent if folder.parent.name in collections else folder


def _add_trackers(found: Sources, kind: str, top: ProcessFacts, settings: Mapping[str, str]) -> None:
    """Trackers that are named, and do not keep a file open or have none yet."""
    named = " ".join((settings.get("report_to", ""), settings.get("trainer.logger", ""))).lower()
    reports = [tracker for tracker in _TRACKERS if tracker in named or named.strip(" []\"'") == "all"]
    if top.folder is None:
        return
    if "wandb" in reports and not found.has("wandb") and top.environment.get("WANDB_MODE") != "disabled":
        found.add("wandb", path=str(top.folder / top.environment.get("WANDB_DIR", "") / "wandb"))
    if "tensorboard" in reports and not found.has("tensorboard"):
        output = find_output_folder(kind, top, settings)
        given = settings.get("logging_dir") or next(
            (top.environment[name] for name in _TENSORBOARD_VARIABLES if name in top.environment), None
        )
        if given:
            found.add("tensorboard", path=str(top.folder / given))
        elif output is not None:
            found.add("tensorboard", path=str(output / "runs" if kind in _OF_TRANSFORMERS else output))
    if "trackio" in reports and not found.has("trackio"):
        folder = default_folder(top.environment)
        project = settings.get("project") or ("huggingface" if kind in _OF_TRANSFORMERS else "")
        if project:
            found.add("trackio", path=str(folder / f"{to_file_name(project)}.db"))
        else:
            found.add("trackio", path=str(folder))


def find_output_folder(kind: str, top: ProcessFacts, settings: Mapping[str, str]) -> Path | None:
    """Where a trainer puts its checkpoints; None where nothing tells."""
    if top.folder is None:
        return None
    given = next((settings[name] for name in _OUTPUT_NAMES if settings.get(name)), _DEFAULT_OUTPUTS.get(kind))
    # A text that is put together at run time, such as f"{x}", names no folder.
    if given is None or re.search(r"[{}$()\[\]*?\"'\0]", given):
        return None
    return top.folder / given


def _add_output_folder(found: Sources, kind: str, top: ProcessFacts, settings: Mapping[str, str]) -> None:
    output = find_output_folder(kind, top, settings)
    if output is None:
        return
    if kind == "llama-factory":
        found.add("jsonl", path=str(output / "trainer_log.jsonl"))
    if kind == "ms-swift" and not found.has("jsonl"):
        found.add("jsonl", path=str(output / "v*" / "logging.jsonl"))
    if kind == "prime-rl" and not found.has("jsonl"):
        found.add("jsonl", path=str(output / "metrics.jsonl"))
    if kind in _OF_TRANSFORMERS:
        found.add("checkpoints", path=str(output))


def _add_logs(found: Sources, kind: str, members: Sequence[ProcessFacts], tree: ProcessTree) -> None:
    """The files that the output goes to; the top-most process's first, as its workers inherit it."""
    options = {"format": _FORMATS[kind]} if kind in _FORMATS else {}
    blocked: list[str] = []
    for member in members:
        for number in (1, 2):
            target = member.streams.get(number)
            if target is None or len(found.readers) >= _MAX_LOGS:
                continue
            path, why = _follow(target, tree)
            if path is not None:
                found.add("log", path=str(path), **options)
            elif member is members[0] and why not in blocked:
                blocked.append(why)
    for member in members:
        for path in member.files:
            if path.suffix in (".log", ".out") and not found.readers and "wandb" not in path.parts:
                found.add("log", path=str(path), **options)
    if not found.readers and members[0].folder is not None:
        found.notes += blocked or [_UNKNOWN_OUTPUT]


def _follow(target: str, tree: ProcessTree) -> tuple[Path | None, str]:
    """The file that a descriptor leads to, through `tee` too; else one sentence that says why there is none."""
    if target.startswith("pipe:"):
        ends = [one for one in tree.all if one.streams.get(0) == target]
        for end in ends:
            if end.command and Path(end.command[0]).name == "tee" and end.folder is not None:
                file = next((word for word in end.command[1:] if not word.startswith("-")), None)
                if file is not None:
                    return end.folder / file, ""
        reader = f"process {ends[0].pid}" if ends else "another process"
        return None, f"its output goes through a pipe to {reader}: let `tee` write it to a file as well"
    if target.startswith("socket:"):
        return (
            None,
            "its output goes to the journal: set StandardOutput=append:FILE in its unit",
        )
    if target.endswith(" (deleted)"):
        return None, "its output goes to a file that was deleted: it is readable again after a restart"
    if target.startswith(("/dev/pts/", "/dev/tty", "/dev/console")):
        return None, "its output goes to a terminal: start it with `2>&1 | tee train.log`, or name another reader"
    if target.startswith("/dev/null"):
        return None, "its output is thrown away: redirect it to a file, or name another reader"
    return (Path(target), "") if target.startswith("/") else (None, _UNKNOWN_OUTPUT)
