"""What is read of trainers that do not report by themselves, as a section of a dashboard."""

from grafana.frame import PanelBuilder
from grafana.panels import About, Query, Style, graph
from grafana.series import of_peers

_FIRST = of_peers("trainer_known_problem_start_timestamp_seconds")
_LAST = of_peers("trainer_known_problem_timestamp_seconds")


def readers() -> list[PanelBuilder]:
    """Reports by reader, steps to come, and how trainers ended."""
    return [
        graph(
            About(
                "Time since the last report",
                "By reader; a reader that cannot read counts as 0 in the lower lines.",
                "s",
                "fleet",
                limits=(0, None),
            ),
            Query(f"time() - {of_peers('trainer_progress_timestamp_seconds')}", "{{peer}} {{reader}}"),
            Query(of_peers("trainer_progress_up"), "{{peer}} {{reader}} reads"),
            Query(of_peers("trainer_progress_readers"), "{{peer}} readers"),
        ),
        graph(
            About(
                "Steps read and expected",
                "Steps that each reader has reached, those of the run, and between two reports; what counts as a step.",
                "short",
                "fleet",
                limits=(0, None),
                decimals=0,
            ),
            Query(of_peers("trainer_progress_step"), "{{peer}} {{reader}}"),
            Query(of_peers("trainer_expected_steps"), "{{peer}} expected"),
            Query(of_peers("trainer_progress_steps_per_report"), "{{peer}} per report"),
            Query(of_peers("trainer_progress_unit"), "{{peer}} counts {{unit}}s"),
            style=Style(dashed=[".* expected"]),
        ),
        graph(
            About(
                "Requests at the inference server",
                "Running and waiting: 0 of both while a trainer waits for answers means that its requests never came.",
                "short",
                "fleet",
                limits=(0, None),
                decimals=0,
            ),
            Query(of_peers("trainer_inference_requests"), "{{peer}} {{reader}} {{state}}"),
            span=24,
        ),
        graph(
            About(
                "Known problems in the log",
                "Lines of the trainer's log that tell each known problem, in an hour.",
                "short",
                "fleet",
                limits=(0, None),
                decimals=0,
            ),
            Query(f"increase({of_peers('trainer_known_problem_lines_total')}[1h])", "{{peer}} {{problem}}"),
        ),
        graph(
            About(
                "Known problems that last",
                "Time between a problem's first and last line, without progress that ends it; 0 if it came once.",
                "s",
                "fleet",
                limits=(0, None),
            ),
            Query(f"{_LAST} - {_FIRST}", "{{peer}} {{problem}}"),
        ),
        graph(
            About(
                "Ends",
                "Exit code of the last process (128 + N for signal N), kills for memory, and time since it ended.",
                "short",
                "fleet",
                limits=(0, None),
                decimals=0,
            ),
            Query(of_peers("trainer_exit_code"), "{{peer}} exit code"),
            Query(of_peers("trainer_oom_killed"), "{{peer}} killed for memory"),
            Query(f"(time() - {of_peers('trainer_end_timestamp_seconds')}) / 60", "{{peer}} minutes since"),
            span=24,
        ),
    ]
