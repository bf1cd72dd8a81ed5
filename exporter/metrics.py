"""Every metric of the trainer, its sidecar and its machine: the table that writers, readers and rules share."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from prometheus_client import Metric as Family

Kind = Literal["counter", "gauge", "histogram"]

ACTIVITIES = ("usual", "rest", "spinning", "unknown")
# What a training was set up with; a label is empty where that is not known.
SETTINGS = (
    *("task", "learning_rate", "beta", "num_generations", "per_device_train_batch_size", "gradient_accumulation_steps"),
    *("max_completion_length", "dtype", "lora", "trl", "transformers", "torch"),
)
STATES = ("starting", "waiting", "generating", "training", "saving", "stopped")

# From a tiny model's 62 ms to the twelve minutes of a large one on a laptop's processor.
STEP_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, float("inf"))


class Metric(NamedTuple):
    """A metric as the text format shows it: `name` is the series name, with `_total` for a counter."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    def sample_names(self) -> tuple[str, ...]:
        """The names that its samples may carry."""
        if self.kind == "histogram":
            return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
        return (self.name,)


class Sample(NamedTuple):
    """One measured value: a sample's name, its labels, the number."""

    name: str
    labels: Mapping[str, str]
    value: float


TRAINER: tuple[Metric, ...] = (
    Metric(
        "trainer_info", "gauge", "Identity, model, device of this peer.", ("peer_id", "nickname", "model", "device")
    ),
    Metric("trainer_settings_info", "gauge", "What the training was set up with, and versions of libraries.", SETTINGS),
    Metric("trainer_state", "gauge", "1 for the current phase of the trainer, 0 for the others.", ("trainer_state",)),
    Metric("trainer_steps_total", "counter", "Optimizer steps that this trainer process finished."),
    Metric(
        "trainer_step_duration_seconds", "histogram", "Duration of a step, without the time spent waiting or saving."
    ),
    Metric("trainer_last_step_timestamp_seconds", "gauge", "When the last step ended; kept across restarts."),
    Metric("trainer_stall_after_seconds", "gauge", "Silence after which this peer counts as stalled in this phase."),
    Metric(
        "trainer_stall_at_rest_after_seconds",
        "gauge",
        "Silence after which this peer counts as stalled in this phase if its processes rest.",
    ),
    Metric("trainer_usual_silence_seconds", "gauge", "Usual silence of a step in this phase."),
    Metric("trainer_phase_start_timestamp_seconds", "gauge", "When the trainer entered its current phase."),
    Metric(
        "trainer_phase_seconds_total", "counter", "Time that this trainer process spent in a phase.", ("trainer_state",)
    ),
    Metric("trainer_reward_mean", "gauge", "Last finite mean reward that the trainer logged."),
    Metric("trainer_reward_std", "gauge", "Last standard deviation of the reward that the trainer logged."),
    Metric("trainer_loss", "gauge", "Last finite loss that the trainer logged."),
    Metric("trainer_kl", "gauge", "Last KL divergence that the trainer logged, if it has a reference model."),
    Metric("trainer_completion_tokens", "gauge", "Last mean completion length in tokens that the trainer logged."),
    Metric("trainer_completion_clipped_ratio", "gauge", "Fraction of completions cut off at the maximum length."),
    Metric(
        "trainer_completion_terminated_tokens",
        "gauge",
        "Last mean length in tokens of the completions that ended by themselves; 0 if none did.",
    ),
    Metric("trainer_groups_without_spread_ratio", "gauge", "Fraction of groups whose completions all earned the same."),
    Metric("trainer_entropy", "gauge", "Last entropy of the policy that the trainer logged, in nats per token."),
    Metric("trainer_grad_norm", "gauge", "Last finite norm of the gradient that the trainer logged."),
    Metric("trainer_policy_clip_ratio", "gauge", "Fraction of tokens at which the loss clips the policy's ratio."),
    Metric(
        "trainer_sampling_mismatch",
        "gauge",
        "Last distance between the probabilities of trainer and inference, in the trainer's own measure.",
    ),
    Metric("trainer_logged_step_seconds", "gauge", "Last duration of a step as the trainer itself logged it."),
    Metric("trainer_reward_mean_lowest", "gauge", "Lowest mean reward of the logged steps."),
    Metric("trainer_reward_mean_highest", "gauge", "Highest mean reward of the logged steps."),
    Metric(
        "trainer_streak_reports",
        "gauge",
        "Logged steps in a row without a learning signal, with all completions cut off, or not finite.",
        ("streak",),
    ),
    Metric("trainer_streak_start_timestamp_seconds", "gauge", "When this streak began, while it lasts.", ("streak",)),
    Metric(
        "trainer_nonfinite_steps_total", "counter", "Logged steps with a non-finite loss, reward, gradient norm or KL."
    ),
    Metric("trainer_tokens_total", "counter", "Tokens that this trainer process trained on."),
    Metric("trainer_accelerator_memory_bytes", "gauge", "Accelerator memory that torch holds for this trainer."),
    Metric("trainer_stacks_on_signal", "gauge", "1 if the trainer writes its stacks to stacks.log on SIGUSR1."),
    Metric("trainer_checkpoints_paused", "gauge", "1 while the trainer writes no checkpoints, for want of disk space."),
    Metric("trainer_checkpoint_timestamp_seconds", "gauge", "When this trainer process last completed a checkpoint."),
    Metric("swarm_round", "gauge", "Current round of the trainer."),
    Metric("swarm_stage", "gauge", "Current stage of the trainer within the round."),
    Metric("swarm_connected_peers", "gauge", "Peers of the swarm that the trainer is connected to."),
    Metric("swarm_rounds_skipped_total", "counter", "Rounds that the peer left out to join the swarm's current one."),
    Metric("swarm_stages_alone_total", "counter", "Stages without an output of another peer within the time limit."),
    Metric("swarm_outputs_rejected_total", "counter", "Outputs of other peers that were malformed, and ignored."),
    Metric("swarm_publish_failures_total", "counter", "Publications to the swarm that failed."),
    Metric("swarm_leader_overruled", "gauge", "1 while the swarm shows another round than this leader's, else 0."),
    Metric("swarm_reward_refused", "gauge", "1 while the swarm refuses this peer's reward, else 0."),
    Metric("swarm_last_publish_timestamp_seconds", "gauge", "When the swarm last accepted a publication."),
)

