"""Four real peers and one written to rl-swarm v0.4's description play rounds of three stages together."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.exporter.leaderboard.service import Leaderboard
from tests.fakes import wait_for
from tests.trainer.peers import QUICK, ROOT, Peer
from tests.trainer.v04_peer import ANSWERS, QUESTION, is_malformed
from trainer.stages.published import clean
from trainer.swarm.identity import read_peer_id

STEPS = 4
ROUNDS = 2
# What it earns at least, 2.5 in each stage.
OF_GUEST = 2.5 * 3 * (ROUNDS - 1)
# Steps of about as long as a real model's are to the swarm's delays; the leader, which closes a stage, is the slowest.
PATIENT = """
import time
def patient(completions, **kwargs):
    time.sleep(SECONDS)
    return [float(text.count("e") + 1) for text in completions]
"""


class Played(NamedTuple):
    """The peers, the rounds that all of them played in full, what the v0.4 peer saw, and our board's pages."""

    steps: int
    peers: list[Peer]
    rounds: list[int]
    seen: dict[str, Any]
    pages: dict[str, dict[str, Any]]


def fully_played(peer: Peer, steps: int) -> set[int]:
    """Rounds of which the peer logged every step."""
    places = [(int(step["round"]), int(step["stage"])) for step in peer.steps()]
    return {number for number, _ in places if all(places.count((number, stage)) == steps for stage in range(3))}


def won(peer: Peer) -> dict[int, str]:
    """The winners that the peer logged, by round."""
    return {
        int(number): names for number, names in re.findall(r"event=round_won round=(\d+) .*winners=(\S+)", peer.text())
    }


