"""A checkout of rl-swarm: its release, how its trainer is started, where it logs, and the contract it counts on.

Nothing of it is executed or imported: its files are read as text. What its launch script says goes before what is known
of its release, as forks change both.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from exporter.run_folder import read_bounded

SCRIPT = "run_rl_swarm.sh"
MAX_BYTES = 1 << 20
GAMES = ("gsm8k", "dapo")
LOGIN_PORT = 3000

_CONFIG_PATH = re.compile(r"--config-path[ =]+\"?\$\{?ROOT(?:_DIR)?\}?\"?/([\w./-]{1,200})")
_CONFIG_NAME = re.compile(r"--config-name[ =]+\"?([\w.-]{1,100})")
_CONTRACT = re.compile(r"^\s*(?:export\s+)?(\w{0,20}SWARM_CONTRACT)=\"?(0x[0-9A-Fa-f]{40})\b", re.MULTILINE)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TAG = re.compile(r"v?(\d+(?:\.\d+){1,2})")


class Release(NamedTuple):
    """What differs between releases; paths are below the checkout, `log` is a name in its folder of logs.

    `is_script`: the launcher is started as a file, not as a module.
    """

    version: str
    launcher: str
    configs: tuple[str, ...]
    log: str
    is_script: bool = False


_LOG = "swarm_launcher.log"
_RELEASES = (
    Release("0.7", "code_gen_exp/runner/swarm_launcher.py", ("code_gen_exp/config/code-gen-swarm.yaml",), _LOG),
    Release("0.6", "rgym_exp/runner/swarm_launcher.py", ("rgym_exp/config/rg-swarm.yaml",), _LOG),
    Release(
        "0.5",
        "genrl-swarm/src/genrl_swarm/runner/swarm_launcher.py",
        ("configs/rg-swarm.yaml", "genrl-swarm/recipes/rgym/rg-swarm.yaml"),
        "",
        is_script=True,
    ),
    Release(
        "0.4",
        "hivemind_exp/gsm8k/train_single_gpu.py",
        (
            "hivemind_exp/configs/mac/grpo-qwen-2.5-0.5b-deepseek-r1.yaml",
            "hivemind_exp/configs/gpu/grpo-qwen-2.5-0.5b-deepseek-r1.yaml",
        ),
        "swarm.log",
    ),
)
# The releases of rgym_exp before the prediction game log to a file of the peer's name.
_WITHOUT_GAME = Release(
    "0.5", "rgym_exp/runner/swarm_launcher.py", ("rgym_exp/config/rg-swarm.yaml",), "training_*.log"
)


class Checkout(NamedTuple):
    """`version` is the tag of its commit where that is known, such as `0.6.4`, else the release, `0.6`.

    `contracts` are those of its script, by the names that it gives them.
    """

    folder: Path
    release: Release
    version: str
    config: Path | None
    contracts: Mapping[str, str]

    @property
    def is_of_stages(self) -> bool:
        """Whether it is 0.4, with stages, arguments in place of variables, and port 3000 in its code."""
        return self.release.version == "0.4"

    @property
    def log(self) -> str | None:
        """Its log, below the instance, perhaps with a `*`; None where only its output tells."""
        return f"logs/{self.release.log}" if self.release.log else None

    def contract(self, game: str = GAMES[0]) -> str | None:
        """The contract that a peer counts on, by default; None where the script tells none."""
        names = ("SMALL_SWARM_CONTRACT",) if game == GAMES[0] else ("BIG_SWARM_CONTRACT",)
        return next((self.contracts[name] for name in ("SWARM_CONTRACT", *names) if name in self.contracts), None)


def read_checkout(folder: Path) -> Checkout | None:
    """The checkout in a folder, which may be one of an instance; None where it is none."""
    release = next((one for one in _RELEASES if (folder / one.launcher).is_file()), None)
    if release is None:
        return None
    script = read_text(folder / SCRIPT)
    if release.version == "0.6" and "PRG_CONTRACT" not in script and not _plays_game(folder, release):
        release = _WITHOUT_GAME
    tag = _read_tag(folder)
    is_of_release = tag is not None and tag.startswith(f"{release.version}.")
    contracts = dict(reversed(_CONTRACT.findall(script)))
    return Checkout(folder, release, tag if tag and is_of_release else release.version, None, contracts)._replace(
        config=_find_config(folder, release, script)
    )


def find_python(folder: Path) -> str:
    """The interpreter of the checkout's own environment, else the first `python3` of the path."""
    names = (folder / place / "bin" / "python" for place in (".venv", "venv"))
    found = next((str(path) for path in names if path.exists()), None)
    # Whole, as a service manager has another path.
    return found or shutil.which("python3") or "python3"


