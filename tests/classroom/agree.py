"""A class's table beside what was expected of it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from hello_k8s.classroom.model import ClassReport, Row
from tests.classroom.case import Case, points
from tests.classroom.generate import Classroom


@dataclass(frozen=True)
class Line:
    """What of a row is the same however it was graded."""

    state: str
    earned: int | None
    verdicts: tuple[tuple[str, str], ...]


def lines(report: ClassReport) -> dict[tuple[str, str], Line]:
    """(learner, lab) → its line; names composed (NFC). Raises ValueError for a learner who is there twice."""
    found: dict[tuple[str, str], Line] = {}
    for row in report.rows:
        key = (unicodedata.normalize("NFC", row.learner), row.lab)
        if key in found:
            raise ValueError(f"{key} has two rows")
        found[key] = _line(row)
    return found


def _line(row: Row) -> Line:
    checks = row.result.checks if row.result else ()
    return Line(row.state, row.earned, tuple((check.id, check.verdict) for check in checks))


def differences(report: ClassReport, room: Classroom) -> list[str]:
    """One sentence for each row that isn't what it has to be, with what the checks said; none where all agree."""
    labs = {lab.id: lab for lab in room.labs}
    expected = room.expected()
    found = lines(report)
    said = [f"{learner} {lab}: no such row was expected" for learner, lab in sorted(found.keys() - expected.keys())]
    for key, case in sorted(expected.items()):
        wanted = Line(
            "graded" if case.submitted else "not_submitted",
            points(labs[case.lab], case.verdicts),
            tuple((check.id, case.verdicts[check.id]) for check in labs[case.lab].checks),
        )
        if key not in found:
            said.append(f"{key}: no row · {case.sort} · {case.name}")
        elif found[key] != wanted:
            said.append(_told(key, case, found[key], wanted, report))
    return said


def _told(key: tuple[str, str], case: Case, got: Line, wanted: Line, report: ClassReport) -> str:
    (row,) = [r for r in report.rows if (unicodedata.normalize("NFC", r.learner), r.lab) == key]
    text = [
        f"{key[0]} {key[1]} · {case.sort} · {case.name}: {got.state} {got.earned}, not {wanted.state} {wanted.earned}"
    ]
    if row.reason:
        text.append(f"  {row.reason['en']}")
    for check in row.result.checks if row.result else ():
        if check.verdict != case.verdicts[check.id]:
            causes = " · ".join(cause["en"] for cause in check.diagnosis)
            text.append(f"  {check.id} {check.verdict}, not {case.verdicts[check.id]}: {check.message['en']} {causes}")
    return "\n".join(text)
