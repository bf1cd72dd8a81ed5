"""The accelerators that peers use, as a section of a dashboard."""

from grafana.frame import PanelBuilder
from grafana.panels import NONE_IS_BAD, About, Query, Style, graph
from grafana.series import of_peers


def accelerator() -> list[PanelBuilder]:
    """Load, memory, power, heat and problems of the devices, and the peers' share of them."""
    energy = f"rate({of_peers('accelerator_energy_joules_total')}[$__rate_interval])"
    return [
        graph(
            About(
                "Accelerator at work",
                "Share of the time that a device works, in all and for the peer; and whether the peer works at all.",
                "percentunit",
                "peer",
                limits=(0, 1),
            ),
            Query(of_peers("accelerator_utilization_ratio"), "{{peer}} {{device}}"),
            Query(of_peers("accelerator_process_utilization_ratio"), "{{peer}} {{device}} own"),
            Query(of_peers("accelerator_busy"), "{{peer}} busy"),
            style=Style(dashed=[".* busy"]),
        ),
        graph(
            About(
                "Accelerator memory",
                "Memory of a device: what programs hold, what the peer holds, and what there is.",
                "bytes",
                "peer",
                limits=(0, None),
            ),
            Query(of_peers("accelerator_memory_used_bytes"), "{{peer}} {{device}}"),
            Query(of_peers("accelerator_process_memory_bytes"), "{{peer}} {{device}} own"),
            Query(of_peers("accelerator_memory_total_bytes"), "{{peer}} {{device}} limit"),
            style=Style(dashed=[".* limit"]),
        ),
        graph(
            About(
                "Accelerator power",
                "Watts that a device draws, by its gauge and by its energy counter, and the most that it may draw.",
                "short",
                "peer",
                limits=(0, None),
            ),
            Query(of_peers("accelerator_power_watts"), "{{peer}} {{device}}"),
            Query(energy, "{{peer}} {{device}} by energy"),
            Query(of_peers("accelerator_power_limit_watts"), "{{peer}} {{device}} limit"),
            style=Style(dashed=[".* limit"]),
        ),
        graph(
            About(
                "Accelerator temperature",
                "Degrees Celsius of a device, and 1 where its clock is lowered: for power, heat or its hardware.",
                "short",
                "peer",
                limits=(0, None),
            ),
            Query(of_peers("accelerator_temperature_celsius"), "{{peer}} {{device}}"),
            Query(f"{of_peers('accelerator_throttled')} == 1", "{{peer}} {{device}} lowered: {{reason}}"),
        ),
        graph(
            About(
                "Accelerator answers",
                "1 while a device answers; what it fails of is shown beside it.",
                "short",
                "peer",
                NONE_IS_BAD,
                (0, 1),
                0,
            ),
            Query(of_peers("accelerator_up"), "{{peer}} {{device}} {{name}}"),
            Query(of_peers("accelerator_problem"), "{{peer}} {{device}} {{reason}}"),
            style=Style(is_stepped=True),
        ),
        graph(
            About(
                "Xid errors",
                "Time since the kernel last logged an Xid error of a device, by its number.",
                "s",
                "peer",
                limits=(0, None),
            ),
            Query(f"time() - {of_peers('accelerator_xid_timestamp_seconds')}", "{{peer}} {{device}} Xid {{xid}}"),
        ),
    ]
