"""Results, verifications and files on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hello_k8s.catalog import Lab
from hello_k8s.cli.show import console, table
from hello_k8s.language import t
from hello_k8s.workspace import report, shown

if TYPE_CHECKING:
    from rich.console import Console

    from hello_k8s.authoring import Report
    from hello_k8s.grading.verdict import Result
    from hello_k8s.workspace.chapter import Checked, Total

COLOURS: dict[report.Tone, str] = {"good": "green", "bad": "red", "ours": "yellow"}


def show(lab: Lab, result: Result) -> None:
    """Print a result: a line a check, below a failed one what was seen."""
    from rich.text import Text

    view, out = report.view(lab, result), console()
    out.print(Text(view.title, style="bold"))
    for note in view.notes:
        _indented(out, 2, note, "yellow")
    for row in view.rows:
        head = Text.assemble((row.mark, COLOURS[row.tone]), f" {row.question}  ", (f"{row.points} · {row.id}", "dim"))
        out.print(head)
        for sentence in row.said:
            _indented(out, 4, sentence)
        for line in row.evidence:
            _indented(out, 4, f"│ {line}", "dim")
    out.print(Text(view.total, style=f"bold {COLOURS[view.tone]}"))
    out.print(Text(f"→ {view.next}"))


def show_chapter(checked: Sequence[Checked], total: Total) -> None:
    """Print a chapter: a line a lab with its points and the checks that want something, then the sum."""
    from rich.text import Text

    view, out = report.chapter_view(checked, total), console()
    page = table("", *view.headings)
    for row in view.rows:
        mark = Text(row.mark, COLOURS[row.tone] if row.tone else "dim")
        page.add_row(mark, row.lab, row.title, row.points, row.open)
    out.print(page)
    if view.total:
        out.print(Text(view.total, style="bold"))
    out.print(Text(f"→ {view.next}"))


def _indented(out: Console, by: int, text: str, style: str = "") -> None:
    from rich.padding import Padding
    from rich.text import Text

    if out.is_terminal:
        out.print(Padding(Text(text, style=style), (0, 0, 0, by), expand=False))
    else:  # no wrapping: a line of a file, or of a pipe, stays one line
        out.print(Text(" " * by + text), soft_wrap=True)


def show_verification(verified: Report) -> None:
    """Print what `lab verify` found: the to-do list, then a line for each grading."""
    from rich.text import Text

    out = console()
    if verified.problems:
        out.print(Text(t("lab.verify.todo", count=len(verified.problems)), style="bold"))
        for problem in verified.problems:
            _indented(out, 2, f"☐ {problem}")
    if verified.runs:
        page = table("", *(t(f"lab.verify.{name}") for name in ("what", "expected", "got", "time")))
        for run in verified.runs:
            mark = Text("✓", "green") if run.ok else Text("✗", "red")
            page.add_row(mark, run.name, run.expected, run.got, f"{run.seconds:.1f} s")
        out.print(page)
    elif not verified.static:
        out.print(Text(t("lab.verify.not_graded"), style="dim"))
    key = "unproved" if not verified.ok else "only_read" if verified.static else "proved"
    word = t(f"lab.verify.{key}", lab=verified.lab)
    out.print(Text(word, style="bold green" if verified.ok else "bold red"))


def show_file(file: Path) -> None:
    """Print one file with its name above, coloured by what it is."""
    from rich.syntax import Syntax
    from rich.text import Text

    out = console()
    out.print(Text(shown(file), style="bold"))
    lexer = Syntax.guess_lexer(str(file))
    out.print(Syntax(file.read_text("utf-8"), lexer, background_color="default", word_wrap=True))
