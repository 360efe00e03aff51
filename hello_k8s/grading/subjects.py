"""What one pytest run grades: whose answer to which lab, and what became of it, in whichever process it ran."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import hello_k8s
from hello_k8s import catalog, refusal
from hello_k8s.catalog import Lab
from hello_k8s.grading.attempt import Attempt, Mode, merged
from hello_k8s.grading.ground import Ground
from hello_k8s.grading.verdict import CheckResult, Kind, Result, Texts, everywhere
from hello_k8s.language import both
from hello_k8s.progress import SILENT, Progress

if TYPE_CHECKING:
    from hello_k8s.grading.plugin import Chosen

#: The name below which a report carries its check's result from one process of a run to another.
CARRIED = "hello_k8s_result"
_NODE_ID = re.compile(
    r"(?P<lab>[^/]+/[^/]+)/checks\.py::test_(?P<check>\w+)(\[(?P<name>[\w.+@-]+)(:.*)?\])?", re.DOTALL
)


@dataclass(frozen=True)
class HandedIn:
    """One learner's answer in a class folder. `refused` says why nothing of it is run, `unsure` why it isn't known what
    the answer is: then there is no verdict.
    """

    folder: Path
    seed: int = 0
    refused: Texts | None = None
    unsure: Texts | None = None


@dataclass(frozen=True)
class Class:
    """The learners of a class, and what each handed in: (learner, lab) → answer."""

    learners: tuple[str, ...]
    answers: Mapping[tuple[str, str], HandedIn]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The learners as a node id can name them: letters, digits and `.+@-_`, no two alike."""
        found: dict[str, None] = {}
        for learner in self.learners:
            name = first = re.sub(r"[^\w.+@-]+", "_", learner)
            again = 1
            while name in found:
                again += 1
                name = f"{first}_{again}"
            found[name] = None
        return tuple(found)


def place_of(nodeid: str, names: Sequence[str]) -> tuple[str, int, str] | None:
    """Lab, learner's number and check of a node id, `names` being the class (none: 0); None for what is no check."""
    found = _NODE_ID.search(nodeid)
    if found is None or (names and found["name"] not in names):
        return None
    return found["lab"], names.index(found["name"]) if names else 0, found["check"]


#: Who is graded when it is a class; put there before anything is collected.
CLASS = pytest.StashKey[Class]()


@dataclass(eq=False)
class Subject:
    """One answer to one lab. Its attempt is made when its first check runs, and is gone after its last.

    `number` is the learner's place in the class; `learner` is empty where there is no class.
    """

    lab: Lab
    folder: Path
    mode: Mode
    kind: Kind
    learner: str = ""
    number: int = 0
    seed: int = 0
    refused: Texts | None = None
    unsure: Texts | None = None
    progress: Progress = SILENT
    attempt: Attempt | None = None

    def begin(self, ground: Ground) -> Attempt:
        """Its attempt, made if there is none."""
        if self.attempt is None:
            self.attempt = Attempt(
                self.lab,
                self.folder,
                mode=self.mode,
                kind=self.kind,
                seed=self.seed,
                ground=ground,
                progress=self.progress,
            )
        return self.attempt


@dataclass(frozen=True)
class Outcome:
    """A finished subject: whose, for which lab, and its result."""

    learner: str
    lab: Lab
    result: Result


