"""The certificate of the status page."""

import os
import shutil
import ssl
from pathlib import Path

import pytest

from alerts.config import ConfigError, Tls
from alerts.web.tls import Certificate
from tests.certificates import write_certificate


def _touch(*paths: Path) -> None:
    """Sets a later modification time, also on file systems that count in seconds."""
    for path in paths:
        os.utime(path, ns=(path.stat().st_mtime_ns + 10**9,) * 2)


def _serial(certificate: Certificate) -> bytes:
    """The certificate that a client gets."""
    ours, theirs, back = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    back.check_hostname, back.verify_mode = False, ssl.CERT_NONE
    server, client = certificate.context.wrap_bio(ours, theirs, server_side=True), back.wrap_bio(theirs, ours)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    found = client.getpeercert(binary_form=True)
    assert found
    return found


def test_a_renewed_certificate_is_served_without_a_restart(tmp_path: Path) -> None:
    paths = write_certificate(tmp_path)
    certificate = Certificate(Tls(certificate=paths[0], key=paths[1]))
    before = _serial(certificate)
    assert not certificate.refresh()
    write_certificate(tmp_path)
    _touch(*paths)
    assert certificate.refresh()
    assert _serial(certificate) != before


def test_a_renewal_whose_end_no_time_tells_is_served(tmp_path: Path) -> None:
    """As where the new key could not be read at first, or came within a tick of the disk's clock."""
    paths = write_certificate(tmp_path)
    certificate = Certificate(Tls(certificate=paths[0], key=paths[1]))
    before = _serial(certificate)
    shutil.copy(write_certificate(tmp_path / "other")[0], paths[0])
    _touch(paths[0])
    at = paths[1].stat().st_mtime_ns
    assert not certificate.refresh()
    shutil.copy(tmp_path / "other" / "page.key", paths[1])
    os.utime(paths[1], ns=(at, at))
    assert certificate.refresh()
    assert not certificate.refresh()
    assert _serial(certificate) != before


def test_a_renewal_that_is_half_done_changes_nothing(tmp_path: Path) -> None:
    paths = write_certificate(tmp_path)
    certificate = Certificate(Tls(certificate=paths[0], key=paths[1]))
    before = _serial(certificate)
    shutil.copy(write_certificate(tmp_path / "other")[0], paths[0])
    _touch(paths[0])
    assert not certificate.refresh()
    assert _serial(certificate) == before
    shutil.copy(tmp_path / "other" / "page.key", paths[1])
    _touch(paths[1])
    assert certificate.refresh()
    assert _serial(certificate) != before


def test_mismatched_files_are_reported_by_name(tmp_path: Path) -> None:
    pem, key = write_certificate(tmp_path)
    _, other = write_certificate(tmp_path / "other")
    for wrong, reason in (
        (Tls(certificate=pem, key=other), "the key does not match the certificate"),
        (Tls(certificate=key, key=key), "not a PEM certificate and key"),
        (Tls(certificate=tmp_path / "none.pem", key=key), "none.pem: No such file"),
    ):
        with pytest.raises(ConfigError, match=reason):
            Certificate(wrong)
