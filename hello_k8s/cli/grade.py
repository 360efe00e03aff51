"""The instructor's command: `grade`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hello_k8s.classroom.run import PLACES, WORKERS, Watcher
from hello_k8s.cli import log
from hello_k8s.cli.show import console, duration, table
from hello_k8s.language import pick, t

if TYPE_CHECKING:
    from hello_k8s.classroom.model import ClassReport, Roster, Row, Unmapped

#: `grade`: somebody has no verdict, or something handed in is nobody's.
UNGRADED = 3


def grade(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    labs: Annotated[list[str] | None, typer.Option("--lab", metavar="LAB", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="DIR", show_default=False)] = None,
    formats: Annotated[list[str] | None, typer.Option("--format", metavar="NAME", show_default=False)] = None,
    overlay: Annotated[Path | None, typer.Option("--overlay", metavar="DIR", show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    places: Annotated[int, typer.Option("--places", min=1, max=64)] = PLACES,
) -> int:
    """Help: cli.help.grade."""
    from hello_k8s import catalog
    from hello_k8s.classroom import exports
    from hello_k8s.classroom.run import grade_class, plan_class

    exports.require_known(formats or ())
    chosen = catalog.labs_of(labs) if labs else ()
    target = output or folder.resolve().with_name(f"{folder.resolve().name}-results")
    if dry_run:
        roster, _ = plan_class(folder, chosen, target / "unpacked")
        _show_roster(roster)
        print(t("classroom.dry_run"))
        return 0
    log.open_for("grade")
    screen = Screen()
    try:
        report = grade_class(
            folder,
            labs=chosen,
            overlay=overlay,
            output=target,
            places=places,
            workers=max(WORKERS, places),
            watcher=screen,
        )
    except KeyboardInterrupt:
        screen.stop()
        print("\n" + t("classroom.stopped", done=screen.done, total=screen.total))
        print(f"→ {t('classroom.stopped_next')}")
        raise
    finally:
        screen.stop()
    _show_table(report)
    for file in _short_list(exports.write(report, target, formats or exports.FORMATS)):
        print(t("classroom.wrote", file=file))
    return _show_ungraded(report)


def _show_ungraded(report: ClassReport) -> int:
    """Say who has no verdict and why, and what is nobody's; returns the exit code."""
    if ours := report.ungraded(undecided=False):
        print(t("classroom.some_ungraded", count=len(ours)))
        print(f"→ {t('classroom.some_ungraded_next')}")
    if undecided := report.ungraded(undecided=True):
        print(t("classroom.some_undecided", count=len(undecided)))
        for row in undecided:
            print(f"  {row.learner} {row.lab}: {pick(row.reason) if row.reason else ''}")
        print(f"→ {t('classroom.some_undecided_next')}")
    _show_unmapped(report.unmapped)
    return UNGRADED if ours or undecided or report.unmapped else 0


def _short_list(files: list[Path]) -> list[Path]:
    """A file for each learner is a folder to look into, not a hundred lines."""
    folders: dict[Path, list[Path]] = {}
    for file in files:
        folders.setdefault(file.parent, []).append(file)
    return [path for parent, inside in folders.items() for path in (inside if len(inside) < 10 else [parent])]


class Screen(Watcher):
    """Draws how a class goes on: a bar with the remaining time on a terminal, a line a row elsewhere."""

    def __init__(self) -> None:
        self.done = self.total = 0
        self._out = console()
        self._bar: Any = None
        self._task: Any = None

    def roster(self, roster: Roster, known: int, todo: int) -> None:
        self.done, self.total = known, known + todo
        _show_roster(roster)
        if known:
            print(t("classroom.known", known=known, todo=todo))
        if self._out.is_terminal and todo:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"),
                console=self._out, transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task("", total=todo)
            self._bar.start()

    def row(self, row: Row, done: int, total: int, left: float) -> None:
        self.done += 1
        said = t(
            "classroom.row", done=done, total=total, learner=row.learner, lab=row.lab, points=_points(row),
            left=duration(left),
        )  # fmt: skip
        log.write(said)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=f"{row.learner} {row.lab}: {_points(row)}")
        else:
            print(said, flush=True)

    def note(self, text: str) -> None:
        log.write(text)
        self._out.print(text, markup=False)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _points(row: Row) -> str:
    if row.earned is None or row.result is None:
        return t(f"classroom.state_{row.state}")
    return f"{row.earned}/{row.result.possible}"


def _show_roster(roster: Roster) -> None:
    from rich.text import Text

    out = console()
    out.print(Text(t("classroom.who_is_who"), style="bold"))
    page = table(*(t(f"classroom.column_{name}") for name in ("learner", "lab", "source")))
    by_learner: dict[str, list[Any]] = {learner: [] for learner in roster.learners}
    for entry in roster.entries:
        by_learner[entry.learner].append(entry)
    for learner, entries in by_learner.items():
        labs = ", ".join(entry.lab for entry in entries if not entry.refused) or "—"
        refused = [t("classroom.refused", reason=pick(entry.refused)) for entry in entries if entry.refused]
        sources = ", ".join(dict.fromkeys(entry.source for entry in entries))
        page.add_row(learner, labs, "\n".join([sources, *dict.fromkeys(refused)]))
    out.print(page)
    _show_unmapped(roster.unmapped)


def _show_unmapped(unmapped: Sequence[Unmapped]) -> None:
    from rich.text import Text

    if unmapped:
        out = console()
        out.print(Text(t("classroom.unmapped"), style="bold yellow"))
        page = table(t("classroom.column_source"), t("classroom.column_reason"))
        for found in unmapped:
            page.add_row(found.source, pick(found.reason))
        out.print(page)


def _show_table(report: ClassReport) -> None:
    from rich.text import Text

    page = table(t("classroom.column_learner"), *(lab.id for lab in report.labs))
    rows = {(row.learner, row.lab): row for row in report.rows}
    colours = {"graded": "", "not_submitted": "dim", "ungraded": "yellow"}
    for learner in report.learners:
        cells = [rows[learner, lab.id] for lab in report.labs]
        page.add_row(learner, *(Text(_cell(row), style=colours[row.state]) for row in cells))
    out = console()
    out.print(page)
    counts = {state: sum(row.state == state for row in report.rows) for state in ("graded", "not_submitted")}
    counts["ungraded"] = len(report.ungraded(undecided=False))
    said = t("classroom.summary", seconds=f"{report.seconds:.0f}", **counts)
    undecided = len(report.ungraded(undecided=True))
    print(f"{said} · {t('classroom.summary_undecided', count=undecided)}" if undecided else said)


def _cell(row: Row) -> str:
    if row.undecided:
        return t("classroom.state_undecided")
    return t(f"classroom.state_{row.state}") if row.state != "graded" else _points(row)
