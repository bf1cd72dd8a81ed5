"""What no trainer writes: noise, and whatever a format allows or a damaged disk leaves, for each reader to survive."""

import os
import random
import sqlite3
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.exporter.progress import writers
from tests.exporter.progress.feeding import Source
from tests.exporter.progress.readers.test_tensorboard import event, frame, part, varint
from tests.exporter.progress.readers.test_trackio import AT, NEW, OLD
from tests.exporter.progress.readers.test_wandb import HEADER, configuration, history, write_log

MEGABYTE = 1 << 20
# After so many parts a file begins again, as another one.
PARTS_OF_FILE = 16
VARIANTS = 4

LINES = [
    *(report.format(step).encode() for report in writers.REPORTS.values() for step in (1, 2, 10**30)),
    *(writers.write_rows(range(1, 2)), writers.write_page(3), writers.write_state(2)),
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\0" * 50,
        b"\xff\xfe",
        b"{",
        b"}",
        b"{'",
        b"': ",
        b"Iter 5:",
        b"step:",
        b"nan",
        b"\x1b[A",
        b"|",
    ),
    *(b"x" * 5000, b"[" * 5000, b'{"a":' * 500, b"9" * 5000, b" " * 5000, b"- " * 3000, b"%|" * 3000, b"1e999"),
]


def mix(pieces: Sequence[bytes], seed: int, size: int = MEGABYTE, *, noise: float = 0.5) -> bytes:
    """Pieces in a random order, and noise between them."""
    pick = random.Random(seed)
    parts, made = [], 0
    while made < size:
        piece = pick.randbytes(pick.randrange(200)) if pick.random() < noise else pick.choice(pieces)
        parts.append(piece)
        made += len(piece)
    return b"".join(parts)[:size]


class FileWriter:
    """Adds parts to a file, and begins it again now and then, with `begin` in the place of what a part begins with."""

    def __init__(self, path: Path, make_part: Callable[[int], bytes], *, begin: bytes = b"", parts: int) -> None:
        self._path, self._make, self._begin, self._parts = path, make_part, begin, parts
        self._made: dict[int, bytes] = {}

    def write(self, number: int) -> int:
        variant = number % VARIANTS
        if variant not in self._made:
            self._made[variant] = self._make(variant)
        is_first = number % self._parts == 0
        self._path.parent.mkdir(exist_ok=True)
        with self._path.open("wb" if is_first else "ab") as file:
            begin = self._begin if is_first else b""
            return file.write(begin + self._made[variant][len(begin) :])

    def close(self) -> None: ...


def write_lines(path: str, *, parts: int = PARTS_OF_FILE) -> Callable[[Path], FileWriter]:
    """Lines of all formats among noise."""
    return lambda folder: FileWriter(folder / path, lambda number: mix(LINES, number), parts=parts)


def nest(depth: int, *numbers: int) -> bytes:
    """A message within a message, and so on."""
    message = b""
    for level in range(depth):
        message = part(numbers[level % len(numbers)], message)
    return message


