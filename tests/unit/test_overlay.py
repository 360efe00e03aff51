"""Hidden checks: a lab and an overlay make a merged lab that grades, verifies and complains as any other."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hello_k8s import authoring, catalog, paths
from hello_k8s.authoring import lint
from hello_k8s.catalog import Lab
from hello_k8s.errors import CatalogError, UsageError
from hello_k8s.grading import grade
from hello_k8s.grading.overlay import covered, overlaid, to_toml
from hello_k8s.grading.run import _solution

LAB = """
order = 1
needs = []
minutes = 1
deliverables = ["answer.txt"]
check = "replay"
title = { ko = "작은", en = "tiny" }
include = { "given/a.txt" = "labs/ch9/tiny/given/a.txt" }

[checks.three]
points = 2
question = { ko = "3?", en = "3?" }
hints = { ko = ["가", "나"], en = ["a", "b"] }

[mutants.five]
fails = ["three"]
misconception = { ko = "오", en = "five" }
"""
CHECKS = '''"""Small."""

import re

GIVEN = "given/a.txt"


def number(submission):
    return int(re.sub(r"\\s", "", submission.text("answer.txt")))


def test_three(submission):
    assert number(submission) == 3
'''
OVERLAY = """
[checks.three]
points = 1

[checks.spelled]
points = 4
question = { ko = "숫자 \\"하나\\"뿐인가요?", en = "Nothing but the number?" }
hints = { ko = ["가", "나"], en = ["a", "b"] }

[mutants.padded]
fails = ["spelled"]
misconception = { ko = "공백", en = "blanks" }

[mutants.five]
fails = ["three", "spelled"]
"""
HIDDEN = """from __future__ import annotations

import re


def test_spelled(submission):
    assert submission.text("answer.txt") == "3" and number(submission) and GIVEN
