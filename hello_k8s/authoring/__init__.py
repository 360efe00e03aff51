"""The author's side: a new section's files, and the proof that a lab grades what it says."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hello_k8s.authoring import answers, lint
from hello_k8s.authoring.scaffold import new
from hello_k8s.catalog import Lab, Mutant
from hello_k8s.grading.answers import FILE
from hello_k8s.language import t
from hello_k8s.progress import SILENT, Progress

if TYPE_CHECKING:
    from hello_k8s.grading.ground import Ground
    from hello_k8s.grading.verdict import Kind, Result

__all__ = ["Report", "Run", "grade_solution", "new", "verify"]


@dataclass(frozen=True)
class Run:
    """One grading: of start, solution or a mutant; what it should give and what it gave, in words."""

    name: str
    expected: str
    got: str
    ok: bool
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """What `verify` found. Nothing is graded (`runs` is empty) while the lab's own files have problems."""

    lab: str
    problems: tuple[str, ...]
    runs: tuple[Run, ...] = field(default=())
    static: bool = False

    @property
    def ok(self) -> bool:
        """Proved: no problem, and every grading gave what it should."""
        return not self.problems and (self.static or bool(self.runs)) and all(run.ok for run in self.runs)

    def __str__(self) -> str:
        said = [f"{self.lab}: {problem}" for problem in self.problems]
        return "\n".join([*said, *(f"{run.name}: {run.expected} ≠ {run.got}" for run in self.runs if not run.ok)])


def verify(lab: Lab, progress: Progress = SILENT, *, static: bool = False) -> Report:
    """Read the section's files, then grade start, solution and every mutant from scratch, as a class is.

    `static` only reads. The machine must be ready (images, cluster); raises what it raises where it isn't.
    """
    problems = list(lint.problems(lab))
    blocked = any(problem.of_lab for problem in problems)
    runs = () if static or blocked else _all_runs(lab, progress)
    return Report(lab.id, tuple(problem.text for problem in problems), runs, static)


def grade_solution(lab: Lab, progress: Progress = SILENT) -> Result:
    """The result of the lab's own solution, replayed from scratch."""
    return _grade([lab.solution], lab, "solution", None, progress)


def _all_runs(lab: Lab, progress: Progress) -> tuple[Run, ...]:
    from hello_k8s.grading.ground import Ground

    ground = Ground(progress=progress, slots=True)
    try:
        return tuple(_runs(lab, ground, progress))
    finally:
        ground.close()


def _runs(lab: Lab, ground: Ground, progress: Progress) -> Iterator[Run]:
    def graded(name: str, folders: Sequence[Path], kind: Kind) -> tuple[Result, float]:
        began = time.monotonic()
        with progress.step(f"{lab.id}: {name}", 10):
            result = _grade(folders, lab, kind, ground, progress)
        return result, time.monotonic() - began

    result, seconds = graded(t("lab.verify.start"), [], "start")
    below = result.graded and not result.passed
    yield Run(t("lab.verify.start"), t("lab.verify.start_expected"), _got(result), below, seconds)

    result, seconds = graded(t("lab.verify.solution"), [lab.solution], "solution")
    every = t("lab.verify.solution_expected", possible=lab.points)
    yield Run(t("lab.verify.solution"), every, _got(result), result.graded and result.passed, seconds)

    for mutant in lab.mutants:
        result, seconds = graded(mutant.name, [lab.solution, lint.folder_of(lab, mutant)], "mutant")
        yield _run_of_mutant(lab, mutant, result, seconds)

    for key, text in answers.wrong_ones(lab):
        with tempfile.TemporaryDirectory(prefix="hello-k8s-verify-") as folder:
            (Path(folder) / FILE).write_text(text, "utf-8")
            name = t("answers.wrong_answer", key=key)
            result, seconds = graded(name, [lab.solution, Path(folder)], "mutant")
        below = result.graded and not result.passed
        yield Run(name, t("answers.wrong_expected"), _got(result), below, seconds)


def _run_of_mutant(lab: Lab, mutant: Mutant, result: Result, seconds: float) -> Run:
    failed = {check.id for check in result.checks if not check.passed}
    expected = t("lab.verify.mutant_expected", names=_names(lab, mutant.fails))
    if not result.graded:
        got = _got(result)
    else:
        got = t("lab.verify.got_fails", names=_names(lab, failed)) if failed else t("lab.verify.got_nothing")
    return Run(mutant.name, expected, got, result.graded and failed == mutant.fails, seconds)


def _names(lab: Lab, checks: set[str] | frozenset[str]) -> str:
    return ", ".join(check.id for check in lab.checks if check.id in checks)


def _got(result: Result) -> str:
    if result.graded:
        failed = ", ".join(check.id for check in result.checks if not check.passed)
        points = t("lab.verify.got_points", earned=result.earned, possible=result.possible)
        return f"{points} ({t('lab.verify.got_fails', names=failed)})" if failed else points
    why = next((check for check in result.checks if check.verdict == "errored"), None)
    said = f"{why.id}: {why.message['en']} {why.output[-300:]}".strip() if why else "–"
    return t("lab.verify.got_ungraded", why=said)


def _grade(folders: Sequence[Path], lab: Lab, kind: Kind, ground: Ground | None, progress: Progress) -> Result:
    from hello_k8s.grading import grade

    with laid(folders, lab) as submission:
        return grade(lab, submission, mode="replay", kind=kind, ground=ground, progress=progress)


@contextlib.contextmanager
def laid(folders: Sequence[Path], lab: Lab) -> Iterator[Path]:
    """A throw-away submission: what the learner begins with, and `folders` laid over it one after another."""
    with tempfile.TemporaryDirectory(prefix="hello-k8s-verify-") as temporary:
        submission = Path(temporary) / lab.section
        submission.mkdir()
        for name, source in lab.files().items():
            target = submission / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        for folder in folders:
            shutil.copytree(folder, submission, dirs_exist_ok=True)
        yield submission
