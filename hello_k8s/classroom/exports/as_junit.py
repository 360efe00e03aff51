"""junit.xml: a testsuite for each learner and lab, a testcase for each check.

failed and timed_out are `failure`; not_submitted is a `failure` of its own type; what isn't graded is an `error`
of type `ungraded` (JUnit's word for a test that couldn't be run), and then the suite has no property `points`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from hello_k8s import files
from hello_k8s.classroom.exports.table import Table
from hello_k8s.classroom.model import ClassReport, Row
from hello_k8s.grading.verdict import CheckResult
from hello_k8s.language import pick

NAME = "junit.xml"
#: What XML 1.0 has no way to say, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(report: ClassReport, folder: Path) -> list[Path]:
    """Write junit.xml into `folder`."""
    return [files.write(folder / NAME, (f"{line}\n".encode() for line in _document(Table(report))))]


def legal(text: str) -> str:
    """`text` without the characters that XML 1.0 can't hold."""
    return _ILLEGAL.sub("", text)


def _document(table: Table) -> Iterator[str]:
    rows = table.report.rows
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield _open("testsuites", name="hello, k8s", **_counts(chain.from_iterable(map(table.counted, rows))),
                time=f"{table.report.seconds:.3f}")  # fmt: skip
    for row in rows:
        yield from _suite(row, table.counted(row))
    yield "</testsuites>"


def _suite(row: Row, checks: tuple[CheckResult, ...]) -> Iterator[str]:
    seconds = row.result.seconds if row.result else 0.0
    started = {"timestamp": row.result.started} if row.result else {}
    yield _open("testsuite", name=f"{row.learner} {row.lab}", **_counts(checks), time=f"{seconds:.3f}", **started)
    yield "<properties>"
    points = {} if row.earned is None else {"points": str(row.earned)}
    facts = {"learner": row.learner, "lab": row.lab, "source": row.source, "state": row.state, **points}
    for name, value in {**facts, "possible": str(sum(check.points for check in checks))}.items():
        yield _open("property", end="/", name=name, value=value)
    yield "</properties>"
    for check in checks:
        yield from _case(row, check)
    yield "</testsuite>"


def _case(row: Row, check: CheckResult) -> Iterator[str]:
    yield _open("testcase", classname=f"{row.learner}.{row.lab}", name=check.id, time=f"{check.seconds:.3f}")
    if not check.passed:
        tag = "error" if check.verdict == "errored" else "failure"
        kind = "ungraded" if check.verdict == "errored" else check.verdict
        yield _open(tag, message=_message(row, check), type=kind) + _text(_details(check)) + f"</{tag}>"
    if check.output:
        yield f"<system-out>{_text(check.output)}</system-out>"
    yield "</testcase>"


def _message(row: Row, check: CheckResult) -> str:
    return pick(check.message) or (pick(row.reason) if row.reason else "") or pick(check.question)


def _details(check: CheckResult) -> str:
    return "\n".join([*map(pick, check.diagnosis), *check.evidence])


def _counts(checks: Iterator[CheckResult] | tuple[CheckResult, ...]) -> dict[str, str]:
    verdicts = [check.verdict for check in checks]
    errors = verdicts.count("errored")
    failures = len(verdicts) - errors - verdicts.count("passed")
    return {"tests": str(len(verdicts)), "failures": str(failures), "errors": str(errors), "skipped": "0"}


def _open(tag: str, *, end: str = "", **attributes: str) -> str:
    return f"<{tag}{''.join(f' {name}={quoteattr(legal(value))}' for name, value in attributes.items())}{end}>"


def _text(text: str) -> str:
    # a parser takes a bare carriage return for a line feed
    return escape(legal(text), {"\r": "&#13;"})
