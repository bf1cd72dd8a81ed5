"""A found trainer as a peer of `peerwatch.yaml`, and how it is added to the text of one, whose comments stay. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import yaml

from exporter.files import yaml_text
from fleet.attach.candidates import Candidate
from fleet.configuration.yaml_lines import parse

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_NEW_FILE = """\
# Peerwatch: the trainers to watch on this machine, and where their alerts go.
# `peerwatch check` reports every error in this file; `peerwatch up` watches, `peerwatch services install` for good.

fleet: {fleet}

alerts:
  routes: []                    # apprise URLs to notify; without any, alerts show in the terminal and on the page
  #  - name: phone
  #    url: tgram://${{TELEGRAM_TOKEN}}/${{TELEGRAM_CHAT}}
"""


class EntryError(Exception):
    """The file cannot take the peer; the text is one line for the user."""


def describe_peer(candidate: Candidate, name: str) -> dict[str, Any]:
    """The peer of `kind: attached` that finds and reads this trainer. Raises EntryError where nothing tells it."""
    if candidate.criteria is None:
        raise EntryError(
            f"process {candidate.pid}: nothing in its command line tells it from others; add it to the file by hand, "
            "with `find: {pid_file: …}` or `find: {unit: …}`"
        )
    find = {name: str(value) for name, value in vars(candidate.criteria).items() if value is not None}
    peer = {
        "name": name,
        "kind": "attached",
        "find": find,
        "progress": [{reader.name: dict(reader.options)} for reader in candidate.readers],
    }
    if candidate.swarm is not None:
        identity, contract, checkout = candidate.swarm[:3]
        if checkout == candidate.criteria.folder:
            checkout = None
        named = {"identity": identity, "contract": contract, "checkout": checkout}
        peer |= {key: str(value) for key, value in named.items() if value is not None}
    return peer


def choose_name(candidate: Candidate, taken: Collection[str]) -> str:
    """A name from its folder, else its kind, that no other peer has; names become folders, which may ignore case."""
    stem = _NOT_IN_A_NAME.sub("-", candidate.folder.name if candidate.folder else candidate.kind).strip("-.")[:48]
    stem = stem or "trainer"
    used = {name.casefold() for name in taken}
    names = (stem, *(f"{stem}-{number}" for number in range(2, 10_000)))
    return next(name for name in names if name.casefold() not in used)


def new_file(fleet: str) -> str:
    """The text of a configuration without any peer yet."""
    return _NEW_FILE.format(fleet=_NOT_IN_A_NAME.sub("-", fleet).strip("-.")[:64] or "fleet")


def add_peers(text: str, peers: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """The text with more peers in its list; `names` are those that it has now. Raises EntryError.

    A count of trainers becomes the list of them: their names, and with them their folders, stay.
    """
    if text and not text.endswith("\n"):
        text += "\n"
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    found = next((pair for pair in pairs if pair[0].value == "peers"), None)
    lines = text.splitlines(keepends=True)
    if found is None:
        # Without the key there is one trainer, unless the file is new.
        kept = [{"name": name} for name in names]
        return "".join([*lines, "\npeers:\n", _render([*kept, *peers], "  ")])
    key, value = found
    if isinstance(value, yaml.SequenceNode) and value.value and not value.flow_style:
        last = value.value[-1]
        indent = " " * value.start_mark.column
        at = _end_line(lines, last.end_mark.line, len(indent))
        return "".join([*lines[:at], _render(peers, indent), *lines[at:]])
    if isinstance(value, yaml.ScalarNode) and key.start_mark.line == value.start_mark.line:
        line = key.start_mark.line
        comment = lines[line][value.end_mark.column :].strip()
        head = f"peers:  {comment}\n" if comment else "peers:\n"
        kept = [{"name": name} for name in names]
        return "".join([*lines[:line], head, _render([*kept, *peers], "  "), *lines[line + 1 :]])
    raise EntryError(
        "peers: is written in a way that cannot be added to; write it as a list with a line for each `- name:`, "
        f"or add this by hand:\n{_render(peers, '  ')}"
    )


def list_names(text: str) -> list[str]:
    """The names in the list of peers, as written."""
    peers = parse(text).data.get("peers")
    return [str(one.get("name")) for one in peers if isinstance(one, dict)] if isinstance(peers, list) else []


def _render(peers: Sequence[Mapping[str, Any]], indent: str) -> str:
    _, *written = yaml_text.dump({"peers": list(peers)}).splitlines()
    return "".join(f"{indent}{line}\n" if line else "\n" for line in written)


def _end_line(lines: Sequence[str], end: int, indent: int) -> int:
    """The line after the list's last entry: comments that belong to it stay above, empty lines below."""
    at = min(end, len(lines))
    while at > 0 and (not lines[at - 1].strip() or _is_comment_of_outside(lines[at - 1], indent)):
        at -= 1
    return at


def _is_comment_of_outside(line: str, indent: int) -> bool:
    stripped = line.lstrip()
    return stripped.startswith("#") and len(line) - len(stripped) < indent
