"""A class on a tiny lab: the journal, lost workers, our own failures, killed and run again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hello_k8s import paths
from hello_k8s.catalog import Lab, read_lab
from hello_k8s.classroom import journal
from hello_k8s.classroom import run as class_run
from hello_k8s.classroom.journal import NAME, Journal, key_of
from hello_k8s.classroom.model import ClassReport, Entry, Roster, Row
from hello_k8s.classroom.places import Places
from hello_k8s.classroom.run import ATTEMPTS, Watcher, grade_class
from hello_k8s.errors import MachineError, UsageError

LAB = """
order = 1
needs = []
minutes = 1
deliverables = ["answer.txt"]
check = "replay"
title = { ko = "작은", en = "tiny" }

[checks.three]
points = 2
question = { ko = "셋?", en = "three?" }
"""
#: Counts every grading in a file; dies, fails or waits where the answer says so.
CHECKS = """
import os, signal, time
from pathlib import Path

COUNT = Path({count!r})

def test_three(submission, eventually):
    answer = submission.text("answer.txt").strip()
    with COUNT.open("a") as file:
        file.write(answer + "\\n")
    if answer == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if answer == "broken":
        raise RuntimeError("a bug of ours")
    if answer == "once" and COUNT.read_text().count("once") < 2:
        raise RuntimeError("a hiccup of ours")
    if answer == "slow":
        time.sleep(50)
    assert answer in ("3", "once"), f"{{answer}} isn't three"
"""


@pytest.fixture
def count(tmp_path: Path) -> Path:
    return tmp_path / "count"


@pytest.fixture
def lab(home: Path, tmp_path: Path, count: Path) -> Lab:
    folder = tmp_path / "labs/ch9/tiny"
    for part, answer in (("start", "___"), ("solution", "3")):
        (folder / part).mkdir(parents=True)
        (folder / part / "answer.txt").write_text(answer)
    (folder / "lab.toml").write_text(LAB)
    (folder / "checks.py").write_text(CHECKS.format(count=str(count)))
    return read_lab(folder, tmp_path / "labs")


@pytest.fixture
def classroom(tmp_path: Path) -> Callable[..., Path]:
    """A class folder: learner → answer; None hands in nothing."""

    def make(**answers: str | None) -> Path:
        folder = tmp_path / "class"
        for learner, answer in answers.items():
            own = folder / learner
            (own / "ch9/tiny").mkdir(parents=True)
            (own / "learner.toml").write_text(f'id = "{learner}"\nseed = 1\n')
            if answer is not None:
                (own / "ch9/tiny/answer.txt").write_text(answer)
        return folder

    return make


def graded(lab: Lab, folder: Path, **options: object) -> ClassReport:
    return grade_class(folder, labs=[lab], output=folder.with_name("results"), workers=2, places=1, **options)  # type: ignore[arg-type]


def states(report: ClassReport) -> dict[str, tuple[str, int | None]]:
    return {row.learner: (row.state, row.earned) for row in report.rows}


def test_each_has_a_row(lab: Lab, classroom: Callable[..., Path]) -> None:
    report = graded(lab, classroom(ann="3", ben="4", cho=None))
    assert states(report) == {"ann": ("graded", 2), "ben": ("graded", 0), "cho": ("not_submitted", 0)}
    assert report.row("ben", "ch9/tiny").result.checks[0].message["en"] == "4 isn't three"  # type: ignore[union-attr]


def test_what_is_known_is_not_graded_again(lab: Lab, classroom: Callable[..., Path], count: Path) -> None:
    folder = classroom(ann="3", ben="4")
    first = graded(lab, folder)
    before = count.read_text()
    assert states(graded(lab, folder)) == states(first)
    assert count.read_text() == before
    (folder / "ben/ch9/tiny/answer.txt").write_text("3")
    assert states(graded(lab, folder))["ben"] == ("graded", 2)
    assert count.read_text().count("3") == before.count("3") + 2  # ben's new answer, and the solution before it


def test_a_lost_worker_is_ungraded_and_never_a_zero(lab: Lab, classroom: Callable[..., Path], count: Path) -> None:
    report = graded(lab, classroom(ann="3", ben="die", cho="4"))
    assert states(report) == {"ann": ("graded", 2), "ben": ("ungraded", None), "cho": ("graded", 0)}
    assert report.row("ben", "ch9/tiny").attempts == ATTEMPTS == count.read_text().count("die")
    assert "-9" in report.row("ben", "ch9/tiny").reason["en"]  # type: ignore[index]


def test_a_killed_worker_leaves_no_files(
    lab: Lab, classroom: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    graded(lab, classroom(ben="die"))
    assert not [*(tmp_path / "temporary").iterdir()] and not [*(paths.state() / "classes").iterdir()]


def test_our_failures_are_tried_again(lab: Lab, classroom: Callable[..., Path]) -> None:
    said: list[str] = []

    class Listening(Watcher):
        def note(self, text: str) -> None:
            said.append(text)

    report = graded(lab, classroom(ann="once", ben="broken"), watcher=Listening())
    assert states(report) == {"ann": ("graded", 2), "ben": ("ungraded", None)}
    assert "a bug of ours" in report.row("ben", "ch9/tiny").reason["en"]  # type: ignore[index]
    assert len(said) == ATTEMPTS  # one for ann, all but the last for ben


def test_an_ungraded_one_is_tried_by_the_next_run(lab: Lab, classroom: Callable[..., Path]) -> None:
    folder = classroom(ann="broken")
    assert states(graded(lab, folder))["ann"][0] == "ungraded"
    (lab.folder / "checks.py").write_text("def test_three(submission):\n    pass\n")
    assert states(graded(lab, folder))["ann"] == ("graded", 2)


def test_a_solution_that_couldnt_be_graded_is_tried_again(
    lab: Lab, classroom: Callable[..., Path], count: Path
) -> None:
    """One hiccup of the machine's costs a class no more than one submission."""
    checks, mark = lab.folder / "checks.py", count.with_name("hiccup")
    text = checks.read_text().replace(
        "def test_three(submission, eventually):",
        "def test_three(submission, eventually):\n"
        f"    mark, own = Path({str(mark)!r}), submission.text('answer.txt') == '3'\n"
        "    if own and not mark.exists():\n        mark.touch()\n        raise RuntimeError('hiccup')",
    )
    checks.write_text(text)
    notes = []

    class Notes(Watcher):
        def note(self, text: str) -> None:
            notes.append(text)

    report = graded(lab, classroom(ann=" 3"), watcher=Notes())
    assert states(report) == {"ann": ("graded", 2)} and mark.exists()
    assert len(notes) == 1 and "solution" in notes[0], notes


