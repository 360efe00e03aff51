"""`grade` at the command line, as far as no machine is needed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import catalog, cli, language
from hello_k8s.classroom.model import Row, Unmapped
from hello_k8s.cli import grade as command
from hello_k8s.cli import log
from tests import sample_class
from tests.classroom.generate import write_class


@pytest.mark.parametrize("named", ["ch2/service", "ch2"])
def test_who_is_who_of_the_labs_that_are_named(home: Path, capsys: pytest.CaptureFixture[str], named: str) -> None:
    room = write_class(home / "class", [catalog.lab("ch2/service")], 3, mix={"right": 1})
    code = cli.run(["grade", str(room.folder), "--dry-run", f"--lab={named}", "--lab=ch2/service"])
    said = capsys.readouterr().out
    assert code == 0
    assert said.count("ch2/service") >= len(room.pupils) and "ch1" not in said


def test_a_format_that_does_not_exist_is_refused_at_once(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    graded: list[object] = []
    monkeypatch.setattr("hello_k8s.classroom.run.grade_class", lambda *_, **__: graded.append(1))
    assert cli.run(["grade", str(home), "--format", "csv", "--format", "cvs"]) == 2
    said = capsys.readouterr().err
    assert "`cvs`" in said and "gradescope" in said and not graded


def test_a_folder_that_is_not_there_gets_no_results(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["grade", str(home / "nothing")]) == 2
    log.close()
    assert "nothing" in capsys.readouterr().err and not (home / "nothing-results").exists()


DOCKER, SERVICE = sample_class.two_labs()
WHY = {"ko": "답이 둘이고 서로 다릅니다.", "en": "There are two answers, and they differ."}
UNDECIDED = Row("kim", DOCKER.id, "a, b", "ungraded", None, WHY, attempts=0)
OURS = sample_class.row("lee", DOCKER, "ungraded")
RIGHT = sample_class.row("ann", DOCKER)
NOBODYS = Unmapped("stray.zip", {"ko": "누구인지 모릅니다.", "en": "It names nobody."})


@pytest.mark.parametrize("tongue", language.LANGUAGES)
@pytest.mark.parametrize(
    ("rows", "unmapped", "code"),
    [
        ([RIGHT], [], 0),
        ([RIGHT, UNDECIDED], [], command.UNGRADED),
        ([RIGHT, OURS], [], command.UNGRADED),
        ([RIGHT, OURS, UNDECIDED], [], command.UNGRADED),
        ([RIGHT], [NOBODYS], command.UNGRADED),
    ],
)
def test_what_is_left_is_said_at_the_end(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tongue: str,
    rows: list[Row],
    unmapped: list[Unmapped],
    code: int,
) -> None:
    report = sample_class.report(rows, [DOCKER], unmapped)
    monkeypatch.setattr("hello_k8s.classroom.run.grade_class", lambda *_, **__: report)
    argv = ["grade", str(home), "--output", str(home / "results"), "--format", "csv", "--lang", tongue]
    assert cli.run(argv) == code
    log.close()
    said = capsys.readouterr().out
    t = language.t
    assert (t("classroom.some_ungraded", tongue, count=1) in said) is (OURS in rows)
    assert (t("classroom.some_undecided", tongue, count=1) in said) is (UNDECIDED in rows)
    assert (WHY[tongue] in said) is (UNDECIDED in rows)
    at_the_end = said[said.index("grades.csv") :]
    assert ("stray.zip" in at_the_end) is bool(unmapped)


@pytest.mark.parametrize("tongue", language.LANGUAGES)
def test_the_help_says_when_it_is_3(capsys: pytest.CaptureFixture[str], home: Path, tongue: str) -> None:
    assert cli.run(["grade", "--help", "--lang", tongue]) == 0
    assert {"en": "sorted out", "ko": "확인이 필요한"}[tongue] in " ".join(capsys.readouterr().out.split())
