"""grades.csv: a row a learner. UTF-8 with a byte order mark, or Excel takes Hangul for something else.

Columns: `learner`, `points`, `possible`, `state`; for each lab `<lab>` and `<lab> state`; for each check
`<lab> <check>` and `<lab> <check> state`. Column names and states are the same in every language, because
scripts read them. Where nothing is graded the points are an empty cell, never 0, and the state says `ungraded`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from hello_k8s import files
from hello_k8s.classroom.exports.table import Table, Total
from hello_k8s.classroom.model import ClassReport
from hello_k8s.grading.encodable import encodable

NAME = "grades.csv"
#: A spreadsheet takes a cell that begins like this for a formula, or skips the character and then does.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write(report: ClassReport, folder: Path) -> list[Path]:
    """Write grades.csv into `folder`."""
    table, text = Table(report), io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(_header(table))
    lines.writerows(list(_line(table, total)) for total in table.totals())
    return [files.write(folder / NAME, text.getvalue().encode("utf-8-sig"))]


def harmless(text: str) -> str:
    """`text` so that no spreadsheet calculates it: an apostrophe in front says that it is text.

    Text that has one already gets another, so that taking one off gives back every text as it was.
    """
    text = encodable(text)
    return f"'{text}" if text.startswith((*_FORMULA, "'")) else text


def _header(table: Table) -> list[str]:
    names = ["learner", "points", "possible", "state"]
    for lab in table.labs:
        names += [lab.id, f"{lab.id} state"]
        for check in table.checks(lab.id):
            names += [f"{lab.id} {check.id}", f"{lab.id} {check.id} state"]
    return [harmless(name) for name in names]


def _line(table: Table, total: Total) -> Iterator[str | int]:
    yield from (harmless(total.learner), _points(total.earned), total.possible, total.state)
    for row in total.rows:
        yield from (_points(row.earned), row.state)
        for check in table.counted(row):
            graded = check.verdict != "errored"
            yield from (_points(check.earned if graded else None), check.verdict if graded else "ungraded")


def _points(earned: int | None) -> str | int:
    return "" if earned is None else earned
