"""What the sidecars show to who comes from outside: a certificate made here, its key, and a password."""

import datetime
import secrets
from pathlib import Path
from typing import NamedTuple

from exporter.run_folder import write_atomically
from exporter.serving.credentials import read_credentials
from fleet.processes.files import make_private

# As no authority renews it, and the watcher knows it and no other.
VALID_DAYS = 3650
USER = "watcher"


class OutsideFiles(NamedTuple):
    """Paths of the certificate and the key (PEM), and of the one line user:password."""

    certificate: Path
    key: Path
    login: Path


def ensure_files(folder: Path, machine: str) -> OutsideFiles:
    """The files of a folder, made where they are missing. Raises OSError, or RunError for a folder of others."""
    make_private(folder)
    files = OutsideFiles(folder / "certificate.pem", folder / "key.pem", folder / "login")
    if not (files.certificate.exists() and files.key.exists()):
        certificate, key = make_certificate(machine)
        write_atomically(files.key, key, mode=0o600)
        write_atomically(files.certificate, certificate, mode=0o600)
    if not files.login.exists():
        write_atomically(files.login, f"{USER}:{secrets.token_urlsafe(32)}\n".encode(), mode=0o600)
    return files


def read_login(files: OutsideFiles) -> str:
    """`user:password`. Raises OSError or ValueError."""
    return read_credentials(files.login).decode()


def make_certificate(machine: str) -> tuple[bytes, bytes]:
    """A certificate that stands for this machine, signed by itself, and its key; PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, machine)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        # Clocks differ, by more where nobody has set them yet.
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return certificate.public_bytes(pem), key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
