"""Addresses to listen on."""

import pytest

from exporter.serving.listen_address import is_host_name, split_listen


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9700", "127.0.0.1", 9700),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:9700", "::1", 9700),
        ("[::]:65535", "::", 65535),
        ("localhost:80", "localhost", 80),
        ("peers.example.org:9700", "peers.example.org", 9700),
    ],
)
def test_an_address_has_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert split_listen(text) == (host, port)


def test_an_address_without_a_host_is_for_this_machine_only() -> None:
    assert split_listen(":9700") == ("127.0.0.1", 9700)


REFUSED = (
    *("9700", "", ":", "::1:9700", "[::1]", "[::1:9700", "::1]:9700", "[a]:80", "[127.0.0.1]:80"),
    *("127.0.0.1:", "127.0.0.1:http", "127.0.0.1:99999", "127.0.0.1:000080", "127.0.0.1:٨٠", "127.0.0.1:-1"),
    *("1.2.3:80", "1.2.3.4.5:80", "a b:80", "-a:80", "a..b:80", "http://127.0.0.1:80", "127.0.0.1:80 "),
    "127.0.0.1:" + "9" * 6000,
)


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT, such as "):
        split_listen(text)


@pytest.mark.parametrize(
    ("name", "is_one"), [("a", True), ("a-1.b.", True), ("1.2.3", False), ("a/b", False), ("", False)]
)
def test_a_host_name_is_made_of_labels(name: str, is_one: bool) -> None:
    assert is_host_name(name) is is_one
