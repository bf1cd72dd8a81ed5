"""What the swarm's contracts credit to a peer, in a few values for pages and terminals. Pure."""

from typing import Any

from alerts.scraping.page import Labels, Page


def describe_credit(page: Page) -> dict[str, Any]:
    """`registered`, `credited_reward` and `credited_timestamp` on the contracts where the peer counts; null if unknown.

    Of several contracts it is the one that credited last.
    """
    counts = page.values("swarm_source_counts")

    def of_contracts(metric: str) -> dict[Labels, float]:
        return {
            labels: value
            for labels, value in page.values(metric).items()
            if "contract" in dict(labels) and counts.get(labels, 1)
        }

    listed = of_contracts("swarm_source_listed")
    rewards, changes = (
        of_contracts("swarm_source_reward"),
        of_contracts("swarm_source_reward_change_timestamp_seconds"),
    )
    newest = max(changes, key=lambda labels: changes[labels], default=next(iter(rewards), None))
    return {
        "registered": bool(max(listed.values())) if listed else None,
        "credited_reward": rewards.get(newest) if newest is not None else None,
        "credited_timestamp": changes.get(newest) if newest is not None else None,
    }
