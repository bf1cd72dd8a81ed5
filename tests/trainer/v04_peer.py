"""A peer written to the description of rl-swarm v0.4's records: publishes and reads as such a peer does.

`python -m tests.trainer.v04_peer ADDRESS FILE` takes part until its standard input closes, then writes what it saw.
With `ROUND SECONDS` it leads, from that round on, and announces another stage after so many seconds.
"""

import hashlib
import json
import os
import select
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ["HIVEMIND_LOGLEVEL"] = "CRITICAL"

QUESTION = "What is 6 times 7?"
ANSWERS = {
    0: "<think>\nsix sevens\n</think>\n<answer>\n42\n</answer>\n",
    1: "<compare>\nc\n</compare>\n<explain>\nsix sevens it is\n</explain>\n<identify>\nStudent #0\n</identify>\n",
    2: "<summarize_feedback>\ns\n</summarize_feedback>\n<majority>\nStudent #0\n</majority>\n<question>\n"
    + QUESTION
    + "\n</question>\n<think>\nt\n</think>\n<answer>\n42\n</answer>\n",
}
KEYS = {
    0: {"question", "answer", "agent_answers"},
    1: {"question", "answer", "stage2_prompt", "agent_opinion"},
    2: {"question", "answer", "stage3_prompt", "final_agent_decision"},
}
FIELDS = {0: "agent_answers", 1: "agent_opinion", 2: "final_agent_decision"}


class V04Peer:
    """Joins as a client, and keeps every record of others that it read, by peer and place."""

    def __init__(self, address: str) -> None:
        from hivemind import DHT

        self.dht = DHT(start=True, client_mode=True, initial_peers=[address])
        self.id = str(self.dht.peer_id)
        self.records: dict[str, dict[str, list[Any]]] = defaultdict(dict)
        self.rewards: dict[str, dict[str, float]] = {}
        self.places: list[tuple[int, int]] = []

    def take_part(self) -> None:
        """One turn: earns and answers in the announced stage, reads what others wrote there."""
        place = self._get("rl_swarm_rs")
        if place is None:
            return
        round_number, stage = place
        if not self.places or self.places[-1] != (round_number, stage):
            self.places.append((round_number, stage))
            self._answer(round_number, stage)
        for number in range(stage + 1):
            self._read(round_number, number)

    def announce(self, number: int) -> None:
        """The stages of all rounds, counted through."""
        self._store("rl_swarm_rs", divmod(number, len(FIELDS)))

    def _answer(self, round_number: int, stage: int) -> None:
        prompt = (
            f"The question we were given is: {QUESTION}  \n\nThe following answers to this question were suggested: \n"
        )
        prompt += f"<student>Student #0</student> said \n{ANSWERS[0]}\n\n\n"
        record: dict[str, Any] = {"question": QUESTION, "answer": "42", FIELDS[stage]: {self.id: ANSWERS[stage]}}
        if stage:
            record[f"stage{stage + 1}_prompt"] = prompt
        subkey = hashlib.md5(QUESTION.encode()).hexdigest()
        self._store(f"rl_swarm_rewards_{round_number}_{stage}", 2.5, self.id)
        self._store(f"rl_swarm_outputs_{self.id}_{round_number}_{stage}", (time.time(), record), subkey)

    def _read(self, round_number: int, stage: int) -> None:
        rewards = self._get(f"rl_swarm_rewards_{round_number}_{stage}") or {}
        self.rewards[f"{round_number}_{stage}"] = rewards
        for peer_id in set(rewards) - {self.id}:
            outputs = self._get(f"rl_swarm_outputs_{peer_id}_{round_number}_{stage}")
            if outputs:
                self.records[f"{round_number}_{stage}"][peer_id] = [[key, *value] for key, value in outputs.items()]

    def _store(self, key: str, value: Any, subkey: str | None = None) -> None:
        from hivemind.utils import get_dht_time

        self.dht.store(key, value, get_dht_time() + 4 * 3600, subkey=subkey)

    def _get(self, key: str) -> Any:
        found = self.dht.get(key, latest=True)
        if found is None or not isinstance(found.value, dict):
            return found and found.value
        return {subkey: entry.value for subkey, entry in found.value.items()}


def is_malformed(stage: int, peer_id: str, subkey: str, record: Any) -> bool:
    """Whether a v0.4 peer would skip the record, or train on an empty prompt."""
    if (
        set(record) != KEYS[stage]
        or not isinstance(record[FIELDS[stage]], dict)
        or peer_id not in record[FIELDS[stage]]
    ):
        return True
    if subkey != hashlib.md5(record["question"].encode()).hexdigest():
        return True
    return bool(stage) and not record[f"stage{stage + 1}_prompt"].startswith("The question we were given is: ")


def main() -> None:
    peer = V04Peer(sys.argv[1])
    print("joined", flush=True)
    began, leads = time.monotonic(), [float(one) for one in sys.argv[3:5]]
    while not select.select([sys.stdin], [], [], 0.3)[0]:
        if leads:
            peer.announce(len(FIELDS) * int(leads[0]) + int((time.monotonic() - began) / leads[1]))
        peer.take_part()
    seen = {"id": peer.id, "places": peer.places, "records": peer.records, "rewards": peer.rewards}
    Path(sys.argv[2]).write_text(json.dumps(seen))
    peer.dht.shutdown()


if __name__ == "__main__":
    main()