@dataclass(eq=False)
class Grading:
    """The subjects of one pytest run, and what the reports of its processes said about them."""

    chosen: Chosen | None
    labs: dict[Path, Lab] = field(default_factory=dict)
    ground: Ground = field(default_factory=Ground)
    #: Whether time-outs are tried here: not for one answer alone (grading/run.py), nor in a process of xdist's.
    confirms: bool = True
    subjects: dict[tuple[Path, int], Subject | None] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    _expected: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    _results: dict[tuple[str, int], Result] = field(default_factory=dict)
    _confirmed: set[tuple[str, int]] = field(default_factory=set)
    _lost: set[tuple[str, int, str]] = field(default_factory=set)
    _unbegun: dict[tuple[str, int], Texts] = field(default_factory=dict)

    def begin(self, subject: Subject) -> Attempt:
        """The attempt of `subject`. What keeps it from being made is what its checks say in the end, and is raised."""
        try:
            return subject.begin(self.ground)
        except Exception as error:
            told = refusal.ordinary(error)
            said = f"{type(error).__name__}: {error}" if told is None else str(told)
            self._unbegun[subject.lab.id, subject.number] = everywhere(said)
            raise

    def expect(self, subject: Subject, check: str) -> None:
        """A check of `subject` is going to run."""
        self._expected.setdefault((subject.lab.id, subject.number), set()).add(check)

    def expect_ids(self, ids: Iterable[str], names: Sequence[str]) -> None:
        """The checks with these node ids are going to run in another process."""
        for lab, number, check in filter(None, (place_of(id, names) for id in ids)):
            self._expected.setdefault((lab, number), set()).add(check)

    def lose(self, nodeid: str, names: Sequence[str]) -> bool:
        """The process ended in the middle of this check; whether it is one. Running it again elsewhere, as xdist does,
        begins in the middle of an answer's checks: that is no verdict.
        """
        place = place_of(nodeid, names)
        if place:
            self._lost.add(place)
        return place is not None

    def carry(self, subject: Subject, attempt: Attempt, check: CheckResult) -> dict[str, Any]:
        """What a report takes along: numbers, texts, lists and tables only."""
        return {"number": subject.number, "result": attempt.result((check,)).to_dict()}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Put what a report brought to what is known of its subject."""
        carried = getattr(report, CARRIED, None)
        if carried is None:
            return
        result = Result.from_dict(carried["result"])
        key = (result.lab, carried["number"])
        before = self._results.get(key)
        checks = {check.id: check for check in before.checks} if before else {}
        for check in result.checks:
            checks[check.id] = merged(checks[check.id], check) if check.id in checks else check
        self._results[key] = replace(result, checks=tuple(checks.values()))
        if self.confirms and key not in self._confirmed and checks.keys() >= self._expected.get(key, {""}):
            # right after it: an hour later the machine is another, and a node's outage may be forgotten
            self._confirmed.add(key)
            self._results[key] = self._confirm(self._results[key])

    def lab(self, lab_id: str) -> Lab:
        """The lab of this id, with what an overlay adds to it. Raises UsageError where there is none."""
        overlaid = (lab for lab in self.labs.values() if lab.id == lab_id)
        return next(overlaid, None) or catalog.lab(lab_id)

    def _confirm(self, result: Result) -> Result:
        from hello_k8s.grading.run import confirmed

        return confirmed(result, self.lab(result.lab))

    @property
    def lab_ids(self) -> set[str]:
        """The labs of this run."""
        return {lab for lab, _ in (*self._expected, *self._results)}

    def gather(self, labs: Mapping[str, Lab], learners: Sequence[str] = ()) -> None:
        """Make the outcomes of everything that was going to run, of a class if there are `learners`.

        A check that was never heard of again, because its process was lost, is ours and never counts.
        """
        order = list(labs)
        keys = sorted(self._expected.keys() | self._results.keys(), key=lambda key: (order.index(key[0]), key[1]))
        self.outcomes = []
        for key in keys:
            (lab_id, number), expected = key, self._expected.get(key, set())
            lab = labs[lab_id]
            result = self._results.get(key) or _unheard(lab, bool(learners))
            known = {check.id: check for check in result.checks if (*key, check.id) not in self._lost}
            lost = self._unbegun.get(key) or both("submissions.lost")
            checks = tuple(
                known.get(c.id) or CheckResult(c.id, c.question, c.points, "errored", lost, hints=c.hints)
                for c in lab.checks
                if c.id in known or c.id in expected
            )
            learner = learners[number] if learners else ""
            made = replace(result, checks=checks)
            if self.confirms and key not in self._confirmed:
                made = self._confirm(made)
            self.outcomes.append(Outcome(learner, lab, made))


def _unheard(lab: Lab, in_class: bool) -> Result:
    return Result(
        lab=lab.id,
        kind="submission" if in_class else "workspace",
        mode="replay" if in_class else lab.check,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        checks=(),
        version=hello_k8s.__version__,
    )
