"""Mutations of what a sidecar reads and random requests: each is refused or read, none does more.

The bounded part runs with all tests, the full one with the benchmarks.
"""

import contextlib
import http.client
import random
import time

import pytest

from exporter.leaderboard.config import load
from exporter.page.http_request import BadRequestError, find_end, parse
from exporter.textfile_reader import TextfileReader
from tests.exporter.page.test_server import REQUEST, ask, serving, talk
from tests.exporter.test_main import write_trainer
from tests.fakes import wait_for

PARTS = (b"{", b"}", b'"', b"\\", b"\n", b"\r\n", b"\0", b"\xff", b"NaN", b"-1", b"1e999", b"9" * 5000, b" ", b"#")


def mutate(content, dice):
    """A copy with one to five changes: bytes, parts that mean something, cuts, repetitions."""
    changed = bytearray(content)
    for _ in range(dice.randint(1, 5)):
        at = dice.randrange(len(changed) + 1)
        match dice.randrange(5):
            case 0:
                changed[at : at + 1] = dice.randbytes(1)
            case 1:
                changed[at:at] = dice.choice(PARTS)
            case 2:
                del changed[at : at + dice.randrange(50)]
            case 3:
                changed[at:at] = changed[at : at + dice.randrange(200)]
            case 4:
                del changed[at:]
    return bytes(changed)


@pytest.mark.parametrize("count", [500, pytest.param(20_000, marks=pytest.mark.bench)])
def test_a_mutated_textfile_is_read_or_refused(tmp_path, count):
    write_trainer(tmp_path)
    path, dice = tmp_path / "trainer.prom", random.Random(1)
    original, reader = path.read_bytes(), TextfileReader(tmp_path)
    read = 0
    for number in range(count):
        path.write_bytes(mutate(original, dice))
        with contextlib.suppress(ValueError):
            assert all(sample.name.startswith(("trainer_", "swarm_")) for sample in reader.read(float(number)))
            read += 1
    assert 0 < read < count


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.bench)])
def test_a_mutated_request_is_read_or_refused(count):
    dice = random.Random(2)
    read = 0
    for _ in range(count):
        sent = bytearray(mutate(REQUEST[:-2] + b"Accept-Encoding: gzip\r\nX: y\r\n\r\n", dice))
        end = find_end(sent, 0)
        if end >= 0:
            with contextlib.suppress(BadRequestError):
                parse(bytes(sent[:end]))
                read += 1
    assert 0 < read < count


@pytest.mark.parametrize("count", [200, pytest.param(2_000, marks=pytest.mark.bench)])
def test_random_requests_leave_the_server_as_it_was(count):
    dice, request = random.Random(3), REQUEST.replace(b"\r\n\r\n", b"\r\nA: b\r\n\r\n")
    with serving(request_seconds=0.02) as port:
        for _ in range(count):
            sent = dice.randbytes(dice.randint(1, 3000)) if dice.random() < 0.2 else mutate(request, dice)
            with contextlib.suppress(ConnectionError):
                answer = talk(port, sent.replace(b"HTTP/1.1", b"HTTP/1.0"))
                assert answer == b"" or int(answer.split()[1]) < 600
        # It has little time for a request, too little for some of a busy machine.
        wait_for(lambda: is_answered(port), 10, "an answer as before", every=0.02)


def is_answered(port):
    with contextlib.suppress(ConnectionError, http.client.HTTPException):
        return ask(port)[0].status == 200
    return False


BOMB = "database: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"k{number}: &{chr(98 + number)} [{', '.join(['*' + chr(97 + number)] * 9)}]\n" for number in range(12)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "database: !!python/object/apply:os.system [id]\n",
        "database: !!python/name:os.system\n",
        "&a [*a]\n",
        "? {a: b}\n: c\n",
    ],
)
def test_a_yaml_bomb_or_tag_is_one_line_soon(tmp_path, text):
    (tmp_path / "leaderboard.yaml").write_text(text)
    begin = time.monotonic()
    with pytest.raises(ValueError, match=r"leaderboard\.yaml:") as refused:
        load(tmp_path / "leaderboard.yaml")
    assert time.monotonic() - begin < 30
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 500
