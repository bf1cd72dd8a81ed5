"""`peerwatch check` reports whatever prevents the alert loop from starting."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from fleet.configuration.checks import Machine, check, find_start_problems
from fleet.configuration.load import Loaded, load_text
from fleet.processes.files import configurations
from fleet.state_folder import StateFolder
from tests.certificates import write_certificate

TEXT = "fleet: a\nalerts:\n  login: {password: 'file:page.secret'}\n  tls: {certificate: page.pem, key: page.key}\n"


@pytest.fixture
def problems(load: Callable[[str], Loaded], tmp_path: Path) -> Callable[[], list[str]]:
    def find() -> list[str]:
        return [problem.message for problem in find_start_problems(load(TEXT))]

    (tmp_path / "page.secret").write_text("open sesame\n")
    (tmp_path / "page.secret").chmod(0o600)
    write_certificate(tmp_path)
    return find


def test_matching_files_are_no_problem(problems: Callable[[], list[str]]) -> None:
    assert problems() == []


def test_a_missing_password_is_reported(problems: Callable[[], list[str]], tmp_path: Path) -> None:
    (tmp_path / "page.secret").unlink()
    assert [text for text in problems() if "page.secret: No such file" in text]


def test_a_key_of_another_certificate_is_reported(problems: Callable[[], list[str]], tmp_path: Path) -> None:
    write_certificate(tmp_path / "other")[1].replace(tmp_path / "page.key")
    assert [text for text in problems() if "the key does not match the certificate" in text]


def test_secrets_that_others_can_read_are_reported(problems: Callable[[], list[str]], tmp_path: Path) -> None:
    for name in ("page.secret", "page.key"):
        (tmp_path / name).chmod(0o644)
    found = problems()
    assert len(found) == 2
    assert all("run `chmod 600` on it" in text for text in found)
    assert not any("sesame" in text for text in found)


TOKEN = "1234567890:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"

# Sections `alerts` of a fleet's file, and whether the alert loop starts with them.
SECTIONS = {
    "nothing": ("{}", True),
    "a webhook": ("routes: [{name: hook, url: 'json://127.0.0.1:9'}]", True),
    "a reference": ("routes: [{name: hook, url: 'json://127.0.0.1:9/${SOME_TOKEN}'}]", True),
    "a file": ("routes: [{name: hook, url: 'file:hook.url'}]", True),
    "a chat with commands": (f"routes: [{{name: phone, url: 'tgram://{TOKEN}/4242', commands: true}}]", True),
    "a dead-man ping": ("deadman: {url: 'https://127.0.0.1:9/ping'}", True),
    "a login": ("login: {password: '${SOME_TOKEN}'}", True),
    "a certificate": ("tls: {certificate: page.pem, key: page.key}", True),
    "durations": ("{interval: 30s, timeout: 2s, reminder: 1h}", True),
    "templates": ("templates: templates", True),
    "a service that apprise does not know": ("routes: [{name: hook, url: 'nosuch://x'}]", False),
    "no URL": ("routes: [{name: hook, url: 'hello'}]", False),
    "an unset variable": ("routes: [{name: hook, url: 'json://${NOT_SET_ANYWHERE}'}]", False),
    "a missing file": ("routes: [{name: hook, url: 'file:absent.url'}]", False),
    "an empty file": ("routes: [{name: hook, url: 'file:empty.url'}]", False),
    "commands in a channel": (f"routes: [{{name: phone, url: 'tgram://{TOKEN}/@name', commands: true}}]", False),
    "commands without a chat": (f"routes: [{{name: phone, url: 'tgram://{TOKEN}', commands: true}}]", False),
    "commands by webhook": ("routes: [{name: hook, url: 'json://127.0.0.1:9', commands: true}]", False),
    "a duplicate route name": ("routes: [{name: a, url: 'json://h'}, {name: a, url: 'json://i'}]", False),
    "a ping by mail": ("deadman: {url: 'mailto://a:b@example.org'}", False),
    "a ping to nowhere": ("deadman: {url: ''}", False),
    "a ping to an address with a gap": ("deadman: {url: 'https://127.0.0.1 :9/ping'}", False),
    "a ping with a line's end": ('deadman: {url: "https://127.0.0.1:9/ping\\n"}', True),
    "a ping to an invalid URL": ("deadman: {url: 'https://[x'}", False),
    "an unresolved ping URL": ("deadman: {url: '${NOT_SET_ANYWHERE}'}", False),
    "an empty password": ("login: {password: ''}", False),
    "a missing password": ("login: {password: 'file:absent.secret'}", False),
    "a missing certificate": ("tls: {certificate: absent.pem, key: page.key}", False),
    "an invalid certificate": ("tls: {certificate: hook.url, key: page.key}", False),
    "missing templates": ("templates: absent", False),
    "seconds without a unit": ("interval: 15", False),
    "an unknown rule": ("rules: {PeerStaled: {severity: info}}", False),
    "a restart that cannot help": ("rules: {PeerDown: {restart: true}}", False),
    "a disabled watchdog": ("routes: [{name: hook, url: 'json://h', watchdog: 5m}]", False),
    "a standby": ("standby_of: {url: 'https://first:8750', token_file: standby.token}", True),
    "a standby without a token": ("standby_of: {url: 'https://first:8750', token_file: absent.token}", False),
    "a standby with a password as token": ("standby_of: {url: 'https://first:8750', token_file: page.pem}", False),
    "a standby without TLS": ("standby_of: {url: 'http://first:8750', token_file: standby.token}", False),
    "a standby of a page": ("standby_of: {url: 'https://first:8750/alerts', token_file: standby.token}", False),
    "an unknown language": ("language: tlh", False),
}


# Runs the alert loop with one file after the other and prints its exit statuses.
START_ALL = """
import json, sys
from alerts.__main__ import main

