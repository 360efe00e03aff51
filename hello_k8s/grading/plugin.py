"""The pytest plugin that grades labs: `pytest labs/ch2/service`, and `grade()` in the same way.

Loaded by `-p` in pyproject.toml and never from a conftest. (PYTEST_DONT_REWRITE: nothing here asserts.)

How a verdict travels. Collecting gives each check a Subject (whose answer, to which lab). `setup` begins the subject's
Attempt, which its checks share through the fixtures. When a check ends, `makereport` has `outcome` turn the exception
into a CheckResult and hangs it on pytest's report (CARRIED), which xdist takes to the process that gathers. There
Grading hears every report, and at the end of the session `gather` makes one Result of each subject's; what was never
heard of is errored. `grade()` finds it in `Chosen.results`, and `run.confirmed` asks whether the failures are the
submission's. In a class `classroom.worker` does the same for one answer after another, and `classroom.doubts` has what
failed in a used namespace graded again.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import catalog, paths
from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError, UsageError
from hello_k8s.grading import fixtures, guard, report
from hello_k8s.grading.attempt import Mode
from hello_k8s.grading.fixtures import ATTEMPT
from hello_k8s.grading.ground import Ground
from hello_k8s.grading.guard import pytest_collection, pytest_load_initial_conftests
from hello_k8s.grading.limit import limited
from hello_k8s.grading.outcome import outcome
from hello_k8s.grading.overlay import covered, overlaid
from hello_k8s.grading.subjects import CARRIED, CLASS, Grading, HandedIn, Subject
from hello_k8s.grading.verdict import Kind, NotSubmitted, Result, Unmet
from hello_k8s.language import both, pick, t
from hello_k8s.progress import SILENT, Progress

#: Seconds that the body of one check may take; what replay builds and starts for it isn't counted.
CHECK_SECONDS = 60.0


@dataclass(eq=False)
class Chosen:
    """What `grade()` wants graded; registered as a plugin, it overrides the command line."""

    lab: Lab
    folder: Path
    mode: Mode
    kind: Kind
    seed: int = 0
    ground: Ground | None = None
    progress: Progress = SILENT
    results: list[Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


GRADING = pytest.StashKey[Grading]()
SUBJECT = pytest.StashKey[Subject]()
#: The parameter that turns a check into one for each learner.
LEARNER = "_learner"
#: Where a learner's answer is who handed in none.
NOTHING = Path("/nonexistent")
__all__ = ["CHECK_SECONDS", "GRADING", "Chosen", "pytest_collection", "pytest_load_initial_conftests"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hello, k8s")
    group.addoption("--submission", metavar="DIR", default=None, help=t("grading.help.submission"))
    group.addoption("--as-submitted", action="store_true", default=False, help=t("grading.help.as_submitted"))
    group.addoption("--overlay", metavar="DIR", default=None, help=t("submissions.help.overlay"))
    group.addoption("--result", metavar="FILE", default=None, help=t("grading.help.result"))


def pytest_configure(config: pytest.Config) -> None:
    guard.refuse_foreign(config)
    if config.getoption("--submission") and config.getoption("--as-submitted"):
        raise pytest.UsageError(t("grading.both_options"))
    config.pluginmanager.register(fixtures, "hello-k8s-fixtures")
    chosen = next((plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, Chosen)), None)
    labs = {} if chosen else _overlaid(config)
    ground = (chosen and chosen.ground) or Ground(progress=chosen.progress if chosen else SILENT)
    grading = config.stash[GRADING] = Grading(
        chosen, labs, ground, confirms=chosen is None and not hasattr(config, "workerinput")
    )
    config.pluginmanager.register(grading, "hello-k8s-grading")


def _overlaid(config: pytest.Config) -> dict[Path, Lab]:
    """The labs that `--overlay` adds to, by the folder that it leaves alone."""
    given = config.getoption("--overlay")
    if not given:
        return {}
    try:
        labs = [catalog.lab(name) for name in covered(Path(given))]
        return {lab.folder: overlaid(lab, Path(given)) for lab in labs}
    except HelloError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """However checks are dealt out to several processes, an answer's are not torn apart."""
    named = (Path(arg.split("::")[0]).resolve() for arg in config.args)
    if config.getvalue("dist") == "each" or not any(path.is_relative_to(paths.LABS) for path in named):
        return None
    from hello_k8s.grading.together import Together

    return Together(config, log)


# -- which checks belong to which lab


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _collect_problems.append(str(report.longrepr))


_collect_problems: list[str] = []


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    lab = parent.config.stash[GRADING].labs.get(module_path.parent)
    if lab is None or module_path.name != "checks.py":
        return None
    module: Overlaid = Overlaid.from_parent(parent, path=module_path)
    module.merged = lab.folder / "checks.py"
    return module


