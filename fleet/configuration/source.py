"""Finds a command's configuration: a file, or the built-in demo."""

from pathlib import Path

from fleet.configuration.checks import Machine
from fleet.configuration.load import DEFAULT_FILE, Loaded, load_file, load_text
from fleet.configuration.template import render

DEMO = "demo"
_DEMO_MEMORY_BYTES = 2 * 2**30


def load(file: Path | None, state_dir: Path | None = None) -> Loaded:
    """The given file, else `peerwatch.yaml` here, else the demo. Raises ValueError with one line."""
    path = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    if path is None:
        return load_text(demo_text(Machine.here()), DEMO, Path.cwd(), state_dir)
    try:
        return load_file(path, state_dir)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; `peerwatch init -f {path}` writes one") from None


def load_usable(file: Path | None, state_dir: Path | None = None) -> Loaded:
    """The same, free of errors: `config` is set. Raises ValueError with one line."""
    loaded = load(file, state_dir)
    if loaded.config is None or not loaded.is_usable:
        raise ValueError(f"{loaded.lines()[0]}; `peerwatch check` shows all")
    return loaded


def demo_text(machine: Machine) -> str:
    return render(DEMO, 2, machine, device="cpu", interval="5s", most_memory_bytes=_DEMO_MEMORY_BYTES)


def is_demo(loaded: Loaded) -> bool:
    return loaded.source == DEMO
