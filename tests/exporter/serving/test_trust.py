"""Whom a client trusts that was handed a certificate: its owner, and nobody whom an authority vouches for."""

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exporter.serving.trust import first_certificate, trust, trust_text
from tests.fakes import LOOPBACK

PEM = serialization.Encoding.PEM


class Holder(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(PEM).decode()


def make(name: str, issuer: Holder | None = None, *, begins_in_days: int = -1) -> Holder:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begin = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=begins_in_days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca="authority" in name, path_length=None), critical=True)
    )
    return Holder(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


@pytest.fixture(scope="module")
def holders() -> dict[str, Holder]:
    root = make("root authority")
    middle = make("middle authority", root)
    clocks = {name: make(name, begins_in_days=days) for name, days in (("not yet", 1), ("no more", -3))}
    return {"root": root, "middle": middle, "watcher": make("watcher", middle), "other": make("other", middle)} | clocks


@pytest.fixture
def serve(tmp_path: Path, holders: dict[str, Holder]) -> Iterator[object]:
    """Serves one TLS connection as this holder, with its authority below."""
    listeners = []

    def start(name: str) -> int:
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (tmp_path / "chain").write_text(holders[name].pem + holders["middle"].pem)
        (tmp_path / "key").write_bytes(holders[name].key.private_bytes(PEM, *form))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "chain", tmp_path / "key")
        listener = socket.create_server((LOOPBACK, 0))
        listeners.append(listener)

        def answer() -> None:
            try:
                with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                    connection.recv(1)
            except OSError:
                pass

        threading.Thread(target=answer, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for one in listeners:
        one.close()


def connect(context: ssl.SSLContext, port: int) -> None:
    with socket.create_connection((LOOPBACK, port), 10) as plain, context.wrap_socket(plain):
        pass


@pytest.mark.parametrize("below", [(), ("middle",), ("middle", "root")], ids=["alone", "with a chain", "with its root"])
def test_a_certificate_that_was_handed_over_stands_for_its_owner_alone(
    holders: dict[str, Holder],
    serve,
    tmp_path: Path,
    below: tuple[str, ...],
) -> None:
    (tmp_path / "page.pem").write_text("".join(holders[name].pem for name in ("watcher", *below)))
    context = trust(tmp_path / "page.pem")
    connect(context, serve("watcher"))
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(context, serve("other"))


@pytest.mark.parametrize("name", ["not yet", "no more"])
def test_a_clock_that_is_off_loses_nobody_whose_certificate_was_handed_over(
    holders: dict[str, Holder], serve, name: str
) -> None:
    connect(trust_text(holders[name].pem), serve(name))
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(trust_text(holders["no more" if name == "not yet" else "not yet"].pem), serve(name))


def test_what_holds_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(ssl.SSLError):
        trust(tmp_path / "page.pem")
    with pytest.raises(ssl.SSLError, match="no certificate as PEM"):
        trust_text("token\n")
    with pytest.raises(FileNotFoundError):
        trust(tmp_path / "none.pem")


def test_the_first_certificate_is_the_owners(holders: dict[str, Holder]) -> None:
    text = f"token\n{holders['watcher'].pem}{holders['middle'].pem}"
    assert first_certificate(text) == holders["watcher"].pem
    assert trust(None).verify_mode == ssl.CERT_REQUIRED
