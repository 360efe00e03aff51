"""Waiting on what changes: a condition is tried again when an object changed, never after a fixed sleep alone."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from hello_k8s.errors import HelloError
from hello_k8s.grading.verdict import Note, Unmet
from hello_k8s.language import both
from hello_k8s.machine.kubeapi import KubeApi
from hello_k8s.machine.kubewatch import Watch

T = TypeVar("T")


class Place:
    """A place at the machine: held while a grading works, given back while it only waits. Alone, one always has it."""

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """Around a wait."""
        yield

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Around a piece of work in the middle of a wait."""
        yield


#: This process's place; a worker of a class puts its own here.
PLACE = Place()
#: Seconds between two tries where nothing tells us that something changed (an answer over HTTP).
TICK = 0.5
#: Seconds between two tries at least: a roll-out is many events at once.
_REST = 0.1
#: Seconds for which everything has to be at rest until nobody waits on. kube-proxy writes a change into a node's
#: rules within a second (its minSyncPeriod) and the time that this takes: on a busy machine, seconds.
STILL = 2.0
#: Seconds after which it is asked again whether it has.
_WRITTEN_AGAIN = 1.0


def eventually(
    fn: Callable[[], T],
    within: float,
    api: KubeApi | None = None,
    namespace: str = "",
    on: Sequence[str] = (),
    at_rest: Callable[[], bool] | None = None,
    written: Callable[[float], bool] | None = None,
    rest: float = _REST,
) -> T:
    """Call `fn` until it raises no AssertionError (and returns no False), and return what it returned.

    Tried again when an object of the kinds `on` changes in `namespace`, `rest` seconds after the last try at the
    earliest, and every TICK. After `within` seconds the last AssertionError is raised, with a note of how long was
    waited; at once where nothing that is waited for can come any more: see `_Stillness`.
    """
    begun = time.monotonic()
    deadline = begun + within
    try:
        return _called(fn)
    except AssertionError as error:
        last = error
    stillness = _Stillness(at_rest, written)
    # Without a cluster it is a container that is waited for, for seconds: who had to wait for the place again would
    # look later than `within`, or not, as the neighbours are.
    with _changes(api, namespace, on, within) as changed, PLACE.given_back() if api else contextlib.nullcontext():
        while (left := deadline - time.monotonic()) > 0:
            if changed.wait(min(TICK, left)):
                stillness.ends()
            changed.clear()
            with PLACE.taken():
                try:
                    return _called(fn)
                except AssertionError as error:
                    last = error
                if stillness.is_all():
                    # what was still on its way at the last try has arrived since
                    try:
                        return _called(fn)
                    except AssertionError as error:
                        last = error
                    last.add_note(Note(both("grading.at_rest", seconds=f"{time.monotonic() - begun:.0f}")))
                    raise last
            time.sleep(rest)
    last.add_note(Note(both("grading.within", seconds=f"{within:g}")))
    raise last


class _Stillness:
    """Whether nothing can come any more: `at_rest` has been true for STILL seconds without an event, and all is
    `written` (asked with the moment since when it has, in seconds since the epoch) that follows from it.
    """

    def __init__(self, at_rest: Callable[[], bool] | None, written: Callable[[float], bool] | None) -> None:
        self._at_rest = at_rest
        self._written = written
        self._since: tuple[float, float] | None = None
        self._ask = 0.0

    def ends(self) -> None:
        """Something has changed."""
        self._since = None

    def is_all(self) -> bool:
        if self._at_rest is None:
            return False
        if not self._at_rest():
            self._since = None
            return False
        now = time.monotonic()
        if self._since is None:
            self._since = now, time.time()
        began, moment = self._since
        if now - began < STILL:
            return False
        if self._written is None:
            return True
        if now < self._ask:  # it is dearer to ask
            return False
        written = self._written(moment)
        self._ask = time.monotonic() + _WRITTEN_AGAIN
        return written


def _called(fn: Callable[[], T]) -> T:
    value = fn()
    if value is False:
        raise Unmet(both("grading.not_true", name=getattr(fn, "__name__", "condition")))
    return value


@contextmanager
def _changes(api: KubeApi | None, namespace: str, kinds: Sequence[str], seconds: float) -> Iterator[threading.Event]:
    """An event that is set whenever an object of one of `kinds` changes."""
    changed = threading.Event()
    watches = [api.watch(kind, namespace, timeout=seconds + 1) for kind in kinds] if api else []
    threads = [threading.Thread(target=_follow, args=(watch, changed), daemon=True) for watch in watches]
    for thread in threads:
        thread.start()
    try:
        yield changed
    finally:
        for watch in watches:
            watch.close()


def _follow(watch: Watch, changed: threading.Event) -> None:
    try:
        for _ in watch:
            changed.set()
    except HelloError:
        # The next try of the condition meets the same cluster and reports it.
        changed.set()
