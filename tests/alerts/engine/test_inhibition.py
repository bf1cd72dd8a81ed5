"""Causes inhibit their consequences."""

from alerts.engine.evaluate import Key
from alerts.engine.inhibition import find_inhibited
from alerts.engine.state import AlertState
from alerts.rules import discover

FIRING = AlertState("firing", "critical", 0, "")
PENDING = AlertState("pending", "critical", 0, "")
TABLE = {"PeerDown": ("PeerStalled",), "HostMemoryPressure": ("PeerStalled", "PeerDown")}
OF_HOST = {"HostMemoryPressure"}


def test_a_peer_that_is_down_inhibits_its_own_stall_only() -> None:
    states = {Key("PeerDown", "a"): FIRING, Key("PeerStalled", "a"): FIRING, Key("PeerStalled", "b"): FIRING}
    assert find_inhibited(states, TABLE, OF_HOST) == {Key("PeerStalled", "a"): Key("PeerDown", "a")}


def test_an_alert_of_the_host_inhibits_those_of_all_its_peers() -> None:
    host = Key("HostMemoryPressure", "host")
    states = {
        host: FIRING,
        Key("PeerDown", "a"): FIRING,
        Key("PeerStalled", "b"): PENDING,
        Key("NonFinite", "a"): FIRING,
    }
    assert find_inhibited(states, TABLE, OF_HOST) == {
        Key("PeerDown", "a"): host,
        Key("PeerStalled", "b"): host,
    }


def test_a_pending_alert_inhibits_nothing() -> None:
    assert find_inhibited({Key("PeerDown", "a"): PENDING, Key("PeerStalled", "a"): FIRING}, TABLE, OF_HOST) == {}


def test_no_rule_inhibits_itself_and_there_is_no_cycle() -> None:
    table = {name: set(rule.inhibits) for name, rule in discover().items()}
    for name, hidden in table.items():
        assert name not in hidden
        assert not any(name in table.get(other, ()) for other in hidden)
