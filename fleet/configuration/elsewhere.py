"""The models for more than one machine: machines to watch, and how watchers elsewhere reach this one."""

import re
import socket
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from alerts.scraping.target import check_http_url
from alerts.secret_references import SecretReference
from exporter.files.file_model import FileModel
from fleet.configuration.values import Address, Name, Port

FIRST_PORT = 9800
WATCHER_PORT = 8750
_PLAIN_PORT = 9700
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def _complete_url(value: object) -> object:
    """`10.0.0.5` is the first sidecar there, as a fleet without passwords has it; `https://` the one for outside."""
    if not isinstance(value, str):
        return value
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        if parts.port is None and parts.hostname:
            return f"{url.rstrip('/')}:{FIRST_PORT if parts.scheme == 'https' else _PLAIN_PORT}"
    except ValueError:
        pass
    return url


class WatchedMachine(FileModel):
    """A machine elsewhere, by the address of one of its sidecars, which lists the others.

    `login` is `user:password` or a reference to it, `certificate` the only one that its sidecars may have.
    """

    url: Annotated[str, BeforeValidator(_complete_url), AfterValidator(check_http_url)]
    name: Name = ""
    login: SecretReference | None = None
    certificate: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _take_an_address(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_a_secret_way(self) -> "WatchedMachine":
        if self.login is not None and not self.url.startswith("https:"):
            raise ValueError("login: would be sent unencrypted; use an https:// URL")
        return self

    @property
    def title(self) -> str:
        """Its name, else its address."""
        return self.name or urlsplit(self.url).hostname or self.url


def name_of_this_machine() -> str:
    """What this machine is called unless the file says otherwise."""
    return _NOT_IN_A_NAME.sub("-", socket.gethostname().partition(".")[0]).strip("-.")[:64] or "machine"


class Outside(FileModel):
    """How watchers on other machines reach the sidecars of this one: with a certificate and a password, or not at all.

    Peer i listens on `port` + i. `login` is a file with one line user:password.
    """

    machine: Name = Field(default_factory=name_of_this_machine)
    host: Address = "0.0.0.0"
    port: Port = FIRST_PORT
    certificate: Path
    key: Path
    login: Path


def _check_watcher(url: str) -> str:
    parts = urlsplit(check_http_url(url))
    if parts.scheme != "https" or parts.path.strip("/") or parts.username is not None:
        raise ValueError("must be the https:// address of a watcher, such as https://watcher.example.org:8750")
    return f"https://{parts.netloc}" if parts.port else f"https://{parts.netloc}:{WATCHER_PORT}"


class PushedTo(FileModel):
    """A watcher that pages are pushed to. `certificate` is its only one; without it, one that this system trusts."""

    watcher: Annotated[str, AfterValidator(_check_watcher)]
    certificate: Path | None = None


class Push(PushedTo):
    """How this machine pushes its sidecars' pages to a watcher that cannot reach it; nothing has to come in for it.

    `machine` is what the watcher calls it. `login` is a file with one line user:password. `standby` is a second one,
    which stands by for the first one and gets the same pages with the same password.
    """

    machine: Name = Field(default_factory=name_of_this_machine)
    login: Path
    standby: PushedTo | None = None

    @model_validator(mode="after")
    def _are_two(self) -> "Push":
        if self.standby is not None and self.standby.watcher == self.watcher:
            raise ValueError("standby: is the watcher itself; name the second one")
        return self