def test_nobody_is_graded_where_the_solution_fails(lab: Lab, classroom: Callable[..., Path]) -> None:
    (lab.solution / "answer.txt").write_text("4")
    with pytest.raises(MachineError, match="solution"):
        graded(lab, classroom(ann="3"))


IMAGE = """
name = "test/{name}:1"
kind = "dockerfile"
usual_seconds = 1
title = {{ ko = "시험", en = "Test" }}
"""


@pytest.fixture
def answered(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Entry, Lab]:
    """An answer to the lab as it could be, with a file of every kind around it, and the answered lab."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/main.go").write_text("package main")
    for name in ("tiny", "engine", "node", "probe"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "image.toml").write_text(IMAGE.format(name=name))
        (tmp_path / "images" / name / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.setattr(paths, "IMAGES", tmp_path / "images")
    monkeypatch.setattr(journal, "GRADER", (tmp_path / "grading", tmp_path / "machine", tmp_path / "catalog.py"))
    needs = LAB.replace("needs = []", 'needs = ["docker", "cluster", "image:tiny"]')
    (lab.folder / "lab.toml").write_text(f'include = {{ "main.go" = "{tmp_path}/shared/main.go" }}\n{needs}')
    for name in COUNTS + ASIDE:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return Entry("ann", "ch9/tiny", lab.solution, "ann"), read_lab(lab.folder, lab.folder.parent.parent)


COUNTS = [
    "labs/ch9/tiny/checks.py", "labs/ch9/tiny/lab.toml", "labs/ch9/tiny/own.py", "labs/ch9/tiny/helper.py",
    "labs/ch9/tiny/given/back.yaml", "labs/ch9/tiny/data/deep/table.json", "labs/ch9/tiny/start/answer.txt",
    "labs/ch9/tiny/start/.dockerignore", "shared/main.go", "images/tiny/Dockerfile", "images/engine/Dockerfile",
    "images/node/Dockerfile", "images/probe/Dockerfile", "grading/replay.py", "grading/result-1.schema.json",
    "machine/data/admission.yaml", "catalog.py",
]  # fmt: skip
ASIDE = [
    "labs/ch9/tiny/README.ko.md", "labs/ch9/tiny/README.en.md", "labs/ch9/tiny/solution/notes.txt",
    "labs/ch9/tiny/mutants/four/answer.txt", "labs/ch9/tiny/__pycache__/own.pyc", "labs/ch9/tiny/.cache/x",
    "labs/ch9/tiny/data/.DS_Store", "images/other/Dockerfile", "grading/__pycache__/replay.pyc",
]  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_whatever_decides_and_changed_is_graded_anew(answered: tuple[Entry, Lab], tmp_path: Path, name: str) -> None:
    before = key_of(*answered)
    assert key_of(*answered) == before
    file = tmp_path / name
    file.write_text(f"{file.read_text()}\n# changed\n")
    journal.digest_of_grader.cache_clear()  # what another process reads
    assert key_of(*answered) != before
    file.rename(file.with_name("renamed"))
    journal.digest_of_grader.cache_clear()
    assert key_of(*answered) != before


@pytest.mark.parametrize("name", ASIDE)
def test_what_decides_nothing_is_not_graded_anew(answered: tuple[Entry, Lab], tmp_path: Path, name: str) -> None:
    before = key_of(*answered)
    (tmp_path / name).write_text("changed")
    journal.digest_of_grader.cache_clear()
    assert key_of(*answered) == before


def test_another_official_image_is_graded_anew(
    answered: tuple[Entry, Lab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key_of(*answered)
    shutil.copytree(tmp_path / "images", tmp_path / "newer")
    monkeypatch.setattr(paths, "IMAGES", tmp_path / "newer")
    assert key_of(*answered) == before
    shutil.copytree(tmp_path / "images", tmp_path / "newest")
    monkeypatch.setattr(paths, "IMAGES", tmp_path / "newest")
    (tmp_path / "newest/tiny/image.toml").write_text(f'upstream = "tiny@sha256:1"\n{IMAGE.format(name="tiny")}')
    assert key_of(*answered) != before


def test_a_lab_is_read_once_for_a_whole_class(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = journal.digest_of_lab
    monkeypatch.setattr(class_run, "digest_of_lab", lambda lab: read.append(lab.id) or real(lab))
    names = tuple(f"l{number:04}" for number in range(1000))
    roster = Roster(names, tuple(Entry(name, lab.id, lab.solution, name) for name in names))
    course = class_run._planned(roster, [lab], Journal(tmp_path))
    assert read == [lab.id]
    assert len({plan.key for plan in course.todo}) == 1000
    assert course.todo[0].key == key_of(roster.entries[0], lab)


def test_a_line_that_was_cut_off_does_not_count(home: Path, tmp_path: Path) -> None:
    row = Row("ann", "ch9/tiny", "ann", "not_submitted")
    with Journal(tmp_path).open() as journal:
        journal.write("k1", row)
        journal.write("k2", row)
    whole = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole[:-20])
    with Journal(tmp_path).open() as journal:
        assert journal.known("k1") == row
        assert journal.known("k2") is None
        journal.write("k2", row)
    assert (tmp_path / NAME).read_bytes() == whole


def test_a_name_that_no_encoding_can_write_is_written_and_read_back(tmp_path: Path) -> None:
    """A file's name is bytes: what of it is no UTF-8, Python reads as half characters."""
    row = Row(
        learner="\udc80", lab="ch9/tiny", source="kim\udcff.zip", state="refused", reason={"en": "\ud800", "ko": ""}
    )
    with Journal(tmp_path).open() as journal:
        journal.write("k", row)
    with Journal(tmp_path).open() as journal:
        assert journal.known("k") == row


