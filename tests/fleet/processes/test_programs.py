"""The commands and environments of a fleet's processes."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from fleet.configuration.load import Loaded
from fleet.processes.files import configurations
from fleet.processes.programs import Program, plan_programs, trainer_environment


def _programs(loaded: Loaded) -> dict[str, Program]:
    assert loaded.config is not None
    planned = plan_programs(loaded.config, loaded.peers, loaded.folder, "run1", base=loaded.base, platform="linux")
    return {f"{one.group}:{one.name}": one for one in planned}


def test_each_kind_of_process_has_its_command(load: Callable[[str], Loaded]) -> None:
    loaded = load("fleet: a\npeers: 2\nmemory_limit: 1GiB\n")
    state = loaded.folder.root
    commands = {}
    for title, program in _programs(loaded).items():
        assert program.command[:3] == (sys.executable, "-m", "fleet.processes.launch")
        commands[title] = " ".join(program.command).split(f" -- {sys.executable} -m ")[1]
    assert commands == {
        "leaderboard:leaderboard": f"exporter.leaderboard --config {state}/leaderboard/leaderboard.yaml",
        "alerts:alerts": f"alerts --config {state}/alerts/alerts.yaml",
        "peer:a-0": f"trainer --config {state}/peers/a-0/trainer.yaml --finished-exit-code 100",
        "sidecar:a-0": f"exporter --run-dir {state}/peers/a-0 --listen 127.0.0.1:9700 "
        "--leaderboard-url http://127.0.0.1:8700 --interval-seconds 5 --memory-limit-bytes 1073741824",
        "peer:a-1": f"trainer --config {state}/peers/a-1/trainer.yaml --finished-exit-code 100",
        "sidecar:a-1": f"exporter --run-dir {state}/peers/a-1 --listen 127.0.0.1:9701 "
        "--leaderboard-url http://127.0.0.1:8700 --interval-seconds 5 --memory-limit-bytes 1073741824",
    }


def test_prometheus_runs_on_loopback_and_keeps_so_much(load: Callable[[str], Loaded]) -> None:
    text = "fleet: a\nhost: 0.0.0.0\nports: {prometheus: 9191}\nprometheus: {retention: 2d, retention_size: 1GiB}\n"
    loaded = load(text)
    assert loaded.config is not None
    found = Path("/opt/bin/prometheus")
    planned = plan_programs(loaded.config, loaded.peers, loaded.folder, "run1", base=loaded.base, prometheus=found)
    program = next(one for one in planned if one.name == "prometheus")
    state = loaded.folder.root / "prometheus"
    assert program.command[program.command.index("--") + 1 :] == (
        "/opt/bin/prometheus",
        f"--config.file={state}/prometheus.yaml",
        f"--storage.tsdb.path={state}/data",
        "--storage.tsdb.retention.time=172800s",
        "--storage.tsdb.retention.size=1073741824B",
        "--web.listen-address=127.0.0.1:9191",
        "--log.level=warn",
    )
    assert program.log == state / "prometheus.log"


def test_pages_are_pushed_by_one_process_that_a_change_starts_again(load: Callable[[str], Loaded]) -> None:
    loaded = load("peers: 2\npush: {watcher: 'https://watcher.example.org', login: login}\n")
    assert loaded.config is not None
    planned = plan_programs(loaded.config, loaded.peers, loaded.folder, "run1", base=loaded.base)
    (program,) = [one for one in planned if one.group == "push"]
    path, text = configurations(loaded.composition, loaded.folder)[program.title]
    assert program.command[-4:] == ("-m", "exporter.machine.push", "--config", str(path))
    assert json.loads(text)["watcher"] == "https://watcher.example.org:8750"
    # Beside its file, where logs are rotated.
    assert program.log == path.with_name("push.log")
    assert all("--machine" in one.command for one in planned if one.group == "sidecar")
    assert not any("--outside" in one.command for one in planned)


def test_what_joins_the_swarm_waits_for_its_leader(load: Callable[[str], Loaded]) -> None:
    programs = _programs(load("fleet: a\npeers: 2\n"))
    waits = {title for title, program in programs.items() if "--wait-for 127.0.0.1:38331" in " ".join(program.command)}
    assert waits == {"peer:a-1", "leaderboard:leaderboard"}


def test_every_process_carries_the_mark_of_this_run(load: Callable[[str], Loaded]) -> None:
    for title, program in _programs(load("fleet: a\npeers: 2\n")).items():
        assert program.environment["PEERWATCH_OWNER"] == f"run1/{title}"


def test_trainers_share_the_cores_and_stay_quiet() -> None:
    assert trainer_environment(2, "linux") == {
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",
        "WANDB_MODE": "offline",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
    darwin = trainer_environment(1, "darwin")
    assert "OMP_WAIT_POLICY" not in darwin
    assert darwin["PYTORCH_MPS_HIGH_WATERMARK_RATIO"] == "1.0"
