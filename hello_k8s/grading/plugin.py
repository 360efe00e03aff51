"""The pytest plugin that grades labs: `pytest labs/ch2/service`, and `grade()` in the same way.

Loaded by `-p` in pyproject.toml and never from a conftest. (PYTEST_DONT_REWRITE: nothing here asserts.)
"""

from __future__ import annotations

import contextlib
import signal
import threading
import traceback
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import catalog, paths
from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError
from hello_k8s.grading import fixtures, report
from hello_k8s.grading.attempt import Attempt, Mode, merged
from hello_k8s.grading.fixtures import ATTEMPT
from hello_k8s.grading.ground import Ground
from hello_k8s.grading.verdict import CheckResult, Kind, NotSubmitted, Result, TimedOut, Unmet, everywhere, verdict_of
from hello_k8s.language import both, t
from hello_k8s.progress import SILENT, Progress

#: Seconds that the body of one check may take; what replay builds and starts for it isn't counted.
CHECK_SECONDS = 60.0
_OUTPUT_LIMIT = 20_000


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


class Grading:
    """The labs of one pytest run: their attempts, and what became of each check."""

    def __init__(self, chosen: Chosen | None) -> None:
        self.chosen = chosen
        self.attempts: dict[Path, Attempt | None] = {}
        self.checks: dict[str, dict[str, CheckResult]] = {}
        self.results: list[Result] = []

    def finish(self, attempt: Attempt) -> None:
        """Make the result of an attempt whose last check has run, and remove what it made."""
        known = self.checks.get(attempt.lab.id, {})
        try:
            ordered = tuple(known[check.id] for check in attempt.lab.checks if check.id in known)
            self.results.append(attempt.result(ordered))
        finally:
            attempt.close()


GRADING = pytest.StashKey[Grading]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hello, k8s")
    group.addoption("--submission", metavar="DIR", default=None, help=t("grading.help.submission"))
    group.addoption("--as-submitted", action="store_true", default=False, help=t("grading.help.as_submitted"))
    group.addoption("--result", metavar="FILE", default=None, help=t("grading.help.result"))


# -- nothing of a submission configures its own grading


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Refuse before the first conftest is imported: importing it is running it."""
    _refuse_foreign(early_config)
    options = early_config.known_args_namespace
    if not options.noconftest:
        for name in options.file_or_dir:
            path = Path(str(name).split("::")[0]).resolve()
            foreign = next((f for f in (path / "conftest.py", *_conftests_above(path)) if f.is_file()), None)
            if foreign and not _inside(foreign):
                raise pytest.UsageError(_outside(foreign))


def _conftests_above(path: Path) -> Iterator[Path]:
    return (parent / "conftest.py" for parent in path.parents)


def _refuse_foreign(config: pytest.Config) -> None:
    for path in (config.inipath, config.rootpath):
        if path is not None and not _inside(path):
            raise pytest.UsageError(_outside(path))


def _inside(path: Path) -> bool:
    """In the repository, and not in the learner's own folder of it."""
    path, workspace = path.resolve(), paths.workspace().resolve()
    return path.is_relative_to(paths.ROOT) and not path.is_relative_to(workspace)


def _outside(path: Path) -> str:
    return f"{t('grading.outside', path=path)} {t('grading.outside_next')}"


def pytest_configure(config: pytest.Config) -> None:
    _refuse_foreign(config)
    if config.getoption("--submission") and config.getoption("--as-submitted"):
        raise pytest.UsageError(t("grading.both_options"))
    config.pluginmanager.register(fixtures, "hello-k8s-fixtures")
    chosen = (plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, Chosen))
    config.stash[GRADING] = Grading(next(chosen, None))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    outcome = yield
    for plugin in session.config.pluginmanager.get_plugins():
        file = getattr(plugin, "__file__", None)
        if file and Path(file).name == "conftest.py" and not _inside(Path(file)):
            raise pytest.UsageError(_outside(Path(file)))
    return outcome


# -- which checks belong to which lab


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _collect_problems.append(str(report.longrepr))


_collect_problems: list[str] = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    grading = config.stash[GRADING]
    if grading.chosen:
        grading.chosen.problems += _collect_problems
    _collect_problems.clear()
    found: dict[str, set[str]] = {}
    for item in items:
        if item.path.name != "checks.py":
            continue
        attempt = _attempt_of(item.path.parent, config, grading)
        if attempt is not None:
            item.stash[ATTEMPT] = attempt
            found.setdefault(attempt.lab.id, set()).add(_check_id(item))
    labs = [attempt.lab for attempt in grading.attempts.values() if attempt]
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


def _attempt_of(folder: Path, config: pytest.Config, grading: Grading) -> Attempt | None:
    """The attempt for the lab in `folder`, made when it is first met; None where `folder` is no lab."""
    if folder not in grading.attempts:
        grading.attempts[folder] = _new_attempt(folder, config, grading.chosen)
    return grading.attempts[folder]


