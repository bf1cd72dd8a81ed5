"""Joins a watcher: makes what the sidecars need for it, tells it, and writes it down."""

from pathlib import Path
from typing import NamedTuple

from exporter.run_folder import write_atomically
from fleet.configuration.elsewhere import FIRST_PORT, name_of_this_machine
from fleet.configuration.load import Loaded
from fleet.configuration.values import check_name
from fleet.joining.outside_files import OutsideFiles, ensure_files, read_login
from fleet.joining.request import JoinError, address_towards, ask, check_watcher, read_token
from fleet.joining.section import add_section


class Joined(NamedTuple):
    """What was told to the watcher; `written` is the file that has got a section, None where it had one."""

    watcher: str
    machine: str
    host: str
    ports: range
    is_new: bool
    written: Path | None

    def describe(self) -> str:
        """What the user reads."""
        ports = f"port {self.ports[0]}" if len(self.ports) == 1 else f"ports {self.ports[0]} to {self.ports[-1]}"
        told = f"{self.watcher} watches {self.machine} at {self.host}, {ports}{'' if self.is_new else ', as before'}."
        if self.written is None:
            return told
        again = "start the fleet again for it: `peerwatch up`, or `peerwatch services install`"
        return f"{told}\n{self.written}: section `outside` added; {again}."


def join(loaded: Loaded, file: Path, watcher: str, token_file: Path, *, address: str, name: str) -> Joined:
    """Raises JoinError and RunError with one line, ValueError for a name that is none, and OSError."""
    assert loaded.config is not None
    outside, described = loaded.config.outside, loaded.composition.machine
    machine = check_name(name) if name else outside.machine if outside else name_of_this_machine()
    if outside is not None and machine != outside.machine:
        raise JoinError(f"{file}: the machine is {outside.machine} in `outside`; change it there")
    url, token = check_watcher(watcher), read_token(token_file)
    host = address or address_towards(url)
    if described is not None and described.certificate and described.key and described.login:
        files = OutsideFiles(described.certificate, described.key, described.login)
    else:
        files = ensure_files(loaded.folder.root / "outside", machine)
    first = outside.port if outside else FIRST_PORT
    request = {
        "name": machine,
        "url": f"https://{f'[{host}]' if ':' in host else host}:{first}",
        "login": read_login(files),
        "certificate": files.certificate.read_text(),
    }
    is_new = ask(url, token, request)
    if outside is None:
        text = add_section(file.read_text(), machine, files)
        write_atomically(file, text.encode(), mode=file.stat().st_mode & 0o777)
    ports = range(first, first + max(1, len(loaded.peers)))
    return Joined(url, machine, host, ports, is_new, file if outside is None else None)
