"""What to install of a fleet: its programs for a service manager, with every file that they need."""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace

from alerts.secret_references import variables
from exporter.version import VERSION
from fleet.configuration.compose import Composition, compose
from fleet.configuration.load import Loaded
from fleet.configuration.watched import RlSwarmPeer
from fleet.managers import File, discover
from fleet.processes.files import MACHINE, RunError, configurations, read_peer_ids
from fleet.processes.launch import write_variable
from fleet.processes.programs import Program, plan_programs, title
from fleet.state_folder import StateFolder
from fleet.supervision.installed import Installed, digest, service_environment

# How a program reaches the network and its models; no service manager passes these on. Some are secret.
_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
_MODELS = ("HF_HOME", "HF_TOKEN", "HF_ENDPOINT", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "XDG_CACHE_HOME")
_DEVICES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "LD_LIBRARY_PATH")

_HEAD = """\
# Written by `peerwatch services install` from its environment: NAME=value; quotes around a value are no part of it.
# You may change and add lines; `peerwatch services restart` applies them.
"""


def plan_deployment(
    loaded: Loaded, manager: str, before: Installed | None, peer_ids: Mapping[str, str]
) -> tuple[Installed, list[File]]:
    """The services to install, and their files. Raises RunError for a path or value that a file cannot hold."""
    assert loaded.config is not None
    folder = loaded.folder
    composition = compose(loaded.config, loaded.peers, folder, loaded.base, peer_ids)
    owner = before.owner if before else secrets.token_hex(16)
    planned = plan_programs(
        loaded.config,
        loaded.peers,
        folder,
        owner,
        base=loaded.base,
        environment_files={group: folder.environment_file(group) for group in _groups_with_environment(loaded)},
    )
    programs = [replace(one, environment=one.environment | _of_python()) for one in planned]
    titles = tuple(one.title for one in programs)
    target = Installed(manager, loaded.config.fleet, owner, VERSION, titles)
    try:
        files = [
            *_configuration_files(composition, folder),
            *_environment_files(composition, folder, programs),
            *discover()[manager](loaded.config.fleet, folder).files(programs),
        ]
    except ValueError as error:
        raise RunError(str(error)) from None
    return replace(target, files={str(file.path): digest(file.text) for file in files}), files


def _groups_with_environment(loaded: Loaded) -> tuple[str, ...]:
    has_login = any(isinstance(peer.watched, RlSwarmPeer) for peer in loaded.peers)
    return ("alerts", "peer", "login") if has_login else ("alerts", "peer")


def is_current(loaded: Loaded, installed: Installed) -> bool:
    """Whether these services are what this version makes of the configuration. Raises RunError.

    The environment files do not count: they hold what the shell of the last `services install` had.
    """
    target, _ = plan_deployment(loaded, installed.manager, installed, read_peer_ids(loaded.folder, loaded.peers))
    return _without_environments(target) == _without_environments(installed)


def _without_environments(installed: Installed) -> Installed:
    return replace(installed, files={path: sha for path, sha in installed.files.items() if not path.endswith(".env")})


def _of_python() -> dict[str, str]:
    """Keeps the working folder out of the import path."""
    return {"PYTHONSAFEPATH": "1"} | {name: os.environ[name] for name in ("PYTHONPATH",) if os.environ.get(name)}


def _configuration_files(composition: Composition, folder: StateFolder) -> list[File]:
    written = configurations(composition, folder)
    sidecars = [title("sidecar", peer) for peer in (composition.machine.peers if composition.machine else ())]
    return [
        File(path, text, frozenset(sidecars if name == MACHINE else {name}), mode=0o600)
        for name, (path, text) in written.items()
    ]


def _environment_files(composition: Composition, folder: StateFolder, programs: list[Program]) -> list[File]:
    assert composition.alerts is not None
    referred = [name for _, text in composition.alerts.secrets() for name in variables(text)]
    wanted = {"alerts": [*referred, *_both_cases(_NETWORK)], "peer": [*_both_cases(_NETWORK), *_MODELS, *_DEVICES]}
    files = []
    if any(program.group == "login" for program in programs):
        # Of who installs it, as node is seldom in a service manager's.
        wanted["login"] = ["PATH", *_both_cases(_NETWORK)]
    for group, names in wanted.items():
        values = service_environment(folder, group)
        values |= {name: os.environ[name] for name in names if os.environ.get(name)}
        readers = frozenset(program.title for program in programs if program.group == group)
        files.append(File(folder.environment_file(group), _render(values), readers, mode=0o600))
    return files


def _both_cases(names: tuple[str, ...]) -> list[str]:
    return [*names, *(name.lower() for name in names if name.endswith("_PROXY"))]


def _render(values: Mapping[str, str]) -> str:
    for name, value in values.items():
        if re.search(r"[\r\n\0]", value):
            raise ValueError(f"the environment variable {name} contains a line break; install cannot write it")
    return _HEAD + "".join(write_variable(name, value) for name, value in sorted(values.items()))
