"""Whom a client trusts: one certificate that was handed over, or whoever the system vouches for."""

import re
import ssl
from pathlib import Path

from exporter.files.named_file import read_named

_MOST_BYTES = 1 << 20
# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python has no name for.
_ANY_TIME = 0x200000
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def trust(certificate: Path | None) -> ssl.SSLContext:
    """Trusts the first certificate of this file alone; without one, those that the system trusts.

    Neither its name nor its dates count: it stands for the machine that handed it over. Raises OSError, of which
    ssl.SSLError is one, where it cannot be used.
    """
    if certificate is None:
        return ssl.create_default_context()
    return trust_text(read_named(certificate, _MOST_BYTES).decode("ascii", "replace"))


def trust_text(pem: str) -> ssl.SSLContext:
    """The same for the text of such a file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # It was handed over by the machine itself: it stands for the machine, not for a name of it. Authorities further
    # down in the file would vouch for anyone, as names do not count.
    context.check_hostname = False
    # A machine whose clock is off is to be reported, not to be lost; the certificate is the same.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _ANY_TIME
    context.load_verify_locations(cadata=first_certificate(pem))
    return context


def first_certificate(pem: str) -> str:
    """The first certificate of a file that may have a chain. Raises ssl.SSLError without one."""
    found = _CERTIFICATE.search(pem)
    if found is None:
        raise ssl.SSLError("no certificate as PEM")
    return found[0] + "\n"