class Overlaid(pytest.Module):
    """A lab's checks.py, called what it is called and read from where the hidden checks were added to it."""

    merged: Path

    def _getobj(self) -> Any:
        own, self.path = self.path, self.merged
        try:
            return super()._getobj()  # type: ignore[no-untyped-call]
        finally:
            self.path = own


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each check of each lab once for each learner of a class; the learner comes first in its name."""
    members = metafunc.config.stash.get(CLASS, None)
    if members and metafunc.definition.path.name == "checks.py" and _is_lab(metafunc.definition.path.parent):
        metafunc.fixturenames.append(LEARNER)
        more = any(True for _ in metafunc.definition.iter_markers("parametrize"))
        names = [f"{name}:" if more else name for name in members.names]
        metafunc.parametrize(LEARNER, range(len(names)), ids=names)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, object, object]:
    grading = config.stash[GRADING]
    if grading.chosen:
        grading.chosen.problems += _collect_problems
    _collect_problems.clear()
    found: dict[str, set[str]] = {}
    for item in items:
        subject = _subject_of(item, config, grading) if item.path.name == "checks.py" else None
        if subject is not None:
            item.stash[SUBJECT] = subject
            found.setdefault(subject.lab.id, set()).add(_check_id(item))
    _compare(found, config, grading)
    outcome = yield
    # An answer's checks one after another, whatever sorted them otherwise; what is no check stays where it is.
    order = {subject: number for number, subject in enumerate(filter(None, grading.subjects.values()))}
    places = [place for place, item in enumerate(items) if SUBJECT in item.stash]
    ordered = sorted((items[place] for place in places), key=lambda item: order[item.stash[SUBJECT]])
    for place, item in zip(places, ordered, strict=True):
        items[place] = item
    return outcome


def _compare(found: dict[str, set[str]], config: pytest.Config, grading: Grading) -> None:
    """Refuse what names other checks than its lab.toml, and options that don't fit the labs."""
    labs = list({subject.lab.id: subject.lab for subject in grading.subjects.values() if subject}.values())
    for option in ("--submission", "--result"):
        if config.getoption(option) and len(labs) != 1:
            raise pytest.UsageError(t("grading.one_lab", option=option, labs=", ".join(lab.id for lab in labs) or "—"))
    for lab in labs:
        named = {check.id for check in lab.checks}
        extra, missing = found[lab.id] - named, named - found[lab.id] if grading.chosen else set()
        if extra or missing:
            problem = t("grading.not_as_lab", lab=lab.id, extra=_listed(extra), missing=_listed(missing))
            if grading.chosen:
                grading.chosen.problems.append(problem)
            raise pytest.UsageError(problem)


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "—"


def _check_id(item: pytest.Item) -> str:
    return str(getattr(item, "originalname", None) or item.name).removeprefix("test_")


def _is_lab(folder: Path) -> bool:
    return folder.is_relative_to(paths.LABS) and (folder / "lab.toml").is_file()


def _subject_of(item: pytest.Item, config: pytest.Config, grading: Grading) -> Subject | None:
    """The subject that `item` checks, made when it is first met; None where its folder is no lab."""
    number: int = item.callspec.params.get(LEARNER, 0) if hasattr(item, "callspec") else 0
    key = (item.path.parent, number)
    if key not in grading.subjects:
        grading.subjects[key] = _new_subject(*key, config, grading)
    return grading.subjects[key]


def _new_subject(folder: Path, number: int, config: pytest.Config, grading: Grading) -> Subject | None:
    if chosen := grading.chosen:
        if chosen.lab.folder.resolve() != folder.resolve():
            return None
        return Subject(chosen.lab, chosen.folder, chosen.mode, chosen.kind, seed=chosen.seed, progress=chosen.progress)
    if not _is_lab(folder):
        return None
    try:
        lab = grading.labs.get(folder) or catalog.read_lab(folder)
    except HelloError as error:
        raise pytest.UsageError(str(error)) from error
    if members := config.stash.get(CLASS, None):
        learner = members.learners[number]
        answer = members.answers.get((learner, lab.id)) or HandedIn(NOTHING)
        return Subject(
            lab, answer.folder, "replay", "submission", learner, number, answer.seed, answer.refused, answer.unsure
        )  # fmt: skip
    submitted = config.getoption("--submission")
    if submitted:
        target = Path(submitted).resolve()
        if not target.is_dir():
            raise pytest.UsageError(t("grading.no_folder", folder=target))
        if (target / "learner.toml").is_file() and (target / lab.id).is_dir():  # all of what `lab pack` packs
            target /= lab.id
        return Subject(lab, target, "replay", "submission")
    mode: Mode = "replay" if config.getoption("--as-submitted") else lab.check
    return Subject(lab, paths.workspace() / lab.chapter / lab.section, mode, "workspace")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    if session.testsfailed or session.config.option.collectonly:
        return  # nothing is going to run
    for item in session.items:
        if SUBJECT in item.stash:
            session.config.stash[GRADING].expect(item.stash[SUBJECT], _check_id(item))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    node.config.stash[GRADING].expect_ids(ids, _names(node.config))


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: Any, sched: Any) -> None:
    if sched.config.stash[GRADING].lose(crashitem, _names(sched.config)):
        report.verdict = "errored"


