"""`lab check ch1`: every lab of the chapter that was started, one report, and what can't be graded holds up nothing."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

from hello_k8s import catalog, jupyter, language, workspace
from hello_k8s.catalog import Lab
from hello_k8s.cli import labs as command
from hello_k8s.errors import MachineError, UsageError
from hello_k8s.grading.verdict import CheckResult, Result

from .conftest import FILES, write


@pytest.fixture
def chapter(labs: Path) -> tuple[Lab, ...]:
    """ch1 with four labs; the last is never started."""
    for number, name in enumerate(("one", "two", "unstarted")):
        write(labs / "ch1" / name, FILES | {"lab.toml": FILES["lab.toml"].replace("= 10", f"= {20 + number}", 1)})
    for lab in catalog.labs()[:3]:
        workspace.start(lab)
    return catalog.labs()


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, ...]]:
    """What the checks of each lab will say; a lab that isn't there can't be checked."""
    said: dict[str, tuple[str, ...]] = {}

    def check(lab: Lab, **_: object) -> Result:
        if lab.id not in said:
            raise MachineError("no engine answers", next="run ./hello-k8s start")
        checks = tuple(
            CheckResult(c.id, c.question, c.points, verdict)  # type: ignore[arg-type]
            for c, verdict in zip(lab.checks, said[lab.id], strict=True)
        )
        return Result(lab.id, "workspace", "replay", "", checks)

    monkeypatch.setattr(workspace, "check", check)
    return said


def test_one_report_about_all_that_was_started(
    chapter: tuple[Lab, ...], verdicts: dict[str, tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts |= {"ch1/small": ("passed", "passed"), "ch1/one": ("passed", "failed"), "ch1/two": ("passed", "passed")}
    assert command.check("ch1") == command.NOT_ALL
    out = capsys.readouterr().out
    assert "Checking ch1/one" in out and "Checking ch1/unstarted" not in out
    assert "ch1/unstarted" in out and "12 of 15 points; labs graded: 3" in out
    assert "→ ./hello-k8s lab check ch1/one" in out and "second" in out
    verdicts["ch1/one"] = ("passed", "passed")
    assert command.check("ch1/") == 0
    assert "15 of 15 points; labs graded: 3" in capsys.readouterr().out


def test_what_cant_be_graded_adds_nothing_and_holds_up_nothing(
    chapter: tuple[Lab, ...], verdicts: dict[str, tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts |= {"ch1/one": ("passed", "errored"), "ch1/two": ("passed", "passed")}
    assert command.check("ch1") == command.UNGRADED
    out = capsys.readouterr().out
    assert "5 of 5 points; labs graded: 1" in out and "no engine answers" in out and "–/5" in out
    assert command.check("ch1", json=True) == command.UNGRADED
    captured = capsys.readouterr()
    assert [each["earned"] for each in json.loads(captured.out)] == [None, 5] and "Checking" in captured.err
    assert captured.err.index("Checking ch1/small") < captured.err.index("no engine answers")
    assert "→ run ./hello-k8s start" in captured.err and captured.err.count("no engine answers") == 1


@pytest.mark.parametrize("tongue", language.LANGUAGES)
def test_the_notebook_shows_the_same_chapter(
    chapter: tuple[Lab, ...], verdicts: dict[str, tuple[str, ...]], tongue: str, capsys: pytest.CaptureFixture[str]
) -> None:
    language.use(tongue)
    verdicts |= {"ch1/small": ("passed", "passed"), "ch1/one": ("passed", "failed")}
    command.check("ch1")
    terminal = capsys.readouterr().out
    shown = jupyter.lab("check ch1")
    assert shown is not None and capsys.readouterr().out.strip() in terminal, "the same lab after lab"
    words = repr(shown)
    for line in terminal.splitlines():
        for part in filter(None, re.split(r"\s{2,}|─+", line.strip())):
            assert part in words or part.endswith(" …"), part
    assert words.splitlines()[-1] in html.unescape(shown._repr_html_()) and words.count("✓") == 1


def test_a_chapter_of_which_nothing_was_started(labs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.check("ch1") == command.NOT_ALL
    assert "lab start ch1/small" in capsys.readouterr().out
    with pytest.raises(UsageError, match="ch7"):
        command.check("ch7")


@pytest.mark.parametrize("flag", ["broken", "empty"])
def test_the_command_begins_empty_or_broken(small: Lab, flag: str) -> None:
    assert command.start(small.id, files_only=True, **{flag: True}) == 0
    text = (workspace.folder_of(small) / "Dockerfile").read_text()
    assert text == "" if flag == "empty" else text != (small.start / "Dockerfile").read_text()
