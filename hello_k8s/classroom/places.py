"""Places at the machine: few gradings work at the same time, many may wait.

The grader hands places out; a worker asks for one over its pipe, and gives it back while it only waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from hello_k8s.grading.limit import not_counted
from hello_k8s.grading.waiting import Place


class Places:
    """`count` places, handed out in the order in which they were asked for; a holder that is lost gives its back."""

    def __init__(self, count: int, grant: Callable[[Hashable], None]) -> None:
        self._free = count
        self._grant = grant
        self._holders: set[Hashable] = set()
        self._queue: deque[Hashable] = deque()

    def want(self, who: Hashable) -> None:
        """`who` is told by `grant`, now or when a place is free."""
        self._queue.append(who)
        self._hand_out()

    def free(self, who: Hashable) -> None:
        """`who` gives its place back, or is lost with or without one."""
        if who in self._queue:
            self._queue.remove(who)
        if who in self._holders:
            self._holders.remove(who)
            self._free += 1
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free and self._queue:
            who = self._queue.popleft()
            self._free -= 1
            self._holders.add(who)
            self._grant(who)


class WorkersPlace(Place):
    """A worker's own place. `want` returns when it has been granted, `free` gives it back."""

    def __init__(self, want: Callable[[], None], free: Callable[[], None]) -> None:
        self._want, self._free = want, free
        self._held = False

    def take(self) -> None:
        if not self._held:
            with not_counted():  # others are at work; and a time that were up here would lose the place
                self._want()
                self._held = True

    def leave(self) -> None:
        if self._held:
            with not_counted():
                self._held = False
                self._free()

    @contextmanager
    def given_back(self) -> Iterator[None]:
        self.leave()
        try:
            yield
        finally:
            self.take()

    @contextmanager
    def taken(self) -> Iterator[None]:
        self.take()
        try:
            yield
        finally:
            self.leave()
