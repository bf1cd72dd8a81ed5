"""The history of a real alert loop, over HTTP."""

import csv
import io
import signal
from collections.abc import Callable
from typing import Any

from tests.alerts.conftest import AlertLoop, Sidecar
from tests.fakes import wait_for

MakeLoop = Callable[..., AlertLoop]


def _history(loop: AlertLoop, query: str = "") -> dict[str, Any]:
    answer = loop.get(f"/api/history?{query}")
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def _known(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def test_the_history_survives_a_kill_and_gaps_are_not_zero(make_loop: MakeLoop, sidecar: Sidecar) -> None:
    sidecar.serve(rank=4, footprint=3 * 2**20)
    loop = make_loop({"a": sidecar, "b": sidecar})
    loop.start()
    query = "metric=rank&metric=memory_bytes&metric=state&metric=loss&since=60s&points=600&spread=1"

    def have_all(rank: int) -> bool:
        # The peers are not evaluated together, and a kill costs what is not written.
        peers = _history(loop, query)["peers"]
        return all(rank in peers[name]["rank"] for name in "ab")

    wait_for(lambda: have_all(4), 10, "the first samples", every=0.05)
    loop.kill()
    sidecar.serve(rank=2, footprint=3 * 2**20)
    loop.start()
    wait_for(lambda: have_all(2), 10, "the samples after it", every=0.05)
    answer = _history(loop, query)
    assert _known(answer["peers"]["a"]["rank"])[-1] == 2
    assert _known(answer["peers"]["a"]["loss"]) == []
    assert set(_known(answer["peers"]["a"]["memory_bytes"])) == {3 * 2**20}
    assert answer["states"][int(_known(answer["peers"]["a"]["state"])[-1])] == "training"
    # A point of the answer may hold the samples of both runs: the second one is there within a fifth of a second.
    assert (max(_known(answer["greatest"]["a"]["rank"])), min(_known(answer["least"]["a"]["rank"]))) == (4, 2)
    assert len(answer["times"]) == len(answer["peers"]["a"]["rank"]) == 601
    assert None in answer["peers"]["a"]["rank"]


def test_rewards_and_exports_give_the_same_figures(make_loop: MakeLoop, sidecar: Sidecar) -> None:
    sidecar.serve(cumulative=12.5, rank=3)
    loop = make_loop({"=1+1": sidecar})
    loop.start()
    leaders = wait_for(
        lambda: [one for one in loop.get("/api/rewards-history?since=1h").json()["leaders"] if one["values"]],
        10,
        "the rewards",
    )
    assert (leaders[0]["id"], leaders[0]["peer"], leaders[0]["nickname"]) == ("QmA", "=1+1", "quick amber fox")
    assert (leaders[0]["values"][-1]["y"], leaders[0]["values"][-1]["rank"]) == (12.5, 3)
    export = loop.get("/api/export?format=csv&metric=reward_cumulative&metric=rank&since=1h")
    assert export.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(export.text)))
    # A name that a spreadsheet would take for a formula is made plain text.
    assert (rows[-1]["peer"], rows[-1]["reward_cumulative"], rows[-1]["rank"]) == ("'=1+1", "12.5", "3.0")
    answer = loop.get("/api/export?format=json&metric=reward_cumulative&since=1h").json()
    assert (answer[-1]["peer"], answer[-1]["reward_cumulative"]) == ("=1+1", 12.5)


def test_a_wrong_query_is_answered_with_the_valid_values(make_loop: MakeLoop, sidecar: Sidecar) -> None:
    loop = make_loop({"a": sidecar})
    loop.start()
    for query, says in (
        ("metric=secrets", "known: state, steps_per_second"),
        ("since=soon", "since: not a duration"),
        ("since=0", "since: must be longer"),
        ("points=0", "points: a number from 1 to 2000"),
        ("points=99999999999", "points: a number from 1 to 2000"),
        ("points=2000&" + "&".join(f"peer={n}" for n in range(500)), "points: at most 125"),
    ):
        answer = loop.get(f"/api/history?{query}")
        assert answer.status_code == 422
        assert says in answer.json()["detail"]
    assert loop.get("/api/export?format=xml").status_code == 422


def test_a_history_that_cannot_be_read_stops_neither_alerts_nor_the_loop(make_loop: MakeLoop, sidecar: Sidecar) -> None:
    loop = make_loop({"a": sidecar})
    blocked = loop.folder / "state" / "history.sqlite"
    blocked.mkdir(parents=True)
    sidecar.serve(footprint=2**33, limit=2**32)
    loop.start()
    wait_for(loop.firing, 10, "MemoryExceeded fires")
    assert loop.get("/api/history").status_code == 503
    assert loop.output().count("history: cannot write") == 1
    assert loop.process is not None
    loop.process.send_signal(signal.SIGTERM)
    assert loop.process.wait(90) == 0
