"""The kinds of values that `peerwatch.yaml` holds: sizes, names, ports, addresses."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from trainer.multiaddr import check_peer_address

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SIZE = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]+)\s*")
_LARGEST_SIZE = 2**60
_SIZE_UNITS = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


def parse_size(value: object) -> int:
    """Bytes of `4GiB`, `512 MiB`, `4GB`; a number without a unit is refused."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    factor = _SIZE_UNITS.get(match["unit"].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{value!r} is not a size; write it like 4GiB, 512MiB or 4GB")
    size = float(match["number"]) * factor
    if size > _LARGEST_SIZE:
        raise ValueError("is larger than 1 EiB; write it like 4GiB")
    return int(size)


def check_name(value: str) -> str:
    """Returns a valid name unchanged; raises ValueError with a remedy for any other."""
    if not _NAME.fullmatch(value) or not value.strip("."):
        raise ValueError(f"{value!r} is not a valid name; use 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    return value


def check_ipv4(value: str) -> str:
    """Returns a valid address unchanged; raises ValueError with a remedy for any other."""
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise ValueError(
            f"{value!r} is not an IPv4 address; use 127.0.0.1 for this machine only, 0.0.0.0 for the network"
        ) from None


Size = Annotated[int, BeforeValidator(parse_size)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
# Names become folders, program names of the service manager and labels.
Name = Annotated[str, AfterValidator(check_name)]
Address = Annotated[str, AfterValidator(check_ipv4)]
PeerAddress = Annotated[str, AfterValidator(check_peer_address)]
