"""A class graded from beginning to end: who is who, what is known already, the rest side by side, the table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import hello_k8s
from hello_k8s import catalog
from hello_k8s.catalog import Lab
from hello_k8s.classroom.intake import read_class
from hello_k8s.classroom.journal import Journal, digest_of_lab, key_of
from hello_k8s.classroom.machine import ClassMachine
from hello_k8s.classroom.model import ClassReport, Entry, Roster, Row
from hello_k8s.classroom.pool import Outcome, Pool, Task
from hello_k8s.errors import MachineError, UsageError
from hello_k8s.grading import replay
from hello_k8s.grading.overlay import overlaid
from hello_k8s.grading.verdict import CheckResult, Result, Texts, everywhere
from hello_k8s.language import both, pick, t

#: Gradings that work at the same time, and processes between which they alternate: two cores are full with these.
PLACES, WORKERS = 4, 8
#: How often an answer is graded until our own failures are given up on.
ATTEMPTS = 3


class Watcher:
    """Hears how a class goes on; says nothing itself. The command line draws."""

    def roster(self, roster: Roster, known: int, todo: int) -> None:
        """Who is who, how many rows the journal holds, how many are to be graded."""

    def row(self, row: Row, done: int, total: int, left: float) -> None:
        """One more row; `left` is the seconds that the rest will take."""

    def note(self, text: str) -> None:
        """Something that the instructor should see."""


@dataclass
class _Plan:
    """One row to be made."""

    entry: Entry
    lab: Lab
    key: str
    attempts: int = 0


@dataclass
class _Course:
    """The rows so far, and what is still to do."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    todo: list[_Plan] = field(default_factory=list)
    known: int = 0

    def put(self, row: Row) -> None:
        self.rows[row.learner, row.lab] = row


def plan_class(folder: Path, labs: Sequence[Lab], store: Path) -> tuple[Roster, tuple[Lab, ...]]:
    """Who handed in what, and the labs of the run: those asked for, else every lab that somebody handed in (where it is
    only known that somebody did, every lab).

    Raises UsageError where `folder` is none or holds no submission of these labs.
    """
    if not folder.is_dir():
        raise UsageError(t("classroom.no_folder", folder=folder), next=t("classroom.no_folder_next"))
    roster = read_class(folder, labs or catalog.labs(), store)
    handed_in = {entry.lab for entry in roster.entries}.union(*(thing.labs for thing in roster.unmapped))
    any_lab = not handed_in and any(thing.rest for thing in roster.unmapped)
    chosen = tuple(labs) or tuple(lab for lab in catalog.labs() if any_lab or lab.id in handed_in)
    if not roster.entries and not roster.unmapped:
        raise UsageError(t("classroom.nobody", folder=folder), next=t("classroom.no_folder_next"))
    return roster, chosen


