"""The training metrics of a trainer, as a section of a dashboard."""

from collections.abc import Iterator

from grafana.frame import PanelBuilder
from grafana.panels import ANY_IS_BAD, About, Query, Style, graph
from grafana.series import of_peers


def learning() -> list[PanelBuilder]:
    """Reward and what it comes from, loss and its health, completions, and each against the peer's own past."""
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
        graph(
            length,
            Query(of_peers("trainer_completion_tokens"), "{{peer}}"),
            Query(of_peers("trainer_completion_terminated_tokens"), "{{peer}} ended by itself"),
            style=Style(dashed=[".* ended by itself"]),
        ),
        graph(
            About("Completions cut off", clipped, "percentunit", "fleet", limits=(0, 1)),
            Query(of_peers("trainer_completion_clipped_ratio")),
        ),
        graph(
            About(
                "Non-finite steps",
                "Logged steps whose loss, reward, gradient or KL was not finite.",
                "short",
                "fleet",
                ANY_IS_BAD,
                (0, None),
            ),
            Query(f"increase({of_peers('trainer_nonfinite_steps_total')}[$__rate_interval])"),
        ),
        *_health(),
        *_against_the_past(),
    ]


def _health() -> Iterator[PanelBuilder]:
    """What the gradient is made of, and whether there is any."""
    share = "Share of groups whose completions all earned the same: such a group teaches nothing."
    yield graph(
        About("Groups without spread", share, "percentunit", "fleet", limits=(0, 1)),
        Query(of_peers("trainer_groups_without_spread_ratio")),
    )
    yield graph(
        About("Gradient norm", "Norm of the gradient before it is clipped.", "short", "fleet", limits=(0, None)),
        Query(of_peers("trainer_grad_norm")),
    )
    yield graph(
        About("Entropy", "Entropy of the policy in nats per token.", "short", "fleet", limits=(0, None)),
        Query(of_peers("trainer_entropy")),
    )
    clipped = "Share of tokens at which the loss clips the ratio of the new policy to the old."
    yield graph(
        About("Policy clipped", clipped, "percentunit", "fleet", limits=(0, None)),
        Query(of_peers("trainer_policy_clip_ratio")),
    )
    mismatch = "Distance between the probabilities of trainer and inference engine, in the trainer's own measure."
    yield graph(
        About("Sampling mismatch", mismatch, "short", "fleet", limits=(0, None)),
        Query(of_peers("trainer_sampling_mismatch")),
    )
    since = f"time() - {of_peers('trainer_streak_start_timestamp_seconds')}"
    yield graph(
        About("Time of the streaks", "How long each of these streaks has lasted.", "s", "fleet", limits=(0, None)),
        Query(since, "{{peer}} {{streak}}"),
    )
    logged = "Duration of a step as the trainer itself logged it."
    yield graph(
        About("Logged step time", logged, "s", "fleet", limits=(0, None)),
        Query(of_peers("trainer_logged_step_seconds")),
    )
    reached = "Lowest and highest mean reward of the logged steps: all right or all wrong is told by these."
    yield graph(
        About("Range of the reward", reached, "short", "fleet"),
        Query(of_peers("trainer_reward_mean_highest"), "{{peer}} highest"),
        Query(of_peers("trainer_reward_mean_lowest"), "{{peer}} lowest"),
    )
    streaks = "Logged steps in a row without a learning signal, all cut off with a flat reward, or not finite."
    yield graph(
        About("Unbroken streaks", streaks, "short", "fleet", limits=(0, None), decimals=0),
        Query(of_peers("trainer_streak_reports"), "{{peer}} {{streak}}"),
        span=24,
    )


def _against_the_past() -> Iterator[PanelBuilder]:
    """Values that have no healthy size of their own, as multiples of the peer's median of the last day."""
    for title, metric in (
        ("Entropy against its past", "trainer_entropy"),
        ("KL against its past", "trainer_kl"),
        ("Length against its past", "trainer_completion_tokens"),
        ("Reward against its past", "trainer_reward_mean"),
    ):
        values = of_peers(metric)
        about = "Multiple of the peer's own median of the last day: healthy sizes differ from run to run."
        yield graph(
            About(title, about, "short", "fleet"),
            # Each point reads a day of samples, so there are few points.
            Query(f"{values} / (quantile_over_time(0.5, {values}[1d]) != 0)", interval="5m"),
        )
