"""The `peerwatch` command from outside: exit statuses, one-line errors, no tracebacks."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.version import VERSION
from tests import warm
from tests.fleet.conftest import give_free_ports, ports_text

ROOT = Path(__file__).parents[3]


def peerwatch(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return warm.run("fleet", *arguments, folder=folder, environment=environment_of(folder) | variables)


def environment_of(folder: Path) -> dict[str, str]:
    """Of a command of a user whose home is `folder`."""
    return os.environ | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "home"), "HOME": str(folder)}


@pytest.mark.parametrize("command", ["up", "init", "check", "status", "rules", "doctor", "services", "plan"])
def test_every_command_explains_itself_with_an_example(tmp_path: Path, command: str) -> None:
    result = peerwatch(command, "--help", folder=tmp_path)
    assert result.returncode == 0
    assert f"Example: peerwatch {command}" in result.stdout


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "fleet", "--help"]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment_of(tmp_path), capture_output=True, text=True, check=True, timeout=360
    )
    assert "status" in result.stdout
    loaded = {line.split("|")[-1].strip() for line in result.stderr.splitlines() if line.startswith("import time:")}
    assert "fleet.__main__" in loaded or "typer" in loaded
    assert not loaded & {"apprise", "hivemind", "httpx", "torch", "transformers"}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["qzx"], "peerwatch: No such command 'qzx'; see `peerwatch --help`\n"),
        (["upp"], "peerwatch: No such command 'upp'. Did you mean 'up'?; see `peerwatch --help`\n"),
        (
            ["check", "-f", "none.yaml"],
            "peerwatch: none.yaml: No such file or directory; `peerwatch init -f none.yaml` writes one\n",
        ),
        (
            ["up", "-f", "none.yaml"],
            "peerwatch: none.yaml: No such file or directory; `peerwatch init -f none.yaml` writes one\n",
        ),
        (
            ["up", "--for", "30 parsecs"],
            "peerwatch: --for 30 parsecs: unknown unit; write a number with a unit: 30s, 5m, 4h or 7d\n",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(tmp_path: Path, arguments: list[str], error: str) -> None:
    result = peerwatch(*arguments, folder=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", error)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
@pytest.mark.parametrize("arguments", ["--help", "rules prometheus"])
def test_output_that_a_full_disk_refuses_is_one_line(tmp_path: Path, arguments: str) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "fleet", *arguments.split()],
            cwd=tmp_path,
            env=environment_of(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=360,
            check=False,
        )
    said = "peerwatch: cannot write the output: No space left on device; free space where it goes to\n"
    assert (result.returncode, result.stderr) == (1, said)


def test_closed_outputs_end_no_command(tmp_path: Path) -> None:
    """As a service manager may start it; the doctor asks each of them whether it is a terminal."""
    command = [
        "sh",
        "-c",
        f"{sys.executable} -m fleet doctor --time-server 127.0.0.1:9 <&- >&- 2>seen; echo ended >>seen",
    ]
    subprocess.run(command, cwd=tmp_path, env=environment_of(tmp_path), timeout=360, check=True)
    assert (tmp_path / "seen").read_text() == "ended\n"


def test_the_version_is_printed(tmp_path: Path) -> None:
    result = peerwatch("--version", folder=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"{VERSION}\n")


def test_the_file_that_init_writes_passes_check_and_is_not_overwritten(tmp_path: Path) -> None:
    assert peerwatch("init", "--peers", "3", folder=tmp_path).returncode == 0
    path = tmp_path / "peerwatch.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    give_free_ports(path, 3)
    result = peerwatch("check", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("peerwatch.yaml: OK: 3 peers")
    again = peerwatch("init", folder=tmp_path)
    assert again.returncode == 2
    assert again.stderr == "peerwatch: peerwatch.yaml exists; use --force to overwrite it, or -f for another file\n"


def test_init_sizes_the_file_for_the_model(tmp_path: Path) -> None:
    result = peerwatch("init", "--model", "Qwen/Qwen2.5-7B", "-o", "big.yaml", folder=tmp_path)
    text = (tmp_path / "big.yaml").read_text()

    assert result.returncode == 0
    assert "model: Qwen/Qwen2.5-7B" in text
    assert "# A peer needs " in text
    unknown = peerwatch("init", "--model", "./none", "-o", "none.yaml", folder=tmp_path)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr.endswith("give the model's size, like --parameters 0.5B\n")


def test_check_and_up_show_the_same_errors(tmp_path: Path) -> None:
    (tmp_path / "peerwatch.yaml").write_text("fleet: a\npeerz: 1\nmemory_limit: 4\n" + ports_text())
    expected = (
        "peerwatch.yaml:2: peerz: unknown key; did you mean peers?\n"
        "peerwatch.yaml:3: memory_limit: 4 is not a size; write it like 4GiB, 512MiB or 4GB\n"
    )
    for command in ("check", "up"):
        result = peerwatch(command, folder=tmp_path)
        assert (result.returncode, result.stdout, result.stderr) == (2, "", expected)


def test_up_starts_nothing_on_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = f"fleet: a\nstate_dir: state\n{ports_text()}peers:\n  - name: x\n    sidecar_port: {port}\n"
        (tmp_path / "peerwatch.yaml").write_text(text)
        result = peerwatch("up", folder=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"peers[0].sidecar_port: port {port} of the sidecar of x is in use by " in result.stderr
    assert not (tmp_path / "state" / "supervisord.conf").exists()


def test_status_of_a_fleet_that_is_not_running_is_one_line_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "peerwatch.yaml").write_text("fleet: a\nstate_dir: state\n")
    result = peerwatch("status", folder=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"peerwatch: fleet a is not running (state folder {tmp_path}/state)\n"


def test_up_says_how_to_get_the_prometheus_that_is_not_there(tmp_path: Path) -> None:
    result = peerwatch("up", "--with-prometheus", folder=tmp_path, PATH=str(tmp_path))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("peerwatch: --with-prometheus: prometheus is not on PATH; install it (apt ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["-f", "-o", "--file", "--output"])
def test_init_takes_the_file_as_the_other_commands_do(tmp_path: Path, option: str) -> None:
    assert peerwatch("init", "--peers", "1", option, "a.yaml", folder=tmp_path).returncode == 0
    assert (tmp_path / "a.yaml").exists()


def test_check_answers_at_once_to_a_file_of_any_size(tmp_path: Path) -> None:
    with (tmp_path / "peerwatch.yaml").open("wb") as file:
        file.write(b"fleet: a\n" + b"x: [1, 2, 3]\n" * 1000)
        file.truncate(50 * 2**20)
    result = peerwatch("check", folder=tmp_path)
    assert result.returncode == 2
    assert result.stderr == "peerwatch.yaml:1: larger than 512 KiB; a configuration is a few lines per peer\n"


def test_check_takes_a_state_folder(tmp_path: Path) -> None:
    (tmp_path / "peerwatch.yaml").write_text(
        f"fleet: a\n{ports_text(1)}alerts: {{routes: [{{name: a, url: 'json://${{X}}'}}]}}\n"
    )
    environment = tmp_path / "s" / "services" / "alerts.env"
    environment.parent.mkdir(parents=True)
    environment.write_bytes("\ufeffexport X='127.0.0.1'\r\n".encode())
    assert peerwatch("check", "--state-dir", "s", folder=tmp_path).returncode == 0
    assert "X is not set" in peerwatch("check", "--state-dir", "t", folder=tmp_path).stderr
    environment.write_text("X: hunter2\n")
    result = peerwatch("check", "--state-dir", "s", folder=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "alerts.env: line 1 is not NAME=value" in result.stderr
    assert "hunter" not in result.stderr
