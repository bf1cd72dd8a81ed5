"""Memory, processor and processes of trainers, as a section of a dashboard."""

from grafana.frame import PanelBuilder
from grafana.panels import About, Query, Style, graph
from grafana.series import of_peers
from grafana.thresholds import of_rule

FOOTPRINT = of_peers("trainer_memory_bytes", kind="footprint")
MEMORY_USE = f"{FOOTPRINT} / ignoring (kind) {of_peers('trainer_memory_limit_bytes')}"


def resources() -> list[PanelBuilder]:
    """Memory by kind with its forecast, processor, processes."""
    ahead = of_rule("MemoryForecast", "within")
    return [
        graph(
            About(
                "Memory by kind",
                "Footprint, resident size and accelerator memory; the forecast extrapolates the last hour "
                f"by {ahead / 3600:g} h.",
                "bytes",
                "fleet",
                limits=(0, None),
            ),
            Query(of_peers("trainer_memory_bytes"), "{{peer}} {{kind}}"),
            Query(of_peers("trainer_accelerator_memory_bytes"), "{{peer}} accelerator"),
            Query(of_peers("trainer_memory_limit_bytes"), "{{peer}} limit"),
            # Each point reads an hour of samples, so there are few points.
            Query(f"predict_linear({FOOTPRINT}[1h], {ahead:g})", "{{peer}} forecast", interval="5m"),
            style=Style(dashed=[".* limit", ".* forecast"]),
            span=24,
            height=9,
        ),
        graph(
            About(
                "Processors in use", "Processors that the process tree keeps busy.", "short", "fleet", limits=(0, None)
            ),
            Query(f"rate({of_peers('trainer_cpu_seconds_total')}[$__rate_interval])"),
        ),
        graph(
            About(
                "Processes and threads",
                "Processes and threads of the process tree, and the processes whose resident size stands in for a "
                "footprint that cannot be read.",
                "short",
                "fleet",
                limits=(0, None),
                decimals=0,
            ),
            Query(of_peers("trainer_processes"), "{{peer}} processes"),
            Query(of_peers("trainer_threads"), "{{peer}} threads"),
            Query(of_peers("trainer_memory_estimated_processes"), "{{peer}} estimated"),
        ),
        graph(
            About(
                "Open files",
                "File descriptors that the process tree holds open.",
                "short",
                "fleet",
                limits=(0, None),
                decimals=0,
            ),
            Query(of_peers("trainer_open_fds")),
        ),
        graph(
            About(
                "Uptime",
                "Time since the trainer's process started: each drop is a restart.",
                "s",
                "fleet",
                limits=(0, None),
            ),
            Query(f"time() - {of_peers('trainer_start_timestamp_seconds')}"),
        ),
    ]
