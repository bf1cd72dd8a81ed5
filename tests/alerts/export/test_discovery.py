"""Service discovery for Prometheus."""

import pytest

from alerts.config import AlertsConfig
from alerts.export.discovery import describe_services, describe_target
from alerts.scraping.target import Target


@pytest.mark.parametrize(
    ("url", "address", "extra"),
    [
        ("http://127.0.0.1:9700/metrics", "127.0.0.1:9700", {}),
        ("https://host/metrics", "host:443", {"__scheme__": "https"}),
        ("http://user:secret@[::1]:9700/m", "[::1]:9700", {"__metrics_path__": "/m"}),
    ],
)
def test_a_target_is_described_as_prometheus_wants_it(url: str, address: str, extra: dict[str, str]) -> None:
    target = Target(peer="a", url=url, labels={"room": "attic", "peer": "not this"})
    labels = {"room": "attic", "fleet": "demo", "peer": "a", **extra}
    assert describe_target("demo", target, "https://watcher:8750") == {"targets": [address], "labels": labels}


@pytest.mark.parametrize("way", [{"url": "https://10.0.0.5:9800/metrics", "login": "a:b"}, {"pushed": True}])
def test_a_sidecar_elsewhere_is_read_through_the_alert_loop(way: dict[str, object]) -> None:
    target = Target.model_validate({"peer": "amber@rack-2", "machine": "rack-2", **way})
    assert describe_target("demo", target, "https://watch.example.org:8750") == {
        "targets": ["watch.example.org:8750"],
        "labels": {
            "fleet": "demo",
            "machine": "rack-2",
            "peer": "amber@rack-2",
            "instance": "rack-2/amber@rack-2",
            "__meta_peerwatch_elsewhere": "yes",
            "__scheme__": "https",
            "__metrics_path__": "/api/machines/rack-2/peers/amber@rack-2/metrics",
        },
    }


@pytest.mark.parametrize(
    ("listen", "address"),
    [("127.0.0.1:8750", "127.0.0.1:8750"), ("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("[::1]:1", "[::1]:1")],
)
def test_the_loop_names_itself_and_the_leaderboard(listen: str, address: str) -> None:
    settings = {"fleet": "demo", "state_dir": "/state", "listen": listen, "leaderboard_url": "http://127.0.0.1:8700"}
    guarded = {"login": {"user": "a", "password": "${A}"}, "tls": {"certificate": "/c.pem", "key": "/k.pem"}}
    assert describe_services(AlertsConfig.model_validate(settings | guarded)) == [
        {"targets": [address], "labels": {"fleet": "demo", "service": "alerts", "__scheme__": "https"}},
        {"targets": ["127.0.0.1:8700"], "labels": {"fleet": "demo", "service": "leaderboard"}},
    ]


def test_without_a_leaderboard_it_names_only_itself() -> None:
    config = AlertsConfig.model_validate({"fleet": "demo", "state_dir": "/state"})
    assert [one["labels"]["service"] for one in describe_services(config)] == ["alerts"]