def grade_class(
    folder: Path,
    *,
    labs: Sequence[Lab] = (),
    overlay: Path | None = None,
    output: Path,
    places: int = PLACES,
    workers: int = WORKERS,
    watcher: Watcher | None = None,
) -> ClassReport:
    """Grade the class in `folder` and return its table; every row is in `output`/journal.jsonl before it counts.

    What the journal knows isn't graded again: killing this and calling it again ends with the same table. Each
    lab's own solution is graded first. Raises UsageError for a folder that is no class, MachineError where the
    machine can't be brought up or a solution doesn't pass on it: then nobody's answer would be graded rightly.
    """
    watcher = watcher or Watcher()
    begun, started = time.monotonic(), _now()
    # Read before the journal is made: of what isn't a class nothing is left behind. Two graders may both read.
    roster, chosen = plan_class(folder, labs, output / "unpacked")
    chosen = tuple(overlaid(lab, overlay) for lab in chosen)
    with Journal(output).open() as journal:
        course = _planned(roster, chosen, journal)
        watcher.roster(roster, course.known, len(course.todo))
        if course.todo:
            _grade(course, journal, output, max(1, places), max(1, workers), watcher)
    return ClassReport(
        started=started,
        finished=_now(),
        labs=chosen,
        rows=tuple(course.rows[learner, lab.id] for learner in roster.learners for lab in chosen),
        unmapped=roster.unmapped,
        seconds=time.monotonic() - begun,
        version=hello_k8s.__version__,
        possible={lab.id: lab.points for lab in chosen},
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _planned(roster: Roster, labs: Sequence[Lab], journal: Journal) -> _Course:
    course = _Course()
    by_id = {lab.id: lab for lab in labs}
    ours = {lab.id: digest_of_lab(lab) for lab in labs}
    for learner in roster.learners:
        for lab in labs:
            course.put(Row(learner, lab.id, "", "not_submitted", _without(lab, "not_submitted", _missing(lab))))
    for entry in roster.entries:
        if entry.lab not in by_id:
            continue
        lab = by_id[entry.lab]
        if entry.refused:
            course.put(Row(entry.learner, lab.id, entry.source, "graded", _without(lab, "failed", entry.refused)))
            continue
        if not replay.deliverables(lab, entry.folder, "submission"):
            result = _without(lab, "not_submitted", _missing(lab))
            course.put(Row(entry.learner, lab.id, entry.source, "not_submitted", result))
            continue
        key = key_of(entry, lab, ours[lab.id])
        if known := journal.known(key):
            course.put(replace(known, source=entry.source))
            course.known += 1
        else:
            course.todo.append(_Plan(entry, lab, key))
            course.put(Row(entry.learner, lab.id, entry.source, "ungraded", None, both("classroom.not_yet")))
    for (learner, name), thing in roster.unsure(by_id).items():
        course.put(Row(learner, name, thing.source, "ungraded", None, thing.reason, attempts=0))
    return course


def _missing(lab: Lab) -> dict[str, str]:
    return both("grading.not_submitted", files=", ".join(lab.deliverables))


def _without(lab: Lab, verdict: str, why: Texts) -> Result:
    """The result of an answer of which nothing was run."""
    checks = tuple(
        CheckResult(c.id, c.question, c.points, verdict, everywhere(why), hints=c.hints)  # type: ignore[arg-type]
        for c in lab.checks
    )
    return Result(lab.id, "submission", "replay", _now(), checks, version=hello_k8s.__version__)


def _grade(course: _Course, journal: Journal, output: Path, places: int, workers: int, watcher: Watcher) -> None:
    machine = ClassMachine(output, tuple({plan.lab.id: plan.lab for plan in course.todo}.values()), watcher.note)
    try:
        machine.up()
        with Pool(min(workers, len(course.todo) + len(machine.labs)), places, machine.environment) as pool:
            for number, lab in enumerate(machine.labs):
                pool.add(Task(-1 - number, lab, lab.solution, kind="solution"))
            _rows(course, journal, pool, machine, watcher)
    finally:
        machine.down()


def _believed(pool: Pool, machine: ClassMachine, watcher: Watcher) -> Iterator[Outcome]:
    """The outcomes of the class, none before every lab's own solution has passed: where one doesn't, no verdict of
    this machine would mean anything. The solutions are the tasks with numbers below 0; one that couldn't be graded
    is graded again, as everybody's answer is.

    Raises MachineError for a solution that doesn't pass.
    """
    early: list[Outcome] = []
    trials, attempts = len(machine.labs), Counter[int]()
    for outcome in pool.outcomes():
        if outcome.task.id >= 0:
            if trials:
                early.append(outcome)
            else:
                yield outcome
            continue
        attempts[outcome.task.id] += 1
        if not _is_graded(outcome) and attempts[outcome.task.id] < ATTEMPTS:
            watcher.note(t("classroom.trial_again", lab=outcome.task.lab.id, why=_first(outcome)))
            machine.heal()
            pool.add(outcome.task)
            continue
        if outcome.result is None or not outcome.result.passed:
            raise MachineError(
                t("classroom.trial_failed", lab=outcome.task.lab.id),
                why=_said(outcome),
                next=t("classroom.trial_failed_next", lab=outcome.task.lab.id),
            )
        trials -= 1
        if not trials:
            yield from early


def _is_graded(outcome: Outcome) -> bool:
    return outcome.result is not None and outcome.result.graded


def _said(outcome: Outcome) -> str:
    if outcome.result is None:
        return t("classroom.worker_lost", why=outcome.lost)
    return "\n".join(f"{c.id}: {c.verdict}: {pick(c.message)}" for c in outcome.result.checks if not c.passed)


def _rows(course: _Course, journal: Journal, pool: Pool, machine: ClassMachine, watcher: Watcher) -> None:
    plans = dict(enumerate(course.todo))
    total, done, begun = len(plans), 0, time.monotonic()
    for number, plan in plans.items():
        pool.add(Task(number, plan.lab, plan.entry.folder, plan.entry.seed))
    for outcome in _believed(pool, machine, watcher):
        plan = plans[outcome.task.id]
        plan.attempts += 1
        if not _is_graded(outcome) and plan.attempts < ATTEMPTS:
            watcher.note(t("classroom.again", learner=plan.entry.learner, lab=plan.lab.id, why=_first(outcome)))
            machine.heal()
            pool.add(outcome.task)
            continue
        row = _row(plan, outcome)
        journal.write(plan.key, row)
        course.put(row)
        done += 1
        watcher.row(row, done, total, (time.monotonic() - begun) / done * (total - done))


def _row(plan: _Plan, outcome: Outcome) -> Row:
    entry, result = plan.entry, outcome.result
    if result is None:
        lost = both("classroom.worker_lost", why=outcome.lost)
        return Row(entry.learner, entry.lab, entry.source, "ungraded", None, lost, plan.attempts)
    if not result.graded:
        ours = next(check.message for check in result.checks if check.verdict == "errored")
        return Row(entry.learner, entry.lab, entry.source, "ungraded", result, ours, plan.attempts)
    return Row(entry.learner, entry.lab, entry.source, "graded", result, None, plan.attempts)


def _first(outcome: Outcome) -> str:
    return _said(outcome).splitlines()[0][:200]
