"""Peer: all metrics of one peer, or of several side by side."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from exporter.metrics import SETTINGS
from grafana.accelerator import accelerator
from grafana.frame import PanelBuilder, Section, make
from grafana.learning import learning
from grafana.panels import ANY_IS_BAD, About, Column, Query, Style, graph, heat, number, rows, timeline
from grafana.readers import readers
from grafana.resources import MEMORY_USE, resources
from grafana.series import of_peers
from grafana.sources import sources
from grafana.states import STATE_STEPS, state
from grafana.thresholds import MEMORY_SHARE, bad_from, of_rule

SILENCE = f"time() - {of_peers('trainer_last_step_timestamp_seconds')}"
# By what the trainer does, where its sidecar knows that.
STALL_LIMIT = f"{of_peers('trainer_activity_stall_after_seconds')} or {of_peers('trainer_stall_after_seconds')}"


def build() -> Dashboard:
    """State, steps, training metrics, resources and swarm."""
    sections = [
        Section("Now", [*_numbers(), _states(), _identity(), _settings()]),
        Section("Steps", _steps()),
        Section("Learning", learning()),
        Section("Resources", resources()),
        Section("Accelerator", accelerator()),
        Section("Read progress", readers()),
        Section("In the swarm", _swarm()),
        Section("Rank and reward by source", sources(), is_collapsed=True),
    ]
    return make("peer", "All metrics of one peer, or of several side by side.", sections, has_page=True)


def _numbers() -> list[PanelBuilder]:
    """One value each, however many peers are selected: the worst, the best or the mean."""
    return [
        number(
            About("Steps per second", "Step rate of the slowest selected peer.", "short", "fleet", decimals=2),
            Query(f"min({of_peers('trainer_steps_per_second')})", "slowest"),
        ),
        number(
            About(
                "Silence",
                "Time since the last step as a share of the peer's stall limit; the longest of the selected peers.",
                "percentunit",
                "fleet",
                bad_from(1, 0.7),
            ),
            Query(f"max(({SILENCE}) / ({STALL_LIMIT}))", "longest"),
        ),
        number(
            About(
                "Memory",
                "Highest footprint of a selected peer, of its limit.",
                "percentunit",
                "fleet",
                MEMORY_SHARE,
            ),
            Query(f"max({MEMORY_USE})", "fullest"),
        ),
        number(
            About("Rank", "Best rank of the selected peers on the swarm's cumulative board.", "short", "swarm"),
            Query(f"min({of_peers('swarm_rank')})", "best"),
        ),
        number(
            About("Reward", "Mean reward of the last step, over the selected peers.", "short", "swarm", decimals=3),
            Query(f"avg({of_peers('trainer_reward_mean')})", "mean"),
        ),
        number(
            About("Uptime", "Time since the last start of a selected trainer.", "s", "fleet", decimals=0),
            Query(f"min(time() - {of_peers('trainer_start_timestamp_seconds')})", "shortest"),
        ),
    ]


def _states() -> PanelBuilder:
    about = About(
        "State",
        "Phase of the trainer; down: no process.",
        "short",
        "fleet",
        STATE_STEPS,
    )
    return timeline(about, Query(state()), height=5)


def _identity() -> PanelBuilder:
    about = About(
        "Identity",
        "The peer's id in the swarm, its model and device, and whether SIGUSR1 writes its stacks to stacks.log.",
        "short",
        "swarm",
    )
    of = "fleet, peer, nickname, peer_id, model, device"
    stacks = f"max by (fleet, peer) ({of_peers('trainer_stacks_on_signal')})"
    columns = [Column("", f"max by ({of}) ({of_peers('trainer_info')})"), Column("SIGUSR1", stacks, "bool_yes_no")]
    return rows(about, columns, height=4)


def _settings() -> PanelBuilder:
    about = About("Settings", "What each training was set up with, and versions of its libraries.", "short", "fleet")
    of = f"fleet, peer, {', '.join(SETTINGS)}"
    return rows(about, [Column("", f"max by ({of}) ({of_peers('trainer_settings_info')})")], height=4)


def _steps() -> list[PanelBuilder]:
    buckets = of_peers("trainer_step_duration_seconds_bucket")
    spent = of_peers("trainer_phase_seconds_total")
    return [
        heat(
            About("Step time", "How long steps took: the darker, the more steps.", "s", "fleet"),
            f"sum by (le) (increase({buckets}[$__rate_interval]))",
        ),
        graph(
            About(
                "Phases",
                "Share of the time that the selected peers spent in each phase.",
                "percentunit",
                "fleet",
                limits=(0, 1),
            ),
            Query(f"avg by (trainer_state) (rate({spent}[$__rate_interval]))", "{{trainer_state}}"),
            style=Style(is_stacked=True),
        ),
        graph(
            About(
                "Activity",
                "Cores in use, and usual ones (dashed); 1 for what the processes do since the last progress.",
                "short",
                "fleet",
                limits=(0, None),
            ),
            Query(of_peers("trainer_activity_cores"), "{{peer}} cores"),
            Query(of_peers("trainer_activity_usual_cores"), "{{peer}} usual cores"),
            Query(f"{of_peers('trainer_activity_state')} > 0", "{{peer}} {{trainer_activity_state}}"),
            style=Style(dashed=[".* usual cores"]),
            span=24,
        ),
        graph(
            About(
                "Silence against its limit",
                "Time since the last step, now and usually; dashed: the stall limit that holds, and the one at rest.",
                "s",
                "fleet",
                limits=(0, None),
            ),
            Query(SILENCE, "{{peer}} silent"),
            # The day that a trainer may rest between its steps would hide all else.
            Query(f"({STALL_LIMIT}) < 86400", "{{peer}} limit"),
            Query(of_peers("trainer_stall_at_rest_after_seconds"), "{{peer}} limit at rest"),
            Query(of_peers("trainer_usual_silence_seconds"), "{{peer}} usual"),
            style=Style(dashed=[".* limit", ".* limit at rest"]),
        ),
        graph(
            About(
                "Time in the current phase",
                "Time since the trainer entered its current phase.",
                "s",
                "fleet",
                limits=(0, None),
            ),
            Query(f"time() - {of_peers('trainer_phase_start_timestamp_seconds')}"),
        ),
        graph(
            About(
                "Steps per second",
                "As counted, and as the sidecar's average of the last minutes.",
                "short",
                "fleet",
                limits=(0, None),
            ),
            Query(f"rate({of_peers('trainer_steps_total')}[$__rate_interval])", "{{peer}} counted"),
            Query(of_peers("trainer_steps_per_second"), "{{peer}} smoothed"),
            style=Style(dashed=[".* smoothed"]),
        ),
        graph(
            About("Tokens per second", "Tokens that the trainer trained on.", "short", "fleet", limits=(0, None)),
            Query(f"rate({of_peers('trainer_tokens_total')}[$__rate_interval])"),
        ),
        graph(
            About(
                "Age of the last checkpoint",
                "Time since this trainer process last completed a checkpoint.",
                "s",
                "fleet",
                limits=(0, None),
            ),
            Query(f"time() - {of_peers('trainer_checkpoint_timestamp_seconds')}"),
        ),
        graph(
            About(
                "Checkpoints paused",
                "1 while the trainer writes no checkpoints, for want of disk space.",
                "short",
                "fleet",
                ANY_IS_BAD,
                (0, 1),
            ),
            Query(of_peers("trainer_checkpoints_paused")),
            style=Style(is_stepped=True),
        ),
    ]


def _swarm() -> list[PanelBuilder]:
    published = f"time() - {of_peers('swarm_last_publish_timestamp_seconds')}"
    failures = f"increase({of_peers('swarm_publish_failures_total')}[$__rate_interval])"
    unpublished = of_rule("SwarmIsolated", "unpublished")
    return [
        graph(
            About(
                "DHT peers",
                "Peers of the swarm that the trainer is connected to.",
                "short",
                "swarm",
                limits=(0, None),
                decimals=0,
            ),
            Query(of_peers("swarm_connected_peers")),
            style=Style(is_stepped=True),
        ),
        graph(
            About(
                "Failed publications",
                "Publications that failed; 1 while the swarm refuses the peer's reward, or as a leader its round.",
                "short",
                "swarm",
                ANY_IS_BAD,
                (0, None),
            ),
            Query(failures),
            Query(of_peers("swarm_reward_refused"), "{{peer}} reward refused"),
            Query(of_peers("swarm_leader_overruled"), "{{peer}} round refused"),
        ),
        graph(
            About(
                "Age of the last publication",
                "Time since the swarm last accepted a record of this peer.",
                "s",
                "swarm",
                bad_from(unpublished),
                (0, None),
            ),
            Query(published),
        ),
        graph(
            About(
                "Rank",
                "Rank on the swarm's cumulative board, and among peers that have been there for long; 1 is the best.",
                "short",
                "swarm",
                limits=(1, None),
                decimals=0,
            ),
            Query(of_peers("swarm_rank")),
            Query(of_peers("swarm_established_rank"), "{{peer}} among the established"),
            Query(of_peers("swarm_established_peers"), "{{peer}} established peers"),
            style=Style(is_stepped=True),
        ),
        graph(
            About(
                "Stages alone",
                "Stages without an output of another peer within the time limit, and rounds left out.",
                "short",
                "swarm",
                limits=(0, None),
            ),
            Query(f"increase({of_peers('swarm_stages_alone_total')}[$__rate_interval])", "{{peer}} alone"),
            Query(f"increase({of_peers('swarm_rounds_skipped_total')}[$__rate_interval])", "{{peer}} left out"),
        ),
        graph(
            About(
                "Outputs rejected",
                "Outputs of other peers that were malformed, and ignored.",
                "short",
                "swarm",
                limits=(0, None),
            ),
            Query(f"increase({of_peers('swarm_outputs_rejected_total')}[$__rate_interval])"),
        ),
    ]
