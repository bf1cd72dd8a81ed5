"""Peers whose numbers move as real ones do, made at speed: what the tests of the history record."""

import random
from collections.abc import Iterator

from alerts.history.samples import HistorySample
from alerts.history.settings import HistorySettings
from alerts.rules import View
from alerts.scraping.page import Labels, Page

NONE: Labels = frozenset()
STATES = ("starting", "waiting", "generating", "training", "saving", "stopped")
START = 1_750_000_000.0
# The clock of the machine that tests run on is years ahead of START.
KEEP_ALL = HistorySettings(keep="3600d")
COLLECTORS = ("process", "standing", "step_rate", "textfile")
_PLAIN = (
    "trainer_up",
    "trainer_steps_total",
    "trainer_steps_per_second",
    "trainer_start_timestamp_seconds",
    "trainer_phase_start_timestamp_seconds",
    "trainer_last_step_timestamp_seconds",
    "trainer_stall_after_seconds",
    "trainer_step_duration_seconds_sum",
    "trainer_step_duration_seconds_count",
    "trainer_nonfinite_steps_total",
    "trainer_cpu_seconds_total",
    "trainer_memory_limit_bytes",
    "trainer_accelerator_memory_bytes",
    "trainer_reward_mean",
    "trainer_reward_std",
    "trainer_loss",
    "swarm_round",
    "swarm_stage",
    "swarm_round_lag",
    "swarm_rank",
    "swarm_ranked_peers",
    "swarm_reward_cumulative",
    "swarm_connected_peers",
    "swarm_publish_failures_total",
    "swarm_last_publish_timestamp_seconds",
)


def _label(name: str, text: str) -> Labels:
    return frozenset({(name, text)})


# In the order of Peer._numbers.
_SERIES: list[tuple[str, Labels]] = [
    *((name, NONE) for name in _PLAIN),
    *(("trainer_state", _label("trainer_state", one)) for one in STATES),
    *(("trainer_phase_seconds_total", _label("trainer_state", one)) for one in STATES[:-1]),
    ("trainer_memory_bytes", _label("kind", "footprint")),
    ("trainer_memory_bytes", _label("kind", "rss")),
    ("swarm_source_up", _label("source", "leaderboard")),
    ("swarm_source_success_timestamp_seconds", _label("source", "leaderboard")),
    *(("sidecar_collector_success", _label("collector", one)) for one in COLLECTORS),
]
_PLACES: dict[str, dict[Labels, int]] = {}
for _place, (_name, _labels) in enumerate(_SERIES):
    _PLACES.setdefault(_name, {})[_labels] = _place


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

    def samples(self, now: float) -> dict[str, dict[Labels, float]]:
        """The samples that its sidecar would serve."""
        samples: dict[str, dict[Labels, float]] = {}
        for (name, labels), number in zip(_SERIES, self._numbers(now), strict=True):
            samples.setdefault(name, {})[labels] = number
        return samples

    def page(self, now: float) -> Page:
        """The same as the scraper makes of it."""
        return Page.of_page(_PLACES, self._numbers(now), {})

    def _numbers(self, now: float) -> list[float]:
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
        state = draw.choice(("generating", "generating", "training"))
        return [
            1.0,
            float(self._steps),
            self._steps / max(1.0, now - self._started),
            self._started,
            self._phase,
            self._last_step,
            61.37,
            self._sum,
            float(self._steps),
            0.0,
            round(self._cpu, 2),
            4.0 * 2**30,
            3.0 * 2**30 + draw.randrange(64) * 2**20,
            draw.gauss(0.4, 0.1),
            abs(draw.gauss(0.2, 0.02)),
            draw.gauss(0.001, 0.0004),
            float(self._steps // 50),
            float(self._steps // 20 % 3),
            0.0,
            float(self._rank),
            20.0,
            self._reward,
            float(draw.choice((18, 19, 19, 19))),
            float(self._steps // 500),
            self._last_step - draw.random(),
            *(float(one == state) for one in STATES),
            # Their sum is the time since the start: starting, waiting, generating, training, saving.
            12.5,
            *(round(share * (now - self._started) + draw.random(), 3) for share in (0.1, 0.55, 0.3)),
            7.5 * (self._steps // 500),
            float(self._footprint),
            float(self._footprint - 2**24),
            1.0,
            now - draw.random() * 10,
            *(1.0 for _ in COLLECTORS),
        ]


def sample_rounds(
    peers: list[Peer], *, since: float, seconds: float, every: float = 15.0
) -> Iterator[list[HistorySample]]:
    """Rounds of samples of all peers."""
    draw, at = random.Random(0), since
    while at < since + seconds:
        now = at + draw.random() * 0.01
        yield [HistorySample(View(peer.name, now, peer.page(now)), every) for peer in peers]
        at += every
