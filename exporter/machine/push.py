"""`python -m exporter.machine.push --config FILE`: pushes the pages of a machine's sidecars to a watcher elsewhere.

For a machine that the watcher cannot reach, as behind NAT: one connection goes out, and nothing has to come in. The
watcher says how often it wants them, and by which number it knows the latest push.
"""

import argparse
import base64
import contextlib
import http.client
import json
import logging
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from exporter.http_client import HttpClient, ReadError
from exporter.machine.push_file import PushDescription, read_push
from exporter.machine.push_format import PUSH_PATH, Push, render
from exporter.plain_output import allow_any_text
from exporter.serving.credentials import read_credentials
from exporter.serving.trust import trust
from exporter.version import VERSION

# Until the watcher has said how often.
FIRST_INTERVAL_SECONDS = 5.0
LONGEST_INTERVAL_SECONDS = 300.0
READ_SECONDS = 2.0
SEND_SECONDS = 10.0
MAX_PAGE_BYTES = 513 * 1024
MAX_ANSWER_BYTES = 1 << 14
# Sidecars read at the same time, so that some that hang do not keep the others waiting.
READERS = 32

_AGAIN = "copy join.token from the watcher and run `peerwatch join … --push` again"

log = logging.getLogger("push")


class PushError(Exception):
    """A push was not taken; the text says why and what to do."""


class BehindError(Exception):
    """The watcher knows a later push; `sequence` is its number."""

    def __init__(self, sequence: int) -> None:
        super().__init__()
        self.sequence = sequence


class Watcher:
    """One kept connection to the watcher's page."""

    def __init__(self, described: PushDescription) -> None:
        """Connects with the first push. Raises OSError or ValueError for a file that cannot be used, in one line."""
        self.url = described.watcher
        parts = urlsplit(self.url)
        try:
            password = read_credentials(described.login).decode().partition(":")[2]
            tls = trust(described.certificate)
        except ssl.SSLError:
            raise ValueError(f"{described.certificate}: no PEM certificate; {_AGAIN}") from None
        except ValueError as error:
            raise ValueError(f"{described.login}: {error}; {_AGAIN}") from None
        self._connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=SEND_SECONDS, context=tls
        )
        self._fields = {
            "Authorization": f"Basic {base64.b64encode(f'{described.machine}:{password}'.encode()).decode()}",
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "gzip",
            "User-Agent": f"peerwatch/{VERSION}",
        }

    def post(self, body: bytes) -> Mapping[str, object]:
        """The watcher's answer to a push. Raises PushError or BehindError.

        ConnectionResetError: a kept connection had ended.
        """
        is_kept = self._connection.sock is not None
        try:
            self._connection.request("POST", PUSH_PATH, body, self._fields)
            answer = self._connection.getresponse()
            content = answer.read(MAX_ANSWER_BYTES)
        except ssl.SSLCertVerificationError:
            self.close()
            raise PushError(f"{self.url}: its certificate is not the one that this machine knows; {_AGAIN}") from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if is_kept and not isinstance(error, TimeoutError):
                raise ConnectionResetError from None
            raise PushError(f"cannot reach {self.url}: {getattr(error, 'strerror', None) or error}") from None
        if answer.will_close:
            self.close()
        return self._judge(answer.status, content)

    def close(self) -> None:
        """Ends the connection with what is unsent of it: pages that arrive late would be taken for new ones."""
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def _judge(self, status: int, content: bytes) -> Mapping[str, object]:
        try:
            told = json.loads(content)
        except (ValueError, RecursionError):
            told = None
        found: Mapping[str, object] = told if isinstance(told, dict) else {}
        if status == 200:
            return found
        sequence = found.get("sequence")
        if status == 409 and type(sequence) is int:
            raise BehindError(sequence)
        detail = str(found.get("detail") or "no reason given")
        reason = " ".join("".join(c if c.isprintable() else " " for c in detail).split())[:300]
        if status == 401:
            reason = f"it does not know this machine by this password; {_AGAIN}"
        elif status == 404:
            reason = "it is no watcher of Peerwatch, or an older one"
        raise PushError(f"{self.url} refuses ({status}): {reason}")