def _new_attempt(folder: Path, config: pytest.Config, chosen: Chosen | None) -> Attempt | None:
    if chosen:
        if chosen.lab.folder.resolve() != folder.resolve():
            return None
        return Attempt(
            chosen.lab,
            chosen.folder,
            mode=chosen.mode,
            kind=chosen.kind,
            seed=chosen.seed,
            ground=chosen.ground,
            progress=chosen.progress,
        )
    if not (folder / "lab.toml").is_file() or not folder.is_relative_to(paths.LABS):
        return None
    try:
        lab = catalog.read_lab(folder)
    except HelloError as error:
        raise pytest.UsageError(str(error)) from error
    submitted = config.getoption("--submission")
    if submitted:
        target = Path(submitted).resolve()
        if not target.is_dir():
            raise pytest.UsageError(t("grading.no_folder", folder=target))
        return Attempt(lab, target, mode="replay", kind="submission")
    mode: Mode = "replay" if config.getoption("--as-submitted") else lab.check
    return Attempt(lab, paths.workspace() / lab.chapter / lab.section, mode=mode, kind="workspace")


# -- running a check


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    attempt = item.stash.get(ATTEMPT, None)
    if attempt is not None and not attempt.files:
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


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimedOut in the block after `seconds`. Only in the main thread; elsewhere the fixtures' own limits hold."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def late(*_: object) -> None:
        raise TimedOut(seconds, both("grading.check_timed_out", seconds=f"{seconds:g}"))

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    outcome = yield
    attempt = item.stash.get(ATTEMPT, None)
    if attempt is not None:
        attempt.end_check()
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    outcome = yield
    attempt = item.stash.get(ATTEMPT, None)
    if attempt is not None and (nextitem is None or nextitem.stash.get(ATTEMPT, None) is not attempt):
        item.config.stash[GRADING].finish(attempt)
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    made = yield
    attempt = item.stash.get(ATTEMPT, None)
    if attempt is None:
        return made
    if call.excinfo is None and call.when != "call":
        return made
    check = next(c for c in attempt.lab.checks if c.id == _check_id(item))
    result = _checked(attempt, check, call, made)
    known = item.config.stash[GRADING].checks.setdefault(attempt.lab.id, {})
    known[check.id] = merged(known[check.id], result) if check.id in known else result
    if result.verdict != "passed":
        made.outcome = "failed"
        made.verdict = result.verdict  # type: ignore[attr-defined]
        # Only a bug in a check is read with a traceback.
        if result.verdict != "errored" or isinstance(call.excinfo and call.excinfo.value, HelloError):
            made.longrepr = report.cause(result)
    return made


def _checked(
    attempt: Attempt, check: catalog.Check, call: pytest.CallInfo[None], made: pytest.TestReport
) -> CheckResult:
    """The outcome of one phase of a check."""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, KeyboardInterrupt | pytest.exit.Exception):
        raise error
    verdict = verdict_of(error)
    if isinstance(error, pytest.fail.Exception) and call.when == "call":
        verdict = "failed"  # a check may say so instead of asserting; pytest itself uses it for broken fixtures
    result = CheckResult(
        id=check.id,
        question=check.question,
        points=check.points,
        verdict=verdict,
        hints=check.hints,
        output="".join(text for _, text in made.sections)[-_OUTPUT_LIMIT:] if call.when == "call" else "",
        seconds=call.duration,
    )
    if error is None:
        return result
    message, evidence = _said(error, made.skipped)
    causes = attempt.causes(error) if result.verdict in ("failed", "timed_out") else ()
    return replace(result, message=message, evidence=tuple(evidence), diagnosis=causes)


def _said(error: BaseException, skipped: bool) -> tuple[dict[str, str], list[str]]:
    """What an exception says to the learner, in every language, and the facts that it carries."""
    if skipped:
        return both("grading.skipped"), [str(error)]
    notes = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
    if isinstance(error, Unmet | TimedOut):
        texts = {language: text + notes for language, text in error.texts.items()}
        return texts, list(getattr(error, "evidence", ()))
    if isinstance(error, AssertionError | pytest.fail.Exception):
        return everywhere(_short(str(error)) + notes), []
    if isinstance(error, HelloError):
        return everywhere(str(error)), []
    lines = traceback.format_exception(error)
    return everywhere(f"{type(error).__name__}: {error}"), "".join(lines[-8:]).splitlines()


def _short(text: str) -> str:
    """An assertion's own message, without the lines that pytest adds about where the values came from."""
    first, _, rest = text.partition("\nassert ")
    return first if rest and first else text


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    verdict = getattr(report, "verdict", None)
    if verdict is None or not report.failed:
        return None
    return ("error", "E", "ERROR") if verdict == "errored" else ("failed", "F", "FAILED")


# -- the end


def pytest_sessionfinish(session: pytest.Session) -> None:
    grading = session.config.stash.get(GRADING, None)
    if grading is None:
        return
    if grading.chosen:
        grading.chosen.results += grading.results
        return
    from hello_k8s.grading.run import confirmed

    labs = {attempt.lab.id: attempt.lab for attempt in grading.attempts.values() if attempt}
    grading.results = [confirmed(result, labs[result.lab]) for result in grading.results]
    file = session.config.getoption("--result")
    if file and grading.results:
        Path(file).write_text(grading.results[0].to_json(), "utf-8")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    grading = config.stash.get(GRADING, None)
    for result in grading.results if grading else ():
        terminalreporter.section(result.lab)
        for line in report.lines(result):
            terminalreporter.line(line)
