"""Sidecars that answer badly, or not at all."""

import asyncio
import gzip
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts.scraping.connection import MAX_PAGE_BYTES
from alerts.scraping.scraper import Scrape, Scraper
from alerts.scraping.target import Target
from exporter.machine.machine_file import MACHINE_FILE, MachineDescription
from tests.alerts.conftest import Sidecar, sidecar_page
from tests.certificates import write_certificate
from tests.fakes import LOOPBACK, reserve_ports


def _scrape(*urls: str, timeout_seconds: float = 5.0) -> list[Scrape]:
    async def scrape() -> list[Scrape]:
        targets = tuple(Target(peer=str(index), url=url) for index, url in enumerate(urls))
        scraper = Scraper(targets, timeout_seconds)
        try:
            return list((await scraper.scrape()).values())
        finally:
            await scraper.close()

    return asyncio.run(scrape())


@pytest.fixture
def stall_server() -> Iterator[Callable[[bytes, float], str]]:
    """Servers that send the same bytes again and again, with a pause; with none, they only hold the connection."""
    ending = threading.Event()
    servers, threads = [], []

    def start(chunk: bytes, pause: float) -> str:
        server = socket.create_server((LOOPBACK, 0))
        servers.append(server)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                if chunk:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while not ending.wait(pause):
                    try:
                        connection.sendall(chunk)
                    except OSError:
                        return

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return f"http://{LOOPBACK}:{server.getsockname()[1]}/metrics"

    yield start
    ending.set()
    for thread in threads:
        thread.join()
    for server in servers:
        server.close()


def test_a_page_is_scraped_and_parsed(sidecar: Sidecar) -> None:
    (scrape,) = _scrape(sidecar.url)
    assert scrape.failure == ""
    assert scrape.page is not None
    assert scrape.page.is_up()


def test_a_proxy_of_the_environment_is_not_asked(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{LOOPBACK}:{reserve_ports(1)[0]}")
    assert _scrape(sidecar.url)[0].page is not None


def test_slow_and_endless_sidecars_cost_one_time_out_together_and_the_others_nothing(
    sidecar: Sidecar, stall_server: Callable[[bytes, float], str]
) -> None:
    began = time.monotonic()
    good, trickle, flood, *mute = _scrape(
        sidecar.url,
        stall_server(b"trainer_up 1\n", 0.05),
        stall_server(b"x" * 65536, 0.0),
        *(stall_server(b"", 0.05) for _ in range(9)),
        timeout_seconds=3.0,
    )
    assert time.monotonic() - began < 20
    assert good.page is not None
    assert {one.failure for one in (trickle, *mute)} == {"no answer within 3 s"}
    assert flood.failure == f"the page is larger than {MAX_PAGE_BYTES // 1024} KiB"


@pytest.mark.parametrize(
    ("page", "failure"),
    [
        (b"", "the page is not a sidecar's"),
        (b"\x00\xff\xfe" * 1000, "the page is not a sidecar's"),
        (b"<!doctype html><title>a router</title>", "the page is not a sidecar's"),
        (b"trainer_up banana\n", "the page is not a sidecar's"),
        (b'trainer_up{a="' + b"\\" * 3000 + b"\n", "the page is not a sidecar's"),
        (b"trainer_up 1\n" * 30_000, "the page is not a sidecar's"),
        (b"#" * (MAX_PAGE_BYTES + 1), "the page is larger than 512 KiB"),
    ],
)
def test_a_foreign_page_is_a_failure_with_a_reason(sidecar: Sidecar, page: bytes, failure: str) -> None:
    sidecar.page = lambda: page
    assert _scrape(sidecar.url) == [Scrape(None, failure)]


def test_an_error_a_redirect_and_a_compressed_page_are_failures(sidecar: Sidecar) -> None:
    sidecar.status = 500
    assert _scrape(sidecar.url)[0].failure == "it answered 500"
    sidecar.status, sidecar.headers = 302, {"Location": sidecar.url}
    assert _scrape(sidecar.url)[0].failure == "it answered 302"
    sidecar.status, sidecar.headers = 200, {"Content-Encoding": "gzip"}
    sidecar.page = lambda: gzip.compress(sidecar_page().encode())
    assert "compressed" in _scrape(sidecar.url)[0].failure


def test_a_closed_port_is_a_failure() -> None:
    assert _scrape(f"http://{LOOPBACK}:{reserve_ports(1)[0]}/metrics") == [Scrape(None, "no connection")]


def _scrape_secured(target: Target, login: str) -> Scrape:
    async def scrape() -> Scrape:
        scraper = Scraper((target,), 5.0, {"a": login})
        try:
            return (await scraper.scrape())["a"]
        finally:
            await scraper.close()

    return asyncio.run(scrape())


def test_a_machine_is_known_by_its_certificate_and_asked_with_its_password(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path / "one")
    other, _ = write_certificate(tmp_path / "other")
    (tmp_path / "login").write_text("watcher:s3cret\n")
    described = MachineDescription("rack-1", {"a": 9800}, (), certificate, key, tmp_path / "login")
    (tmp_path / MACHINE_FILE).write_bytes(described.render())
    (port, outside) = reserve_ports(2)
    words = ["--run-dir", tmp_path, "--listen", f"{LOOPBACK}:{port}", "--machine", tmp_path / MACHINE_FILE]
    command = [sys.executable, "-m", "exporter", *map(str, words), "--outside", f"{LOOPBACK}:{outside}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as sidecar:
        try:
            assert sidecar.stderr is not None
            assert any("peerwatch sidecar" in line for line in iter(sidecar.stderr.readline, ""))
            url = f"https://{LOOPBACK}:{outside}/metrics"
            known = Target(peer="a", url=url, machine="rack-1", certificate=certificate)
            assert _scrape_secured(known, "watcher:s3cret").page is not None
            assert _scrape_secured(known, "watcher:wrong").failure == "it answered 401"
            stranger = known.model_copy(update={"certificate": other})
            assert _scrape_secured(stranger, "watcher:s3cret").failure == "its certificate is not trusted"
        finally:
            sidecar.kill()
