"""How long work says what it is doing, without knowing who is watching.

Everything below the command line takes a `Progress`; the command line gives one that draws with Rich, tests
and the check path give `SILENT`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """Says nothing. Subclasses draw; the calls are the same."""

    @contextmanager
    def step(self, title: str, usual_seconds: float | None = None) -> Iterator[None]:
        """Around a piece of work that may take longer than a second; `usual_seconds` is what it usually takes."""
        yield

    def note(self, text: str) -> None:
        """One line that stays on the screen: which way was taken, what was decided."""

    def line(self, text: str) -> None:
        """One line of a program's output: to the log, and where there is room to the screen for a moment."""


SILENT = Progress()
