"""Which Host headers a server answers to; pure.

DNS rebinding: a web site points a name of its own at the address of a server that the visitor's browser can reach, and
its scripts then read what they like, as it is their own origin. Such a request has the site's name as its Host. An
address is never such a name, and neither is one that no public DNS resolves.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

# No DNS name is longer, and a port adds six characters.
MAX_HOST_CHARACTERS = 260
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Browsers send it with each request, and a script can change but not remove it; scrapers do not send it.
BROWSER_HEADER = "accept-language"


@dataclass(frozen=True)
class HostRule:
    """The names of one server, in lower case.

    `any_address`: it answers to each numeric address. `any_scraper`: to each name, unless a browser asks.
    `any_name`: to each name, as a password or a certificate is in the way of a foreign site.
    """

    names: frozenset[str]
    any_address: bool = False
    any_scraper: bool = False
    any_name: bool = False

    def judge(self, headers: Sequence[str], *, from_browser: bool) -> HTTPStatus:
        """OK, BAD_REQUEST unless there is one Host header and it is well-formed, or MISDIRECTED_REQUEST."""
        name = parse_host(headers[0]) if len(headers) == 1 else None
        if name is None:
            return HTTPStatus.BAD_REQUEST
        return HTTPStatus.OK if self._is_own(name, from_browser) else HTTPStatus.MISDIRECTED_REQUEST

    def _is_own(self, name: str, from_browser: bool) -> bool:
        if name in self.names or self.any_name or (self.any_scraper and not from_browser):
            return True
        if is_address(name):
            return self.any_address
        # How containers call their host, such as host.docker.internal; no public DNS resolves `.internal`.
        return name.endswith(".internal")


def scraped_names(listen_host: str, configured: Iterable[str], *, is_protected: bool = False) -> HostRule:
    """The rule of a server that programs read. On a network address they come by any name of DNS, browsers by address.

    `is_protected`: it asks for a password or has a certificate.
    """
    is_open = not is_loopback(listen_host)
    return HostRule(
        _names(listen_host, configured),
        any_address=is_open,
        any_scraper=is_open,
        any_name=is_protected,
    )


def page_names(listen_host: str, configured: Iterable[str]) -> HostRule:
    """The rule of a server that browsers read, and that can change something."""
    names = _names(listen_host, configured)
    if not is_address(listen_host) or not ipaddress.ip_address(listen_host).is_unspecified:
        return HostRule(names)
    return HostRule(names | {socket.gethostname().lower()}, any_address=True)


def parse_host(header: str) -> str | None:
    """The name or address in a Host header, in lower case, without brackets and port; None if it is malformed."""
    found = _HOST.fullmatch(header) if len(header) <= MAX_HOST_CHARACTERS else None
    if found is None or int(found[3] or 0) > 65535:
        return None
    if found[1] is not None:
        return str(ipaddress.IPv6Address(found[1])) if is_address(found[1]) and ":" in found[1] else None
    return found[2].lower().removesuffix(".") or None


def _names(listen_host: str, configured: Iterable[str]) -> frozenset[str]:
    own = str(ipaddress.ip_address(listen_host)) if is_address(listen_host) else listen_host
    return _LOOPBACK | {name.lower() for name in (own, *configured)}


def is_address(host: str) -> bool:
    """Whether it is a numeric address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    return host.lower() == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)
