"""The machines that joined by themselves: one file each in the state folder, which only its owner can read."""

import json
import logging
import secrets
import ssl
from collections.abc import Collection
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, field_validator, model_validator

from alerts.scraping.target import Machine
from alerts.settings import Name, Settings
from exporter.run_folder import read_bounded, write_atomically
from exporter.serving.trust import trust

FOLDER = "machines"
# In the state folder: what lets a machine join, and nothing else; below the token, the page's certificate.
TOKEN_FILE = "join.token"
MAX_BYTES = 1 << 16
MAX_MACHINES = 1000

log = logging.getLogger(__name__)


class JoinRequest(Settings):
    """What a machine tells when it joins; `certificate` is PEM, `login` is `user:password`.

    It has an address, `url`, unless it pushes.
    """

    name: Name = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")
    url: str = Field(default="", pattern=r"^https://[^/@?#\s]{1,255}$")
    pushes: bool = False
    # Neither a reference to a file here nor to a variable: the watcher would look it up, and send it there.
    login: str = Field(pattern=r"^[a-z]{1,32}:[A-Za-z0-9_-]{16,256}$")

    @field_validator("login")
    @classmethod
    def _is_no_reference(cls, login: str) -> str:
        if login.startswith("file:"):
            raise ValueError("is a reference to a file")
        return login

    certificate: str = Field(max_length=8192)

    @model_validator(mode="after")
    def _check_way(self) -> Self:
        if self.pushes == bool(self.url):
            raise ValueError("either `url`, or `pushes`")
        return self


class TakenError(Exception):
    """The name belongs to another machine; the text is one line for its operator."""


def ensure_token(state_dir: Path, certificate: Path) -> str:
    """The token with which machines join, made once; its file also has the page's certificate, to know the page by.

    Raises OSError.
    """
    path = state_dir / TOKEN_FILE
    try:
        token = read_bounded(path, MAX_BYTES).decode().split("\n", 1)[0].strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    token = token or secrets.token_urlsafe(32)
    write_atomically(path, f"{token}\n{certificate.read_text()}".encode(), mode=0o600)
    return token


def read_joined(state_dir: Path) -> list[Machine]:
    """All machines that joined, by name; one that cannot be read is logged and left out."""
    found = []
    for path in sorted((state_dir / FOLDER).glob("*.json"))[:MAX_MACHINES]:
        try:
            content = json.loads(read_bounded(path, MAX_BYTES))
            machine = Machine.model_validate({**content, "certificate": path.with_suffix(".pem")})
            # The alert loop would not start with one that it cannot use.
            trust(machine.certificate)
            found.append(machine)
        except ValidationError:
            log.warning("%s is not used: no machine that joined; let it join again", path)
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s is not used: %s; let the machine join again", path, error)
    return found


def add_joined(state_dir: Path, request: JoinRequest, taken: Collection[str]) -> bool:
    """Keeps a machine; whether anything changed. `taken` are names that the configuration gives to machines.

    Raises ValueError for a certificate that is none, TakenError, and OSError.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=request.certificate)
    except (ssl.SSLError, ValueError):
        raise ValueError("certificate: is no certificate as PEM") from None
    folder = state_dir / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{request.name}.json"
    certificate = path.with_suffix(".pem")
    is_known = certificate.exists()
    # Others have seen the certificate of a machine that answers, and only it knows its password.
    is_other = is_known and (certificate.read_text() != request.certificate or _has_other_login(path, request))
    if request.name in taken or is_other:
        raise TakenError(
            f"another machine is watched as {request.name}; join with --name ANOTHER, or remove {FOLDER}/{path.name} "
            "from the watcher's state folder"
        )
    if not is_known and len(list(folder.glob("*.json"))) >= MAX_MACHINES:
        raise TakenError(f"{MAX_MACHINES} machines have joined; remove some from {folder} on the watcher")
    content = json.dumps(request.model_dump(exclude={"certificate"}, exclude_defaults=True)).encode()
    if is_known and path.exists() and path.read_bytes() == content:
        return False
    write_atomically(certificate, request.certificate.encode(), mode=0o600)
    write_atomically(path, content, mode=0o600)
    return True


def _has_other_login(path: Path, request: JoinRequest) -> bool:
    """Whether a machine that pushes, or is to, would get another password."""
    try:
        kept = json.loads(read_bounded(path, MAX_BYTES))
        return bool(kept.get("pushes", False) or request.pushes) and kept["login"] != request.login
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
