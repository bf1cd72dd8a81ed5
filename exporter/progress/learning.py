"""What a run learns from: how long it has been without, counted report by report, which no scrape sees all of. Pure."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from exporter.metrics import Sample
from exporter.progress.names import NAMES, find_first, is_finite

# Rewards that differ by less, of their size, are the same: TRL's mean of equal rewards differs from them by rounding,
# gives a standard deviation of 6e-8 that it does not count as none, and a gradient of that.
SAME_REWARD = 1e-6
# Most groups without spread are all but a stray one.
WITHOUT_SPREAD = 0.95
NO_GRADIENT = 1e-6
# A mean reward that moves by less, of its own size, is flat.
FLAT = 0.02

STREAKS = ("no_signal", "cut_off", "not_finite")


@dataclass
class _Streak:
    """Reports in a row that are alike in something; `reports` is None until one could tell."""

    reports: int | None = None
    since: float | None = None

    def note(self, holds: bool, at: float) -> None:
        if not holds:
            self.reports, self.since = 0, None
            return
        self.since = at if self.since is None else self.since
        self.reports = (self.reports or 0) + 1


@dataclass
class Learning:
    """Streaks of reports, and the range of the mean reward. A report that does not tell of something changes nothing.

    `no_signal`: no group has any spread, and the gradient is none. Where a KL term pulls too, no gradient is logged, or
    all rewards are the same but for rounding, the rewards alone tell. `cut_off`: no completion ended by itself, and the
    mean reward stayed the same meanwhile.
    `not_finite`: loss, gradient, reward or KL is not a number, or infinite.
    """

    _streaks: dict[str, _Streak] = field(default_factory=lambda: {name: _Streak() for name in STREAKS})
    _lowest: float = math.inf
    _highest: float = -math.inf
    _gradient: float | None = None
    _pulls: bool = False
    # Of the rewards since all completions are cut off.
    _cut_range: tuple[float, float] = (math.inf, -math.inf)

    def begin_again(self) -> None:
        """Another process trains: its streaks begin anew."""
        self._streaks = {name: _Streak() for name in STREAKS}
        self._gradient = None

    def take(self, numbers: Mapping[str, float], at: float) -> None:
        """Takes what a report says, by the trainer's own names; `at` is its Unix time."""
        finite = is_finite(numbers)
        if finite is not None:
            self._streaks["not_finite"].note(not finite, at)
        find = _finder(numbers)
        reward, deviation = find("reward"), find("reward_std")
        if reward is not None:
            self._lowest, self._highest = min(self._lowest, reward), max(self._highest, reward)
        gradient = find("grad_norm")
        self._gradient = self._gradient if gradient is None else gradient
        self._pulls = self._pulls or find("kl") is not None
        share = find("zero_spread")
        if share is not None or deviation is not None:
            is_same = deviation is not None and deviation <= SAME_REWARD * max(1.0, abs(reward or 0.0))
            without = is_same or ((share or 0.0) >= WITHOUT_SPREAD and self._is_without_gradient())
            # A gradient that is not a number is no gradient of 0.
            self._streaks["no_signal"].note(without and finite is not False, at)
        cut = _is_cut_off(find("clipped_ratio"), find("terminated_length"))
        if cut is not None and reward is not None:
            self._note_cut(cut, reward, deviation or 0.0, at)

    def samples(self) -> Iterator[Sample]:
        """What is known of it."""
        if self._lowest <= self._highest:
            yield Sample("trainer_reward_mean_lowest", {}, self._lowest)
            yield Sample("trainer_reward_mean_highest", {}, self._highest)
        for name, streak in self._streaks.items():
            if streak.reports is not None:
                yield Sample("trainer_streak_reports", {"streak": name}, float(streak.reports))
            if streak.since is not None:
                yield Sample("trainer_streak_start_timestamp_seconds", {"streak": name}, streak.since)

    def _is_without_gradient(self) -> bool:
        return self._gradient is None or self._pulls or self._gradient <= NO_GRADIENT

    def _note_cut(self, cut: bool, reward: float, deviation: float, at: float) -> None:
        streak = self._streaks["cut_off"]
        low, high = min(self._cut_range[0], reward), max(self._cut_range[1], reward)
        if not cut or not streak.reports or high - low > FLAT * max(abs(low), abs(high), deviation):
            # Where the reward moves the run may learn: what follows is judged by itself.
            streak.note(False, at)
            low = high = reward
        streak.note(cut, at)
        self._cut_range = low, high


def _finder(numbers: Mapping[str, float]) -> Callable[[str], float | None]:
    """Finds finite numbers by their canonical name."""

    def find(name: str) -> float | None:
        number = find_first(numbers, NAMES[name])
        return number if number is not None and math.isfinite(number) else None

    return find


def _is_cut_off(ratio: float | None, terminated_length: float | None) -> bool | None:
    """Whether no completion ended by itself; where the lengths of those that did are not logged, by the ratio alone."""
    if ratio is None:
        return None
    return terminated_length == 0 if terminated_length is not None else ratio >= 1
