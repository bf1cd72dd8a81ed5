"""A usage error of the sidecar is one line."""

import pytest

from exporter.config import SidecarConfig, parse_arguments
from exporter.serving.credentials import read_credentials


def mistake(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["--run-dir", "runs/a", *map(str, arguments)])
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_run_folder_is_enough(tmp_path):
    assert parse_arguments(["--run-dir", str(tmp_path)]) == SidecarConfig(run_dir=tmp_path)


def test_all_arguments_are_understood(tmp_path, certificate):
    (tmp_path / "auth").write_text("me:pass:word\n")
    arguments = ["--run-dir", str(tmp_path), "--listen", "[::1]:0", "--leaderboard-url", "http://127.0.0.1:8700/"]
    arguments += ["--memory-limit-bytes", "123", "--interval-seconds", "0.5", "--basic-auth-file", f"{tmp_path}/auth"]
    arguments += ["--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1])]
    assert parse_arguments(arguments) == SidecarConfig(
        run_dir=tmp_path,
        host="::1",
        port=0,
        leaderboard_url="http://127.0.0.1:8700",
        memory_limit_bytes=123,
        interval_seconds=0.5,
        tls_cert=certificate[0],
        tls_key=certificate[1],
        credentials=b"me:pass:word",
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--listen", "9700"),
        ("--listen", "127.0.0.1:99999"),
        ("--listen", "127.0.0.1:http"),
        ("--leaderboard-url", "127.0.0.1:8700"),
        ("--leaderboard-url", "file:///etc/passwd"),
        ("--leaderboard-url", "http://"),
        ("--memory-limit-bytes", "16GiB"),
        ("--memory-limit-bytes", "0"),
        ("--interval-seconds", "0"),
        ("--interval-seconds", "nan"),
        ("--tls-cert", "missing.pem"),
        ("--basic-auth-file", "missing"),
    ],
)
def test_a_mistake_names_the_option_and_the_value(capsys, option, value):
    line = mistake(capsys, option, value)
    assert option in line
    assert value in line or option == "--tls-cert"


def test_a_certificate_without_its_key_is_a_mistake(capsys, certificate):
    assert "--tls-key" in mistake(capsys, "--tls-cert", certificate[0])


@pytest.mark.parametrize("content", ["", "secret", ":secret", "secret:", "a:secret\nb:secret\n"])
def test_a_file_without_user_and_password_is_a_mistake_that_does_not_quote_it(capsys, tmp_path, content):
    (tmp_path / "auth").write_text(content)
    line = mistake(capsys, "--basic-auth-file", tmp_path / "auth")
    assert "user:password" in line
    assert "secret" not in line


def test_the_end_of_the_line_is_no_part_of_the_password(tmp_path):
    (tmp_path / "auth").write_bytes(b"me:p w\r\n")
    assert read_credentials(tmp_path / "auth") == b"me:p w"


@pytest.mark.parametrize(
    ("host", "credentials", "exposed"),
    [
        ("127.0.0.1", None, False),
        ("127.8.8.8", None, False),
        ("::1", None, False),
        ("localhost", None, False),
        ("0.0.0.0", None, True),
        ("::", None, True),
        ("0.0.0.0", b"a:b", False),
    ],
)
def test_an_open_address_without_a_password_is_exposed(tmp_path, host, credentials, exposed):
    assert SidecarConfig(run_dir=tmp_path, host=host, credentials=credentials).is_exposed() is exposed