@pytest.fixture(scope="module")
def played(make_peer: Callable[..., Peer], tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("four")
    return play(make_peer, folder, {"grpo": QUICK, "steps_per_stage": STEPS}, least_rounds=ROUNDS)


def play(
    make_peer: Callable[..., Peer],
    folder: Path,
    options: dict[str, Any],
    *,
    least_rounds: int,
    leader_seconds: float = 0.3,
    follower_seconds: float = 0.2,
    limit_seconds: float = 600,
) -> Played:
    """Four peers with these options, until all have played so many rounds in full."""
    options = {"publish_interval_seconds": 1.0, "poll_interval_seconds": 0.5, **options}

    def start(name: str, seconds: float, swarm: dict[str, Any], seed: int) -> Peer:
        source = folder / f"{name}.py"
        source.write_text(PATIENT.replace("SECONDS", str(seconds)))
        return make_peer(name, swarm=swarm, rewards=[f"{source}:patient"], seed=seed, **options).start()

    leader = start("lead", leader_seconds, {"port": 0, "leader": True}, 0)
    address = leader.address()
    command = [sys.executable, "-m", "tests.trainer.v04_peer", address, str(folder / "seen.json")]
    guest = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    # It is there when the first round of all begins.
    assert guest.stdout is not None
    assert any(line == b"joined\n" for line in guest.stdout)
    followers = [
        start(name, follower_seconds, {"port": 0, "initial_peers": [address]}, 1 + number)
        for number, name in enumerate(["fay", "gus", "hal"])
    ]
    for peer in followers:
        peer.address()
    peers = [leader, *followers]
    ours = {read_peer_id(peer.run_dir / "identity.pem"): "ours" for peer in peers}
    board = Leaderboard(folder, address, names=ours)

    def rounds() -> list[int]:
        assert all(peer.process is not None and peer.process.poll() is None for peer in peers)
        steps = options["steps_per_stage"]
        return sorted(set.intersection(*(fully_played(peer, steps) & set(won(peer)) for peer in peers)))

    def speakers() -> set[str]:
        return {one["nodeId"] for one in board.get("/api/gossip").json()["messages"]}

    def has_guest() -> bool:
        leaders = board.get("/api/leaderboard-cumulative").json()["leaders"]
        return any(not one["verified"] and one["cumulativeScore"] >= OF_GUEST for one in leaders)

    try:
        wait_for(lambda: len(rounds()) >= least_rounds, limit_seconds, "rounds that all play in full", every=1.0)
        found = rounds()
        wait_for(has_guest, limit_seconds, "a round of the guest's on the board", every=1.0)
        wait_for(lambda: speakers() - set(ours), 60, "gossip of the guest's")
        pages = {name: board.get(f"/api/{name}").json() for name in ("leaderboard-cumulative", "leaderboard", "gossip")}
    finally:
        board.stop()
        guest.communicate(b"stop\n", timeout=360)
    for peer in peers:
        assert peer.end(signal.SIGTERM) == 0, peer.text()
    return Played(options["steps_per_stage"], peers, found, json.loads((folder / "seen.json").read_text()), pages)


def records(played: Played, stage: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(peer id, subkey, record) of every output of ours in a stage that the guest read, in the rounds of all."""
    return (found for number in played.rounds for found in records_of(played, f"{number}_{stage}"))


def records_of(played: Played, place: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The same of one place, ROUND_STAGE."""
    ours = {read_peer_id(peer.run_dir / "identity.pem") for peer in played.peers}
    if place in played.seen["records"]:
        for peer_id, found in played.seen["records"][place].items():
            if peer_id in ours:
                yield from ((peer_id, subkey, record) for subkey, _, record in found)


def test_every_later_stages_prompt_quotes_what_another_peer_published(played: Played) -> None:
    for peer in played.peers:
        steps = [step for step in peer.steps() if int(step["round"]) in played.rounds and int(step["stage"])]
        assert len(steps) == len(played.rounds) * 2 * played.steps
        assert all(int(step["others"]) >= 1 for step in steps)


@pytest.mark.parametrize(("stage", "field"), [(1, "agent_answers"), (2, "agent_opinion")])
def test_the_quoted_text_is_what_was_published_in_the_stage_before(played: Played, stage: int, field: str) -> None:
    before: dict[str, set[str]] = {}
    for peer_id, _, record in records(played, stage - 1):
        before.setdefault(peer_id, set()).update(clean(text) for text in record[field].values())
    guest = clean(ANSWERS[stage - 1])
    prompts = [(peer_id, record[f"stage{stage + 1}_prompt"]) for peer_id, _, record in records(played, stage)]

    # A record is overwritten within a second, and the guest, slowed down, misses some that the peers have read.
    assert len({peer_id for peer_id, _ in prompts}) >= 3
    quoted: dict[str, list[bool]] = {}
    for peer_id, prompt in prompts:
        texts = set().union(*(found for other, found in before.items() if other != peer_id), [guest])
        quoted.setdefault(peer_id, []).append(any(text[-40:] in prompt for text in texts))
    assert all(2 * sum(found) > len(found) for found in quoted.values()), quoted


def test_the_winners_of_a_round_are_the_same_at_all_peers(played: Played) -> None:
    for number in played.rounds:
        winners = {won(peer)[number] for peer in played.peers}
        assert len(winners) == 1
        assert winners != {"-"}


def test_a_v04_peer_finds_nothing_malformed_and_is_asked_about(played: Played) -> None:
    malformed = [
        record
        for stage in range(3)
        for peer_id, subkey, record in records(played, stage)
        if is_malformed(stage, peer_id, subkey, record)
    ]
    # Of five questions each peer takes four, the same in a round: in any round, as one alone may leave out the guest's.
    asked = {
        int(place[-1])
        for place in played.seen["records"]
        for *_, record in records_of(played, place)
        if record["question"] == QUESTION
    }

    assert malformed == []
    assert asked >= {1, 2}
    for peer in played.peers:
        assert "\nswarm_outputs_rejected_total 0.0\n" in (peer.run_dir / "trainer.prom").read_text()


def test_a_v04_peer_reads_the_sums_that_the_peers_logged(played: Played) -> None:
    compared = 0
    for peer in played.peers:
        for number, stage in ((number, stage) for number in played.rounds for stage in range(3)):
            logged = [step for step in peer.steps() if (int(step["round"]), int(step["stage"])) == (number, stage)]
            read = played.seen["rewards"].get(f"{number}_{stage}", {}).get(read_peer_id(peer.run_dir / "identity.pem"))
            if read is not None:
                compared += 1
                sums = [float(step["stage_reward"]) for step in logged]
                assert any(read == pytest.approx(one, abs=1e-4) for one in sums), (read, sums)
    assert compared >= 4 * ROUNDS


def test_a_v04_peer_is_on_our_board_as_a_stranger(played: Played) -> None:
    leaders = {one["id"]: one for one in played.pages["leaderboard-cumulative"]["leaders"]}
    guest = leaders.pop(played.seen["id"])
    earned = {sums[guest["id"]] for sums in played.seen["rewards"].values() if guest["id"] in sums}

    assert earned == {2.5}
    assert guest["lastScore"] == 2.5
    assert guest["cumulativeScore"] >= OF_GUEST
    assert guest["cumulativeScore"] % 2.5 == 0
    assert guest["verified"] is False
    assert [one["verified"] for one in leaders.values()] == [True] * 4
    assert guest["id"] in {one["nodeId"] for one in played.pages["gossip"]["messages"]}


def test_peers_with_seeds_of_their_own_earn_different_sums(played: Played) -> None:
    # All of their steps: two peers that know what pays earn the same for a while.
    sums = {tuple(step["stage_reward"] for step in peer.steps()) for peer in played.peers}

    assert len(sums) == 4


def test_transitions_are_one_structured_line_each(played: Played) -> None:
    for peer in played.peers:
        events = re.findall(r"event=(\w+)", peer.text())
        assert {"stage_entered", "stage_finished", "outputs_gathered", "round_won"} <= set(events)
    assert Path(played.peers[0].output).read_text().count("Traceback") == 0
