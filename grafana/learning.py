"""The training metrics of a trainer, as a section of a dashboard."""

from grafana.frame import PanelBuilder
from grafana.panels import ANY_IS_BAD, About, Query, Style, graph
from grafana.series import of_peers


def learning() -> list[PanelBuilder]:
    """Reward, loss, divergence, lengths."""
    mean, deviation = of_peers("trainer_reward_mean"), of_peers("trainer_reward_std")
    length = About("Completion length", "Mean length of the completions in tokens.", "short", "fleet", limits=(0, None))
    clipped = "Share of completions cut off at the maximum length: a high share means that the limit is too low."
    return [
        graph(
            About(
                "Reward and its spread",
                "Mean reward; the band is one standard deviation around it, over all selected peers.",
                "short",
                "swarm",
            ),
            Query(mean),
            Query(f"max({mean} + {deviation})", "one deviation above"),
            Query(f"min({mean} - {deviation})", "one deviation below"),
            style=Style(band=("one deviation above", "one deviation below")),
        ),
        graph(
            About("Loss", "The last logged loss.", "short", "fleet"),
            Query(of_peers("trainer_loss")),
        ),
        graph(
            About(
                "KL",
                "Divergence from the reference model; absent if GRPO runs without one (beta 0).",
                "short",
                "fleet",
            ),
            Query(of_peers("trainer_kl")),
        ),
        graph(length, Query(of_peers("trainer_completion_tokens"))),
        graph(
            About("Completions cut off", clipped, "percentunit", "fleet", limits=(0, 1)),
            Query(of_peers("trainer_completion_clipped_ratio")),
        ),
        graph(
            About(
                "Non-finite steps",
                "Logged steps whose loss, reward or gradient was not finite.",
                "short",
                "fleet",
                ANY_IS_BAD,
                (0, None),
            ),
            Query(f"increase({of_peers('trainer_nonfinite_steps_total')}[$__rate_interval])"),
        ),
    ]