# The contract is there where a source reads several.
_SOURCE = ("source", "contract")

SIDECAR: tuple[Metric, ...] = (
    Metric("trainer_up", "gauge", "1 while the trainer's process runs, else 0."),
    Metric("trainer_memory_bytes", "gauge", "Memory of the trainer's process tree.", ("kind",)),
    Metric(
        "trainer_memory_estimated_processes",
        "gauge",
        "Processes whose resident size stands in for their share of the footprint, which cannot be read.",
    ),
    Metric(
        "trainer_memory_limit_bytes",
        "gauge",
        "Memory limit of this peer: its setting, or a smaller one of its control groups.",
    ),
    Metric("trainer_cpu_seconds_total", "counter", "CPU time used by the trainer's process tree."),
    Metric("trainer_activity_cores", "gauge", "Processors that the trainer's process tree uses."),
    Metric("trainer_activity_usual_cores", "gauge", "The same as is usual in the trainer's current phase."),
    Metric(
        "trainer_activity_state",
        "gauge",
        "1 for what the trainer's processes do since its last progress, 0 for the others.",
        ("trainer_activity_state",),
    ),
    Metric(
        "trainer_activity_stall_after_seconds",
        "gauge",
        "Silence after which this peer counts as stalled, by its pace and by what its processes do.",
    ),
    Metric("trainer_processes", "gauge", "Processes in the trainer's process tree."),
    Metric("trainer_threads", "gauge", "Threads in the trainer's process tree."),
    Metric("trainer_open_fds", "gauge", "Open file descriptors of the trainer's process tree."),
    Metric("trainer_start_timestamp_seconds", "gauge", "When the trainer's process started."),
    Metric("trainer_steps_per_second", "gauge", "Step rate over the last minutes; falls to 0 when steps stop."),
    Metric(
        "trainer_progress_readers",
        "gauge",
        "Readers that tell the progress of a trainer that does not report it itself.",
    ),
    Metric("trainer_progress_up", "gauge", "1 if the last read of this reader succeeded, else 0.", ("reader",)),
    Metric("trainer_progress_timestamp_seconds", "gauge", "When this reader last found a report.", ("reader",)),
    Metric("trainer_progress_step", "gauge", "Step that this reader has reached.", ("reader",)),
    Metric(
        "trainer_progress_unit",
        "gauge",
        "1 for what counts as a step, and has a pace, of a trainer that does not report it itself: step or round.",
        ("unit",),
    ),
    Metric(
        "trainer_inference_requests",
        "gauge",
        "Requests at the inference server that this reader reads, by state.",
        ("reader", "state"),
    ),
    Metric("trainer_progress_steps_per_report", "gauge", "Usual steps between two reports; the pace is per report."),
    Metric("trainer_expected_steps", "gauge", "Steps that the run will make, where the trainer says so."),
    Metric("trainer_exit_code", "gauge", "How the trainer's last process ended: its exit code, 128 + N for signal N."),
    Metric("trainer_end_timestamp_seconds", "gauge", "When the trainer's last process ended."),
    Metric("trainer_oom_killed", "gauge", "1 if the kernel killed for memory as the trainer's last process ended."),
    Metric(
        "trainer_known_problem_lines_total",
        "counter",
        "Lines of the trainer's log that tell this known problem, of those that this sidecar has read.",
        ("problem",),
    ),
    Metric(
        "trainer_known_problem_start_timestamp_seconds",
        "gauge",
        "Since when the trainer's log tells this known problem, without progress that ends it.",
        ("problem",),
    ),
    Metric(
        "trainer_known_problem_timestamp_seconds",
        "gauge",
        "When the trainer's log last told this known problem, without progress since that ends it.",
        ("problem",),
    ),
    Metric("accelerator_up", "gauge", "1 if this device of the peer answers, 0 if it is lost.", ("device", "name")),
    Metric("accelerator_problem", "gauge", "1 for why this device is lost.", ("device", "reason")),
    Metric("accelerator_utilization_ratio", "gauge", "Share of the last seconds that the device worked.", ("device",)),
    Metric("accelerator_memory_used_bytes", "gauge", "Memory of the device that programs hold.", ("device",)),
    Metric("accelerator_memory_total_bytes", "gauge", "Memory of the device.", ("device",)),
    Metric("accelerator_power_watts", "gauge", "Power that the device draws.", ("device",)),
    Metric("accelerator_power_limit_watts", "gauge", "Power that the device may draw.", ("device",)),
    Metric("accelerator_energy_joules_total", "counter", "Energy used since the driver was loaded.", ("device",)),
    Metric("accelerator_temperature_celsius", "gauge", "Temperature of the device.", ("device",)),
    Metric("accelerator_throttled", "gauge", "1 if the device's clock is lowered for this.", ("device", "reason")),
    Metric(
        "accelerator_xid_timestamp_seconds", "gauge", "When the kernel last logged this Xid error.", ("device", "xid")
    ),
    Metric("accelerator_process_memory_bytes", "gauge", "Device memory that the peer's processes hold.", ("device",)),
    Metric(
        "accelerator_process_utilization_ratio",
        "gauge",
        "Share of the last seconds that the device worked for the peer's processes.",
        ("device",),
    ),
    Metric("accelerator_busy", "gauge", "1 if the peer works on an accelerator, 0 if not; nothing where unclear."),
    Metric("swarm_rank", "gauge", "Rank of this peer on the cumulative board, counted from 1."),
    Metric("swarm_established_rank", "gauge", "Rank of this peer among those that have been on the board for long."),
    Metric("swarm_established_peers", "gauge", "Peers that have been on the board for long, this one included."),
    Metric("swarm_ranked_peers", "gauge", "Peers on the cumulative board."),
    Metric("swarm_reward_cumulative", "gauge", "Reward of this peer over all rounds and stages."),
    Metric("swarm_reward_stage", "gauge", "Reward of this peer in the swarm's current stage."),
    Metric("swarm_round_lag", "gauge", "Rounds that this peer is behind the swarm."),
    Metric("swarm_source_up", "gauge", "1 if the last read of this source succeeded, else 0.", ("source",)),
    Metric(
        "swarm_source_success_timestamp_seconds", "gauge", "When the last read of this source succeeded.", ("source",)
    ),
    Metric("swarm_round_change_timestamp_seconds", "gauge", "When the trainer was last seen to change its round."),
    Metric("swarm_submit_period_seconds", "gauge", "Least time between two submissions of this peer's rewards."),
    Metric("swarm_source_listed", "gauge", "1 if this source has the peer, on a board or registered, else 0.", _SOURCE),
    Metric("swarm_source_counts", "gauge", "1 if this peer's rewards count on this contract, else 0.", _SOURCE),
    Metric("swarm_source_rank", "gauge", "Rank of this peer by this source, counted from 1.", _SOURCE),
    Metric("swarm_source_ranked_peers", "gauge", "Peers that this source ranks.", _SOURCE),
    Metric("swarm_source_reward", "gauge", "Reward of this peer over all rounds by this source; may fall.", _SOURCE),
    Metric("swarm_source_stage_reward", "gauge", "Reward of this peer in the stage by this source.", _SOURCE),
    Metric("swarm_source_score", "gauge", "What this source calls the peer's score, without saying more.", _SOURCE),
    Metric("swarm_source_wins", "gauge", "Votes for this peer as a round's winner by this source.", _SOURCE),
    Metric("swarm_source_participation", "gauge", "Rounds in which this peer voted by this source.", _SOURCE),
    Metric("swarm_source_round", "gauge", "Current round of the swarm by this source.", _SOURCE),
    Metric("swarm_source_round_lag", "gauge", "Rounds that this peer is behind the round of this source.", ("source",)),
    Metric(
        "swarm_source_reward_change_timestamp_seconds",
        "gauge",
        "When this peer's reward was last seen to change where it counts, or was first read.",
        _SOURCE,
    ),
    Metric(
        "swarm_source_participation_change_timestamp_seconds",
        "gauge",
        "When this peer's participation was last seen to change where it counts, or was first read.",
        _SOURCE,
    ),
    Metric("sidecar_collector_success", "gauge", "1 if the collector's last run succeeded, else 0.", ("collector",)),
    Metric("sidecar_collector_duration_seconds", "gauge", "Duration of the collector's last run.", ("collector",)),
    Metric("sidecar_build_info", "gauge", "Version of the sidecar.", ("version",)),
)

