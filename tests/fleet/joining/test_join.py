"""A machine joins: what the watcher is told, and what the file then says."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.configuration.load import Loaded, load_file
from fleet.joining.join import WATCHER_FILE, join, join_by_push
from fleet.joining.request import JoinError
from tests.fleet.tls_watcher import TlsWatcher, tls_watcher


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[TlsWatcher]:
    with tls_watcher(tmp_path / "watcher") as found:
        yield found


def write(folder: Path, more: str = "") -> Path:
    file = folder / "peerwatch.yaml"
    file.write_text(f"# ours\nfleet: a\nstate_dir: state\npeers: [{{name: amber}}, {{name: basalt}}]{more}")
    return file


def load(file: Path) -> Loaded:
    loaded = load_file(file)
    assert loaded.is_usable, loaded.lines()
    (loaded.folder.root).mkdir(mode=0o700, exist_ok=True)
    return loaded


def test_a_machine_that_pushes_tells_no_address_and_opens_no_port(watcher: TlsWatcher, tmp_path: Path) -> None:
    file, token = write(tmp_path), watcher.write_token(tmp_path / "token")
    joined = join_by_push(load(file), file, watcher.url, token, name="rack-3")
    assert joined.describe().splitlines()[0] == f"{watcher.url} takes what rack-3 pushes."
    ((path, _, body),) = watcher.requests
    told = json.loads(body)
    assert (path, told["name"], told["pushes"], "url" in told) == ("/api/machines", "rack-3", True, False)
    loaded = load(file)
    assert file.read_text().startswith("# ours\nfleet: a\n")
    assert loaded.config is not None
    assert loaded.config.outside is None
    push = loaded.composition.push
    assert push is not None
    assert (push.watcher, push.machine, push.host) == (watcher.url, "rack-3", "127.0.0.1")
    assert push.peers == {"amber": 9700, "basalt": 9701}
    assert push.login.read_text() == f"{told['login']}\n"
    assert push.certificate is not None
    assert push.certificate.name == WATCHER_FILE
    assert push.certificate.read_text() == watcher.certificate.read_text()
    assert loaded.composition.machine is not None
    assert loaded.composition.machine.name == "rack-3"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (push.login, push.certificate))


def test_joining_again_tells_the_same_and_leaves_the_file(watcher: TlsWatcher, tmp_path: Path) -> None:
    file, token = write(tmp_path), watcher.write_token(tmp_path / "token")
    join_by_push(load(file), file, watcher.url, token, name="rack-3")
    before, watcher.status = file.read_text(), 200
    again = join_by_push(load(file), file, watcher.url, token, name="")
    assert again.describe() == f"{watcher.url} takes what rack-3 pushes, as before."
    assert file.read_text() == before
    assert watcher.requests[0] == watcher.requests[1]
    with pytest.raises(JoinError, match="the machine is rack-3 in `push`; change it there"):
        join_by_push(load(file), file, watcher.url, token, name="rack-4")


def test_a_second_watcher_that_is_pushed_to_is_the_standby(watcher: TlsWatcher, tmp_path: Path) -> None:
    file, token = write(tmp_path, "\n"), watcher.write_token(tmp_path / "token")
    join_by_push(load(file), file, watcher.url, token, name="rack-3")
    file.write_text(file.read_text() + "# the end\nsidecar_interval: 2s\n")
    with tls_watcher(tmp_path / "second") as second:
        joined = join_by_push(load(file), file, second.url, second.write_token(tmp_path / "other"), name="")
        assert f"{file}: section `push.standby` added" in joined.describe()
        # The same name and password, so that the same process pushes to both.
        assert second.requests[0][2] == watcher.requests[0][2]
        push = load(file).composition.push
        assert push is not None
        first, standby = push.each()
        assert (first.watcher, standby.watcher) == (watcher.url, second.url)
        assert [one.certificate.read_text() for one in (first, standby) if one.certificate] == [
            one.certificate.read_text() for one in (watcher, second)
        ]
        assert standby == first._replace(watcher=second.url, certificate=standby.certificate)
        before, second.status = file.read_text(), 200
        assert "# the end\nsidecar_interval: 2s" in before
        again = join_by_push(load(file), file, second.url, tmp_path / "other", name="")
        assert again.describe() == f"{second.url} takes what rack-3 pushes, as before."
        assert file.read_text() == before
        with pytest.raises(JoinError, match=f"pages are pushed to {watcher.url} and {second.url}; change `push` there"):
            join_by_push(load(file), file, "https://third.example.org", token, name="")


def test_a_section_that_is_not_written_in_lines_is_left_to_its_owner(watcher: TlsWatcher, tmp_path: Path) -> None:
    file, token = write(tmp_path), watcher.write_token(tmp_path / "token")
    (tmp_path / "login").write_text("watcher:" + "p" * 43 + "\n")
    section = f"\npush: {{watcher: 'https://first', machine: rack-3, login: {tmp_path / 'login'}}}\n"
    file.write_text(before := file.read_text() + section)
    with pytest.raises(
        JoinError, match=f"add `standby: {{watcher: {watcher.url}, certificate: .*}}` to `push` yourself"
    ):
        join_by_push(load(file), file, watcher.url, token, name="")
    assert file.read_text() == before


def test_a_machine_may_be_asked_and_push_elsewhere(watcher: TlsWatcher, tmp_path: Path) -> None:
    file, token = write(tmp_path), watcher.write_token(tmp_path / "token")
    asked = join(load(file), file, watcher.url, token, address="", name="rack-1")
    assert asked.describe().startswith(f"{watcher.url} watches rack-1 at 127.0.0.1, ports 9800 to 9801.\n")
    join_by_push(load(file), file, watcher.url, token, name="")
    loaded = load(file)
    assert loaded.composition.machine is not None
    assert loaded.composition.machine.peers == {"amber": 9800, "basalt": 9801}
    assert loaded.composition.push is not None
    assert loaded.composition.push.peers == {"amber": 9700, "basalt": 9701}


def test_a_refusal_changes_nothing(watcher: TlsWatcher, tmp_path: Path) -> None:
    file, token = write(tmp_path), watcher.write_token(tmp_path / "token")
    before, watcher.status, watcher.answer = file.read_text(), 409, {"detail": "another machine is watched as rack-3"}
    with pytest.raises(JoinError, match="another machine is watched as rack-3"):
        join_by_push(load(file), file, watcher.url, token, name="rack-3")
    assert file.read_text() == before
