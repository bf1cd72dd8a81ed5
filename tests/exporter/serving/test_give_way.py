"""Who goes when there is no room: pure, with times of the test."""

from exporter.serving.give_way import Connections


def test_the_longest_wait_gives_way_first_and_the_idle_last():
    connections = Connections()
    connections.rest("scraper", 0.0)
    connections.wait("slow", 5.0)
    connections.wait("slower", 4.0 + 2.0)
    connections.serve("served")
    gone = []
    while (chosen := connections.choose()) is not None:
        gone.append(chosen)
        connections.forget(chosen)
    assert gone == ["slow", "slower", "scraper"]
    assert list(connections) == ["served"]


def test_more_bytes_of_the_same_request_keep_its_place():
    connections = Connections()
    connections.wait("a", 0.0)
    connections.wait("b", 1.0)
    connections.wait("a", 2.0)
    assert connections.choose() == "a"
    assert connections.overdue(10.5, 10.0, 150.0) == ["a"]


def test_an_answer_ends_a_wait_and_the_next_begins_behind_all_others():
    connections = Connections()
    connections.wait("a", 0.0)
    connections.wait("b", 1.0)
    connections.serve("a")
    assert connections.overdue(1000.0, 10.0, 150.0) == ["b"]
    connections.rest("a", 3.0)
    connections.wait("a", 4.0)
    assert connections.choose() == "b"
    assert len(connections) == 2


def test_the_time_left_is_that_of_the_first_to_be_overdue():
    connections = Connections()
    assert connections.seconds_left(0.0, 10.0, 150.0) is None
    connections.rest("idle", 0.0)
    assert connections.seconds_left(100.0, 10.0, 150.0) == 50.0
    connections.wait("slow", 99.0)
    assert connections.seconds_left(100.0, 10.0, 150.0) == 9.0
    assert connections.seconds_left(200.0, 10.0, 150.0) == 0.0