def test_two_graders_at_one_journal(home: Path, tmp_path: Path) -> None:
    with Journal(tmp_path).open(), pytest.raises(UsageError):
        Journal(tmp_path).open().__enter__()


def test_no_such_folder(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        graded(lab, tmp_path / "nothing")


def test_what_is_no_class_leaves_nothing_behind(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("nothing", "empty"):
        with pytest.raises(UsageError):
            graded(lab, tmp_path / name)
    with pytest.raises(UsageError):
        graded(lab, tmp_path / "labs", overlay=tmp_path / "no-overlay")
    assert not (tmp_path / "results").exists()


def test_a_second_grader_grades_nobody(lab: Lab, classroom: Callable[..., Path], count: Path) -> None:
    folder = classroom(ann="3")
    with Journal(folder.with_name("results")).open(), pytest.raises(UsageError, match="Another grader"):
        graded(lab, folder)
    assert not count.exists()


def test_two_answers_that_differ_are_undecided_not_failed(lab: Lab, classroom: Callable[..., Path]) -> None:
    folder = classroom(ann="3", ben="die")
    shutil.copytree(folder / "ann", folder / "again")
    (folder / "again/ch9/tiny/answer.txt").write_text("4")
    report = graded(lab, folder)
    (ann,), (ben,) = report.ungraded(undecided=True), report.ungraded(undecided=False)
    assert (ann.learner, ann.attempts, ann.undecided, ann.earned) == ("ann", 0, True, None)
    assert (ben.learner, ben.attempts, ben.undecided) == ("ben", ATTEMPTS, False)


def test_places() -> None:
    told: list[object] = []
    places = Places(2, told.append)
    for who in "abcd":
        places.want(who)
    assert told == ["a", "b"]
    places.free("c")  # lost while it waited
    places.free("a")
    assert told == ["a", "b", "d"]
    places.free("a")  # a second word changes nothing
    assert told == ["a", "b", "d"]


def test_killed_twice_and_run_again(lab: Lab, classroom: Callable[..., Path], count: Path, tmp_path: Path) -> None:
    """The grader is killed as the system kills; its workers end by themselves; nothing is lost or graded twice."""
    folder = classroom(**{f"l{number:02}": "3" if number % 2 else "4" for number in range(12)})
    program = (
        "import sys; from pathlib import Path; from hello_k8s.catalog import read_lab; "
        "from hello_k8s.classroom.run import grade_class; root = Path(sys.argv[1]); "
        "grade_class(Path(sys.argv[2]), labs=[read_lab(root / 'ch9/tiny', root)], output=Path(sys.argv[3]), workers=2)"
    )
    results = folder.with_name("results")
    for wanted in (2, 5):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "labs"), str(folder), str(results)],
            cwd=paths.ROOT, env={**os.environ, "PYTHONPATH": str(paths.ROOT)},
        )  # fmt: skip
        until = time.monotonic() + 60
        while _rows(results) < wanted and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = _rows(results)
    report = graded(lab, folder)
    assert [row.earned for row in report.rows] == [2 if number % 2 else 0 for number in range(12)]
    keys = [json.loads(line)["key"] for line in (results / NAME).read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 12
    assert kept >= 5


def _rows(results: Path) -> int:
    try:
        return (results / NAME).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def test_ctrl_c_says_how_to_go_on(lab: Lab, classroom: Callable[..., Path], count: Path, tmp_path: Path) -> None:
    folder = classroom(ann="3", ben="slow", cho="4")
    program = (
        "import sys; from pathlib import Path; from hello_k8s import cli, paths; paths.LABS = Path(sys.argv[1]); "
        "cli.main(['grade', sys.argv[2], '--lab', 'ch9/tiny', '--output', sys.argv[3]])"
    )
    results = folder.with_name("results")
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "labs"), str(folder), str(results)],
        cwd=paths.ROOT, env={**os.environ, "PYTHONPATH": str(paths.ROOT)}, stdout=subprocess.PIPE, text=True,
        # in a background job of a shell SIGINT is ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout is not None
    said: list[str] = []
    while sum("ch9/tiny: " in line for line in said) < 2:  # a line for each row, once it is kept
        said.append(process.stdout.readline())
        assert said[-1], "".join(said)
    until = time.monotonic() + 60
    while "slow" not in count.read_text() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "2 of 3" in printed and "same command" in printed
    assert _rows(results) == 2
