"""Reads the YAML of every process's configuration into plain data, within bounds; never executes a tag.

A file can be any: its size, its depth, the digits of its numbers and what its aliases expand to are bounded. Numbers
are those of YAML 1.2, so that `1e-6` is one; `08` and `22:30`, which mean something else in YAML 1.1, are text.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from exporter.files.named_file import read_named

MAX_BYTES = 1 << 19
MAX_DEPTH = 50
MAX_DIGITS = 100
MAX_VALUES = 200_000

# A key of the top level that begins so holds anchors, and is no part of the data.
EXTENSION = "x-"

Location = tuple[str | int, ...]

_MERGE, _INT, _FLOAT, _TEXT = (f"tag:yaml.org,2002:{name}" for name in ("merge", "int", "float", "str"))
_QUOTED_WRONGLY = "!typographic-quote"
# What a key may look like: it is text all the same.
_PLAIN = frozenset((_INT, _FLOAT, *(f"tag:yaml.org,2002:{name}" for name in ("bool", "null", "timestamp"))))
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_RESOLVERS = (
    (_INT, re.compile(r"[-+]?(0|[1-9][0-9_]*)|0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+"), "-+0123456789"),
    (
        _FLOAT,
        re.compile(
            r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
            r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
        ),
        "-+0123456789.",
    ),
    (_QUOTED_WRONGLY, re.compile("[“”„‟‘’‚‛«»].*", re.DOTALL), "“”„‟‘’‚‛«»"),
)


class Mistake(NamedTuple):
    """A mistake in the text, with its location in the data and its line (from 1); the message shows no value."""

    location: Location
    line: int | None
    message: str


@dataclass(frozen=True)
class Document:
    """The plain data of a text and the line (from 1) of each key; for a list entry, the line of its value."""

    data: dict[str, Any]
    lines: Mapping[Location, int] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()


def load(path: Path) -> dict[str, Any]:
    """The data of a file. Raises ValueError with one line `FILE:LINE: key: message` per mistake."""
    try:
        content = read_file(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    document = parse(content)
    if document.mistakes:
        raise ValueError("\n".join(_describe(path, mistake) for mistake in document.mistakes))
    return document.data


def read_file(path: Path) -> bytes:
    """The content, as far as its size shows that it is too large. Raises OSError."""
    return read_named(path, MAX_BYTES + 1)


def parse(content: bytes | str) -> Document:
    """The data and every mistake; of a text that is not YAML, the first mistake alone."""
    content = content.encode(errors="surrogatepass") if isinstance(content, str) else content
    if len(content) > MAX_BYTES:
        return _refused(None, f"larger than {MAX_BYTES // 1024} KiB; a configuration is a few lines per peer")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _refused(content.count(b"\n", 0, error.start) + 1, "not UTF-8; save the file as UTF-8")
    try:
        return _parse(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return _refused(mark.line + 1 if mark else None, _explain(error))
    except yaml.reader.ReaderError as error:
        return _refused(text.count("\n", 0, error.position) + 1, "a character that YAML does not allow; remove it")
    except (ValueError, OverflowError):
        return _refused(None, "not valid YAML: a date or a number that does not exist")


def dump(content: Mapping[str, Any]) -> str:
    """Text that `parse` reads back unchanged."""
    return yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """Composes to a limited depth: both composing and what walks the data recurse."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in found if tag not in (_INT, _FLOAT)]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, f"nested more than {MAX_DEPTH} levels deep", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """0 for a number with too many digits, which is a mistake already."""
        return 0 if len(node.value) > MAX_DIGITS else super().construct_yaml_int(node)


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or `_Loader` would read as anything else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Anchors would meet those of the text that this one is added to, and tell a reader nothing."""
        return True


_Loader.add_constructor(_INT, _Loader.construct_yaml_int)
_Loader.add_constructor(_QUOTED_WRONGLY, lambda loader, node: str(node.value))
for _tag, _pattern, _first in _RESOLVERS:
    _whole = re.compile(rf"(?:{_pattern.pattern})\Z", _pattern.flags)
    _Loader.add_implicit_resolver(_tag, _whole, list(_first))
    _Dumper.add_implicit_resolver(_tag, _whole, list(_first))


