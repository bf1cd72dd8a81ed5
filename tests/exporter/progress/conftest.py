"""What the tests of the readers share: a real run of TRL, read while it wrote, and an HTTP page."""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from exporter.progress.readers.log import Reader
from exporter.progress.record import ReadError
from tests.architecture import ROOT

POLL_SECONDS = 0.1


@pytest.fixture(scope="session")
def trl_run(tmp_path_factory):
    """`folder` with the runs `unbuffered` and `buffered`; of each, `records` as (time of the read, record)."""
    folder = tmp_path_factory.mktemp("trl")
    command = [sys.executable, "-W", "ignore", "-m", "tests.exporter.progress.trl_writer", folder]
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen([*command, "unbuffered", "buffered"], cwd=ROOT, stderr=errors)
    readers = {name: Reader(folder / name / "run.log") for name in ("unbuffered", "buffered")}
    records = {name: [] for name in readers}
    try:
        while True:
            has_ended = process.poll() is not None
            for name, reader in readers.items():
                records[name] += read_quietly(reader)
            if has_ended:
                break
            time.sleep(POLL_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, (folder / "errors").read_text()
    written = {name: json.loads((folder / name / "written.json").read_text()) for name in readers}
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
