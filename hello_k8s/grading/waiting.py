"""Waiting on what changes: a condition is tried again when an object changed, never after a fixed sleep alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from hello_k8s.errors import HelloError
from hello_k8s.grading.verdict import Unmet
from hello_k8s.language import both, t
from hello_k8s.machine.kubeapi import KubeApi
from hello_k8s.machine.kubewatch import Watch

T = TypeVar("T")
#: Seconds between two tries where nothing tells us that something changed (an answer over HTTP).
TICK = 0.5
#: Seconds between two tries at least: a roll-out is many events at once.
_REST = 0.05


def eventually(
    fn: Callable[[], T],
    within: float,
    api: KubeApi | None = None,
    namespace: str = "",
    on: Sequence[str] = (),
) -> T:
    """Call `fn` until it raises no AssertionError (and returns no False), and return what it returned.

    Tried again when an object of the kinds `on` changes in `namespace`, and every TICK. After `within` seconds
    the last AssertionError is raised, with a note of how long was waited.
    """
    deadline = time.monotonic() + within
    try:
        return _called(fn)
    except AssertionError as error:
        last = error
    with _changes(api, namespace, on, within) as changed:
        while (left := deadline - time.monotonic()) > 0:
            changed.wait(min(TICK, left))
            changed.clear()
            try:
                return _called(fn)
            except AssertionError as error:
                last = error
            time.sleep(_REST)
    last.add_note(t("grading.within", seconds=f"{within:g}"))
    raise last


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
