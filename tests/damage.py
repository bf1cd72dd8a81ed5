"""Damages a copy of a SQLite file in one of the ways that disks, crashes and people do."""

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

PAGE = 4096
Way = Callable[[Path, random.Random], None]


def _bytes(path: Path, chance: random.Random) -> None:
    """200 random bytes change."""
    content = bytearray(path.read_bytes())
    for _ in range(200):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content)


def _few_bytes(path: Path, chance: random.Random) -> None:
    """A few bits change, in the first pages more often: there are the header and the names of the tables."""
    content = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 4)):
        limit = chance.choice([100, PAGE, len(content)])
        content[chance.randrange(limit)] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _page(path: Path, chance: random.Random) -> None:
    """A page of zeros, of noise, or with another one's content, as after a lost write."""
    content = bytearray(path.read_bytes())
    count = len(content) // PAGE
    at, other = chance.randrange(count) * PAGE, chance.randrange(count) * PAGE
    new = chance.choice([bytes(PAGE), chance.randbytes(PAGE), content[other : other + PAGE]])
    content[at : at + PAGE] = new
    path.write_bytes(content)


def _half(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.choice([len(content) // 2, chance.randrange(1, len(content))])])


def _empty(path: Path, chance: random.Random) -> None:
    path.write_bytes(b"")


def _header(path: Path, chance: random.Random) -> None:
    """A header of zeros, whole or in part."""
    content = bytearray(path.read_bytes())
    begin = chance.choice([0, 16, 18, 24, 44, 56, 60, 68])
    end = chance.choice([100, begin + 4])
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)


def _version(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[60:64] = chance.choice([chance.randbytes(4), bytes((0, 0, 0, chance.randrange(256)))])
    path.write_bytes(content)


# What is in no column of ours, or in none that it may be put into.
_ODD: tuple[object, ...] = (
    *("", "{", "[]", "null", '{"a": 1}', "[" * 3000, "\0", "é" * 900, b"\xff\x00", b"{"),
    *(-1, 2**63 - 1, 9e999, 1e300),
)


def _rows(path: Path, chance: random.Random) -> None:
    """Values of the wrong kind or content, in pages that are as they should be."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA ignore_check_constraints = ON")
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = [name for name in names if db.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()]
        changed = 0
        while not changed:
            table = chance.choice(tables)
            column = chance.choice([row[1] for row in db.execute(f"PRAGMA table_info({table})")])
            how = chance.choice(["?", "CAST(? AS TEXT)"])
            # One that the column refuses, such as a text for a row's number, could not be there.
            with contextlib.suppress(sqlite3.IntegrityError):
                changed = db.execute(f"UPDATE OR IGNORE {table} SET {column} = {how}", (chance.choice(_ODD),)).rowcount
    finally:
        db.close()


def _text(path: Path, chance: random.Random) -> None:
    """A letter within a text changes, often one of JSON."""
    content = bytearray(path.read_bytes())
    places = [at for at in range(len(content)) if content[at] in b'{}":,[]0123456789']
    for _ in range(chance.randint(1, 3)):
        content[chance.choice(places)] = chance.choice(b'{}":,[]0123456789\xff\xc3ae\x00')
    path.write_bytes(content)


def _tables(path: Path, chance: random.Random) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")]
        name = chance.choice(names)
        kind = db.execute("SELECT type FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(f"DROP {kind} {name}")
    finally:
        db.close()


WAYS: dict[str, Way] = {
    "bytes": _bytes,
    "a few bits": _few_bytes,
    "a page": _page,
    "cut": _half,
    "emptied": _empty,
    "header": _header,
    "version": _version,
    "rows": _rows,
    "letters": _text,
    "tables": _tables,
}


def damaged_copy(good: Path, folder: Path, number: int) -> str:
    """Puts a damaged copy in the folder; the same number is damaged in the same way. The way."""
    folder.mkdir(parents=True)
    copy = folder / good.name
    shutil.copyfile(good, copy)
    return damage(copy, number)


def damage(path: Path, number: int) -> str:
    """Damages the file in the way of this number; the way."""
    ways = list(WAYS)
    way = ways[number % len(ways)]
    WAYS[way](path, random.Random(number))
    return way
