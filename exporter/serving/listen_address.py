"""Addresses to listen on as they are written, `127.0.0.1:9700`, `[::1]:9700`, `:9700`; and names of hosts."""

import ipaddress
import re

LOOPBACK = "127.0.0.1"

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def split_listen(text: str) -> tuple[str, int]:
    """Host and port. Raises ValueError.

    Without a host it is this machine only: to be reachable from others, 0.0.0.0 or [::] must be written.
    """
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not colon or not is_port or (host and not _is_host(bare, in_brackets=bare != host)):
        raise ValueError(
            f"{text!r} is not HOST:PORT, such as 127.0.0.1:9700, [::1]:9700 or :9700 for this machine only"
        )
    return bare or LOOPBACK, int(port)


def is_host_name(text: str) -> bool:
    """Whether it is a host's name, not an address: labels of letters, digits and hyphens, the last not a number."""
    name = text.removesuffix(".")
    labels = name.split(".")
    return len(name) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def _is_host(host: str, *, in_brackets: bool) -> bool:
    try:
        return (ipaddress.ip_address(host).version == 6) is in_brackets
    except ValueError:
        return not in_brackets and is_host_name(host)