class Pusher:
    """Reads the sidecars and pushes what they say."""

    def __init__(self, described: PushDescription, watcher: Watcher) -> None:
        self._urls = {peer: f"http://{described.host}:{port}/metrics" for peer, port in described.peers.items()}
        self._peers = tuple(described.peers)
        self._watcher = watcher
        self._client = HttpClient(timeout_seconds=READ_SECONDS, max_bytes=MAX_PAGE_BYTES)
        self._readers = ThreadPoolExecutor(min(READERS, len(self._urls)), "reader")
        self._sequence = 0
        self._failure: str | None = None

    def run(self, wait: Callable[[float], bool]) -> None:
        """Pushes until `wait`, which is given seconds, says that it is over."""
        interval, is_over = FIRST_INTERVAL_SECONDS, False
        while not is_over:
            begun = time.monotonic()
            try:
                interval = self.push()
                self._note("")
            except PushError as error:
                self._note(str(error))
            is_over = wait(max(0.0, begun + interval - time.monotonic()))
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._watcher.close()

    def push(self) -> float:
        """Pushes once; how often the watcher wants it, in seconds. Raises PushError."""
        pages = self.read()
        for _ in range(3):
            self._sequence += 1
            try:
                told = self._watcher.post(render(Push(self._sequence, self._peers, pages)))
            except ConnectionResetError:
                continue
            except BehindError as behind:
                if self._failure == "":
                    log.warning("another one pushes to the watcher as this machine; give each a name of its own")
                self._sequence = behind.sequence
                continue
            seconds = told.get("interval_seconds")
            if isinstance(seconds, int | float) and seconds > 0.0:
                return min(float(seconds), LONGEST_INTERVAL_SECONDS)
            return FIRST_INTERVAL_SECONDS
        raise PushError("the watcher ends the connection, or takes the pushes of another one as this machine's")

    def read(self) -> dict[str, bytes]:
        """The page of each sidecar that answers."""
        found = zip(self._urls, self._readers.map(self._read_one, self._urls.values()), strict=True)
        return {peer: page for peer, page in found if page is not None}

    def _read_one(self, url: str) -> bytes | None:
        try:
            status, _, page = self._client.get(url)
        except ReadError:
            return None
        return page if status == 200 else None

    def _note(self, failure: str) -> None:
        """Logs what has changed."""
        if failure and failure != self._failure:
            log.warning("%s", failure)
        elif not failure and self._failure != "":
            log.info("%s takes this machine's pages", self._watcher.url)
        self._failure = failure


def main(arguments: Sequence[str] | None = None) -> int:
    """Pushes until SIGTERM or SIGINT; returns the exit status."""
    allow_any_text()
    parser = argparse.ArgumentParser(
        prog="python -m exporter.machine.push",
        description="Push the pages of this machine's sidecars to a watcher that cannot reach them.",
        epilog="example: python -m exporter.machine.push --config push.json",
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="where to; the fleet writes it")
    path: Path = parser.parse_args(arguments).config
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        described = read_push(path)
        pushers = [Pusher(one, Watcher(one)) for one in described.each()]
    except OSError as error:
        parser.error(f"{error.filename or path}: {error.strerror}")
    except ValueError as error:
        parser.error(str(error))
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    watchers = " and ".join(one.watcher for one in described.each())
    log.info("peerwatch %s pushes %d sidecars' pages to %s", VERSION, len(described.peers), watchers)
    # Each at its own pace: one that does not answer must not keep the other waiting.
    others = [threading.Thread(target=one.run, args=(stopping.wait,), daemon=True) for one in pushers[1:]]
    for other in others:
        other.start()
    pushers[0].run(stopping.wait)
    for other in others:
        other.join(SEND_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
