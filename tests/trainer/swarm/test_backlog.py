"""What the swarm refuses waits behind everything else, ever longer, and is given up at last."""

from trainer.swarm.backlog import MAX_ATTEMPTS, MAX_RECORDS, Backlog

A, B, C = ("a", None), ("b", None), ("c", None)


def test_a_refused_record_comes_after_all_others() -> None:
    backlog = Backlog(5.0)
    first, second = object(), object()
    backlog.put(A, first)
    backlog.put(B, second)
    backlog.refuse(A, first, 0.0)
    backlog.put(C, 3)

    assert backlog.due(4.9) == [(B, second), (C, 3)]
    assert backlog.due(5.0) == [(B, second), (C, 3), (A, first)]


def test_it_is_tried_ever_more_rarely_and_a_few_times() -> None:
    backlog, value, tried_at = Backlog(1.0), object(), []
    backlog.put(A, value)
    for second in range(1000):
        if backlog.due(second):
            tried_at.append(second)
            backlog.refuse(A, value, second)

    assert tried_at == [0, 1, 3, 7, 15, 31]
    assert len(tried_at) == MAX_ATTEMPTS
    assert backlog.is_empty()


def test_a_newer_value_is_neither_dropped_nor_held_up_with_the_old_one() -> None:
    backlog, old, new = Backlog(5.0), object(), object()
    backlog.put(A, old)
    backlog.put(A, new)
    backlog.refuse(A, old, 0.0)
    backlog.drop(A, old)

    assert backlog.due(0.0) == [(A, new)]


def test_the_oldest_give_way() -> None:
    backlog = Backlog(5.0)
    for number in range(3 * MAX_RECORDS):
        backlog.put((str(number), None), number)

    assert [value for _, value in backlog.due(0.0)] == list(range(2 * MAX_RECORDS, 3 * MAX_RECORDS))
