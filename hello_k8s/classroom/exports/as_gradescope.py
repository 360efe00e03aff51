"""gradescope/<learner>/results.json: what Gradescope's autograder harness takes, a file a learner.

The format is https://gradescope-autograders.readthedocs.io/en/latest/specs/. A number comes from a top-level `score`
("required if not on each test case") or from the tests' scores, which are added up; there is no value that says
"not graded", and what the harness does with a broken result isn't promised (a run that times out "will receive a
0"). So a learner of whom one lab isn't graded gets no results.json at all: the sum of the other labs would count
that lab as a zero. What is known is in `ungraded.json` beside where the file would be: the same shape, without
`score` anywhere, so that nothing picks it up by its name, and uploaded all the same it carries no number.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from hello_k8s import files
from hello_k8s.classroom.exports.names import file_names
from hello_k8s.classroom.exports.table import Table, Total
from hello_k8s.classroom.model import ClassReport, Row
from hello_k8s.grading.encodable import encodable
from hello_k8s.grading.verdict import CheckResult
from hello_k8s.language import pick, t

FOLDER = "gradescope"
NAME = "results.json"
UNGRADED = "ungraded.json"


def write(report: ClassReport, folder: Path) -> list[Path]:
    """Write a file for each learner; what an earlier run said, of the same learner or of one who isn't in the class any
    more, is gone afterwards.
    """
    table, names = Table(report), file_names(report.learners)
    written = []
    _remove_others(folder / FOLDER, set(names.values()))
    for total in table.totals():
        place = folder / FOLDER / names[total.learner]
        name, other = (NAME, UNGRADED) if total.earned is not None else (UNGRADED, NAME)
        (place / other).unlink(missing_ok=True)
        text = json.dumps(results(table, total), ensure_ascii=False, indent=1) + "\n"
        written.append(files.write(place / name, encodable(text).encode()))
    return written


def _remove_others(folder: Path, ours: Collection[str]) -> None:
    """Nobody must upload what was true of another run. Only files that we write go, and folders that are then empty."""
    for place in folder.iterdir() if folder.is_dir() else ():
        if place.name in ours or place.is_symlink() or not place.is_dir():
            continue
        for name in (NAME, UNGRADED):
            (place / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody keeps something of their own in it
            place.rmdir()


def results(table: Table, total: Total) -> dict[str, Any]:
    """One learner's document."""
    graded = total.earned is not None
    tests = [
        test
        for number, (lab, row) in enumerate(zip(table.labs, total.rows, strict=True), 1)
        for test in _tests(table, row, f"{lab.id} {pick(lab.title)}", number, graded)
    ]
    document: dict[str, Any] = {
        "output": _output(total),
        # what a learner's program printed is text, never a page
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "execution_time": round(sum(row.result.seconds for row in total.rows if row.result), 3),
        "extra_data": {"learner": total.learner, "state": total.state, "version": table.report.version},
        "tests": tests,
    }
    return {"score": total.earned, **document} if graded else document


def _output(total: Total) -> str:
    if total.earned is None:
        ungraded = [row for row in total.rows if row.state == "ungraded"]
        ours = ", ".join(row.lab for row in ungraded if not row.undecided)
        undecided = ", ".join(row.lab for row in ungraded if row.undecided)
        said = [t("exports.gradescope.ungraded", labs=ours)] if ours else []
        said += [t("exports.gradescope.undecided", labs=undecided)] if undecided else []
        return "\n".join([*said, t("exports.gradescope.no_score")])
    missing = ", ".join(row.lab for row in total.rows if row.state == "not_submitted")
    said = [t("exports.gradescope.total", earned=total.earned, possible=total.possible)]
    return "\n".join([*said, t("exports.gradescope.not_submitted", labs=missing)] if missing else said)


def _tests(table: Table, row: Row, title: str, number: int, graded: bool) -> Iterator[dict[str, Any]]:
    for place, check in enumerate(table.counted(row), 1):
        test: dict[str, Any] = {
            "name": f"{title}: {pick(check.question)}",
            "number": f"{number}.{place}",
            "output": _said(row, check),
            "tags": [row.lab, check.id],
            "extra_data": {"verdict": "ungraded" if check.verdict == "errored" else check.verdict},
        }
        if graded:
            scores = {"score": check.earned, "max_score": check.points}
            test.update({**scores, "status": "passed" if check.passed else "failed"})
        yield test


def _said(row: Row, check: CheckResult) -> str:
    if check.passed:
        return ""
    lines = [] if check.verdict == "failed" or row.undecided else [t(f"grading.verdict.{check.verdict}")]
    lines += [pick(check.message) or (pick(row.reason) if row.reason else "")]
    lines += [*map(pick, check.diagnosis), *check.evidence]
    hints = [pick(hint) for hint in check.hints] if check.verdict != "errored" else []
    lines += [t("exports.gradescope.hint", text=hint) for hint in hints]
    return "\n".join(dict.fromkeys(line for line in lines if line))
