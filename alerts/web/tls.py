"""The status page's certificate, reloaded without a restart when renewed."""

import asyncio
import logging
import ssl
from pathlib import Path

from alerts.config import ConfigError, Tls
from exporter.files.named_file import read_named

RELOAD_SECONDS = 60.0
_MOST_BYTES = 1 << 20

log = logging.getLogger(__name__)


class Certificate:
    """A server's TLS context and its files. Raises ConfigError for files that cannot be used."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._loaded = self._read_times()
        self._problem = ""
        problem = self._load()
        if problem:
            raise ConfigError(f"tls: {problem}")

    async def keep_fresh(self) -> None:
        """Reloads renewed files until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            self.refresh()

    def refresh(self) -> bool:
        """Reloads changed files; returns whether new ones are in use."""
        times = self._read_times()
        if times == self._loaded:
            return False
        # The previous certificate stays in use if the new files do not match: a renewal may be half done. It is tried
        # again as long as it fails: files that may be read from now on have the same time.
        problem = self._load(check_first=True)
        if not problem:
            self._loaded, self._problem = times, ""
            log.info("tls: certificate reloaded")
        elif problem != self._problem:
            self._problem = problem
            log.warning("tls: renewed certificate not loaded, still using the previous one: %s", problem)
        return not problem

    def _load(self, *, check_first: bool = False) -> str:
        """Loads the files; returns the problem, empty on success."""
        try:
            if check_first:
                load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self._tls)
            load_pair(self.context, self._tls)
        except ValueError as error:
            return str(error)
        return ""

    def _read_times(self) -> tuple[int, ...]:
        return tuple(_changed_at(path) for path in (self._tls.certificate, self._tls.key))


def load_pair(context: ssl.SSLContext, tls: Tls) -> None:
    """Loads the files into the context; raises ValueError with one line that names the file."""
    for path in (tls.certificate, tls.key):
        try:
            content = read_named(path, _MOST_BYTES)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        # OpenSSL would wait for a pipe, or read a device without end.
        if not content or not path.is_file():
            raise ValueError(f"{path}: not a file with a certificate or a key")

    def refuse_password() -> str:
        raise ValueError(f"{tls.key} is encrypted; use a key without a passphrase")

    try:
        context.load_cert_chain(tls.certificate, tls.key, password=refuse_password)
    except ssl.SSLError as error:
        reason = (
            "the key does not match the certificate"
            if "MISMATCH" in str(error.reason)
            else "not a PEM certificate and key"
        )
        raise ValueError(f"{tls.certificate} and {tls.key}: {reason}") from None


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
