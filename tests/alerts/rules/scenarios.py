"""What happens to a peer, minute by minute, as its sidecar's page shows it: for our own loop and for Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from alerts.engine.evaluate import ActiveRule, AlertStates, evaluate
from alerts.engine.state import Moment
from alerts.rules import View, discover
from alerts.scraping.page import Page, parse

BEGIN = 1_700_000_000.0
MINUTE = 60.0
GIB = 2**30
# By short name: the sample, and its value at `now`, `minute` minutes after the begin.
Changes = Mapping[str, float | str | None]
STATES = ("starting", "waiting", "generating", "training", "saving", "stopped")
SAMPLES = {
    "up": "trainer_up",
    "started": "trainer_start_timestamp_seconds",
    "phase_start": "trainer_phase_start_timestamp_seconds",
    "last_step": "trainer_last_step_timestamp_seconds",
    "stall_after": "trainer_stall_after_seconds",
    "active_stall_after": "trainer_activity_stall_after_seconds",
    "rests": 'trainer_activity_state{trainer_activity_state="rest"}',
    "works": 'trainer_activity_state{trainer_activity_state="usual"}',
    "spins": 'trainer_activity_state{trainer_activity_state="spinning"}',
    "steps": "trainer_steps_total",
    "step_seconds": "trainer_step_duration_seconds_sum",
    "step_count": "trainer_step_duration_seconds_count",
    "nonfinite": "trainer_nonfinite_steps_total",
    "in_a_row": 'trainer_streak_reports{streak="not_finite"}',
    "no_signal": 'trainer_streak_reports{streak="no_signal"}',
    "no_signal_since": 'trainer_streak_start_timestamp_seconds{streak="no_signal"}',
    "cut": 'trainer_streak_reports{streak="cut_off"}',
    "cut_since": 'trainer_streak_start_timestamp_seconds{streak="cut_off"}',
    "reward": "trainer_reward_mean",
    "reward_std": "trainer_reward_std",
    "lowest": "trainer_reward_mean_lowest",
    "highest": "trainer_reward_mean_highest",
    "gradient": "trainer_grad_norm",
    "kl": "trainer_kl",
    "clipped": "trainer_completion_clipped_ratio",
    "entropy": "trainer_entropy",
    "length": "trainer_completion_tokens",
    "mismatch": "trainer_sampling_mismatch",
    "cpu": "trainer_cpu_seconds_total",
    "footprint": 'trainer_memory_bytes{kind="footprint"}',
    "limit": "trainer_memory_limit_bytes",
    "card_up": 'accelerator_up{device="GPU-a",name="RTX"}',
    "card_lost": 'accelerator_problem{device="GPU-a",reason="lost"}',
    "card_silent": 'accelerator_problem{device="GPU-a",reason="timed_out"}',
    "rank": "swarm_rank",
    "ranked": "swarm_ranked_peers",
    "cumulative": "swarm_reward_cumulative",
    "lag": "swarm_round_lag",
    "connected": "swarm_connected_peers",
    "published": "swarm_last_publish_timestamp_seconds",
    "failures": "swarm_publish_failures_total",
    "overruled": "swarm_leader_overruled",
    "refused": "swarm_reward_refused",
    "source_up": 'swarm_source_up{source="leaderboard"}',
    "chain_up": 'swarm_source_up{source="chain"}',
    "chain_lag": 'swarm_source_round_lag{source="chain"}',
    "credited": 'swarm_source_reward_change_timestamp_seconds{source="chain",contract="0.5"}',
    "voted": 'swarm_source_participation_change_timestamp_seconds{source="chain",contract="0.5"}',
    "credited_prg": 'swarm_source_reward_change_timestamp_seconds{source="chain",contract="0.6-prg"}',
    "voted_prg": 'swarm_source_participation_change_timestamp_seconds{source="chain",contract="0.6-prg"}',
    "round_change": "swarm_round_change_timestamp_seconds",
    "submit_period": "swarm_submit_period_seconds",
    "refused_since": 'trainer_known_problem_start_timestamp_seconds{problem="rewards_refused"}',
    "refused_last": 'trainer_known_problem_timestamp_seconds{problem="rewards_refused"}',
    "ipc_since": 'trainer_known_problem_start_timestamp_seconds{problem="dht_connection"}',
    "ipc_last": 'trainer_known_problem_timestamp_seconds{problem="dht_connection"}',
    "collector": 'sidecar_collector_success{collector="process"}',
    "readers": "trainer_progress_readers",
    "log_up": 'trainer_progress_up{reader="log"}',
    "exit_code": "trainer_exit_code",
    "oom_killed": "trainer_oom_killed",
    "expected": "trainer_expected_steps",
    "full": 'host_memory_pressure_ratio{kind="full"}',
    "level": "host_memory_pressure_level",
    "total": "host_memory_total_bytes",
    "available": "host_memory_available_bytes",
    "swap": "host_swap_used_bytes",
    "swap_total": "host_swap_total_bytes",
    "host_limit": "host_memory_limit_bytes",
    "free": 'host_disk_free_bytes{path="/state"}',
    "clock_lead": "host_clock_lead_seconds",
    "disk": 'host_disk_total_bytes{path="/state"}',
    "paused": "trainer_checkpoints_paused",
    "saved": "trainer_checkpoint_timestamp_seconds",
    "restarting": 'alerts_restart_phase{phase="restarting"}',
    "useless": 'alerts_restart_phase{phase="useless"}',
}
HOST = {"total": 16 * GIB, "available": 8 * GIB, "swap": 0, "full": 0.0, "free": 100 * GIB, "disk": 500 * GIB}


def healthy(minute: float, now: float) -> dict[str, float | str | None]:
    """A peer that has run for a day and makes six steps a minute."""
    steps = 6 * minute + 9000
    return {
        "up": 1,
        "state": "training",
        "started": now - minute * MINUTE - 86400,
        "phase_start": now - 30,
        "last_step": now - 3,
        "stall_after": 60,
        "steps": steps,
        "step_seconds": 10 * steps,
        "step_count": steps,
        "nonfinite": 0,
        "in_a_row": 0,
        "no_signal": 0,
        "cut": 0,
        "reward": 0.5,
        "reward_std": 0.2,
        "lowest": 0.1,
        "highest": 0.6,
        "gradient": 0.4,
        "clipped": 0.3,
        "mismatch": 0.002,
        "entropy": 0.5,
        "length": 200,
        "cpu": 50 * minute,
        "footprint": 2 * GIB,
        "limit": 4 * GIB,
        "rank": 2,
        "ranked": 10,
        "cumulative": 50 + minute,
        "lag": 0,
        "connected": 4,
        "published": now - 5,
        "failures": 0,
        "source_up": 1,
        "collector": 1,
    }


@dataclass(frozen=True)
class Scenario:
    """`changes(minute, now)` are laid over the healthy page; None is a sidecar that does not answer.

    `fires` and `quiet` are minutes at which the alert fires, and at which it does not.
    """

    rule: str
    title: str
    changes: Callable[[float, float], Changes | None]
    fires: tuple[int, ...] = ()
    quiet: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def minutes(self) -> int:
        return max(*self.fires, *self.quiet, 0) + 1

    def page(self, minute: float, begin: float = BEGIN) -> str | None:
        """The text that the sidecar, or for a rule of the host the alert loop, serves then."""
        now = begin + minute * MINUTE
        changes = self.changes(minute, now)
        if changes is None:
            return None
        is_host = discover()[self.rule].scope == "host"
        return write_page({**(HOST if is_host else healthy(minute, now)), **changes})


def write_page(values: Mapping[str, float | str | None]) -> str:
    """The page with these samples, by short name; None leaves one out."""
    lines = [f"{SAMPLES[name]} {value:.17g}" for name, value in values.items() if isinstance(value, int | float)]
    state = values.get("state")
    if state is not None:
        lines += [f'trainer_state{{trainer_state="{one}"}} {int(one == state)}' for one in STATES]
    return "\n".join(lines) + "\n"


def replay(scenario: Scenario) -> Iterator[tuple[int, str | None]]:
    """Minute and phase of the alert, as our own loop has it."""
    rule = discover()[scenario.rule]
    active = ActiveRule(scenario.rule, rule, rule.settings.model_validate(scenario.settings))
    alert_states, scraped_at = AlertStates(), BEGIN
    for minute in range(scenario.minutes):
        now = BEGIN + minute * MINUTE
        page = scenario.page(minute)
        page = read(page) if page is not None else None
        scraped_at = now if page else scraped_at
        failure = "" if page else "no connection"
        view = View("a", now, page, failure, now - scraped_at, scope=rule.scope)
        alert_states, _ = evaluate(
            [view], [active], alert_states, Moment(now, MINUTE if minute else 0.0), reminder_seconds=0
        )
        state = next(iter(alert_states.states.values()), None)
        yield minute, state.phase if state else None


def read(page: str) -> Page:
    """The page; the alert loop's own, of its host, is no sidecar's."""
    if "host_" not in page and "alerts_" not in page:
        return parse(page)
    samples: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for line in page.splitlines():
        name, labels, value = split_sample(line)
        samples.setdefault(name, {})[frozenset(labels.items())] = value
    return Page(samples)


def split_sample(line: str) -> tuple[str, dict[str, str], float]:
    """Name, labels (whose values have no comma) and value of a sample line."""
    series, _, value = line.rpartition(" ")
    name, _, labels = series.partition("{")
    pairs = (pair.partition("=") for pair in labels.rstrip("}").split(",") if pair)
    return name, {label: text.strip('"') for label, _, text in pairs}, float(value)


def restarted(minute: float, now: float, *, at: float, every: float = 1e9, takes: float = 1.0) -> dict[str, Any]:
    """A process that was started `at` a minute, and then every so many again; it starts for `takes` minutes."""
    if minute < at:
        return {}
    age = (minute - at) % every
    started = now - age * MINUTE
    if age < takes:
        return {"started": started, "phase_start": started, "state": "starting", "last_step": started - 30, "steps": 0}
    steps = 6 * (age - takes)
    return {"started": started, "steps": steps, "step_count": steps, "step_seconds": 10 * steps, "last_step": now - 3}


def paused(minute: float, now: float, *, begin: float, end: float, state: str, budget: float | None) -> dict[str, Any]:
    """A phase without steps from one minute to another."""
    if not begin <= minute < end:
        return {}
    since = now - (minute - begin) * MINUTE
    return {"state": state, "phase_start": since, "last_step": since - 3, "stall_after": budget}


def down(minute: float, begin: float, end: float = 1e9) -> Mapping[str, Any]:
    return {"up": 0, "started": None, "cpu": None, "footprint": None} if begin <= minute < end else {}