def spoil(message: bytes, seed: int) -> bytes:
    """A message of which some bytes were changed, and some lost."""
    pick, spoilt = random.Random(seed), bytearray(message)
    for _ in range(1 + len(spoilt) // 50):
        spoilt[pick.randrange(len(spoilt))] = pick.randrange(256)
    return bytes(spoilt[: pick.randrange(1, len(spoilt) + 1)])


def make_messages(valid: Sequence[bytes], numbers: tuple[int, int], seed: int = 1) -> list[bytes]:
    """Messages of protocol buffers that are spoilt, or well formed and absurd; `numbers` lead to a value."""
    outer, inner = numbers
    pick = random.Random(seed)
    return [
        *valid,
        *(spoil(message, seed) for seed, message in enumerate(list(valid) * 5)),
        *(pick.randbytes(size) for size in (0, 1, 9, 100, 3000)),
        *(nest(depth, inner, outer) for depth in (100, 2000)),
        *(part(outer, content) for content in (b"\x0a\x00" * 15000, b"\x08\x01" * 15000, b"\x0a\x02\x0a\x00" * 7000)),
        *(content * 10000 for content in (b"\x08\x01", b"\x2a\x00", b"\x12\x00", b"\x15\0\0\0\0")),
        *(b"\x0a" + varint(length) + b"x" * 50 for length in (2**31, 2**60, 2**64 - 1)),
        b"\xff" * 5000,
        b"\x0b\x0c" * 500,
        b"\x00" * 5000,
    ]


def make_events() -> list[bytes]:
    """Frames of an event file with right checksums, and some whose length is absurd."""
    valid = [event("train/loss", step, 0.5) for step in (1, 2, 2**62)]
    valid += [event("x" * 60_000, 3, 0.5), event("loss", 4, float("nan"), at=float("inf"))]
    valid += [event("loss", 5, 0.0, tensor=b"\x08\x01" + part(4, b"\0" * 50_000))]
    scalars = b"".join(part(1, part(1, str(n).encode()) + b"\x15\0\0\0\x3f") for n in range(4000))
    messages = make_messages([*valid, part(5, scalars)], (5, 1))
    frames = [frame(message) for message in messages]
    return [*frames, b"\1\0\0\0\0\0\0\0" * 2000, bytes(5000), frames[0][:-1], frames[0][:11]]


def make_absurd_lengths() -> list[bytes]:
    """Begins of frames whose length has the right checksum: each but the least costs what stands behind it."""
    lengths = [struct.pack("<Q", length) for length in (0, 1, 2**24 - 1, 2**31, 2**60, 2**64 - 1)]
    # The checksum of a message stands at the end of its frame.
    return [length + frame(length)[-4:] + b"x" * 50 for length in lengths]


def write_events(folder: Path) -> FileWriter:
    events, lengths = make_events(), make_absurd_lengths()

    def make_part(number: int) -> bytes:
        return mix(events + lengths if number == VARIANTS - 1 else events, number, noise=0.1)

    return FileWriter(folder / "events.out.tfevents.1.box.1.0", make_part, parts=PARTS_OF_FILE)


def make_calls() -> list[bytes]:
    """Messages of a run of wandb."""
    numbers = [history(step, loss=0.5, _timestamp=1.7e9) for step in (1, 2, 2**62)]
    deep = part(2, part(1, part(1, b"a") + part(16, b"[" * 64)))
    giant = part(2, part(1, part(1, b"loss") + part(16, b"9" * 64)) + part(1, part(1, b"x" * 60_000) + part(16, b"1")))
    many = history(5, **{f"value{number}": number for number in range(8000)})
    config = configuration(learning_rate=1e-6, beta="x" * 60, model={"a": 1}, num_generations=[1] * 20)
    path = part(2, part(1, b"".join(part(2, b"x" * 100) for _ in range(5000)) + part(16, b"1")))
    return make_messages([*numbers, deep, giant, many, config, path], (2, 1))


def make_blocks(calls: Sequence[bytes], number: int) -> bytes:
    """A mebibyte of blocks with right checksums; in one of the variants pieces of a message that never ends."""
    if number == VARIANTS - 1:
        room = 32768 - 7
        kinds = [2, *([3] * 31)]
        pieces = [(kind, bytes((kind,)) * room) for kind in kinds]
        return b"".join(
            struct.pack("<IHB", zlib.crc32(bytes((kind,)) + piece), room, kind) + piece for kind, piece in pieces
        )
    pick = random.Random(number)
    chosen = [pick.choice(calls) for _ in range(400)]
    written = bytearray(write_log(*chosen, begin=b""))
    written = (written * (MEGABYTE // len(written) + 1))[:MEGABYTE]
    for _ in range(8):
        place = pick.randrange(len(written) - 500)
        written[place : place + 200] = pick.randbytes(200)
    return bytes(written)


def write_calls(folder: Path) -> FileWriter:
    calls = make_calls()
    return FileWriter(
        folder / "run-a.wandb", lambda number: make_blocks(calls, number), begin=HEADER, parts=PARTS_OF_FILE
    )


SCHEMAS = (
    NEW,
    OLD,
    "CREATE TABLE metrics (run_name, metrics)",
    "CREATE TABLE metrics (id, run_id BLOB, run_name BLOB, timestamp BLOB, step BLOB, metrics BLOB, other BLOB)",
    "CREATE TABLE metrics (run_name TEXT PRIMARY KEY, step, metrics) WITHOUT ROWID",
    "CREATE TABLE metrics (run_name, step, metrics, more AS (hex(zeroblob(40000))), timestamp AS (more))",
    "CREATE TABLE metrics (run_name, metrics, step, timestamp, " + ", ".join(f"c{n}" for n in range(500)) + ")",
    "CREATE TABLE other (a)",
    "CREATE VIEW metrics AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    " SELECT -i AS rowid, hex(randomblob(200)) AS run_name, i AS step, '{}' AS metrics FROM n",
)
OBJECTS = (
    '{"loss": 0.5}',
    '{"a": ' + "[" * 60_000,
    "[" * 30_000 + "]" * 30_000,
    '{"a": [' + "[], " * 16_000 + "[]]}",
    "{" + ", ".join(f'"{number}": 1' for number in range(6000)) + "}",
    '{"loss": ' + "9" * 60_000 + "}",
    '{"loss": 0.5, "note": "' + "x" * 60_000 + '"}',
    '{"loss": 1e999, "reward": NaN}',
    "null",
    "",
)
GIANT = 24 * MEGABYTE
PARTS_OF_TABLE = 8


class TrackioWriter:
    """A database of trackio whose tables, rows and cells are absurd, that is damaged, or that somebody has locked."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "p.db"
        self._pick = random.Random(1)
        self._connection: sqlite3.Connection | None = None
        self._columns: list[str] = []

    def write(self, number: int) -> int:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("COMMIT")
        table, place = divmod(number, PARTS_OF_TABLE)
        if place == 0:
            self._begin(SCHEMAS[table % len(SCHEMAS)], number)
        assert self._connection
        if place == PARTS_OF_TABLE - 1:
            return self._damage()
        self._connection.execute("BEGIN")
        size = self._add_giant(number) if place == PARTS_OF_TABLE - 3 else self._add_rows(number)
        self._connection.execute("COMMIT")
        if place == PARTS_OF_TABLE - 2:
            self._connection.execute("BEGIN EXCLUSIVE")
        return size

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _begin(self, schema: str, number: int) -> None:
        self.close()
        for path in self._path.parent.glob("p.db*"):
            path.unlink()
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        for pragma in (
            f"page_size = {(512, 4096, 65536)[number // PARTS_OF_TABLE % 3]}",
            f"journal_mode = {('WAL', 'DELETE')[number // PARTS_OF_TABLE % 2]}",
            "synchronous = 0",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(schema)
        told = self._connection.execute("PRAGMA table_xinfo(metrics)").fetchall() if "TABLE metrics" in schema else []
        self._columns = [row[1] for row in told if row[6] == 0 and row[1] != "id"]

    def _insert(self, row: dict[str, object]) -> None:
        assert self._connection
        names = [name for name in self._columns if name in row]
        if names:
            marks = ", ".join("?" * len(names))
            values = [row[name] for name in names]
            self._connection.execute(f"INSERT OR IGNORE INTO metrics ({', '.join(names)}) VALUES ({marks})", values)

    def _add_giant(self, number: int) -> int:
        """One cell, in any column."""
        row: dict[str, object] = dict.fromkeys(("run_id", "run_name", "timestamp", "step"), "a")
        row["metrics"] = OBJECTS[0]
        row[self._pick.choice([*self._columns, "metrics"])] = (
            "x" * GIANT if number // PARTS_OF_TABLE % 2 else bytes(GIANT)
        )
        self._insert(row)
        return GIANT

    def _add_rows(self, number: int) -> int:
        """Small rows of many runs, or the largest that are read."""
        size = 0
        objects = OBJECTS[:1] if number % 4 == 0 else OBJECTS
        while size < MEGABYTE:
            metrics: object = self._pick.choice(objects)
            size += len(str(metrics)) + 100
            if self._pick.random() < 0.1:
                metrics = self._pick.choice((None, 5, 1.5, b"\xff" * 50_000, str(metrics).encode()))
            cells: list[object] = [None, 7, -1, 2**63 - 1, 1.5, "text", b"\xff\0", AT, "9" * 5000]
            row = {name: self._pick.choice(cells) for name in ("run_id", "timestamp", "run_name", "step", "other")}
            if number % PARTS_OF_TABLE:
                row |= {"run_id": "a", "run_name": "a", "step": number}
            self._insert({**row, "metrics": metrics})
        return size

    def _damage(self) -> int:
        """Patches the file as it stands, as nobody holds it open."""
        self.close()
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        with self._path.open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            for _ in range(20):
                file.seek(self._pick.choice((0, 100)) + self._pick.randrange(max(1, size - 200)))
                file.write(self._pick.randbytes(self._pick.choice((1, 4, 64))))
        return MEGABYTE


SOURCES = {
    "log": Source("log", {"path": "f"}, write_lines("f")),
    "log with a pattern": Source("log", {"path": "f", "pattern": writers.PATTERN}, write_lines("f")),
    "jsonl": Source("jsonl", {"path": "f"}, write_lines("f")),
    "prometheus": Source("prometheus", {}, write_lines("page", parts=1)),
    "checkpoints": Source("checkpoints", {"path": "."}, write_lines("checkpoint-1/trainer_state.json", parts=1)),
    "tensorboard": Source("tensorboard", {"path": "events.out.tfevents.1.box.1.0"}, write_events),
    "wandb": Source("wandb", {"path": "run-a.wandb"}, write_calls),
    "trackio": Source("trackio", {"path": "p.db"}, TrackioWriter),
}
