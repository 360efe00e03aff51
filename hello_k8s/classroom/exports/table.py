"""The class as every export sees it: checks of a row, totals, distributions, the hardest checks.

What is counted is decided here and nowhere else: a row that isn't graded is in no sum.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hello_k8s.catalog import Check, Lab
from hello_k8s.classroom.model import ClassReport, Row, State
from hello_k8s.grading.verdict import CheckResult, Texts, Verdict, everywhere

#: Bars of a distribution: 0–9 %, 10–19 %, … 90–100 %.
BINS = 10
#: What a check is in a row without a result.
_WITHOUT: dict[State, Verdict] = {"graded": "failed", "not_submitted": "not_submitted", "ungraded": "errored"}


@dataclass(frozen=True)
class Total:
    """A learner's sum over all labs. One ungraded lab, and there is no sum yet: `earned` is None."""

    learner: str
    state: State
    earned: int | None
    possible: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Spread:
    """How points are distributed in one lab (None: over all of them).

    `counted` learners are in `bins`, `mean` and `median` (in percent; None where nobody is), `ungraded` are not.
    """

    lab: str | None
    counted: int
    ungraded: int
    not_submitted: int
    mean: float | None
    median: float | None
    bins: tuple[int, ...]


@dataclass(frozen=True)
class Hard:
    """A check and how often it was passed by those who handed in something that was graded.

    `cause` is what was seen most often where it failed, `seen` how often.
    """

    lab: str
    check: str
    tried: int
    passed: int
    cause: Texts | None
    seen: int


class Table:
    """A class report, indexed: the report itself looks through all its rows for each one."""

    def __init__(self, report: ClassReport) -> None:
        self.report = report
        self.labs = report.labs
        self._rows = {(row.learner, row.lab): row for row in report.rows}
        self._checks = {lab.id: _with_unknown(lab, report) for lab in report.labs}

    def row(self, learner: str, lab: str) -> Row:
        """Raises KeyError where there is none: a report has a row for every learner in every lab."""
        return self._rows[learner, lab]

    def checks(self, lab: str) -> tuple[Check, ...]:
        """The lab's checks, and after them those that only a result knows."""
        return self._checks[lab]

    def possible(self, lab: Lab) -> int:
        return self.report.possible.get(lab.id, lab.points)

    def outcomes(self, row: Row) -> tuple[CheckResult, ...]:
        """A result for each of the lab's checks, also where the row has none (then with the row's reason)."""
        found = {check.id: check for check in row.result.checks} if row.result else {}
        verdict, message = _WITHOUT[row.state], row.reason or everywhere("")
        return tuple(
            found.get(check.id)
            or CheckResult(check.id, check.question, check.points, verdict, message, hints=check.hints)
            for check in self.checks(row.lab)
        )

    def counted(self, row: Row) -> tuple[CheckResult, ...]:
        """The same for exports that count: in an ungraded row no check has an outcome yet, passed or failed."""
        found = self.outcomes(row)
        return tuple(replace(c, verdict="errored") for c in found) if row.state == "ungraded" else found

    def totals(self) -> tuple[Total, ...]:
        """A sum for each learner, in the report's order."""
        possible = sum(map(self.possible, self.labs))
        return tuple(_total(learner, self._rows_of(learner), possible) for learner in self.report.learners)

    def _rows_of(self, learner: str) -> tuple[Row, ...]:
        return tuple(self.row(learner, lab.id) for lab in self.labs)

    def spreads(self) -> tuple[Spread, ...]:
        """Over all labs first, then each lab."""
        everything = [(total.state, total.earned, total.possible) for total in self.totals()]
        found = [_spread(None, everything)]
        for lab in self.labs:
            rows = (self.row(learner, lab.id) for learner in self.report.learners)
            found.append(_spread(lab.id, [(row.state, row.earned, self.possible(lab)) for row in rows]))
        return tuple(found)

    def hardest(self, count: int = 10) -> tuple[Hard, ...]:
        """At most `count` checks that somebody failed, the least passed first."""
        found = [hard for lab in self.labs for hard in self._passing(lab) if hard.passed < hard.tried]
        return tuple(sorted(found, key=lambda hard: hard.passed / hard.tried)[:count])

    def _passing(self, lab: Lab) -> Iterator[Hard]:
        rows = [self.row(learner, lab.id) for learner in self.report.learners]
        columns = zip(*(self.outcomes(row) for row in rows if row.state == "graded"), strict=True)
        for check, column in zip(self.checks(lab.id), columns, strict=False):
            causes: Counter[tuple[tuple[str, str], ...]] = Counter(
                tuple(sorted(texts.items())) for outcome in column if not outcome.passed for texts in _causes(outcome)
            )
            cause, seen = causes.most_common(1)[0] if causes else (None, 0)
            passed = sum(outcome.passed for outcome in column)
            yield Hard(lab.id, check.id, len(column), passed, dict(cause) if cause else None, seen)


def _with_unknown(lab: Lab, report: ClassReport) -> tuple[Check, ...]:
    known = {check.id: check for check in lab.checks}
    for row in report.rows:
        if row.lab == lab.id and row.result:
            for check in row.result.checks:
                known.setdefault(check.id, Check(check.id, check.points, check.question, check.hints))
    return tuple(known.values())


def _total(learner: str, rows: tuple[Row, ...], possible: int) -> Total:
    states = {row.state for row in rows}
    if "ungraded" in states:
        return Total(learner, "ungraded", None, possible, rows)
    state: State = "not_submitted" if states == {"not_submitted"} else "graded"
    return Total(learner, state, sum(row.earned or 0 for row in rows), possible, rows)


def _spread(lab: str | None, marks: list[tuple[State, int | None, int]]) -> Spread:
    counted = [100 * earned / possible if possible else 0.0 for _, earned, possible in marks if earned is not None]
    states = Counter(state for state, _, _ in marks)
    bins = [0] * BINS
    for percent in counted:
        bins[max(0, min(int(percent * BINS / 100), BINS - 1))] += 1
    return Spread(
        lab=lab,
        counted=len(counted),
        ungraded=states["ungraded"],
        not_submitted=states["not_submitted"],
        mean=statistics.fmean(counted) if counted else None,
        median=statistics.median(counted) if counted else None,
        bins=tuple(bins),
    )


def _causes(outcome: CheckResult) -> list[Texts]:
    """What was observed; else what the check said."""
    said = [*outcome.diagnosis] or [outcome.message]
    return [texts for texts in said if any(texts.values())]
