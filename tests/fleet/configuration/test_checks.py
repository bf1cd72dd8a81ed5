"""Every error of a configuration is reported at once, with its line, its path and a remedy."""

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.configuration.checks import check
from fleet.configuration.load import Loaded, load_text
from tests.fleet.conftest import MACHINE, ports_text

LinesOf = Callable[[str], list[str]]

NOT_ON_A_MAC = pytest.mark.skipif(sys.platform == "darwin", reason="Linux's own folders")
MISTAKES = {
    "a task that is no text, with options": (
        "fleet: a\ntrainer: {task: [x], task_options: {seed: 1}}\n",
        "2: trainer.task: Input should be a valid string",
    ),
    "unknown key": ("fleet: a\npeerz: 2\n", "2: peerz: unknown key; did you mean peers?"),
    "unknown key of the trainer": (
        "fleet: a\ntrainer:\n  modle: x\n",
        "3: trainer.modle: unknown key; did you mean model?",
    ),
    "unknown key of a peer": (
        "fleet: a\npeers:\n  - name: x\n    sidecar_prt: 1\n",
        "4: peers[0].sidecar_prt: unknown key; did you mean sidecar_port?",
    ),
    "unknown key of a nested section": (
        "fleet: a\ntrainer:\n  stall:\n    floor: 3\n",
        "4: trainer.stall.floor: unknown key; did you mean floor_seconds?",
    ),
    "unknown key of the alerts": (
        "fleet: a\nalerts: {intervall: 1s}\n",
        "2: alerts.intervall: unknown key; did you mean interval?",
    ),
    "unknown key of the leaderboard": (
        "fleet: a\nleaderboard: {max_peer: 1}\n",
        "2: leaderboard.max_peer: unknown key; did you mean max_peers?",
    ),
    "unknown rule": (
        "fleet: a\nalerts:\n  rules:\n    PeerStaled: {}\n",
        "4: alerts.rules.PeerStaled: unknown key; did you mean PeerStalled?",
    ),
    "unknown GRPO field": (
        "fleet: a\ntrainer:\n  grpo:\n    beta: 0\n    learning_rat: 1\n",
        "5: trainer.grpo.learning_rat: unknown field of trl.GRPOConfig; did you mean learning_rate?",
    ),
    "key of the fleet in the trainer": (
        "fleet: a\ntrainer: {run_dir: /x}\n",
        "2: trainer.run_dir: set by Peerwatch; remove it",
    ),
    "wrong type": (
        "fleet: a\ntrainer:\n  steps_per_stage: many\n",
        "3: trainer.steps_per_stage: should be a valid integer, not 'many'",
    ),
    "wrong type at a peer": (
        "fleet: a\npeers:\n  - {name: x}\n  - name: y\n    steps_per_stage: []\n",
        "5: peers[1].steps_per_stage: Input should be a valid integer",
    ),
    "wrong unit of size": (
        "fleet: a\nmemory_limit: 4 Gigs\n",
        "2: memory_limit: '4 Gigs' is not a size; write it like 4GiB, 512MiB or 4GB",
    ),
    "size without unit": (
        "fleet: a\nmemory_limit: 4\n",
        "2: memory_limit: 4 is not a size; write it like 4GiB, 512MiB or 4GB",
    ),
    "wrong unit of time": (
        "fleet: a\nalerts:\n  interval: 30 parsecs\n",
        "3: alerts.interval: unknown unit; write a number with a unit: 30s, 5m, 4h or 7d",
    ),
    "wrong unit of time in a rule": (
        "fleet: a\nalerts:\n  rules:\n    PeerDown: {for: 2x}\n",
        "4: alerts.rules.PeerDown.for: unknown unit; write a number with a unit: 30s, 5m, 4h or 7d",
    ),
    "bad name": (
        "fleet: a\npeers:\n  - name: ../x\n",
        "3: peers[0].name: '../x' is not a valid name; use 1 to 64 of the characters A-Z a-z 0-9 . _ -",
    ),
    "missing name": ("peers: 1\n", "1: fleet: missing"),
    "names that differ in case only": (
        "fleet: a\npeers:\n  - name: x\n  - name: X\n",
        "4: peers[1].name: duplicate peer name X; names must differ in more than case",
    ),
    "no peers": ("fleet: a\npeers: 0\n", "2: peers: no peers, and no machines in `watch`; set one of them"),
    "bad address": (
        "fleet: a\nhost: here\n",
        "2: host: 'here' is not an IPv4 address; use 127.0.0.1 for this machine only, 0.0.0.0 for the network",
    ),
    "bad initial peer": (
        "fleet: a\nswarm:\n  initial_peers:\n    - 1.2.3.4\n",
        "4: swarm.initial_peers[0]: '1.2.3.4' is not a multiaddr, such as /ip4/192.0.2.7/tcp/38331/p2p/Qm…",
    ),
    "key given twice": (
        "fleet: a\npeers: 1\nfleet: b\n",
        "3: fleet: duplicate key, first in line 1; remove one",
    ),
    "port above the last": (
        "fleet: a\npeers: 2\nports:\n  sidecar: 65535\n",
        "4: ports.sidecar: port 65536 of the sidecar of a-1 is above 65535; choose a lower one",
    ),
    "unset variable": (
        "fleet: a\nalerts:\n  routes:\n    - name: phone\n      url: tgram://${PEERWATCH_UNSET}/1\n",
        "5: alerts.routes[0].url: route phone: environment variable PEERWATCH_UNSET is not set",
    ),
    "no apprise URL": (
        "fleet: a\nalerts:\n  routes: [{name: phone, url: 'nonsense://secret-token'}]\n",
        "3: alerts.routes[0].url: route phone: apprise does not understand its URL; see https://appriseit.com/services/",
    ),
    "commands by mail": (
        "fleet: a\nalerts:\n  routes: [{name: mail, url: 'mailto://u:p@example.org', commands: true}]\n",
        "3: alerts.routes[0].url: route mail: only a tgram:// URL takes `commands`",
    ),
    "limit above the machine": (
        "fleet: a\nmemory_limit: 20GiB\n",
        "2: memory_limit: 20.0 GiB per peer; this machine has 16.0 GiB; set a lower limit",
    ),
    "limit below any trainer": (
        "fleet: a\nmemory_limit: 1B\n",
        "2: memory_limit: no trainer starts with less than 32 MiB; set a higher limit",
    ),
    "peers as a mapping": (
        "fleet: a\npeers: {count: 2}\n",
        "2: peers: should be a number of peers, or a list of them",
    ),
    "limits above the machine": (
        "fleet: a\npeers: 3\nmemory_limit: 6GiB\n",
        "3: memory_limit: 3 peers with 18.0 GiB in total; this machine has 16.0 GiB; set fewer peers or a lower limit",
    ),
    "limit of one peer above the machine": (
        "fleet: a\nmemory_limit: 1GiB\npeers:\n  - name: x\n    memory_limit: 99GiB\n",
        "5: peers[0].memory_limit: 99.0 GiB per peer; this machine has 16.0 GiB; set a lower limit",
    ),
    "unknown task": (
        "fleet: a\ntrainer: {task: basic_arithmetics}\n",
        "2: trainer.task: unknown reasoning-gym dataset basic_arithmetics; did you mean basic_arithmetic?",
    ),
    "unknown option of a task": (
        "fleet: a\ntrainer:\n  task: chain_sum\n  task_options:\n    min_term: 2\n",
        "5: trainer.task_options.min_term: unknown option of chain_sum; did you mean min_terms?",
    ),
    "unknown reward": (
        "fleet: a\ntrainer:\n  rewards: [nope]\n",
        "3: trainer.rewards[0]: unknown reward 'nope': neither built in (answer_form, correctness) "
        "nor path/to/file.py:function",
    ),
    "typographic quotes": (
        "fleet: a\ntrainer: {model: “tiny”}\n",
        "2: trainer.model: begins with a typographic quote, which would be part of the value; write \" or '",
    ),
    "a variable where none is replaced": (
        "fleet: a\nstate_dir: ${HOME}/x\n",
        "2: state_dir: ${…} is replaced in the URLs and the password of `alerts` only; write the value",
    ),
    "a number that is none": (
        "fleet: a\nalerts: {history: {days: .inf}}\n",
        "2: alerts.history.days: not a finite number; write one",
    ),
    "a huge size": (
        "fleet: a\nmemory_limit: " + "9" * 400 + "GiB\n",
        "2: memory_limit: is larger than 1 EiB; write it like 4GiB",
    ),
    "bad address to announce": (
        "fleet: a\npeers:\n  - announce: [/ip4/1.2.3/tcp/5]\n",
        "3: peers[0].announce[0]: '/ip4/1.2.3/tcp/5': '1.2.3' is no IPv4 address, "
        "such as /ip4/192.0.2.7/tcp/38331/p2p/Qm…",
    ),
    "bad host name": (
        "fleet: a\nalerts: {allowed_hosts: ['https://a.example:8750']}\n",
        "2: alerts.allowed_hosts[0]: must be a host's name or address alone, without scheme and port",
    ),
    "value for GRPO": (
        "fleet: a\npeers:\n  - name: x\n    grpo: {learning_rate: fast}\n",
        "4: peers[0].grpo.learning_rate: should be a number, not 'fast'",
    ),
    "values for GRPO that do not go together": (
        "fleet: a\ntrainer: {grpo: {num_generations: 4}}\npeers:\n  - grpo: {generation_batch_size: 6}\n",
        "4: peers[0].grpo.generation_batch_size: should be a multiple of per_device_train_batch_size (4), not 6",
    ),
    "choice of several": (
        "fleet: a\ntrainer: {device: gpu}\n",
        "2: trainer.device: should be 'auto', 'cpu', 'cuda' or 'mps', not 'gpu'",
    ),
    "decimal comma, which begins another key": (
        "fleet: a\ntrainer: {grpo: {learning_rate: 1,5}}\n",
        "2: trainer.grpo.5: unknown field of trl.GRPOConfig",
    ),
    "key that YAML 1.1 takes for true": ("fleet: a\non: 1\n", "2: on: unknown key"),
    "home of an unknown user": (
        "fleet: a\nstate_dir: ~nobody-here/x\n",
        "2: state_dir: this machine knows no home folder ~nobody-here; write the whole path",
    ),
    "home of an unknown user in a secret's file": (
        "fleet: a\nalerts: {routes: [{name: r, url: 'file:~nobody-here/x'}]}\n",
        "2: alerts.routes[0].url: this machine knows no home folder ~nobody-here; write the whole path",
    ),
    "NUL in a path": (
        'fleet: a\nalerts: {routes: [{name: r, url: "file:a\\0b"}]}\n',
        "2: alerts.routes[0].url: has a NUL or half a character (\\0, \\ud800); remove it",
    ),
    "half a character in a path": (
        'fleet: a\nstate_dir: "\\ud800"\n',
        "2: state_dir: has a NUL or half a character (\\0, \\ud800); remove it",
    ),
    "model with a name that no folder has": (
        f"fleet: a\ntrainer: {{model: /{'x' * 300}}}\n",
        f"2: trainer.model: no folder /{'x' * 300}; set an existing folder or a Hugging Face id",
    ),
    "option of a table": (
        "fleet: a\ntrainer: {task: openai/gsm8k, task_options: {splitt: train}}\n",
        "2: trainer.task_options.splitt: unknown option of a dataset; did you mean split?",
    ),
    "missing folder of a command": (
        "fleet: a\npeers: [{name: x, kind: command, command: ls, folder: /nosuch}]\n",
        "2: peers[0].folder: no folder /nosuch; name an existing one",
    ),
    "program that is not there": (
        "fleet: a\npeers: [{name: x, kind: command, command: ./nosuch --a, folder: /}]\n",
        "2: peers[0].command: no program /nosuch; name an existing one",
    ),
    "program that is nowhere": (
        "fleet: a\npeers: [{name: x, kind: command, command: no-such-program}]\n",
        "2: peers[0].command: no program 'no-such-program' on PATH; write its whole path, or set PATH in `environment`",
    ),
    "program on another PATH": (
        "fleet: a\npeers: [{name: x, kind: command, command: ls, environment: {PATH: /nosuch}}]\n",
        "2: peers[0].command: no program 'ls' on PATH; write its whole path, or set PATH in `environment`",
    ),
    "program that is a folder": (
        "fleet: a\npeers: [{name: x, kind: command, command: [/usr]}]\n",
        "2: peers[0].command: /usr is a folder; name a program",
    ),
    "program that may not be run": (
        "fleet: a\npeers: [{name: x, kind: command, command: /etc/passwd}]\n",
        "2: peers[0].command: /etc/passwd is not executable; run `chmod +x` on it, or write its interpreter before it",
    ),
    "value of a command's variable": (
        "fleet: a\npeers: [{name: x, kind: command, command: ls, environment: {A: 0, B: yes}}]\n",
        "2: peers[0].environment.B: should be a valid string, not True",
    ),
    "syntax": (
        "fleet: a\npeers: [1\n",
        "3: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_an_error_is_one_line_with_its_location_and_remedy(lines_of: LinesOf, name: str) -> None:
    text, expected = MISTAKES[name]
    assert lines_of(text) == [f"peerwatch.yaml:{expected}"]


def test_all_errors_are_reported_at_once_in_the_order_of_the_file(lines_of: LinesOf) -> None:
    text = """\
fleet: a b
memory_limit: 4 Gigs
trainer: {modle: tiny, task: nope}
peers:
  - name: x
    grpo: {learning_rat: 1}
  - name: X
alerts:
  routes: [{name: phone, url: "${PEERWATCH_UNSET}"}]
  rules: {PeerStaled: {}}
"""
    places = [line.split(": ")[0] + " " + line.split(": ")[1] for line in lines_of(text)]
    assert places == [
        "peerwatch.yaml:1 fleet",
        "peerwatch.yaml:2 memory_limit",
        "peerwatch.yaml:3 trainer.modle",
        "peerwatch.yaml:3 trainer.task",
        "peerwatch.yaml:6 peers[0].grpo.learning_rat",
        "peerwatch.yaml:7 peers[1].name",
        "peerwatch.yaml:9 alerts.routes[0].url",
        "peerwatch.yaml:10 alerts.rules.PeerStaled",
    ]


def test_no_message_repeats_a_secret(lines_of: LinesOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    routes = ("{name: a, url: 'bad://${TOKEN}'}", "{name: b, url: [hunter2]}", "{nam: c, url: 'x://hunter2'}")
    text = "fleet: a\nalerts:\n  routes:\n" + "".join(f"    - {route}\n" for route in routes)
    lines = lines_of(text)
    assert len(lines) >= 3
    assert "hunter2" not in "".join(lines)


def test_a_duplicate_port_is_reported_at_the_key_of_the_peer(lines_of: LinesOf) -> None:
    text = "fleet: a\nports:\n  leaderboard: 18700\npeers:\n  - name: x\n    sidecar_port: 18700\n"
    assert lines_of(text) == [
        "peerwatch.yaml:6: peers[0].sidecar_port: "
        "port 18700 is set for the leaderboard and the sidecar of x; change one"
    ]


def test_a_port_in_use_names_its_process_and_is_no_error_while_the_fleet_runs(
    load: Callable[[str], Loaded], lines_of: LinesOf
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = f"fleet: a\n{ports_text()}peers:\n  - name: x\n    sidecar_port: {port}\n"
        (line,) = lines_of(text)
        assert line.startswith(
            f"peerwatch.yaml:5: peers[0].sidecar_port: port {port} of the sidecar of x is in use by "
        )
        assert f"(pid {os.getpid()})" in line
        loaded = load(text)
        check(loaded, MACHINE, is_running=True)
        assert loaded.lines() == []


def test_a_port_that_only_a_connection_holds_is_no_error(lines_of: LinesOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as held:
        port = held.getsockname()[1]
        assert lines_of(f"fleet: a\n{ports_text()}peers:\n  - name: x\n    trainer_port: {port}\n") == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has 127.0.0.2 without being asked")
def test_a_port_is_in_use_at_whatever_address_it_is_listened_on(lines_of: LinesOf) -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        text = f"fleet: a\n{ports_text()}swarm: {{host: 0.0.0.0}}\npeers:\n  - name: x\n    trainer_port: {port}\n"
        (line,) = lines_of(text)
        assert f"port {port} of the trainer of x is in use by " in line


def test_secret_files_are_resolved_against_the_configurations_folder(lines_of: LinesOf, tmp_path: Path) -> None:
    secret = tmp_path / "mail.url"
    text = "fleet: a\nalerts:\n  routes:\n    - {name: mail, url: 'file:mail.url'}\n"
    place = "peerwatch.yaml:4: alerts.routes[0].url: route mail:"
    where = "peerwatch.yaml:4: warning: alerts.routes[0].url:"
    assert lines_of(text) == [f"{place} file:{secret}: No such file or directory"]
    secret.touch(mode=0o600)
    assert lines_of(text) == [f"{place} file:{secret}: the file is empty"]
    secret.write_text("json://127.0.0.1:1/\n")
    assert lines_of(text) == []
    secret.chmod(0o644)
    assert lines_of(text) == [f"{where} other users can read {secret}; run `chmod 600` on it"]


def test_files_of_rewards_and_models_must_exist(lines_of: LinesOf, tmp_path: Path) -> None:
    text = "fleet: a\ntrainer:\n  model: ./model\n  rewards: [reward.py:score]\n"
    assert lines_of(text) == [
        f"peerwatch.yaml:3: trainer.model: no folder {tmp_path}/model; set an existing folder or a Hugging Face id",
        f"peerwatch.yaml:4: trainer.rewards: cannot read {tmp_path}/reward.py; check its path and permissions",
    ]
    (tmp_path / "model").mkdir()
    (tmp_path / "reward.py").write_text("def scores(completions, **_):\n    return [0.0]\n")
    assert lines_of(text) == [
        f"peerwatch.yaml:3: trainer.model: {tmp_path}/model has no config.json; "
        "set a folder that a model and its tokenizer were saved to",
        f"peerwatch.yaml:4: trainer.rewards: {tmp_path}/reward.py has no function score; did you mean scores?",
    ]
    (tmp_path / "reward.py").write_text("def score(:\n")
    text = text.replace("  model: ./model\n", "\n")
    assert lines_of(text) == [
        f"peerwatch.yaml:4: trainer.rewards: {tmp_path}/reward.py:1: invalid syntax; trainers cannot import it"
    ]
    (tmp_path / "reward.py").write_text("from somewhere import other as score\n")
    assert lines_of(text) == []


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("/dev/null", "/dev/null is no folder"),
        ("/dev/null/x", "/dev/null is no folder"),
        ("/tmp", "/tmp can be written to by other users"),
        pytest.param("/proc/x", "cannot write to /proc", marks=NOT_ON_A_MAC),
        pytest.param("/sys/x", "cannot write to /sys", marks=NOT_ON_A_MAC),
        (f"/tmp/{'x' * 300}", f"/tmp/{'x' * 300}: File name too long"),
    ],
)
def test_a_state_folder_can_be_made(tmp_path: Path, folder: str, words: str) -> None:
    loaded = load_text(f"fleet: a\nstate_dir: {folder}\n", "peerwatch.yaml", tmp_path)
    check(loaded, MACHINE, is_running=True)
    assert loaded.lines() == [f"peerwatch.yaml:2: state_dir: {words}; set another `state_dir`"]


def test_the_file_of_a_task_must_have_questions(lines_of: LinesOf, tmp_path: Path) -> None:
    text = "fleet: a\ntrainer: {task: questions.jsonl}\n"
    path = tmp_path / "questions.jsonl"
    place = "peerwatch.yaml:2: trainer.task:"
    assert lines_of(text) == [
        f"{place} cannot read {path}: No such file or directory; name a file or a dataset of the hub"
    ]
    (path / "more").mkdir(parents=True)
    (path / "more" / "notes.xyz").write_text("1+1")
    without = f"{place} {path} has no file of questions and answers, such as data.jsonl; name another"
    assert lines_of(text) == [without]
    (path / "more" / "data.JSONL.gz").touch()
    assert lines_of(text) == []
    shutil.rmtree(path)
    path.touch()
    assert lines_of(text) == [f"{place} {path} is empty; write questions and answers into it"]
    path.write_text('{"question": "a"')
    assert lines_of(text) == [f'{place} {path}:1: is no JSON object; write {{"question": …, "answer": …}} on each line']
    path.write_text('{"question": "1+1", "answer": "2"}\n')
    assert lines_of(text) == []
    (tmp_path / "questions.parquet").write_text("question,answer\n")
    text = "fleet: a\ntrainer: {task: questions.parquet}\n"
    assert lines_of(text) == [f"{place} {tmp_path / 'questions.parquet'} is no Parquet file; name another"]


GOOD = {
    "a number for a command's variable": (
        "fleet: a\npeers: [{name: x, kind: command, command: ls, environment: {CUDA_VISIBLE_DEVICES: 0}}]\n"
    ),
    "words to find a process by": "fleet: a\npeers: [{name: x, kind: attached, find: {command: ~bob}}]\n",
    "empty sections": "fleet: a\ntrainer:\nalerts:\nleaderboard:\npeers:\nports:\nrestart:\nswarm:\n",
    "empty sections in sections": (
        "fleet: a\ntrainer: {grpo: , stall: }\nalerts: {routes: , rules: {PeerDown: }, grouping: }\n"
        "swarm: {initial_peers: }\npeers:\n  - {name: x, grpo: }\n"
    ),
    "anchors under a key of their own": "x-common: &c {task: chain_sum}\nfleet: a\npeers:\n  - {<<: *c, name: x}\n",
    "an overridden merged key": (
        "fleet: a\npeers:\n  - &x {name: x, memory_limit: 1GiB}\n  - &y {<<: *x, name: y}\n"
        "  - {<<: [*x, *y], name: z}\n"
    ),
    "a byte order mark and Windows line ends": "\ufefffleet: a\r\npeers: 1\r\n",
    "numbers as people write them": (
        "fleet: a\ntrainer: {grpo: {learning_rate: 1e-6, beta: '1e-3'}, steps_per_stage: 2e1}\n"
    ),
    "times of day": (
        "fleet: a\nalerts:\n  digest: 8:00\n  routes: [{name: a, url: 'json://h', quiet: {from: 22:30, to: 7:00}}]\n"
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_file_as_people_write_it_is_good(lines_of: LinesOf, name: str) -> None:
    assert lines_of(GOOD[name]) == []


def test_an_empty_section_of_a_peer_keeps_what_is_set_for_all(load: Callable[[str], Loaded]) -> None:
    loaded = load("fleet: a\ntrainer: {grpo: {learning_rate: 1e-6}}\npeers:\n  - {name: x, grpo: }\n")
    assert loaded.composition.trainers["x"].grpo == {"learning_rate": 1e-6}


def test_what_a_model_is_loaded_with_is_judged_for_each_peers_model(lines_of: LinesOf) -> None:
    """At the line that sets it, also where a peer's own section sets something else."""
    text = """
fleet: a
trainer:
  device: cpu
  lora: {target_modules: [c_attn]}
  grpo:
    model_init_kwargs: '{"attn_implementation": "flex_attention"}'
peers:
  - {}
  - model: a/b
    grpo: {beta: 0.1}
  - model: a/c
    grpo: {model_init_kwargs: {attn_implementation: flex_attention}}
"""
    adapters, attention, own = lines_of(text)
    assert adapters.startswith("peerwatch.yaml:5: trainer.lora.target_modules: qwen2 has none of c_attn; it has ")
    assert "lm_head" not in adapters
    assert attention.startswith("peerwatch.yaml:7: trainer.grpo.model_init_kwargs: attn_implementation: flex_attention")
    assert own.startswith("peerwatch.yaml:13: peers[2].grpo.model_init_kwargs: attn_implementation: flex_attention")
    first_of_the_hub = text.replace("  - {}\n", "").replace("peers:\n", "peers:\n  - {model: a/b}\n  - {}\n")
    assert lines_of(first_of_the_hub)[0] == adapters
