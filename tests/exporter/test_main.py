"""A live sidecar beside a live trainer: what an operator gets from `python -m exporter`."""

import base64
import contextlib
import gzip
import http.client
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from exporter.machine.machine_file import MACHINE_FILE, MachineDescription
from exporter.metrics import SETTINGS, STATES, STEP_BUCKETS, TRAINER, Sample, families, histogram
from exporter.run_folder import Ending, write_atomically, write_ending, write_process_record
from exporter.system.process_identity import identify
from exporter.textfile_reader import parse
from exporter.version import VERSION
from tests.fakes import reserve_ports, wait_for
from tests.programs import require

SERIES = Path(__file__).with_name("series.txt")
RANK = {"rank": 1, "total": 2, "cumulative": 3.5, "stageReward": 0.5, "round": 4, "stage": 0}
ESTABLISHED = {"establishedRank": 1, "establishedTotal": 2}


class Board(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        # The sidecar takes no answer about another peer.
        answer = RANK | ESTABLISHED | {"id": self.path.rpartition("/")[2]}
        body = json.dumps(answer).encode() if self.path != "/vllm" else b"vllm:num_requests_running 3.0\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def board():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Board) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Sidecar:
    """A running `python -m exporter`, its port, and the lines that it logged up to its announcement."""

    def __init__(self, *arguments, listen="127.0.0.1:0", **environment):
        command = [sys.executable, "-m", "exporter", "--listen", listen, "--interval-seconds", "0.2"]
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)], stderr=subprocess.PIPE, text=True, env=os.environ | environment
        )
        self.log = []
        while not self.log or "peerwatch sidecar" not in self.log[-1]:
            line = self.process.stderr.readline()
            assert line, f"the sidecar ended: {self.log}"
            self.log.append(line)
        self.port = int(re.search(r":(\d+)/metrics", self.log[-1])[1])

    def get(self, path="/metrics", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def page(self):
        status, body = self.get(**{"Accept-Encoding": "gzip"})
        assert status == 200
        return gzip.decompress(body).decode()

    def wait_for(self, line, seconds=60.0):
        deadline = time.monotonic() + seconds
        while line not in (page := self.page()).splitlines():
            assert time.monotonic() < deadline, f"{line!r} never came:\n{page}"
            time.sleep(0.05)
        return page

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(timeout=90)
        self.log += self.process.stderr.readlines()
        self.process.stderr.close()
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture
def start():
    with contextlib.ExitStack() as stack:

        def start(*arguments, **options):
            sidecar = Sidecar(*arguments, **options)
            stack.callback(sidecar.kill)
            return sidecar

        yield start


def write_trainer(run_dir, steps=12.0, last_step=1_700_000_000.0):
    """Everything that a trainer can measure, and this process as the trainer."""
    values = {"trainer_steps_total": steps, "trainer_last_step_timestamp_seconds": last_step}
    samples = [Sample("trainer_info", {"peer_id": "Qm", "nickname": "a b", "model": "m", "device": "cpu"}, 1.0)]
    samples.append(Sample("trainer_settings_info", dict.fromkeys(SETTINGS, "1"), 1.0))
    samples += [Sample("trainer_state", {"trainer_state": state}, float(state == "training")) for state in STATES]
    for metric in ("trainer_streak_reports", "trainer_streak_start_timestamp_seconds"):
        samples += [Sample(metric, {"streak": name}, 2.0) for name in ("no_signal", "cut_off", "not_finite")]
    samples += [Sample("trainer_phase_seconds_total", {"trainer_state": state}, 2.0) for state in STATES]
    for metric in TRAINER:
        if metric.kind == "histogram":
            samples += histogram(metric.name, STEP_BUCKETS, [1] * len(STEP_BUCKETS), 99.5)
        elif not metric.labels:
            samples.append(Sample(metric.name, {}, values.get(metric.name, 2.0)))
    lines = [
        f"{sample.name}{{{','.join(f'{k}={json.dumps(v)}' for k, v in sample.labels.items())}}} {sample.value}\n"
        for family in families(samples)
        for sample in family.samples
    ]
    write_atomically(run_dir / "trainer.prom", "".join(lines).encode())
    write_process_record(run_dir)


def list_series(page):
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    series = set()
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", page, re.MULTILINE):
        metric = name if name in kinds else re.sub("_(bucket|sum|count)$", "", name)
        found = [label for label in re.findall(r'(\w+)="', labels) if label != "le"]
        series.add((metric, frozenset(found), kinds[metric]))
    return series


def read_checked_in_series():
    lines = [re.fullmatch(r"(\w+)(?:\{(.+)\})? (\w+)", line) for line in SERIES.read_text().splitlines()]
    return {
        (name, frozenset((labels or "").split(",")) - {""}, kind) for name, labels, kind in (m.groups() for m in lines)
    }


# What only the page of a trainer has that somebody else wrote, or whose end was seen.
OF_WATCHED = re.compile(
    r"trainer_(?:progress_\w+|inference_requests|expected_steps|exit_code|end_timestamp_seconds|oom_killed)"
)


# What this peer has not: an accelerator, a swarm of others, a pace of its own processes, problems. Systems differ, too.
NOT_HERE = (
    "accelerator_",
    "host_memory_limit_",
    "host_memory_pressure_",
    "swarm_round_change_",
    "swarm_source_",
    "swarm_submit_period_",
    "trainer_activity_",
    "trainer_known_problem_",
)


def test_the_page_of_a_whole_peer_holds_exactly_the_checked_in_series(start, board, tmp_path):
    folder = tmp_path / "a peer"
    folder.mkdir()
    write_trainer(folder)
    machine = tmp_path / MACHINE_FILE
    machine.write_bytes(MachineDescription("rack-1", {"a": 9700}, (tmp_path,)).render())
    options = ("--leaderboard-url", board, "--memory-limit-bytes", 10**9, "--machine", machine)
    sidecar = start("--run-dir", folder, *options)
    sidecar.wait_for("swarm_rank 1.0")
    write_trainer(folder, steps=13.0, last_step=time.time())
    sidecar.wait_for("trainer_steps_total 13.0")
    page = wait_for(lambda: "trainer_steps_per_second" in (found := sidecar.page()) and found, 10, "a rate", every=0.05)
    # Not every system tells each of the machine's.
    found, known = list_series(page), {one for one in read_checked_in_series() if not OF_WATCHED.fullmatch(one[0])}
    assert found <= known
    assert known - found <= {one for one in known if one[0].startswith(NOT_HERE)}
    assert "swarm_source_up" in {name for name, _, _ in found}
    assert "trainer_up 1.0" in page.splitlines()
    assert f'sidecar_build_info{{version="{VERSION}"}} 1.0' in page
    checked = subprocess.run([require("promtool"), "check", "metrics"], input=page, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_page_of_a_watched_run_that_ended_holds_the_other_series(start, board, tmp_path):
    rows = [{"step": step, "total_steps": 90, "time": time.time() - 90 + step, "loss": 0.5} for step in (10, 20)]
    log, watch = tmp_path / "log.jsonl", tmp_path / "watch.json"
    log.write_text(json.dumps(rows[0]) + "\n")
    readers = [{"jsonl": {"path": "log.jsonl"}}, {"prometheus": {"url": f"{board}/vllm"}}]
    watch.write_text(json.dumps({"folder": str(tmp_path), "progress": readers}))
    with subprocess.Popen(["sleep", "100"]) as trainer:
        identity = identify(trainer.pid)
        write_process_record(tmp_path, identity)
        sidecar = start("--run-dir", tmp_path, "--watch", watch)
        sidecar.wait_for('trainer_progress_step{reader="jsonl"} 10.0')
        with log.open("a") as file:
            file.write(json.dumps(rows[1]) + "\n")
        sidecar.wait_for("trainer_progress_steps_per_report 10.0")
        trainer.kill()
    write_ending(tmp_path, Ending(identity, 137, time.time()))
    page = sidecar.wait_for("trainer_exit_code 137.0")
    found = list_series(page)
    assert found <= read_checked_in_series()
    expected = {one[0] for one in read_checked_in_series() if OF_WATCHED.fullmatch(one[0])}
    # Where no kernel tells who was killed for memory, that is not known.
    assert expected - {one[0] for one in found} <= {"trainer_oom_killed"}


def test_the_sidecar_imports_nothing_heavy(board, tmp_path):
    write_trainer(tmp_path)
    # What a live sidecar has imported when it stops, after scrapes and reads of the leaderboard.
    code = """
import os, signal, sys, threading, time, urllib.request
sys.argv = ["exporter", "--run-dir", sys.argv[1], "--leaderboard-url", sys.argv[2], "--listen", "127.0.0.1:0"]
sys.argv += ["--interval-seconds", "0.1"]
from exporter.__main__ import main
def end():
    while signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        time.sleep(0.05)
    time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end).start()
main()
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
    ran = subprocess.run([sys.executable, "-c", code, tmp_path, board], capture_output=True, text=True, timeout=360)
    modules = set(ran.stdout.split())
    assert {"exporter", "prometheus_client", "psutil"} <= modules
    heavy = {
        "torch",
        "transformers",
        "trl",
        "hivemind",
        "pydantic",
        "asyncio",
        "click",
        "rich",
        "anyio",
        "h11",
        "httpx",
        "numpy",
    }
    assert modules & heavy == set()


@pytest.mark.parametrize("content", [b"trainer_steps_total 12", b"\xff\xfe\x00", b"x" * (2 << 20), None])
def test_a_bad_textfile_costs_only_its_own_metrics(start, tmp_path, content):
    write_process_record(tmp_path)
    if content is not None:
        (tmp_path / "trainer.prom").write_bytes(content)
    page = start("--run-dir", tmp_path).page()
    assert 'sidecar_collector_success{collector="textfile"} 0.0' in page
    assert 'sidecar_collector_success{collector="process"} 1.0' in page
    assert "trainer_up 1.0" in page.splitlines()
    assert "trainer_steps_total" not in page


def test_a_sidecar_waits_for_a_run_folder_that_is_not_there_yet(start, tmp_path):
    sidecar = start("--run-dir", tmp_path / "later")
    assert "trainer_up 0.0" in sidecar.page().splitlines()
    (tmp_path / "later").mkdir()
    write_trainer(tmp_path / "later")
    sidecar.wait_for("trainer_steps_total 12.0")
    sidecar.wait_for("trainer_up 1.0")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_even_with_a_scraper_connected(start, tmp_path, number):
    sidecar = start("--run-dir", tmp_path)
    with socket.create_connection(("127.0.0.1", sidecar.port)):
        assert sidecar.get("/-/healthy") == (200, b"healthy\n")
        assert sidecar.stop(number) == 0
    assert "Traceback" not in "".join(sidecar.log)


def test_a_port_in_use_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "exporter", "--run-dir", tmp_path, "--listen", address]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=360)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert ran.stderr.splitlines()[-1] == (
        f"python -m exporter: cannot listen on {address}: Address already in use; choose another --listen"
    )


def test_an_open_address_is_one_warning(start, tmp_path):
    sidecar = start("--run-dir", tmp_path, listen="0.0.0.0:0")
    assert sidecar.get()[0] == 200
    sidecar.stop()
    assert len([line for line in sidecar.log if "--basic-auth-file" in line]) == 1


def test_a_password_guards_the_page_and_is_never_shown(start, tmp_path):
    (tmp_path / "auth").write_text("me:s3cret\n")
    sidecar = start("--run-dir", tmp_path, "--basic-auth-file", tmp_path / "auth")
    assert sidecar.get()[0] == 401
    status, page = sidecar.get(Authorization="Basic bWU6czNjcmV0")
    assert status == 200
    sidecar.stop()
    assert "s3cret" not in "".join(sidecar.log)
    assert b"s3cret" not in page


def test_who_comes_from_outside_needs_the_password_and_gets_the_machine(start, certificate, tmp_path):
    (tmp_path / "login").write_text("watcher:s3cret\n")
    described = MachineDescription("rack-1", {"a": 9800}, (tmp_path,), *certificate, tmp_path / "login")
    (tmp_path / MACHINE_FILE).write_bytes(described.render())
    (port,) = reserve_ports(1)
    sidecar = start("--run-dir", tmp_path, "--machine", tmp_path / MACHINE_FILE, "--outside", f"127.0.0.1:{port}")
    assert b"host_clock_timestamp_seconds" in sidecar.get()[1]
    trusted = ssl.create_default_context(cafile=certificate[0])
    trusted.check_hostname = False

    def ask(path, **headers):
        with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=90, context=trusted)) as outside:
            outside.request("GET", path, headers=headers)
            answer = outside.getresponse()
            return answer.status, answer.read()

    login = {"Authorization": f"Basic {base64.b64encode(b'watcher:s3cret').decode()}"}
    assert ask("/machine")[0] == ask("/metrics")[0] == 401
    assert ask("/machine", **login) == (200, described.render_for_watchers())
    assert b"host_clock_timestamp_seconds" in ask("/metrics", **login)[1]
    sidecar.stop()
    assert "s3cret" not in "".join(sidecar.log)


@pytest.mark.parametrize("missing", ["certificate", "key", "login"])
def test_nobody_comes_from_outside_without_certificate_and_password(certificate, tmp_path, missing):
    (tmp_path / "login").write_text("watcher:s3cret\n")
    described = MachineDescription("rack-1", {"a": 9800}, (), *certificate, tmp_path / "login")
    (tmp_path / MACHINE_FILE).write_bytes(described._replace(**{missing: None}).render())
    command = [sys.executable, "-m", "exporter", "--run-dir", tmp_path, "--machine", tmp_path / MACHINE_FILE]
    ran = subprocess.run([*command, "--outside", "127.0.0.1:0"], capture_output=True, text=True, timeout=360)
    assert ran.returncode == 2
    assert "names certificate, key and login" in ran.stderr


def test_an_invalid_key_is_one_line(certificate, tmp_path):
    certificate[1].write_text("not a key")
    command = [sys.executable, "-m", "exporter", "--run-dir", tmp_path, "--listen", "127.0.0.1:0"]
    command += ["--tls-cert", certificate[0], "--tls-key", certificate[1]]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=360)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert str(certificate[1]) in ran.stderr.splitlines()[-1]


def test_the_page_reads_back_as_what_the_trainer_wrote(start, tmp_path):
    write_trainer(tmp_path)
    page = start("--run-dir", tmp_path).page()
    assert {sample.name for sample in parse(page)} >= {metric.name for metric in TRAINER if metric.kind != "histogram"}