statuses = []
for number in range(int(sys.argv[1])):
    sys.argv[1:] = ["--config", f"{number}.yaml"]
    statuses.append(main())
print(json.dumps(statuses))
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the files that the sections name."""
    monkeypatch.setenv("SOME_TOKEN", "s3cret-of-the-test")
    monkeypatch.chdir(tmp_path)
    write_certificate(tmp_path)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "title.txt").write_text("{{ title }}")
    for name, text in {"hook.url": "json://127.0.0.1:9", "empty.url": "\n", "standby.token": "t" * 43}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def _accepted_by_check(section: str, folder: Path) -> tuple[bool, str]:
    text = yaml.safe_dump({"fleet": "a", "alerts": yaml.safe_load(section)})
    loaded = load_text(text, "peerwatch.yaml", folder, folder / "state")
    loaded.add(find_start_problems(loaded))
    return loaded.is_usable, "\n".join(loaded.lines())


def test_check_accepts_what_the_alert_loop_starts_with_and_nothing_else(files: Path) -> None:
    # A loop with a valid file exits with 1, not 2: its port is in use.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        own = {"fleet": "a", "state_dir": str(files / "loop"), "listen": address}
        for number, (section, _) in enumerate(SECTIONS.values()):
            (files / f"{number}.yaml").write_text(yaml.safe_dump({**yaml.safe_load(section), **own}))
        command = [sys.executable, "-c", START_ALL, str(len(SECTIONS))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    statuses = json.loads(done.stdout)
    assert set(statuses) == {1, 2}, done.stderr
    loops = {name: status == 1 for name, status in zip(SECTIONS, statuses, strict=True)}
    checks = {name: _accepted_by_check(section, files) for name, (section, _) in SECTIONS.items()}
    expected = {name: may_start for name, (_, may_start) in SECTIONS.items()}
    assert loops == expected, done.stderr
    assert {name: accepted for name, (accepted, _) in checks.items()} == expected, checks
    said = done.stderr + "".join(text for _, text in checks.values())
    assert "s3cret" not in said
    assert TOKEN.partition(":")[2] not in said


def test_a_channel_that_cannot_send_commands_is_reported_at_its_line(files: Path) -> None:
    _, lines = _accepted_by_check(SECTIONS["commands in a channel"][0], files)
    assert "alerts.routes[0].url: route phone: `commands` needs the chats' numbers in the URL" in lines


def test_a_route_is_written_for_the_loop_as_in_the_file(files: Path) -> None:
    text = "fleet: a\nalerts:\n  routes: [{name: hook, url: 'file:hook.url'}, {name: b, url: 'json://${SOME_TOKEN}'}]\n"
    composition = load_text(text, "peerwatch.yaml", files, files / "state").composition
    assert composition.alerts is not None
    written = yaml.safe_load(configurations(composition, StateFolder(files / "state"))["alerts"][1])
    assert [route["url"] for route in written["routes"]] == [f"file:{files / 'hook.url'}", "json://${SOME_TOKEN}"]
    assert "hook.url" not in repr(composition.alerts)


# Where a file is expected, and the place of `check`'s line about it.
PLACES = {
    "alerts: {routes: [{name: hook, url: 'file:pipe'}]}": "alerts.routes[0].url",
    "alerts: {login: {password: 'file:pipe'}}": "alerts.login.password",
    "alerts: {tls: {certificate: pipe, key: pipe}}": "alerts.tls",
    "alerts: {tls: {certificate: page.pem, key: pipe}}": "alerts.tls",
    "alerts: {standby_of: {url: 'https://first:8750', token_file: pipe}}": "alerts.standby_of.token_file",
    "watch: [{name: b, url: 'https://b:1', certificate: pipe}]": "watch[0].certificate",
    "push: {watcher: 'https://b:1', login: pipe}": "push.login",
    "trainer: {rewards: ['pipe.py:score']}": "trainer.rewards",
    "trainer: {task: pipe.jsonl}": "trainer.task",
    "trainer: {model: ./model}": "trainer.model",
}


@pytest.mark.parametrize("section", PLACES)
def test_a_pipe_in_a_files_place_is_told_and_not_waited_for(files: Path, section: str) -> None:
    (files / "model").mkdir()
    for name in ("pipe", "pipe.py", "pipe.jsonl", "model/config.json"):
        os.mkfifo(files / name)
    loaded = load_text(f"fleet: a\nstate_dir: state\n{section}\n", "peerwatch.yaml", files)
    check(loaded, Machine(2**34, 2), is_running=True)
    assert [line for line in loaded.lines() if line.startswith(f"peerwatch.yaml:3: {PLACES[section]}: ")]


def test_a_secret_may_come_from_a_shells_pipe(files: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"json://127.0.0.1:9\n")
    os.close(writing)
    accepted, text = _accepted_by_check(f"routes: [{{name: hook, url: 'file:/dev/fd/{reading}'}}]", files)
    os.close(reading)
    assert accepted, text
