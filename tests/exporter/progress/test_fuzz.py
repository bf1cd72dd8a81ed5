"""Whatever stands in a source, a reader gives records or says that it cannot read, in bounded memory."""

import contextlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.progress.readers import make_reader
from exporter.progress.readers.checkpoints import parse as parse_state
from exporter.progress.readers.prometheus import Reader as PageReader
from exporter.progress.record import ReadError
from tests.exporter.progress import writers
from tests.exporter.progress.feeding import feed
from tests.exporter.progress.hostile import LINES, MEGABYTE, SOURCES

NOW = 1_800_000_000.0
# Of a processor, for one call, on a busy machine.
MOST_SECONDS = 2.0
FOUND = {
    **{f"log of {name}": ("log", {"path": "f"}, writers.write_log(name, range(1, 90))) for name in writers.REPORTS},
    "log of pattern": ("log", {"path": "f", "pattern": writers.PATTERN}, writers.write_log("pattern", range(1, 90))),
    "jsonl": ("jsonl", {"path": "f"}, writers.write_rows(range(1, 30))),
}
noise = st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=60)), max_size=8).map(b"".join)
changes = st.lists(
    st.tuples(st.sampled_from(["append", "append", "append", "cut", "begin", "replace", "remove"]), noise)
)
fuzzed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def check(records):
    for record in records:
        assert record.step is None or (isinstance(record.step, int) and record.step >= 0)
        assert record.total_steps is None or record.total_steps >= 0
        assert record.at is None or 0 < record.at <= NOW + 61
        assert all(isinstance(name, str) and isinstance(value, float) for name, value in record.values.items())
    return records


def read(reader, now=NOW):
    with contextlib.suppress(ReadError):
        return check(reader.read(now))
    return []


def change(path, kind, content):
    if kind == "append":
        with open(path, "ab") as file:
            file.write(content)
    elif kind == "cut":
        with contextlib.suppress(FileNotFoundError):
            os.truncate(path, path.stat().st_size // 2)
    elif kind == "begin":
        path.write_bytes(content)
    elif kind == "replace":
        path.with_suffix(".new").write_bytes(content)
        os.replace(path.with_suffix(".new"), path)
    else:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["log of transformers", "log of pattern", "jsonl"])
@fuzzed
@given(changes=changes)
def test_a_file_may_hold_and_become_anything(tmp_path, name, changes):
    reader_name, options, _ = FOUND[name]
    (tmp_path / "f").unlink(missing_ok=True)
    reader = make_reader(reader_name, options, tmp_path)
    for kind, content in changes:
        change(tmp_path / "f", kind, content)
        read(reader)


@fuzzed
@given(content=noise)
def test_a_checkpoint_may_hold_anything(tmp_path, content):
    (tmp_path / "checkpoint-1").mkdir(exist_ok=True)
    (tmp_path / "checkpoint-1" / "trainer_state.json").write_bytes(content)
    read(make_reader("checkpoints", {"path": "."}, tmp_path))


class Client:
    """Answers with what it was given."""

    def __init__(self, body):
        self._body = body

    def get(self, url):
        return 200, "text/plain", self._body


@fuzzed
@given(content=noise)
def test_a_page_may_hold_anything(content):
    read(PageReader("http://x/", client=Client(content)))


def tell(readings):
    """The values of the records that tell any; a round is one too."""
    records = [record for reading in readings for record in reading]
    return [repr(record.values) for record in records if record.values or record.unit == "round"]


@pytest.mark.parametrize("name", FOUND)
def test_a_file_that_grows_by_bytes_tells_what_it_tells_whole(tmp_path, name):
    reader_name, options, content = FOUND[name]
    path, content = tmp_path / "f", content[:4096]
    path.write_bytes(content)
    whole = tell([read(make_reader(reader_name, options, tmp_path))])
    assert whole
    path.write_bytes(b"")
    reader = make_reader(reader_name, options, tmp_path)
    readings = []
    with open(path, "ab", buffering=0) as file:
        for byte in content:
            file.write(bytes([byte]))
            readings.append(read(reader))
    readings += [read(reader), read(reader)]
    # Rows of one step that come apart are a record each.
    assert tell(readings) == whole or (reader_name == "jsonl" and len(tell(readings)) > len(whole))


def check_ends(name, folder, content, every):
    """Reads copies of a file that end at every so many bytes, and what comes behind."""
    reader_name, options, _ = FOUND[name]
    for length in range(0, len(content), every):
        (folder / "f").write_bytes(content[:length])
        reader = make_reader(reader_name, options, folder)
        first = read(reader)
        with open(folder / "f", "ab") as file:
            file.write(content[length:])
        yield tell([first, read(reader), read(reader), read(reader)])


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("every", [101, pytest.param(1, marks=pytest.mark.bench)])
def test_a_file_may_end_anywhere_and_go_on(tmp_path, name, every):
    content = FOUND[name][2][:4096]
    whole = next(check_ends(name, tmp_path, content, 4096))
    for parts in check_ends(name, tmp_path, content, every):
        assert parts == whole or (name == "jsonl" and len(whole) <= len(parts) <= len(whole) + 1)


def test_a_state_and_a_page_may_end_anywhere():
    state, page = writers.write_state(30), writers.write_page(5)
    assert parse_state((state, state), NOW)[-1].step == 30
    assert not any(parse_state((state[:length],) * 2, NOW) for length in range(len(state) - 2))
    for length in range(len(page)):
        read(PageReader("http://x/", client=Client(page[:length])))


@pytest.mark.parametrize("name", SOURCES)
def test_what_no_trainer_writes_takes_little_memory_and_time(tmp_path, name):
    figures = feed(tmp_path, SOURCES[name], 8 * MEGABYTE)
    assert figures.peak < 50 * MEGABYTE
    assert figures.slowest < MOST_SECONDS
