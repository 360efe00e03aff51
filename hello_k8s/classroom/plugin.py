"""`pytest labs --submissions=DIR`: a class graded by pytest itself, each check of each lab once for each learner.

Loaded by `-p` in pyproject.toml, after the grading plugin. With pytest-xdist an answer's checks run in one process,
and the table is the controller's. (`./hello-k8s grade` grades faster and can be killed; this is for pipelines that
speak pytest.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hello_k8s import paths
from hello_k8s.errors import HelloError
from hello_k8s.grading.plugin import GRADING, NOTHING
from hello_k8s.grading.subjects import CLASS, Class, HandedIn, Outcome
from hello_k8s.language import pick, t

if TYPE_CHECKING:
    from hello_k8s.classroom.model import Roster
    from hello_k8s.grading.verdict import Texts

#: The name below which the controller tells its workers who is who: they'd only read the same archives again.
_TOLD = "hello_k8s_class"
ROSTER = pytest.StashKey["Roster"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hello, k8s")
    group.addoption("--submissions", metavar="DIR", default=None, help=t("submissions.help.submissions"))


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--submissions")
    if not given:
        return
    for option in ("--submission", "--as-submitted", "--result"):
        if config.getoption(option):
            raise pytest.UsageError(t("submissions.not_with", option=option))
    told = getattr(config, "workerinput", {}).get(_TOLD)
    config.stash[CLASS] = _class_of_json(told) if told else _read(Path(given), config)


def _read(folder: Path, config: pytest.Config) -> Class:
    from hello_k8s import catalog
    from hello_k8s.classroom.intake import read_class

    if not folder.is_dir():
        raise pytest.UsageError(t("grading.no_folder", folder=folder))
    labs = catalog.labs()
    store = paths.state() / "classes" / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    try:
        roster = config.stash[ROSTER] = read_class(folder, labs, store)
    except HelloError as error:
        raise pytest.UsageError(str(error)) from error
    if not roster.learners:
        raise pytest.UsageError(t("submissions.nobody", folder=folder))
    answers = {(e.learner, e.lab): HandedIn(e.folder, e.seed, e.refused) for e in roster.entries}
    unsure = {
        key: HandedIn(NOTHING, unsure=thing.reason) for key, thing in roster.unsure(lab.id for lab in labs).items()
    }
    return Class(roster.learners, answers | unsure)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    if members := node.config.stash.get(CLASS, None):
        node.workerinput[_TOLD] = _class_to_json(members)


def _class_to_json(members: Class) -> str:
    def told(texts: Texts | None) -> dict[str, str] | None:
        return dict(texts) if texts else None

    answers = [
        (*key, str(answer.folder), answer.seed, told(answer.refused), told(answer.unsure))
        for key, answer in members.answers.items()
    ]
    return json.dumps({"learners": members.learners, "answers": answers})


def _class_of_json(text: str) -> Class:
    told = json.loads(text)
    answers = {(learner, lab): HandedIn(Path(folder), *rest) for learner, lab, folder, *rest in told["answers"]}
    return Class(tuple(told["learners"]), answers)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config) -> None:
    if CLASS in config.stash and not any(config.stash[GRADING].subjects.values()):
        raise pytest.UsageError(t("submissions.no_labs"))


def pytest_report_header(config: pytest.Config) -> list[str]:
    roster = config.stash.get(ROSTER, None)
    if roster is None:
        return []
    counted = t("submissions.header", learners=len(roster.learners), answers=len(roster.entries))
    return [counted, *_unmapped(roster)]


def _unmapped(roster: Roster) -> Iterator[str]:
    for thing in roster.unmapped:
        yield t("submissions.unmapped", source=thing.source, reason=pick(thing.reason))


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if CLASS not in config.stash:
        return
    outcomes = sorted(config.stash[GRADING].outcomes, key=lambda each: each.learner)
    terminalreporter.section(t("submissions.title"))
    width = max((len(each.learner) for each in outcomes), default=0)
    labs = max((len(each.lab.id) for each in outcomes), default=0)
    for each in outcomes:
        terminalreporter.line(f"{each.learner:{width}}  {each.lab.id:{labs}}  {_points(each)}")
    for line in _unmapped(config.stash[ROSTER]) if ROSTER in config.stash else ():
        terminalreporter.line(line)


def _points(each: Outcome) -> str:
    result = each.result
    if not result.graded:
        return t("submissions.ungraded")
    points = f"{result.earned}/{result.possible}"
    absent = all(check.verdict == "not_submitted" for check in result.checks)
    return f"{points} {t('submissions.not_submitted')}" if absent else points
