"""The difference to a time server (`--time-server HOST`): records in the swarm expire by the clock.

Asked by SNTP (RFC 4330): one packet there, one back.
"""

import secrets
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site

WRONG_SECONDS = 30.0
OFF_SECONDS = 3.0
ANSWER_SECONDS = 3.0
_PORT = 123
_UNIX_EPOCH_IN_1900 = 2208988800
_CLIENT, _SERVER = 3, 4
_SWITCH_ON = {
    "darwin": "switch on System Settings, General, Date & Time, Set time automatically",
    "linux": "run `timedatectl set-ntp true`",
}


class Answer(NamedTuple):
    """A server's times of arrival and sending, epoch seconds."""

    received: float
    sent: float


def examine(site: Site) -> Iterator[Finding]:
    try:
        offset = ask(site.time_server)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        yield warning(
            f"cannot compare the clock: {site.time_server}: {reason}", "choose a time server with --time-server HOST"
        )
        return
    remedy = _SWITCH_ON.get(site.platform, "synchronise the clock with a time server")
    described = f"the clock is {abs(offset):.1f} s {'behind' if offset > 0 else 'ahead of'} {site.time_server}"
    if abs(offset) > WRONG_SECONDS:
        yield failure(described, remedy)
    elif abs(offset) > OFF_SECONDS:
        yield warning(described, remedy)
    else:
        yield ok(f"the clock is within {OFF_SECONDS:g} s of {site.time_server}")


def ask(server: str) -> float:
    """Seconds that this clock is behind the server's. Raises OSError or ValueError."""
    host, _, port = server.partition(":")
    cookie = secrets.token_bytes(8)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(ANSWER_SECONDS)
        channel.connect((host, int(port) if port else _PORT))
        asked, began = time.time(), time.monotonic()
        # Version 4; the server returns the last eight bytes: a forged packet is not accepted.
        channel.send(bytes([4 << 3 | _CLIENT]) + bytes(39) + cookie)
        packet = channel.recv(512)
        answered = asked + time.monotonic() - began
    answer = parse(packet, cookie)
    return ((answer.received - asked) + (answer.sent - answered)) / 2


def parse(packet: bytes, cookie: bytes) -> Answer:
    """Raises ValueError unless it answers the request with this cookie."""
    if len(packet) < 48 or packet[0] & 7 != _SERVER or packet[24:32] != cookie:
        raise ValueError("another service answered, not a time server")
    if packet[1] == 0:
        raise ValueError("the time server refuses to answer")
    received, received_part, sent, sent_part = struct.unpack("!4I", packet[32:48])
    return Answer(_epoch(received, received_part), _epoch(sent, sent_part))


def _epoch(seconds: int, fraction: int) -> float:
    return seconds - _UNIX_EPOCH_IN_1900 + fraction / 2**32
