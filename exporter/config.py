"""The sidecar's arguments; plain Python, because a validation library would double the sidecar's memory."""

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from exporter.accelerators.peer import PeerAccelerator
from exporter.machine.machine_file import MachineDescription, read_machine
from exporter.metrics import Sample
from exporter.pace import Pace
from exporter.progress.reported import ReportedProgress
from exporter.run_folder import read_process_record
from exporter.serving.credentials import read_credentials
from exporter.serving.host_names import parse_host
from exporter.serving.listen_address import split_listen
from exporter.textfile_reader import TextfileReader
from exporter.watch_file import Watch, read_watch


class Reported(Protocol):
    """The samples of a trainer, as its telemetry writes them."""

    def read(self, now: float) -> list[Sample]:
        """The samples for the collection at the Unix time `now`. Raises OSError or ValueError."""


@dataclass(frozen=True)
class SidecarConfig:
    """What one sidecar watches and where it listens; `credentials` is `user:password` or None."""

    run_dir: Path
    host: str = "127.0.0.1"
    port: int = 9700
    leaderboard_url: str | None = None
    sources_url: str | None = None
    memory_limit_bytes: int | None = None
    interval_seconds: float = 5.0
    tls_cert: Path | None = None
    tls_key: Path | None = None
    credentials: bytes | None = None
    watch: Watch | None = None
    machine_file: Path | None = None
    machine: MachineDescription | None = None
    outside: tuple[str, int] | None = None
    outside_credentials: bytes | None = None
    allowed_hosts: tuple[str, ...] = ()

    @cached_property
    def reported(self) -> Reported:
        """What the trainer reports, read once in a collection for all collectors of this sidecar."""
        if self.watch is None:
            return TextfileReader(self.run_dir)
        return ReportedProgress(self.watch.readers, Pace(**self.watch.pace), started_at=self._read_start)

    @cached_property
    def accelerator(self) -> PeerAccelerator:
        """What this peer does with the accelerators, read once in a collection for all collectors of this sidecar."""
        return PeerAccelerator(self.run_dir, self.reports_cpu)

    def reports_cpu(self, now: float) -> bool:
        """Whether the trainer trains on the processor, or has not said yet; trainers of others never say."""
        if self.watch is not None:
            return False
        try:
            devices = [one.labels["device"] for one in self.reported.read(now) if one.name == "trainer_info"]
        except (OSError, ValueError):
            return True
        return not devices or devices[0].startswith("cpu")

    def _read_start(self) -> float | None:
        record = read_process_record(self.run_dir)
        return record.started_at if record else None

    def describe_machine(self) -> bytes:
        """The list of the machine's peers as it is now, for who watches from elsewhere."""
        machine = self.machine
        if self.machine_file is not None:
            # What the file was at the start holds while it cannot be read.
            with contextlib.suppress(OSError, ValueError):
                machine = read_machine(self.machine_file)
        return machine.render_for_watchers() if machine else b""

    def is_exposed(self) -> bool:
        """Whether the network can read the page without a password."""
        loopback = self.host in ("localhost", "::1") or self.host.startswith("127.")
        return not loopback and self.credentials is None


