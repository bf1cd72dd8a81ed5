"""What the tests of the readers share: a real run of TRL, read while it wrote, and an HTTP page."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from exporter.progress.readers import tensorboard, trackio, wandb
from exporter.progress.readers.log import Reader
from exporter.progress.record import ReadError
from tests.architecture import ROOT
from tests.programs import go_without

POLL_SECONDS = 0.05
WRITERS = ROOT / ".venv" / "writers"
EARLIER = ROOT / ".venv" / "earlier"


def tracker_readers(folder):
    """A reader of each writer, of the run in `folder`."""
    return {
        "tensorboard": tensorboard.Reader.configured({"path": "output"}, folder),
        "wandb": wandb.Reader.configured({"path": "wandb"}, folder),
        "trackio": trackio.Reader.configured({"path": "trackio", "project": "huggingface", "run": "letters"}, folder),
    }


@pytest.fixture(scope="session")
def trl_run(tmp_path_factory):
    """`folder` with the runs `unbuffered`, `buffered`, and where the writers are there `tracked`.

    Of each reader, `records` as (time of the read, record); `written` is the trainer's own record of the first two.
    """
    folder = tmp_path_factory.mktemp("trl")
    if not WRITERS.is_dir():
        return follow_runs(folder, ["unbuffered", "buffered"], {})
    environment = {"PYTHONPATH": f"{ROOT}{os.pathsep}{WRITERS}", "TRACKIO_DIR": str(folder / "tracked" / "trackio")}
    trackers = tracker_readers(folder / "tracked")
    return follow_runs(folder, ["unbuffered", "buffered", "tracked"], trackers, **environment)


@pytest.fixture(scope="session")
def earlier_run(tmp_path_factory):
    """As `trl_run`, of the run `unbuffered` with TRL and transformers of the generation before."""
    if not EARLIER.is_dir():
        go_without(f"needs them: pip install --no-deps --target {EARLIER} -r tests/exporter/progress/earlier_trl.txt")
    path = f"{EARLIER}{os.pathsep}{ROOT}"
    return follow_runs(tmp_path_factory.mktemp("earlier"), ["unbuffered"], {}, PYTHONPATH=path)


def follow_runs(folder, runs, trackers, **environment):
    """Lets `trl_writer` write in a process, and reads the logs and trackers until it ends."""
    logs = [name for name in runs if name != "tracked"]
    readers = {name: Reader(folder / name / "run.log") for name in logs} | trackers
    command = [sys.executable, "-W", "ignore", "-m", "tests.exporter.progress.trl_writer", folder, *runs]
    environment = os.environ | {"WANDB_MODE": "offline", "HF_HUB_OFFLINE": "1"} | environment
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=errors, stderr=errors)
    records = {name: [] for name in readers}
    deadline = time.monotonic() + 600
    try:
        while True:
            has_ended = process.poll() is not None
            for name, reader in readers.items():
                records[name] += read_quietly(reader)
            if has_ended or time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
    finally:
        process.kill()
        process.wait()
    said = [path.read_text()[-2000:] for path in (folder / "errors", *folder.glob("*/run.log"))]
    assert process.returncode == 0, said
    written = {name: json.loads((folder / name / "written.json").read_text()) for name in logs}
    return SimpleNamespace(folder=folder, records=records, written=written)


def read_quietly(reader):
    now = time.time()
    try:
        return [(now, record) for record in reader.read(now)]
    except ReadError:
        return []


@pytest.fixture
def page():
    """A server on loopback of one page: `page.text`, `page.status`, `page.url`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(served.status)
            self.end_headers()
            self.wfile.write(served.text.encode())

        def log_message(self, *arguments):
            pass

    served = SimpleNamespace(text="", status=200, url="")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}/metrics"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()
