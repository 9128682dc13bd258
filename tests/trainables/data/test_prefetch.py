"""Items made ahead: the same ones, in order, one at a time."""

import threading

import pytest

from taurank.trainables.data.prefetch import prefetched


def test_the_same_items_in_order():
    assert list(prefetched(iter(range(20)))) == list(range(20))
    assert list(prefetched(iter(()))) == []


def test_one_is_made_while_one_is_in_use_and_no_more():
    made = []

    def items():
        for number in range(5):
            made.append(number)
            yield number

    taken = prefetched(items())
    assert made == []
    for expected in range(4):
        assert next(taken) == expected
        arrived = threading.Event()
        for _ in range(200):
            if len(made) == expected + 2:
                break
            arrived.wait(0.01)
        assert len(made) == expected + 2


def test_what_making_one_raises_is_raised_after_those_before_it():
    def items():
        yield 1
        raise ValueError("broken")

    taken = prefetched(items())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="broken"):
        next(taken)


def test_a_pass_that_is_given_up_ends_its_thread():
    before = threading.active_count()
    taken = prefetched(iter(range(100)))
    next(taken)
    taken.close()
    assert threading.active_count() == before
