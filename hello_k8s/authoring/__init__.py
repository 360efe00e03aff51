"""The author's side: a new section's files, and the proof that a lab grades what it says."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hello_k8s.authoring import answers, lint, side_by_side
from hello_k8s.authoring.scaffold import new
from hello_k8s.catalog import Lab, Mutant
from hello_k8s.grading.answers import FILE
from hello_k8s.language import pick, t
from hello_k8s.progress import SILENT, Progress

if TYPE_CHECKING:
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


def verify(
    lab: Lab, progress: Progress = SILENT, *, static: bool = False, prepare: Callable[[], object] = lambda: None
) -> Report:
    """Read the section's files, then grade start, solution and every mutant from scratch, side by side as a class is.

    `static` only reads. `prepare` makes the machine ready (images, cluster): it is called where something is going to
    be graded. Raises what it raises.
    """
    problems = list(lint.problems(lab))
    runs: tuple[Run, ...] = ()
    if not static and not any(problem.of_lab for problem in problems):
        prepare()
        runs = tuple(_all_runs(lab, progress))
    return Report(lab.id, tuple(problem.text for problem in problems), runs, static)


def grade_solution(lab: Lab, progress: Progress = SILENT) -> Result:
    """The result of the lab's own solution, replayed from scratch."""
    from hello_k8s.grading import grade

    with laid([lab.solution], lab) as submission:
        return grade(lab, submission, mode="replay", kind="solution", progress=progress)


@dataclass(frozen=True)
class _Case:
    """One thing to grade: the folders laid over what the learner begins with, and what is made of its result."""

    name: str
    folders: tuple[Path, ...]
    kind: Kind
    judge: Callable[[Result], Run]


def _all_runs(lab: Lab, progress: Progress) -> Iterator[Run]:
    with contextlib.ExitStack() as stack:
        cases = list(_cases(lab, stack))
        submissions = [(stack.enter_context(laid(case.folders, lab)), case.kind) for case in cases]
        with progress.step(t("lab.verify.gradings", lab=lab.id, count=len(cases)), 3 * len(cases)):
            results = side_by_side.graded(lab, submissions, progress)
        for case, result in zip(cases, results, strict=True):
            if isinstance(result, str):  # its process was lost
                yield Run(case.name, "", t("lab.verify.got_ungraded", why=result), ok=False)
            else:
                yield replace(case.judge(result), seconds=result.seconds)


def _cases(lab: Lab, stack: contextlib.ExitStack) -> Iterator[_Case]:
    start, solution = t("lab.verify.start"), t("lab.verify.solution")
    every = t("lab.verify.solution_expected", possible=lab.points)
    yield _Case(start, (), "start", partial(_run_below, start, t("lab.verify.start_expected")))
    yield _Case(solution, (lab.solution,), "solution", partial(_run_of_solution, solution, every))
    for mutant in lab.mutants:
        folders = (lab.solution, lint.folder_of(lab, mutant))
        yield _Case(mutant.name, folders, "mutant", partial(_run_of_mutant, lab, mutant))
    for key, text in answers.wrong_ones(lab):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hello-k8s-verify-")))
        (folder / FILE).write_text(text, "utf-8")
        name = t("answers.wrong_answer", key=key)
        judge = partial(_run_below, name, t("answers.wrong_expected"))
        yield _Case(name, (lab.solution, folder), "mutant", judge)


def _run_below(name: str, expected: str, result: Result) -> Run:
    return Run(name, expected, _got(result), result.graded and not result.passed)


def _run_of_solution(name: str, expected: str, result: Result) -> Run:
    return Run(name, expected, _got(result), result.graded and result.passed)


def _run_of_mutant(lab: Lab, mutant: Mutant, result: Result) -> Run:
    failed = {check.id for check in result.checks if not check.passed}
    expected = t("lab.verify.mutant_expected", names=_names(lab, mutant.fails))
    if not result.graded:
        got = _got(result)
    else:
        got = t("lab.verify.got_fails", names=_names(lab, failed)) if failed else t("lab.verify.got_nothing")
    return Run(mutant.name, expected, got, result.graded and failed == mutant.fails)


def _names(lab: Lab, checks: set[str] | frozenset[str]) -> str:
    return ", ".join(check.id for check in lab.checks if check.id in checks)


def _got(result: Result) -> str:
    if result.graded:
        failed = ", ".join(check.id for check in result.checks if not check.passed)
        points = t("lab.verify.got_points", earned=result.earned, possible=result.possible)
        return f"{points} ({t('lab.verify.got_fails', names=failed)})" if failed else points
    why = next((check for check in result.checks if check.verdict == "errored"), None)
    said = f"{why.id}: {pick(why.message)} {why.output[-300:]}".strip() if why else "–"
    return t("lab.verify.got_ungraded", why=said)


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
