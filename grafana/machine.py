"""The alert loop's machine, as a section of a dashboard."""

from grafana.frame import PanelBuilder
from grafana.panels import About, Query, Style, graph
from grafana.series import of_services
from grafana.thresholds import bad_below, bad_from, of_rule


def machine() -> list[PanelBuilder]:
    """Memory, swap, processors and disks."""
    used = f"1 - {of_services('host_memory_available_bytes')} / {of_services('host_memory_total_bytes')}"
    idle = f"rate({of_services('host_cpu_seconds_total', mode='idle')}[$__rate_interval])"
    free = f"{of_services('host_disk_free_bytes')} / {of_services('host_disk_total_bytes')}"
    pressed, stalled = of_services("host_memory_pressure_ratio"), of_rule("HostMemoryPressure", "stalled")
    clock = of_services("host_clock_timestamp_seconds")
    return [
        graph(
            About(
                "Memory in use",
                "Memory not available without swapping.",
                "percentunit",
                "peer",
                bad_from(1 - of_rule("HostMemoryPressure", "available")),
                (0, 1),
            ),
            Query(used, "{{instance}}"),
        ),
        graph(
            About(
                "Swap in use",
                "Swap in use on the machine; a peer that swaps slows down before it is killed. In a container also how "
                "much swap and memory it may use.",
                "bytes",
                "peer",
                limits=(0, None),
            ),
            Query(of_services("host_swap_used_bytes"), "{{instance}}"),
            Query(of_services("host_swap_total_bytes"), "{{instance}} swap limit"),
            Query(of_services("host_memory_limit_bytes"), "{{instance}} memory limit"),
            style=Style(dashed=[".* limit"]),
        ),
        graph(
            About("Processors in use", "Share of all processors that is busy.", "percentunit", "peer", limits=(0, 1)),
            Query(
                f"1 - sum without (mode) ({idle}) / {of_services('host_cpu_cores')}",
                "{{instance}}",
            ),
        ),
        graph(
            About(
                "Free disk",
                "Free share of the state folder's disk.",
                "percentunit",
                "peer",
                bad_below(of_rule("DiskLow", "fraction")),
                (0, 1),
            ),
            Query(free, "{{instance}} {{path}}"),
        ),
        graph(
            About(
                "Waiting for memory (Linux)",
                "Share of the last minute in which some or all tasks were stalled on memory.",
                "percentunit",
                "peer",
                bad_from(stalled),
                (0, 1),
            ),
            Query(pressed, "{{instance}} {{kind}}"),
        ),
        graph(
            About(
                "Memory pressure (macOS)",
                "The level that macOS reports: 1 normal, 2 warning, 4 critical.",
                "short",
                "peer",
                bad_from(4, 2),
                (0, 4),
                0,
            ),
            Query(of_services("host_memory_pressure_level"), "{{instance}}"),
            style=Style(is_stepped=True),
        ),
        graph(
            About(
                "Clock",
                "How far a machine's clock is ahead of Prometheus'; up to a collection behind is no difference.",
                "s",
                "peer",
            ),
            Query(f"{clock} - timestamp({clock})", "{{instance}}"),
            span=24,
        ),
    ]
