"""A database whose name is given to another file while this process has it open, as by a backup that is put back."""

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from exporter.files.database import Format, Unavailable, connect, connect_beside_writer, identify

FORMAT = Format(kind=9, version=1, steps={0: "CREATE TABLE things (name TEXT NOT NULL);"}, largest=1e6)


def add(db: sqlite3.Connection, name: str) -> None:
    db.execute("INSERT INTO things VALUES (?)", (name,))


def rows(db: sqlite3.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT name FROM things ORDER BY rowid")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with the row `one`, and beside it `backup`, a copy of it."""
    path = tmp_path / "things.sqlite"
    with closing(connect(path, FORMAT)) as db:
        add(db, "one")
    shutil.copy(path, path.with_name("backup"))
    return path


def put_back(path: Path) -> None:
    path.with_name("backup").replace(path)


def test_what_is_put_back_does_not_get_the_log_of_the_file_before_it(path: Path) -> None:
    writer = connect(path, FORMAT)
    add(writer, "two")
    put_back(path)
    writer.close()
    with closing(connect(path, FORMAT)) as db:
        assert rows(db) == ["one"]


def test_readers_wait_until_the_writer_has_opened_what_was_put_back(path: Path) -> None:
    """They would cut the index that the writer has mapped, which may end the process."""
    writer = connect(path, FORMAT)
    add(writer, "two")
    with closing(connect_beside_writer(path)) as before:
        put_back(path)
        index = path.with_name(f"{path.name}-shm")
        size, changed = index.stat().st_size, index.stat().st_mtime_ns
        with pytest.raises(Unavailable, match="it was replaced while it was in use"):
            connect_beside_writer(path)
        assert (index.stat().st_size, index.stat().st_mtime_ns) == (size, changed)
        assert rows(before) == ["one", "two"]
    writer.close()
    with closing(connect(path, FORMAT)), closing(connect_beside_writer(path)) as reader:
        assert rows(reader) == ["one"]


def test_a_reader_of_the_file_before_neither_lends_nor_deletes_anything(path: Path) -> None:
    writer = connect(path, FORMAT)
    add(writer, "two")
    before = connect_beside_writer(path)
    writer.close()
    put_back(path)
    with closing(connect(path, FORMAT)) as again:
        add(again, "three")
        files = identify(path)
        assert rows(before) == ["one", "two"]
        before.close()
        assert identify(path) == files
        assert rows(again) == ["one", "three"]


def test_the_companions_of_a_deleted_file_go_with_it(path: Path) -> None:
    writer = connect(path, FORMAT)
    add(writer, "two")
    path.unlink()
    writer.close()
    assert [found.name for found in path.parent.iterdir()] == ["backup"]


def test_a_file_that_is_not_there_yet_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        connect_beside_writer(tmp_path / "none.sqlite")


def test_readers_that_come_and_go_while_backups_are_put_back_end_nothing(path: Path) -> None:
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            try:
                with closing(connect_beside_writer(path)) as db:
                    assert rows(db)[0] == "one"
            except Unavailable:
                pass

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(20):
            shutil.copy(path, path.with_name("backup"))
            writer = connect(path, FORMAT)
            add(writer, "two")
            put_back(path)
            for _ in range(10):
                add(writer, "three")
            writer.close()
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    with closing(connect(path, FORMAT)) as db:
        assert rows(db) == ["one"]
