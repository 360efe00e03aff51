"""A result as a person reads it: what the terminal prints and the notebook shows, said once for both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from hello_k8s.catalog import Lab
from hello_k8s.language import pick, t

if TYPE_CHECKING:
    from hello_k8s.grading.verdict import CheckResult, Result
    from hello_k8s.workspace.chapter import Checked, Total

#: Evidence lines shown of one check; the JSON result has all of them.
EVIDENCE = 12
#: Characters of one of them.
WIDTH = 400

Tone = Literal["good", "bad", "ours"]
MARKS: dict[Tone, str] = {"good": "✓", "bad": "✗", "ours": "!"}
#: The mark of a lab that wasn't started.
UNSTARTED = "·"


@dataclass(frozen=True)
class Row:
    """One check: its question, its points, and below them sentences and the facts that they rest on."""

    id: str
    tone: Tone
    question: str
    points: str
    said: tuple[str, ...]
    evidence: tuple[str, ...]

    @property
    def mark(self) -> str:
        return MARKS[self.tone]


@dataclass(frozen=True)
class View:
    """A whole result: a title, notes above the rows, the rows, the sum, and what to do next."""

    title: str
    notes: tuple[str, ...]
    rows: tuple[Row, ...]
    total: str
    tone: Tone
    next: str


@dataclass(frozen=True)
class LabRow:
    """One lab of a chapter: its points, and what of it wants something. Without a tone it wasn't started."""

    tone: Tone | None
    lab: str
    title: str
    points: str
    open: str

    @property
    def mark(self) -> str:
        return MARKS[self.tone] if self.tone else UNSTARTED


@dataclass(frozen=True)
class ChapterView:
    """All labs of a chapter: a heading for each column but the mark's, a row a lab, the sum (empty where nothing was
    graded), and what to do next.
    """

    headings: tuple[str, ...]
    rows: tuple[LabRow, ...]
    total: str
    next: str


def chapter_view(checked: Sequence[Checked], total: Total) -> ChapterView:
    """What is shown of a chapter's labs, in the current language."""
    if total.open:
        following = t("lab.chapter_next", lab=total.open[0].id)
    elif not total.graded:
        following = t("lab.chapter_start", lab=checked[0].lab.id)
    else:
        following = t("lab.passed_next")
    values = {"earned": total.earned, "possible": total.possible, "labs": total.graded}
    return ChapterView(
        headings=(t("lab.list.lab"), t("lab.list.title"), t("lab.list.points"), t("lab.chapter_open")),
        rows=tuple(map(_lab_row, checked)),
        total=t("lab.chapter_total", **values) if total.graded else "",
        next=following,
    )


def _lab_row(each: Checked) -> LabRow:
    lab, result = each.lab, each.result
    title, none = pick(lab.title), f"–/{lab.points}"
    if each.error is not None:
        return LabRow("ours", lab.id, title, none, each.error.what)
    if result is None:
        return LabRow(None, lab.id, title, none, t("lab.standing.new"))
    if not result.graded:
        return LabRow("ours", lab.id, title, none, t("lab.ungraded"))
    failed = ", ".join(check.id for check in result.checks if not check.passed)
    return LabRow("bad" if failed else "good", lab.id, title, f"{result.earned}/{result.possible}", failed)


def view(lab: Lab, result: Result) -> View:
    """What is shown of `result`, in the current language."""
    notes = [t("lab.drift", what=pick(texts)) for texts in result.drift]
    if result.mode == "replay" and result.rewrites:
        notes.append(t("lab.rewrites", what="; ".join(result.rewrites)))
    tone: Tone = "ours" if not result.graded else "good" if result.passed else "bad"
    values = {"earned": result.earned, "possible": result.possible, "seconds": f"{result.seconds:.1f}"}
    return View(
        title=f"{lab.id}  {pick(lab.title)}",
        notes=tuple(notes),
        rows=_rows(result),
        total=t("lab.ungraded") if tone == "ours" else t("lab.total", **values),
        tone=tone,
        next=_next(lab, tone),
    )


def _next(lab: Lab, tone: Tone) -> str:
    if tone == "ours":
        return t("lab.ungraded_next", lab=lab.id)
    return t("lab.passed_next") if tone == "good" else t("lab.failed_next", lab=lab.id)


def _rows(result: Result) -> tuple[Row, ...]:
    """A row a check; a cause that several checks share is told once."""
    rows: list[Row] = []
    for row in map(_row, result.checks):
        same = next(
            (r for r in rows if (r.said, r.evidence) == (row.said, row.evidence) and (r.said or r.evidence)), None
        )
        rows.append(replace(row, said=(t("lab.same_cause", check=same.id),), evidence=()) if same else row)
    return tuple(rows)


def _row(check: CheckResult) -> Row:
    tone: Tone = "good" if check.passed else "ours" if check.verdict == "errored" else "bad"
    said: list[str] = []
    evidence: list[str] = []
    if not check.passed:
        message = pick(check.message)
        told = [t("lab.verdict.errored")] if tone == "ours" else []
        told += [t("lab.verdict.timed_out")] if check.verdict == "timed_out" else []
        told += [t("lab.verdict.not_submitted")] if check.verdict == "not_submitted" else []
        said = _once([*told, message, *(pick(texts) for texts in check.diagnosis)])
        evidence = _few(line for line in check.evidence if line not in said)
    points = f"{check.earned}/{check.points}" if tone != "ours" else f"–/{check.points}"
    return Row(check.id, tone, pick(check.question), points, tuple(said), tuple(evidence))


def _once(sentences: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(sentence for sentence in sentences if sentence.strip()))


def _few(evidence: Iterable[str]) -> list[str]:
    lines = [line for item in evidence for line in item.splitlines()]
    shown = [line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in lines[:EVIDENCE]]
    return [*shown, t("lab.evidence_more", count=len(lines) - EVIDENCE)] if len(lines) > EVIDENCE else shown
