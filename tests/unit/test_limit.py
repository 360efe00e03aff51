"""A check's time is up when it is; what is ours to do meanwhile doesn't count."""

from __future__ import annotations

import threading
import time

import pytest

from hello_k8s.classroom.places import WorkersPlace
from hello_k8s.grading.limit import limited, not_counted
from hello_k8s.grading.verdict import TimedOut


def work(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_a_check_ends_when_its_time_is_up() -> None:
    begun = time.monotonic()
    with pytest.raises(TimedOut), limited(0.1):
        work(5)
    assert time.monotonic() - begun < 2


def test_what_is_ours_is_not_counted_and_the_rest_is() -> None:
    with limited(0.2), not_counted(), not_counted():
        work(0.4)
    with pytest.raises(TimedOut), limited(0.2):
        with not_counted():
            work(0.4)
        work(5)


def test_without_a_limit_nothing_is_set() -> None:
    with not_counted():
        work(0.01)
    work(0.05)


def test_a_wait_for_a_place_is_neither_counted_nor_broken_off() -> None:
    """A place that is granted to somebody who doesn't wait any more would be lost for the whole class."""
    granted, freed = threading.Semaphore(0), []
    place = WorkersPlace(granted.acquire, lambda: freed.append(1))
    threading.Timer(0.4, granted.release).start()
    with limited(0.2), place.taken():
        assert not freed
    assert freed == [1]