"""


@pytest.fixture
def lab(labs: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    root = Path(authoring.__file__).parents[2]
    shutil.copy(root / "pyproject.toml", paths.ROOT)
    monkeypatch.setenv("PYTHONPATH", str(root))
    folder = labs / "ch9/tiny"
    for name, text in {
        "lab.toml": LAB, "checks.py": CHECKS, "start/answer.txt": "0", "solution/answer.txt": "3",
        "mutants/five/answer.txt": "5", "given/a.txt": "a", "README.ko.md": "# 가\n", "README.en.md": "# A\n",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return catalog.read_lab(folder)


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    folder = tmp_path / "hidden/ch9/tiny"
    (folder / "mutants/padded").mkdir(parents=True)
    (folder / "overlay.toml").write_text(OVERLAY, "utf-8")
    (folder / "checks.py").write_text(HIDDEN, "utf-8")
    (folder / "mutants/padded/answer.txt").write_text(" 3")
    return tmp_path / "hidden"


def put(overlay: Path, name: str, text: str) -> None:
    file = overlay / "ch9/tiny" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def test_checks_points_and_mutants_are_added_and_the_lab_stays(lab: Lab, overlay: Path) -> None:
    before = {file: file.read_bytes() for file in lab.folder.rglob("*") if file.is_file()}
    merged = overlaid(lab, overlay)
    assert merged.id == lab.id and merged.folder.is_relative_to(paths.state())
    assert [(check.id, check.points) for check in merged.checks] == [("three", 1), ("spelled", 4)]
    assert merged.checks[1].question["ko"] == '숫자 "하나"뿐인가요?'
    assert {m.name: set(m.fails) for m in merged.mutants} == {"five": {"three", "spelled"}, "padded": {"spelled"}}
    assert before == {file: file.read_bytes() for file in lab.folder.rglob("*") if file.is_file()}
    assert overlaid(lab, None) is lab


def test_the_merged_lab_grades_in_this_process_and_in_another(lab: Lab, overlay: Path, tmp_path: Path) -> None:
    merged = overlaid(lab, overlay)
    assert grade(merged, merged.solution, kind="solution").earned == 5
    (tmp_path / "answer.txt").write_text("3\n")
    result = grade(merged, tmp_path, kind="submission")
    assert {check.id: check.passed for check in result.checks} == {"three": True, "spelled": False}
    assert "'3\\n' == '3'" in result.checks[1].message["en"]  # rewritten by pytest as in any checks.py
    assert (again := _solution(merged)) and again.earned == 5
    assert grade(lab, tmp_path, kind="submission").passed


def test_who_only_replaces_given_files_needs_no_overlay_toml(lab: Lab, tmp_path: Path) -> None:
    put(tmp_path / "others", "given/a.txt", "b")
    merged = overlaid(lab, tmp_path / "others")
    assert (merged.folder / "given/a.txt").read_text() == "b"
    assert [check.id for check in merged.checks] == [check.id for check in lab.checks]
    assert grade(merged, merged.solution, kind="solution").passed


def test_hidden_files_of_the_lab_are_there_in_the_merged_one_too(lab: Lab, overlay: Path) -> None:
    """A `.dockerignore` is an answer; what tools leave isn't, and an editor's copy in the overlay harms nobody."""
    for name in ("start/.dockerignore", "solution/.dockerignore", "mutants/five/.dockerignore", "start/.DS_Store"):
        (lab.folder / name).write_text("docs\n")
    put(overlay, "mutants/padded/.dockerignore", "docs\n")
    put(overlay, ".overlay.toml.swp", "half")
    merged = overlaid(lab, overlay)
    found = {file.parent.name for file in merged.folder.rglob(".dockerignore")}
    assert found == {"start", "solution", "five", "padded"}
    assert not list(merged.folder.rglob(".DS_Store")) and not list(merged.folder.rglob("*.swp"))


@pytest.mark.usefixtures("verified_here")
def test_lab_verify_proves_hidden_checks_like_any_other(lab: Lab, overlay: Path) -> None:
    merged = overlaid(lab, overlay)
    assert not [problem for problem in lint.problems(merged) if problem.of_lab]
    report = authoring.verify(merged)
    assert [run.ok for run in report.runs] == [True] * 4, str(report)
    put(overlay, "mutants/padded/answer.txt", "3")
    problems = [problem.text for problem in lint.problems(overlaid(lab, overlay)) if problem.of_lab]
    assert any("padded" in text for text in problems)


def test_a_change_on_either_side_makes_a_copy_anew(lab: Lab, overlay: Path) -> None:
    first = overlaid(lab, overlay).folder
    assert overlaid(lab, overlay).folder == first
    put(overlay, "given/a.txt", "b")
    second = overlaid(lab, overlay)
    (lab.solution / "answer.txt").write_text(" 3")
    third = overlaid(lab, overlay)
    assert len({first, second.folder, third.folder}) == 3
    # what the learner's folder is filled with comes from the copy, too
    assert {file.read_text() for name, file in second.files().items() if name.name == "a.txt"} == {"b"}


def test_many_at_once_share_one_complete_copy(lab: Lab, overlay: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: overlaid(lab, overlay), range(24)))
    assert len({merged.folder for merged in found}) == 1 and all(merged == found[0] for merged in found)
    assert [entry.name for entry in (paths.state() / "overlays").iterdir()] == [found[0].folder.parent.parent.name]


def test_a_lab_without_overlay_is_itself(lab: Lab, overlay: Path, small: Lab) -> None:
    assert overlaid(small, overlay) is small and covered(overlay) == ("ch9/tiny",)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("points = 4", "point = 4", "`checks.spelled.points`"),
        ("points = 4", "points = 4\nworth = 4", "`checks.spelled.worth`"),
        ("points = 1", "points = 1\nquestion = { ko = '', en = '' }", "`checks.three.question`"),
        ("points = 1", "points = '1'", "`checks.three.points`"),
        ('fails = ["spelled"]', 'fails = ["speled"]', "`mutants.padded.fails`"),
        ('fails = ["three", "spelled"]', 'fails = ["four"]', "`mutants.five.fails`"),
        ('fails = ["three", "spelled"]', 'misconception = "x"', "`mutants.five.misconception`"),
        ("[checks.three]", "minutes = 3\n[checks.three]", "`minutes`"),
        ("[checks.three]", "[checks.three", "not valid TOML"),
    ],
)
def test_a_mistake_in_overlay_toml_is_named(lab: Lab, overlay: Path, old: str, new: str, said: str) -> None:
    put(overlay, "overlay.toml", OVERLAY.replace(old, new))
    with pytest.raises(CatalogError) as wrong:
        overlaid(lab, overlay)
    assert said in str(wrong.value) and str(overlay / "ch9/tiny/overlay.toml") in str(wrong.value)


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("def test_three():\n    pass\n", "test_three"),
        ("def number(x):\n    return x\n", "number"),
        ("GIVEN = 3\n", "GIVEN"),
        ("from os import path as re\n", "re"),
        ("def test_x(:\n", "line 1"),
    ],
)
def test_a_name_of_the_labs_own_is_refused(lab: Lab, overlay: Path, added: str, said: str) -> None:
    put(overlay, "checks.py", added)
    with pytest.raises((UsageError, CatalogError)) as refused:
        overlaid(lab, overlay)
    assert said in str(refused.value) and "checks.py" in str(refused.value)


def test_what_an_overlay_cant_hold_is_refused(lab: Lab, overlay: Path, tmp_path: Path) -> None:
    for name in ("solution/answer.txt", "given/b.txt", "conftest.py", "mutants/loose.txt"):
        put(overlay, name, "x")
        with pytest.raises(UsageError, match=name):
            overlaid(lab, overlay)
        (overlay / "ch9/tiny" / name).unlink()
    put(overlay, "mutants/five/answer.txt", "6")
    with pytest.raises(UsageError, match="five"):
        overlaid(lab, overlay)
    shutil.move(overlay / "ch9/tiny", overlay / "ch9/tinny")
    with pytest.raises(UsageError, match="ch9/tinny"):
        overlaid(lab, overlay)
    shutil.rmtree(overlay / "ch9")
    with pytest.raises(UsageError, match="adds nothing"):
        overlaid(lab, overlay)
    with pytest.raises(UsageError, match="doesn't exist"):
        overlaid(lab, tmp_path / "nowhere")


def test_toml_is_written_as_it_is_read(tmp_path: Path) -> None:
    import tomllib

    table = {"a b": 'q"\\\n\t\x7f가', "n": -3, "yes": True, "list": [["x"], []], "t": {"u.v": {"w": 1}, "e": {}}}
    assert tomllib.loads(to_toml(table)) == table
