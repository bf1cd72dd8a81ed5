"""The JSON of /api/status."""

from alerts.engine.status import Status
from alerts.scraping.page import parse
from alerts.scraping.scraper import Scrape
from alerts.web.status_json import describe_status
from tests.alerts.conftest import sidecar_page


def test_each_peer_has_a_state_and_an_unreachable_sidecar_is_called_so() -> None:
    scrapes = {
        "a": Scrape(parse(sidecar_page(state="waiting"))),
        "b": Scrape(None, "no connection"),
        "c": Scrape(parse(sidecar_page(up=0))),
        "d": Scrape(parse(sidecar_page(up=None))),
    }
    peers = describe_status(Status("test", 1000.0, scrapes), [], {})["peers"]
    assert [(peer["state"], peer["up"], peer["sidecar_up"]) for peer in peers] == [
        ("waiting", True, True),
        ("unreachable", None, False),
        ("down", False, True),
        ("unknown", None, True),
    ]


def test_what_the_contracts_of_a_peer_credit() -> None:
    def credit(*lines: str) -> tuple[object, ...]:
        page = parse("\n".join(("trainer_up 1", *lines)))
        (peer,) = describe_status(Status("test", 1000.0, {"a": Scrape(page)}), [], {})["peers"]
        return peer["registered"], peer["credited_reward"], peer["credited_timestamp"]

    def on(metric: str, contract: str, value: float) -> str:
        return f'swarm_source_{metric}{{source="chain",contract="{contract}"}} {value}'

    old = [on("listed", "0.5", 1), on("reward", "0.5", 90), on("counts", "0.5", 0)]
    assert credit('swarm_source_reward{source="dashboard"} 7') == (None, None, None)
    assert credit(*old, on("listed", "0.7", 0), on("reward", "0.7", 0), on("counts", "0.7", 1)) == (False, 0, None)
    assert credit(
        *(on("listed", "0.5", 1), on("reward", "0.5", 8), on("reward_change_timestamp_seconds", "0.5", 900)),
        *(on("listed", "0.6-prg", 0), on("reward", "0.6-prg", 1)),
        on("reward_change_timestamp_seconds", "0.6-prg", 950),
    ) == (True, 1, 950)
    assert credit(*old[:2]) == (True, 90, None)
