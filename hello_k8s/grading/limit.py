"""How long a check's own body may take; what is ours to do meanwhile isn't counted."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from hello_k8s.grading.verdict import TimedOut
from hello_k8s.language import both


def _can_be_limited() -> bool:
    return threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimedOut in the block after `seconds`. Only in the main thread; elsewhere the fixtures' own limits hold."""
    if not _can_be_limited():
        yield
        return

    def late(*_: object) -> None:
        raise TimedOut(seconds, both("grading.check_timed_out", seconds=f"{seconds:g}"))

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def not_counted() -> Iterator[None]:
    """Around what has a limit of its own (a build, a start) or is nobody's fault (a wait for others): the time of the
    `limited` block around it stands still, and isn't up in the middle of it.
    """
    left = signal.setitimer(signal.ITIMER_REAL, 0)[0] if _can_be_limited() else 0.0
    try:
        yield
    finally:
        if left:
            signal.setitimer(signal.ITIMER_REAL, left)
