"""Peers whose numbers move as real ones do, made at speed: what the tests of the history record."""

import random
from collections.abc import Iterator

from alerts.history.looks import Look
from alerts.history.settings import HistorySettings
from alerts.reading import Labels, Reading
from alerts.rules import View

NONE: Labels = frozenset()
STATES = ("starting", "waiting", "generating", "training", "saving", "stopped")
START = 1_750_000_000.0
# The clock of the machine that tests run on is years ahead of START.
KEEP_ALL = HistorySettings(keep="3600d")


class Peer:
    """A peer that steps, publishes, earns, creeps in memory and restarts every few days."""

    def __init__(self, name: str, seed: int, began: float = START, step_seconds: float = 8.0) -> None:
        self.name = name
        self._random = random.Random(seed)
        self._step_seconds = step_seconds
        self._reward = 0.0
        self._rank = 3 + seed % 7
        self._start(began)

    def _start(self, now: float) -> None:
        self._started = now + self._random.random()
        self._steps, self._sum, self._cpu = 0, 0.0, 0.0
        self._last_step, self._phase = self._started, self._started
        self._footprint = 2**30 + self._random.randrange(2**26) * 4

    def page(self, now: float) -> dict[str, dict[Labels, float]]:
        """The samples that its sidecar would serve."""
        draw = self._random
        if draw.random() < 1e-4:
            self._start(now)
        while self._last_step + self._step_seconds < now - 2:
            seconds = self._step_seconds * draw.lognormvariate(0, 0.2)
            self._last_step += seconds
            self._sum += seconds
            self._steps += 1
            self._footprint += draw.randrange(-(2**12), 2**12 + 400) * 4096
        self._phase = max(self._phase, self._last_step + draw.random())
        self._cpu += draw.random() * 15
        if draw.random() < 0.5:
            self._reward += draw.random()
        if draw.random() < 0.01:
            self._rank = max(1, self._rank + draw.choice((-1, 1)))
        values = {
            "trainer_up": 1.0,
            "trainer_steps_total": float(self._steps),
            "trainer_steps_per_second": self._steps / max(1.0, now - self._started),
            "trainer_start_timestamp_seconds": self._started,
            "trainer_phase_start_timestamp_seconds": self._phase,
            "trainer_last_step_timestamp_seconds": self._last_step,
            "trainer_stall_after_seconds": 61.37,
            "trainer_step_duration_seconds_sum": self._sum,
            "trainer_step_duration_seconds_count": float(self._steps),
            "trainer_nonfinite_steps_total": 0.0,
            "trainer_cpu_seconds_total": round(self._cpu, 2),
            "trainer_memory_limit_bytes": 4.0 * 2**30,
            "trainer_accelerator_memory_bytes": 3.0 * 2**30 + draw.randrange(64) * 2**20,
            "trainer_reward_mean": draw.gauss(0.4, 0.1),
            "trainer_reward_std": abs(draw.gauss(0.2, 0.02)),
            "trainer_loss": draw.gauss(0.001, 0.0004),
            "swarm_round": float(self._steps // 50),
            "swarm_stage": float(self._steps // 20 % 3),
            "swarm_round_lag": 0.0,
            "swarm_rank": float(self._rank),
            "swarm_ranked_peers": 20.0,
            "swarm_reward_cumulative": self._reward,
            "swarm_connected_peers": float(draw.choice((18, 19, 19, 19))),
            "swarm_publish_failures_total": float(self._steps // 500),
            "swarm_last_publish_timestamp_seconds": self._last_step - draw.random(),
        }
        samples = {name: {NONE: value} for name, value in values.items()}
        state = draw.choice(("generating", "generating", "training"))
        samples["trainer_state"] = {_label("trainer_state", one): float(one == state) for one in STATES}
        samples["trainer_memory_bytes"] = {
            _label("kind", "footprint"): float(self._footprint),
            _label("kind", "rss"): float(self._footprint - 2**24),
        }
        samples["swarm_source_up"] = {_label("source", "leaderboard"): 1.0}
        samples["swarm_source_success_timestamp_seconds"] = {_label("source", "leaderboard"): now - draw.random() * 10}
        samples["sidecar_collector_success"] = {
            _label("collector", one): 1.0 for one in ("process", "standing", "step_rate", "textfile")
        }
        return samples


def looks(peers: list[Peer], *, since: float, seconds: float, every: float = 15.0) -> Iterator[list[Look]]:
    """A round of looks at all peers, again and again."""
    draw, at = random.Random(0), since
    while at < since + seconds:
        now = at + draw.random() * 0.01
        yield [Look(View(peer.name, now, Reading(peer.page(now))), every) for peer in peers]
        at += every


def _label(name: str, text: str) -> Labels:
    return frozenset({(name, text)})
