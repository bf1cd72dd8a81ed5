"""Lets smtplib log in with a name and a password in any language: it encodes both as ASCII and fails.

RFC 4616 requires UTF-8; servers take the same for LOGIN and CRAM-MD5. Apprise makes its connections itself, so the
class has to change.
"""

import hmac
import smtplib


class _Text(str):
    """Encoded as UTF-8 whatever is asked for: smtplib asks for ASCII."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("utf-8", errors)


def _plain(self: smtplib.SMTP, challenge: bytes | None = None) -> str:
    return _Text(f"\0{self.user}\0{self.password}")


def _login(self: smtplib.SMTP, challenge: bytes | None = None) -> str:
    # As in smtplib: the name with the command, or to the first challenge; then the password.
    is_first = challenge is None or self._auth_challenge_count < 2  # type: ignore[attr-defined]
    return _Text(self.user if is_first else self.password)


def _cram_md5(self: smtplib.SMTP, challenge: bytes | None = None) -> str | None:
    if challenge is None:
        return None
    return _Text(f"{self.user} {hmac.new(self.password.encode(), challenge, 'md5').hexdigest()}")


def allow_any_language() -> None:
    """Changes smtplib's log-in for the whole process."""
    smtplib.SMTP.auth_plain = _plain  # type: ignore[method-assign, assignment]
    smtplib.SMTP.auth_login = _login  # type: ignore[method-assign, assignment]
    smtplib.SMTP.auth_cram_md5 = _cram_md5  # type: ignore[method-assign, assignment]
