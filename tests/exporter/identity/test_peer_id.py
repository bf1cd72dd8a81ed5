"""The id of a key file is the one that hivemind and p2pd compute."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from exporter.identity.peer_id import peer_id, read_peer_id
from trainer.protocol import is_peer_id

PLAIN = serialization.NoEncryption()


def wrap(kind: int, key: bytes) -> bytes:
    from hivemind.proto import crypto_pb2

    return crypto_pb2.PrivateKey(key_type=kind, data=key).SerializeToString()


def make_rsa(bits: int, form: serialization.PrivateFormat = serialization.PrivateFormat.TraditionalOpenSSL) -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return wrap(0, key.private_bytes(serialization.Encoding.DER, form, PLAIN))


def make_ed25519() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    return wrap(1, key.private_bytes_raw() + key.public_key().public_bytes_raw())


def ask_hivemind(identity: bytes) -> str:
    from hivemind.p2p import PeerID

    return PeerID.from_identity(identity).to_base58()


def ask_p2pd(path: Path) -> str:
    """The daemon that hivemind starts prints its id first."""
    import hivemind.hivemind_cli

    daemon = Path(hivemind.hivemind_cli.__file__).with_name("p2pd")
    command = [daemon, "-listen=/ip4/127.0.0.1/tcp/0", f"-id={path}", "-hostAddrs=/ip4/127.0.0.1/tcp/0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if found := re.search(r"\b(?:Qm|12D3KooW)\w{44}\b", line):
                    return found[0]
        finally:
            process.kill()
    raise AssertionError("p2pd has printed no id")


@pytest.mark.parametrize("bits", [1024, 2048])
@pytest.mark.parametrize("form", [serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8])
def test_the_id_of_an_rsa_key_is_that_of_hivemind(bits: int, form: serialization.PrivateFormat) -> None:
    identity = make_rsa(bits, form)

    assert peer_id(identity) == ask_hivemind(identity)


@pytest.mark.parametrize("make", [lambda: make_rsa(2048), make_ed25519])
def test_the_id_is_the_one_that_the_daemon_takes_for_itself(make: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "swarm.pem"
    path.write_bytes(make())

    found = read_peer_id(path)

    assert is_peer_id(found)
    assert found == ask_p2pd(path)


@pytest.mark.bench
def test_the_ids_of_a_hundred_keys_are_those_of_hivemind_and_its_daemon(tmp_path: Path) -> None:
    agreed = 0
    for number in range(100):
        path = tmp_path / f"{number}.pem"
        path.write_bytes(make_ed25519() if number % 2 else make_rsa(2048))
        expected = ask_p2pd(path) if number % 2 else ask_hivemind(path.read_bytes())
        agreed += read_peer_id(path) == expected
    print(f"peer ids: {agreed} of 100 keys as hivemind (RSA) and p2pd (Ed25519) have them")
    assert agreed == 100


def test_a_key_behind_a_link_is_read(tmp_path: Path) -> None:
    identity = make_ed25519()
    (tmp_path / "first.pem").write_bytes(identity)
    (tmp_path / "swarm.pem").symlink_to("first.pem")

    assert read_peer_id(tmp_path / "swarm.pem") == peer_id(identity)


def test_a_key_with_its_public_half_twice_has_the_same_id() -> None:
    identity = make_ed25519()

    assert peer_id(wrap(1, identity[4:] + identity[-32:])) == peer_id(identity)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\x08", b"\x08\x00\x12", b"\x08\x01\x12\x01a", b"\x08\x00\x12\x80", b"\x08\x02\x12\x20" + b"k" * 32),
        *(b"-----BEGIN RSA PRIVATE KEY-----", b"\x08\x00\x12\x02\x30\x84", bytes(range(256)) * 8),
    ],
)
def test_anything_else_is_rejected_in_one_line(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^swarm\.pem is not a libp2p RSA private key, nor an Ed25519 one$"):
        peer_id(content, name="swarm.pem")


def test_a_damaged_key_has_no_id() -> None:
    """Rather than the id of a peer that does not exist."""
    identity = make_rsa(1024)

    for place in range(40, 140, 10):
        damaged = bytearray(identity)
        damaged[place] ^= 0x10
        with pytest.raises(ValueError, match="not a libp2p"):
            peer_id(bytes(damaged))
    with pytest.raises(ValueError, match="not a libp2p"):
        peer_id(identity[:-1])


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "swarm.pem"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(ValueError, match="larger than"):
        read_peer_id(path)
