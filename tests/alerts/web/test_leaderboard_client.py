"""The leaderboard as the status page reads it."""

import asyncio
import json

import pytest

from alerts.web.leaderboard_client import MAX_BYTES, MAX_TEXT, BoardReader, parse
from tests.alerts.web.page.gallery import Board


def _content(*leaders: object) -> bytes:
    return json.dumps({"leaders": leaders, "total": len(leaders)}).encode()


def test_a_leader_is_bounded_and_what_is_no_number_is_none() -> None:
    hostile = {"id": "Qm\x1b[2J" * 100, "nickname": "\u202e<b>\n" * 100, "cumulativeScore": 10**400, "lastScore": True}
    (leader, unnamed) = parse(_content(hostile, {"id": "QmB", "cumulativeScore": 1}, "nobody"))
    assert len(leader["id"]) <= MAX_TEXT
    assert len(leader["nickname"]) <= MAX_TEXT
    assert leader["nickname"].isprintable()
    assert (leader["total"], leader["last"]) == (None, None)
    assert unnamed == {"id": "QmB", "nickname": "QmB", "total": 1.0, "last": None, "is_unverified": False}


def test_only_a_peer_that_the_board_calls_unverified_is_one() -> None:
    leaders = [{"id": "a", "verified": False}, {"id": "b", "verified": True}, {"id": "c"}, {"id": "d", "verified": 0}]
    assert [leader["is_unverified"] for leader in parse(_content(*leaders))] == [True, False, False, False]


def test_numbers_that_json_should_not_have_are_none() -> None:
    (leader,) = parse(b'{"leaders": [{"id": "a", "cumulativeScore": NaN, "lastScore": -Infinity}]}')
    assert (leader["total"], leader["last"]) == (None, None)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b'{"leaders": {}}', b"\xff"])
def test_what_is_no_board_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"no list of leaders|Expecting value|decode"):
        parse(content)


async def _read_once(reader: BoardReader) -> None:
    changed = asyncio.Event()
    task = asyncio.create_task(reader.run(changed.set))
    await asyncio.wait_for(changed.wait(), 60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_board_that_could_be_read_stays_when_a_later_read_fails() -> None:
    board = Board()
    reader = BoardReader(board.url + "/")
    try:
        asyncio.run(_read_once(reader))
        assert [leader["nickname"] for leader in reader.board.leaders[:2]] == ["stranger 0", "amber"]
        board.content = b"<html>"
        asyncio.run(_read_once(reader))
        assert (len(reader.board.leaders), reader.board.problem) == (24, "response is not a leaderboard")
        board.content = b"x" * (MAX_BYTES + 1)
        asyncio.run(_read_once(reader))
        assert (len(reader.board.leaders), reader.board.problem) == (24, "the page is larger than 4096 KiB")
    finally:
        board.close()
    asyncio.run(_read_once(reader))
    assert reader.board.problem == "no connection"