# Of a machine: served by the alert loop for its own, by one sidecar for another that is watched from elsewhere.
HOST: tuple[Metric, ...] = (
    Metric("host_memory_total_bytes", "gauge", "Memory of this machine that programs here may use."),
    Metric("host_memory_available_bytes", "gauge", "Memory that programs can get without swapping."),
    Metric("host_memory_limit_bytes", "gauge", "Limit of the container or slice, where it has less than the machine."),
    Metric("host_memory_pressure_level", "gauge", "Memory pressure on macOS: 1 normal, 2 warning, 4 critical."),
    Metric(
        "host_memory_pressure_ratio",
        "gauge",
        "Share of the last minute in which some or all programs waited for memory.",
        ("kind",),
    ),
    Metric("host_swap_used_bytes", "gauge", "Swap in use."),
    Metric("host_swap_total_bytes", "gauge", "Swap that programs here may use."),
    Metric("host_cpu_cores", "gauge", "Processors that the system sees."),
    Metric("host_cpu_seconds_total", "counter", "Processor time by use, over all processors.", ("mode",)),
    Metric("host_disk_free_bytes", "gauge", "Free space of the disk that holds the path.", ("path",)),
    Metric("host_disk_total_bytes", "gauge", "Size of the disk that holds the path.", ("path",)),
    Metric("host_clock_timestamp_seconds", "gauge", "This machine's clock."),
)

