"""Progress on a terminal, drawn with Rich; plain lines elsewhere. Everything also goes into the command's log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from hello_k8s import progress
from hello_k8s.cli import log
from hello_k8s.language import t

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

#: A step is worth drawing once it has taken this long, in seconds.
WORTH_DRAWING = 1.0
#: Without a terminal, a step that goes on says so this often, in seconds.
STILL_EVERY = 60.0


def console() -> Console:
    """The console that tables are printed on. No colours and no fixed width of 80 where it is no terminal."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else 120)


def duration(seconds: float) -> str:
    """`seconds` as a person says it: 3 s, 2 min 5 s, 18 min."""
    whole = round(seconds)
    if whole < 60:
        return t("cli.duration.seconds", s=whole)
    if whole < 600 and whole % 60:
        return t("cli.duration.both", m=whole // 60, s=whole % 60)
    return t("cli.duration.minutes", m=round(whole / 60))


@dataclass
class _Step:
    title: str
    usual: float | None
    began: float = field(default_factory=time.monotonic)
    last: str = ""

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def times(self) -> str:
        if self.usual:
            return t("cli.step_usual", elapsed=duration(self.elapsed), usual=duration(self.usual))
        return duration(self.elapsed)


class Terminal(progress.Progress):
    """What the commands give to the work below them. `command` names the log file."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._steps: list[_Step] = []
        self._live: Live | None = None
        # Grading captures what checks print by replacing sys.stdout: this is the one from before.
        self._out = sys.stdout
        self._drawn = self._out.isatty()
        self._lock = threading.RLock()

    @contextmanager
    def step(self, title: str, usual_seconds: float | None = None) -> Iterator[None]:
        log.open_for(self._command)
        log.write(f"> {title}")
        step = _Step(title, usual_seconds)
        timer = None if self._drawn else _Still(step, self._out)
        with self._lock:
            self._steps.append(step)
            if self._drawn and self._live is None:
                self._start()
        mark = "✗"
        try:
            yield
            mark = "✓"
        finally:
            if timer:
                timer.stop()
            with self._lock:
                self._steps.remove(step)
                if not self._steps and self._live:
                    self._live.stop()
                    self._live = None
            log.write(f"{mark} {title}: {step.elapsed:.1f} s")
            if step.elapsed >= WORTH_DRAWING:
                self._print(f"{mark} {title}  {duration(step.elapsed)}", {"✓": "green", "✗": "red"}[mark])

    def note(self, text: str) -> None:
        self._print(text)  # before the log, whose disk may be full
        log.open_for(self._command)
        log.write(text)

    def line(self, text: str) -> None:
        log.open_for(self._command)
        log.write(text)
        with self._lock:
            if self._steps:
                self._steps[-1].last = text

    def ask(self, question: str) -> bool:
        """A yes-or-no question on the terminal; Enter means yes. The drawing pauses meanwhile."""
        answer = self.ask_text(f"{question} {t('cli.yes_or_no')} ", "").strip().lower()
        return answer in ("", "y", "yes", "예", "네", "ㅛ")

    def ask_text(self, question: str, default: str) -> str:
        """What the person types after `question`; `default` for an empty line."""
        with self._lock:
            if self._live:
                self._live.stop()
            try:
                return input(question).strip() or default
            finally:
                if self._live:
                    self._live.start()

    def _start(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            get_renderable=self._draw,
            console=Console(highlight=False, file=self._out),
            transient=True,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def _draw(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        with self._lock:
            steps = [step for step in self._steps if step.elapsed >= WORTH_DRAWING]
        rows: list[Any] = []
        for depth, step in enumerate(steps):
            turn = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[int(step.elapsed * 8) % 10]
            row = Text("  " * depth + f"{turn} ", style="cyan", no_wrap=True, overflow="ellipsis")
            row.append(step.title, style="default").append(f"  {step.times()}", style="dim")
            rows.append(row)
        if steps and steps[-1].last:
            rows.append(Text("  " * len(steps) + steps[-1].last, style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*rows)

    def _print(self, text: str, mark_style: str = "") -> None:
        with self._lock:
            if self._live:
                from rich.text import Text

                line = Text(text)
                if mark_style:
                    line.stylize(mark_style, 0, 1)
                self._live.console.print(line, soft_wrap=True)
            else:
                print(text, file=self._out, flush=True)


class _Still:
    """Without a terminal: a line when a step passes a second, then one a minute, so that a CI log isn't silent."""

    def __init__(self, step: _Step, out: TextIO) -> None:
        self._step = step
        self._out = out
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        if self._done.wait(WORTH_DRAWING):
            return
        usual = f" ({t('cli.usual', usual=duration(self._step.usual))})" if self._step.usual else ""
        print(f"… {self._step.title}{usual}", file=self._out, flush=True)
        while not self._done.wait(STILL_EVERY):
            print(f"… {self._step.title}  {self._step.times()}", file=self._out, flush=True)

    def stop(self) -> None:
        self._done.set()
        self._thread.join()


def table(*headings: str) -> Any:
    """An empty Rich table in our style: no frame, a rule below the headings. A text in it is shown as it is: a path
    or a program's output may look like Rich's markup. What has a colour is passed as a `Text`.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    class Plain(Table):
        def add_row(self, *cells: Any, **more: Any) -> None:
            super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), **more)

    result = Plain(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in headings:
        result.add_column(heading, overflow="fold")
    return result