def _names(config: pytest.Config) -> tuple[str, ...]:
    members = config.stash.get(CLASS, None)
    return members.names if members else ()


# -- running a check


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    subject = item.stash.get(SUBJECT, None)
    if subject is None:
        return
    attempt = item.stash[ATTEMPT] = item.config.stash[GRADING].begin(subject)
    if subject.unsure:
        raise UsageError(pick(subject.unsure))
    if subject.refused:
        raise Unmet(subject.refused)
    if not attempt.files:
        files = ", ".join(attempt.lab.deliverables)
        text = both("grading.not_submitted", files=files)
        if attempt.kind == "workspace":
            after = both("grading.not_submitted_next", lab=attempt.lab.id)
            text = {language: f"{text[language]} {after[language]}" for language in text}
        raise NotSubmitted(text)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    if ATTEMPT not in item.stash:
        return (yield)
    with limited(CHECK_SECONDS):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    if SUBJECT in item.stash and _is_last(item, nextitem):
        # The next answer gets fixtures of its own, those of the whole module included.
        item.session._setupstate.teardown_exact(None)
    outcome = yield
    if ATTEMPT in item.stash:
        item.stash[ATTEMPT].end_check()
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    stopped = True  # by Ctrl-C, until it turns out that it wasn't
    try:
        outcome = yield
        stopped = False
        return outcome
    finally:
        subject = item.stash.get(SUBJECT, None)
        if subject is not None and subject.attempt is not None and (stopped or _is_last(item, nextitem)):
            subject.attempt.close()
            subject.attempt = None


def _is_last(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    return nextitem is None or nextitem.stash.get(SUBJECT, None) is not item.stash[SUBJECT]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    made = yield
    attempt = item.stash.get(ATTEMPT, None)
    if attempt is None or (call.excinfo is None and call.when != "call"):
        return made
    check = next(c for c in attempt.lab.checks if c.id == _check_id(item))
    result = outcome(attempt, check, call, made)
    grading = item.config.stash[GRADING]
    setattr(made, CARRIED, grading.carry(item.stash[SUBJECT], attempt, result))
    if result.verdict != "passed":
        made.outcome = "failed"
        made.verdict = result.verdict  # type: ignore[attr-defined]
        # As JUnit's XML tells failures from errors: by where they happened.
        made.when = "setup" if result.verdict == "errored" else "call"
        # Only a bug in a check is read with a traceback.
        if result.verdict != "errored" or isinstance(call.excinfo and call.excinfo.value, HelloError):
            made.longrepr = report.cause(result)
    if result.verdict == "errored" and grading.chosen is None:
        grading.ground = Ground()  # what was true of the machine isn't any more
    return made


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    verdict = getattr(report, "verdict", None)
    if verdict is None or not report.failed:
        return None
    return ("error", "E", "ERROR") if verdict == "errored" else ("failed", "F", "FAILED")


# -- the end


def pytest_sessionfinish(session: pytest.Session) -> None:
    grading = session.config.stash.get(GRADING, None)
    if grading is None or hasattr(session.config, "workerinput"):
        return
    if grading.chosen:
        grading.gather({grading.chosen.lab.id: grading.chosen.lab})
        grading.chosen.results += [each.result for each in grading.outcomes]
        return
    if not grading.lab_ids:
        return
    members = session.config.stash.get(CLASS, None)
    ours = {lab.id: grading.lab(lab.id) for lab in catalog.labs() if lab.id in grading.lab_ids}
    grading.gather(ours, members.learners if members else ())
    file = session.config.getoption("--result")
    if file and grading.outcomes:
        Path(file).write_text(grading.outcomes[0].result.to_json(), "utf-8")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    grading = config.stash.get(GRADING, None)
    if grading is None or CLASS in config.stash:
        return
    for each in grading.outcomes:
        terminalreporter.section(each.lab.id)
        for line in report.lines(each.result):
            terminalreporter.line(line)
