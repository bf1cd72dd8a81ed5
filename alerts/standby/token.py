"""The file with which a standby may ask the first watcher, and knows it."""

import ssl
from pathlib import Path

from exporter.serving import token_file
from exporter.serving.token_file import Token
from exporter.serving.trust import trust, trust_text

# In the state folder of the first one: lets a standby ask it, and nothing else; below it, the page's certificate.
TOKEN_FILE = "standby.token"


def read_token(path: Path) -> Token:
    """The content of a copied standby.token. Raises ValueError with one line."""
    remedy = f"copy {TOKEN_FILE} from the state folder of the first watcher's alert loop"
    token = token_file.read_token(path, remedy)
    try:
        make_context(token)
    except ssl.SSLError:
        raise ValueError(f"{path}: the certificate below the token is none; {remedy}") from None
    return token


def make_context(token: Token) -> ssl.SSLContext:
    """Trusts the certificate of the token's file alone; without one, those that the system trusts.

    Raises ssl.SSLError where it is none.
    """
    return trust_text(token.certificate) if token.certificate else trust(None)
