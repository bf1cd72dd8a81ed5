"""Asks a watcher to watch this machine."""

import ipaddress
import json
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from exporter.serving import token_file
from exporter.serving.token_file import Token
from exporter.serving.trust import trust, trust_text

TIMEOUT_SECONDS = 15.0


class JoinError(Exception):
    """The watcher cannot be asked, or refuses; the text is one line for the user."""


def read_token(path: Path) -> Token:
    """The content of a watcher's join.token. Raises JoinError."""
    try:
        return token_file.read_token(path, "copy join.token from the watcher's state folder")
    except ValueError as error:
        raise JoinError(str(error)) from None


def check_watcher(url: str) -> str:
    """The URL of a watcher, without a path. Raises JoinError."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    try:
        port = parts.port or 8750
    except ValueError:
        port = 0
    if not parts.hostname or not port or parts.scheme not in ("https", "http") or parts.path.strip("/"):
        raise JoinError(f"{url!r} is no address of a watcher, such as https://watcher.example.org:8750")
    if parts.scheme != "https":
        raise JoinError(f"{url}: this machine's password would be sent unencrypted; use https://")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"https://{host}:{port}"


def address_towards(watcher: str) -> str:
    """The address of this machine on the way to the watcher. Raises JoinError."""
    parts = urlsplit(watcher)
    try:
        with socket.create_connection((parts.hostname, parts.port), TIMEOUT_SECONDS) as connection:
            return str(ipaddress.ip_address(connection.getsockname()[0]))
    except OSError as error:
        raise JoinError(f"cannot reach {watcher}: {error.strerror or error}") from None


def ask(watcher: str, token: Token, machine: Mapping[str, object]) -> bool:
    """Asks the watcher; whether it did not know this machine as it is. Raises JoinError with its reason."""
    try:
        # The file came from the watcher itself.
        context = trust_text(token.certificate) if token.certificate else trust(None)
    except ssl.SSLError:
        raise JoinError("the certificate below the token is none; copy join.token again") from None
    headers = {"Authorization": f"Bearer {token.secret}"}
    try:
        with httpx.Client(verify=context, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            answer = client.post(f"{watcher}/api/machines", json=dict(machine), headers=headers)
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise JoinError(
                f"{watcher}: its certificate is not the one in the token's file; copy join.token again"
            ) from None
        raise JoinError(f"cannot reach {watcher}: {error}") from None
    except httpx.HTTPError as error:
        raise JoinError(f"cannot reach {watcher}: {error or type(error).__name__}") from None
    if answer.status_code not in (200, 201):
        raise JoinError(f"{watcher} refuses ({answer.status_code}): {_reason(answer)}")
    return answer.status_code == 201


def _reason(answer: httpx.Response) -> str:
    try:
        reason = json.loads(answer.content[:4096])["detail"]
    except (ValueError, KeyError, TypeError):
        return "it is no watcher of Peerwatch, or an older one" if answer.status_code == 404 else "no reason given"
    return " ".join("".join(c for c in str(reason) if c.isprintable()).split())[:300]
