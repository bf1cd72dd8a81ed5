"""Joins a watcher: makes what the sidecars need for it, tells it, and writes it down."""

from pathlib import Path
from typing import NamedTuple

from exporter.run_folder import write_atomically
from exporter.serving.trust import first_certificate
from fleet.configuration.elsewhere import FIRST_PORT, name_of_this_machine
from fleet.configuration.load import Loaded
from fleet.configuration.values import check_name
from fleet.joining.outside_files import OutsideFiles, ensure_files, read_login
from fleet.joining.request import JoinError, address_towards, ask, check_watcher, read_token
from fleet.joining.section import add_outside, add_push, add_standby

# Beside what this machine shows: the certificate of the watcher that it pushes to.
WATCHER_FILE = "watcher.pem"
# The same of its standby.
STANDBY_FILE = "standby.pem"


class Joined(NamedTuple):
    """What was told to the watcher; `written` is the file that has got the section, None where it had it.

    `host` and `ports` are where the watcher reaches this machine; without them, it pushes.
    """

    watcher: str
    machine: str
    is_new: bool
    section: str
    written: Path | None
    host: str = ""
    ports: range = range(0)

    def describe(self) -> str:
        """What the user reads."""
        before = "" if self.is_new else ", as before"
        if self.ports:
            ports = f"port {self.ports[0]}" if len(self.ports) == 1 else f"ports {self.ports[0]} to {self.ports[-1]}"
            told = f"{self.watcher} watches {self.machine} at {self.host}, {ports}{before}."
        else:
            told = f"{self.watcher} takes what {self.machine} pushes{before}."
        if self.written is None:
            return told
        again = "start the fleet again for it: `peerwatch up`, or `peerwatch services install`"
        return f"{told}\n{self.written}: section `{self.section}` added; {again}."


def join(loaded: Loaded, file: Path, watcher: str, token_file: Path, *, address: str, name: str) -> Joined:
    """Raises JoinError and RunError with one line, ValueError for a name that is none, and OSError."""
    assert loaded.config is not None
    outside, described = loaded.config.outside, loaded.composition.machine
    machine = _choose_name(loaded, file, name, "outside", outside.machine if outside else "")
    url, token = check_watcher(watcher), read_token(token_file)
    host = address or address_towards(url)
    if described is not None and described.certificate and described.key and described.login:
        files = OutsideFiles(described.certificate, described.key, described.login)
    else:
        files = _ensure_files(loaded, machine)
    first = outside.port if outside else FIRST_PORT
    reached = {"url": f"https://{f'[{host}]' if ':' in host else host}:{first}"}
    is_new = ask(url, token, _request(machine, files) | reached)
    if outside is None:
        _rewrite(file, add_outside(file.read_text(), machine, files))
    ports = range(first, first + max(1, len(loaded.peers)))
    return Joined(url, machine, is_new, "outside", file if outside is None else None, host, ports)


def join_by_push(loaded: Loaded, file: Path, watcher: str, token_file: Path, *, name: str) -> Joined:
    """The same for a machine that the watcher cannot reach: its sidecars' pages are pushed.

    A second watcher becomes the standby, which is pushed the same.
    """
    assert loaded.config is not None
    push = loaded.config.push
    machine = _choose_name(loaded, file, name, "push", push.machine if push else "")
    url, token = check_watcher(watcher), read_token(token_file)
    is_second = push is not None and push.watcher != url
    if push is not None and is_second and push.standby is not None and push.standby.watcher != url:
        both = f"{push.watcher} and {push.standby.watcher}"
        raise JoinError(f"{file}: pages are pushed to {both}; change `push` there, or remove one")
    files = _ensure_files(loaded, machine)
    if loaded.composition.push is not None:
        files = files._replace(login=loaded.composition.push.login)
    is_new = ask(url, token, {**_request(machine, files), "pushes": True})
    kept = files.certificate.with_name(STANDBY_FILE if is_second else WATCHER_FILE) if token.certificate else None
    if kept is not None:
        write_atomically(kept, first_certificate(token.certificate).encode(), mode=0o600)
    if push is None:
        paths = {"login": str(files.login), **({"certificate": str(kept)} if kept else {})}
        _rewrite(file, add_push(file.read_text(), machine, url, paths))
        return Joined(url, machine, is_new, "push", file)
    if is_second and push.standby is None:
        try:
            _rewrite(file, add_standby(file.read_text(), url, kept))
        except ValueError as error:
            raise JoinError(f"{file}: {error}") from None
        return Joined(url, machine, is_new, "push.standby", file)
    return Joined(url, machine, is_new, "push", None)


def _choose_name(loaded: Loaded, file: Path, given: str, section: str, before: str) -> str:
    """What the watcher calls this machine. Raises ValueError, or JoinError where the file says otherwise."""
    machine = check_name(given) if given else before or _name_in(loaded) or name_of_this_machine()
    if before and machine != before:
        raise JoinError(f"{file}: the machine is {before} in `{section}`; change it there")
    return machine


def _name_in(loaded: Loaded) -> str:
    config = loaded.config
    known = (config.outside, config.push) if config else ()
    return next((one.machine for one in known if one), "")


def _ensure_files(loaded: Loaded, machine: str) -> OutsideFiles:
    return ensure_files(loaded.folder.root / "outside", machine)


def _request(machine: str, files: OutsideFiles) -> dict[str, object]:
    return {"name": machine, "login": read_login(files), "certificate": files.certificate.read_text()}


def _rewrite(file: Path, text: str) -> None:
    write_atomically(file, text.encode(), mode=file.stat().st_mode & 0o777)