ALL: tuple[Metric, ...] = TRAINER + SIDECAR + HOST


def families(samples: Iterable[Sample]) -> list[Family]:
    """Groups samples into metric families, in the table's order; a metric without samples is left out.

    Raises KeyError for a sample whose name the table does not hold.
    """
    found: dict[str, Family] = {}
    for name, labels, value in samples:
        metric = _METRIC_OF_SAMPLE[name]
        family = found.get(metric.name)
        if family is None:
            family = found[metric.name] = Family(metric.name.removesuffix("_total"), metric.help, metric.kind)
        family.add_sample(name, dict(labels), value)
    return [found[metric.name] for metric in ALL if metric.name in found]


def find_metric(sample_name: str) -> Metric | None:
    """The metric of the table that has samples of this name."""
    return _METRIC_OF_SAMPLE.get(sample_name)


def histogram(name: str, bounds: Sequence[float], counts: Sequence[int], total: float) -> list[Sample]:
    """The samples of a histogram, from the number of observations in each bucket and their sum."""
    samples, below = [], 0
    for bound, count in zip(bounds, counts, strict=True):
        below += count
        label = "+Inf" if math.isinf(bound) else str(bound)
        samples.append(Sample(f"{name}_bucket", {"le": label}, below))
    return [*samples, Sample(f"{name}_sum", {}, total), Sample(f"{name}_count", {}, below)]


def list_series() -> str:
    """Every metric as `name{labels} type`, one per line: the form of tests/exporter/series.txt."""
    lines = (f"{m.name}{{{','.join(m.labels)}}} {m.kind}" if m.labels else f"{m.name} {m.kind}" for m in ALL)
    return "".join(f"{line}\n" for line in sorted(lines))


_METRIC_OF_SAMPLE = {sample: metric for metric in ALL for sample in metric.sample_names()}


if __name__ == "__main__":
    print(list_series(), end="")