def _parse(text: str) -> Document:
    loader = _Loader(text)
    node = loader.get_single_node()
    if node is None:
        return Document({})
    if not isinstance(node, yaml.MappingNode):
        return _refused(node.start_mark.line + 1, "not a mapping; write `key: value` lines")
    # Before the data is made: merge keys become part of the nodes then.
    lines: dict[Location, int] = {}
    mistakes = [*_too_many(node), *_walk(node, (), lines, set())]
    if any(not mistake.location for mistake in mistakes):
        return Document({}, lines, tuple(mistakes))
    data = loader.construct_document(node)
    kept = {key: value for key, value in data.items() if not str(key).startswith(EXTENSION)}
    return Document(kept, lines, tuple(mistakes))


def _refused(line: int | None, message: str) -> Document:
    return Document({}, mistakes=(Mistake((), line, message),))


def _walk(node: yaml.Node, location: Location, lines: dict[Location, int], seen: set[int]) -> Iterator[Mistake]:
    """Every mistake below a node; fills `lines`.

    An anchor is walked once, however often it is used: a few nested aliases expand to millions of values.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield from _judge(node, location)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag == _MERGE or not isinstance(key, yaml.ScalarNode):
                yield from _walk(value, location, {}, seen)
                continue
            below, line = (*location, key.value), key.start_mark.line + 1
            if below in lines:
                yield Mistake(below, line, f"duplicate key, first in line {lines[below]}; remove one")
                continue
            lines[below] = line
            yield from _judge(key, below)
            key.tag = _TEXT if key.tag in _PLAIN else key.tag
            yield from _walk(value, below, lines, seen)
    else:
        for index, value in enumerate(node.value):
            lines[(*location, index)] = value.start_mark.line + 1
            yield from _walk(value, (*location, index), lines, seen)


def _judge(node: yaml.ScalarNode, location: Location) -> Iterator[Mistake]:
    line = node.start_mark.line + 1
    if node.tag == _QUOTED_WRONGLY:
        message = "begins with a typographic quote, which would be part of the value; write \" or '"
        yield Mistake(location, line, message)
    elif _NO_TEXT.search(node.value):
        # What is left is judged too, and no path of it ends a process.
        node.value = _NO_TEXT.sub("", node.value)
        yield Mistake(location, line, "has a NUL or half a character (\\0, \\ud800); remove it")
    elif node.tag in (_INT, _FLOAT) and len(node.value) > MAX_DIGITS:
        yield Mistake(location, line, f"a number of more than {MAX_DIGITS} digits; quote it if it is text")
    elif node.tag == _FLOAT and not _is_finite(node.value):
        yield Mistake(location, line, "not a finite number; write one")


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan")))
    except ValueError:
        return not re.search(r"\.(inf|nan)", text, re.IGNORECASE)


def _too_many(root: yaml.Node) -> Iterator[Mistake]:
    """A mistake if the data, with every alias expanded, would have too many values or no end."""
    counts: dict[int, int] = {}

    def count(node: yaml.Node) -> int:
        if id(node) in counts:
            return counts[id(node)]
        # Met again before it is counted, a node contains itself.
        counts[id(node)] = MAX_VALUES + 1
        children = [] if isinstance(node, yaml.ScalarNode) else node.value
        flat = (one for child in children for one in (child if isinstance(child, tuple) else (child,)))
        counts[id(node)] = min(1 + sum(map(count, flat)), MAX_VALUES + 1)
        return counts[id(node)]

    if count(root) > MAX_VALUES:
        line = root.start_mark.line + 1
        yield Mistake((), line, f"more than {MAX_VALUES} values, counting each use of an alias; one may contain itself")


def _explain(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's words; not where they would quote a value, which may be a password that begins with * or !."""
    problem = error.problem or ""
    if "alias" in problem:
        return "an undefined alias; quote a value that begins with *"
    if "'\\t'" in problem:
        return "a tab; indent with blanks"
    if "constructor for the tag" in problem or "tag handle" in problem:
        return "a tag, which is not allowed here; quote a value that begins with !"
    return " ".join(", ".join(part for part in (error.context, problem) if part).split())


def _describe(path: Path, mistake: Mistake) -> str:
    place = str(path) if mistake.line is None else f"{path}:{mistake.line}"
    where = f"{'.'.join(map(str, mistake.location))}: " if mistake.location else ""
    return f"{place}: {where}{mistake.message}"