def parse_arguments(arguments: Sequence[str] | None = None) -> SidecarConfig:
    """Parses the command line; exits with status 2 and one line on a usage error."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if (given.tls_cert is None) != (given.tls_key is None):
        parser.error("--tls-cert and --tls-key must be set together")
    for option, path in (("--tls-cert", given.tls_cert), ("--tls-key", given.tls_key)):
        if path is not None and not path.is_file():
            parser.error(f"{option} {path}: no such file")
    host, port = given.listen
    try:
        credentials = read_credentials(given.basic_auth_file) if given.basic_auth_file else None
    except (OSError, ValueError) as error:
        parser.error(f"--basic-auth-file {given.basic_auth_file}: {getattr(error, 'strerror', None) or error}")
    try:
        watch = read_watch(given.watch) if given.watch else None
    except OSError as error:
        parser.error(f"--watch {given.watch}: {error.strerror}")
    except ValueError as error:
        parser.error(f"--watch {error}")
    try:
        machine = read_machine(given.machine) if given.machine else None
    except OSError as error:
        parser.error(f"--machine {given.machine}: {error.strerror}")
    except ValueError as error:
        parser.error(f"--machine {error}")
    outside_credentials = _check_outside(parser, given.outside, machine)
    return SidecarConfig(
        run_dir=given.run_dir,
        host=host,
        port=port,
        leaderboard_url=given.leaderboard_url,
        sources_url=given.sources_url,
        memory_limit_bytes=given.memory_limit_bytes,
        interval_seconds=given.interval_seconds,
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        credentials=credentials,
        watch=watch,
        machine_file=given.machine,
        machine=machine,
        outside=given.outside,
        outside_credentials=outside_credentials,
        allowed_hosts=tuple(given.allowed_host),
    )


def _check_outside(
    parser: argparse.ArgumentParser, outside: tuple[str, int] | None, machine: MachineDescription | None
) -> bytes | None:
    """The credentials for who comes from outside; without certificate and password, nobody does."""
    if outside is None:
        return None
    if machine is None or machine.certificate is None or machine.key is None or machine.login is None:
        parser.error("--outside needs --machine with a file that names certificate, key and login")
    for path in (machine.certificate, machine.key):
        if not path.is_file():
            parser.error(f"--outside: {path}: no such file")
    try:
        return read_credentials(machine.login)
    except (OSError, ValueError) as error:
        parser.error(f"--outside: {machine.login}: {getattr(error, 'strerror', None) or error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m exporter",
        description="Serve the metrics of one trainer to Prometheus.",
        epilog="example: python -m exporter --run-dir runs/peer-1 --listen 127.0.0.1:9700",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--run-dir", type=Path, required=True, metavar="DIR", help="the run folder of the trainer")
    add(
        "--listen",
        type=_address,
        default=("127.0.0.1", 9700),
        metavar="HOST:PORT",
        help="default 127.0.0.1:9700; :PORT is this machine only",
    )
    add(
        "--leaderboard-url",
        type=_url,
        metavar="URL",
        help="leaderboard to read, such as http://127.0.0.1:8700",
    )
    add(
        "--sources-url",
        type=_url,
        metavar="URL",
        help="service that reads the sources of rank and reward, such as http://127.0.0.1:8700",
    )
    add(
        "--memory-limit-bytes",
        type=_positive_int,
        metavar="N",
        help="the trainer's memory limit, exported as a metric",
    )
    add("--interval-seconds", type=_positive, default=5.0, metavar="S", help="collection interval, default 5")
    add("--tls-cert", type=Path, metavar="FILE", help="serve HTTPS with this certificate chain (PEM)")
    add("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    add(
        "--watch",
        type=Path,
        metavar="FILE",
        help="how to find and read a trainer that does not report by itself; the fleet writes it",
    )
    add(
        "--machine",
        type=Path,
        metavar="FILE",
        help="serve this machine's figures and list of peers, for a watcher elsewhere; the fleet writes it",
    )
    add(
        "--outside",
        type=_address,
        metavar="HOST:PORT",
        help="listen here too, for a watcher elsewhere, with the certificate and password that --machine names",
    )
    add(
        "--basic-auth-file",
        type=Path,
        metavar="FILE",
        help="one line user:password; required except on /-/healthy",
    )
    add(
        "--allowed-host",
        type=_host_name,
        action="append",
        default=[],
        metavar="NAME",
        help="further host name that requests may have, such as a proxy's; repeat for more",
    )
    return parser


def _address(text: str) -> tuple[str, int]:
    try:
        return split_listen(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _host_name(text: str) -> str:
    name = parse_host(text)
    if name is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a host name, such as peer-1.example.org")
    return name


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_port = parts.port != 0
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL, such as http://127.0.0.1:8700") from None
    if not is_port or parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL, such as http://127.0.0.1:8700")
    return text.rstrip("/")


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds between 0 and 3600")
    return value


def _positive_int(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of bytes above 0")
    return int(text)