class Start(NamedTuple):
    """What one instance is started with; `account` is the log-in's ORG_ID."""

    python: str
    identity: Path
    account: str
    contract: str
    config: Path
    model: str = ""
    game: str = GAMES[0]
    login_port: int = LOGIN_PORT
    arguments: Sequence[str] = ()


def make_command(checkout: Checkout, start: Start) -> list[str]:
    """The trainer's command line, to be run in an instance. It holds no token: 0.4 would show one to every user."""
    release = checkout.release
    module = release.launcher.removesuffix(".py").replace("/", ".")
    command = [start.python, release.launcher] if release.is_script else [start.python, "-m", module]
    if checkout.is_of_stages:
        command += ["--hf_token", "None", "--identity_path", str(start.identity), "--modal_org_id", start.account]
        command += ["--contract_address", start.contract, "--config", str(start.config), "--game", start.game]
    else:
        command += ["--config-path", str(start.config.parent), "--config-name", start.config.name]
        if start.login_port != LOGIN_PORT:
            command.append(f"blockchain.modal_proxy_url=http://localhost:{start.login_port}/api/")
    return [*command, *start.arguments]


def make_environment(start: Start, instance: Path) -> dict[str, str]:
    """The variables that the launch script would set, without the questions that it asks."""
    variables = {
        "CONNECT_TO_TESTNET": "true",
        "HF_HUB_DOWNLOAD_TIMEOUT": "120",
        "IDENTITY_PATH": str(start.identity),
        "ORG_ID": start.account,
        "ROOT": str(instance),
        "SWARM_CONTRACT": start.contract,
        # Without it 0.4 asks for a log-in at its second round, or dies.
        "WANDB_MODE": "offline",
    }
    return variables | ({"MODEL_NAME": start.model} if start.model else {})


def read_text(path: Path) -> str:
    """A text of the checkout; empty where there is none that can be read."""
    try:
        return read_bounded(path.resolve(), MAX_BYTES).decode(errors="replace")
    except (OSError, ValueError, RuntimeError):
        return ""


def _plays_game(folder: Path, release: Release) -> bool:
    return any("prg_game" in read_text(folder / one) for one in release.configs)


def _find_config(folder: Path, release: Release, script: str) -> Path | None:
    path, name = _CONFIG_PATH.search(script), _CONFIG_NAME.search(script)
    places = [f"{path[1]}/{name[1]}"] if path and name else []
    return next((folder / one for one in (*places, *release.configs) if (folder / one).is_file()), None)


def _read_tag(folder: Path) -> str | None:
    """The version that is tagged at the commit that is checked out, as git's files tell."""
    git = folder / ".git"
    if git.is_file():
        git = folder / read_text(git).removeprefix("gitdir:").strip()
    shared = git / (read_text(git / "commondir").strip() or ".")
    packed = read_text(shared / "packed-refs")
    head = read_text(git / "HEAD").strip()
    if head.startswith("ref: "):
        name = head.removeprefix("ref: ")
        found = re.search(rf"^({_COMMIT.pattern}) {re.escape(name)}$", packed, re.MULTILINE)
        head = read_text(shared / name).strip() or (found[1] if found else "")
    if not _COMMIT.fullmatch(head):
        return None
    # A tag with a message is followed by the commit that it names.
    tags = re.findall(rf"^{head} refs/tags/(\S+)$|refs/tags/(\S+)\n\^{head}$", packed, re.MULTILINE)
    names = [name for pair in tags for name in pair if name]
    loose = shared / "refs" / "tags"
    if loose.is_dir():
        names += [path.name for path in sorted(loose.iterdir()) if read_text(path).strip() == head]
    return next((found[1] for name in names if (found := _TAG.fullmatch(name))), None)
