"""The file with which a standby may ask the first watcher, and knows it."""

import ssl
from pathlib import Path
from typing import NamedTuple

from exporter.run_folder import read_bounded

# In the state folder of the first one: lets a standby ask it, and nothing else; below it, the page's certificate.
TOKEN_FILE = "standby.token"
MAX_TOKEN_BYTES = 1 << 16
_BEGIN = "-----BEGIN CERTIFICATE-----"


class Token(NamedTuple):
    """What a standby shows to the first watcher, and that one's certificate (PEM), if it has one."""

    secret: str
    certificate: str


def read_token(path: Path) -> Token:
    """The content of a copied standby.token. Raises ValueError with one line."""
    remedy = f"copy {TOKEN_FILE} from the state folder of the first watcher's alert loop"
    try:
        text = read_bounded(path, MAX_TOKEN_BYTES).decode("ascii")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; {remedy}") from None
    except ValueError:
        raise ValueError(f"{path}: is no token; {remedy}") from None
    secret, _, rest = text.partition("\n")
    if not 16 <= len(secret.strip()) <= 256 or " " in secret.strip():
        raise ValueError(f"{path}: its first line is no token; {remedy}")
    token = Token(secret.strip(), rest if _BEGIN in rest else "")
    try:
        make_context(token)
    except ssl.SSLError:
        raise ValueError(f"{path}: the certificate below the token is none; {remedy}") from None
    return token


def make_context(token: Token) -> ssl.SSLContext:
    """Trusts the certificate of the token's file alone; without one, those that the system trusts.

    Raises ssl.SSLError where it is none.
    """
    if not token.certificate:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The file came from the watcher itself: its certificate stands for it, whatever its name is.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=token.certificate)
    return context
