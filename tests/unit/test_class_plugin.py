"""`pytest labs --submissions=DIR`: each check for each learner, in one process and in several, and when one is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from hello_k8s import paths
from hello_k8s.catalog import Lab
from hello_k8s.classroom import plugin
from hello_k8s.grading.plugin import GRADING
from hello_k8s.grading.subjects import CLASS, Class, Grading, place_of
from hello_k8s.grading.verdict import Result

LAB = """
order = 1
needs = []
minutes = 1
deliverables = ["answer.txt"]
check = "replay"
title = { ko = "작은", en = "tiny" }
"""
CHECK = """
[checks.%s]
points = 2
question = { ko = "%s?", en = "%s?" }
hints = { ko = [], en = [] }
"""
CHECKS = '''
import os, pathlib
import pytest
from hello_k8s.errors import ClusterError
from hello_k8s.grading.verdict import TimedOut

LOG = pathlib.Path(os.environ["CLASS_LOG"])


@pytest.fixture(scope="module")
def once():
    """What a module keeps is a learner's own."""
    return []


def said(submission, name):
    with LOG.open("a") as log:
        log.write(f"{os.getpid()} {submission.text('answer.txt').strip()} {name}\\n")
    return submission.text("answer.txt").strip()


def test_number(submission, once):
    once.append(said(submission, "number"))
    assert once == ["3"], once


def test_machine(submission, once):
    once.append(said(submission, "machine"))
    assert len(once) == 2
    if once[-1] == "silent":
        raise ClusterError("the cluster is silent")
    if once[-1] == "deadly":
        os._exit(3)
    if once[-1] == "late":
        raise TimedOut(1, {"ko": "늦음", "en": "late"})
'''

Pytest = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    left_out = shutil.ignore_patterns("__pycache__", "booktools", "cli", "data")
    shutil.copytree(paths.ROOT / "hello_k8s", root / "hello_k8s", ignore=left_out)
    shutil.copy(paths.ROOT / "pyproject.toml", root)
    for section in ("tiny", "other"):
        folder = root / "labs/ch9" / section
        for part, text in (("start", "__"), ("solution", "3")):
            (folder / part).mkdir(parents=True)
            (folder / part / "answer.txt").write_text(text)
        (folder / "checks.py").write_text(CHECKS)
        (folder / "lab.toml").write_text(LAB + "".join(CHECK % (name, name, name) for name in ("number", "machine")))
    return root


@pytest.fixture
def run(checkout: Path, tmp_path: Path) -> Pytest:
    def pytest_(*arguments: str) -> subprocess.CompletedProcess[str]:
        told = {
            "HELLO_K8S_LANG": "en", "HELLO_K8S_WORKSPACE": str(tmp_path / "workspace"),
            "HELLO_K8S_STATE": str(tmp_path / "state"), "CLASS_LOG": str(tmp_path / "log"),
            "PYTHONUTF8": "1",
        }  # fmt: skip
        if "-n" not in arguments:  # the workers find xdist by its entry point
            told["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        command = [sys.executable, "-m", "pytest", "-rA", *arguments]
        return subprocess.run(
            command, cwd=checkout, env={**os.environ, **told}, capture_output=True, text=True, timeout=900
        )

    return pytest_


@pytest.fixture
def hand_in(tmp_path: Path) -> Callable[..., Path]:
    def make(**answers: str) -> Path:
        for number, (learner, answer) in enumerate(answers.items()):
            folder = tmp_path / "class" / f"from {learner}"
            (folder / "ch9/tiny").mkdir(parents=True)
            (folder / "learner.toml").write_text(f'id = "{learner}"\nseed = {number + 1}\n', "utf-8")
            (folder / "ch9/tiny/answer.txt").write_text(answer)
            (folder / "ch9/tiny/conftest.py").write_text("raise SystemExit('run')\n")
        return tmp_path / "class"

    return make


def rows(stdout: str) -> dict[tuple[str, str], str]:
    """The table at the end: (learner, lab) → points."""
    table = stdout.split(" class ===")[-1].split("\n===")[0]
    found = [line.split(None, 2) for line in table.splitlines() if " ch9/" in line]
    return {(learner, lab): points for learner, lab, points in found}


SEVERAL = ("-n", "2", "--max-worker-restart=3")
EXPECTED = {
    ("kim", "ch9/tiny"): "4/4", ("kim", "ch9/other"): "0/4 (not submitted)",
    ("lee", "ch9/tiny"): "2/4", ("lee", "ch9/other"): "0/4 (not submitted)",
    ("silent", "ch9/tiny"): "ungraded", ("silent", "ch9/other"): "0/4 (not submitted)",
    ("김하나", "ch9/tiny"): "4/4", ("김하나", "ch9/other"): "0/4 (not submitted)",
}  # fmt: skip


def test_a_class_in_one_process(run: Pytest, hand_in: Callable[..., Path], tmp_path: Path) -> None:
    folder = hand_in(kim="3", lee="5", silent="silent", 김하나="3\n")
    (folder / "stranger").mkdir()
    (folder / "stranger/answer.txt").write_text("3")
    done = run("labs", f"--submissions={folder}", f"--junitxml={tmp_path / 'j.xml'}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert rows(done.stdout) == EXPECTED, done.stdout
    assert "class: 4 learners, 4 answers" in done.stdout and done.stdout.count("stranger") == 2
    assert "checks.py::test_number[kim]" in done.stdout and "[김하나]" in done.stdout
    # an answer's checks ran one after another
    assert [line.split()[2] for line in (tmp_path / "log").read_text().splitlines()] == ["number", "machine"] * 4
    # a failure is the answer's, an error ours
    cases = ElementTree.parse(tmp_path / "j.xml").iter("testcase")
    told = {case.get("name"): {child.tag for child in case} for case in cases if "tiny" in str(case.get("classname"))}
    assert "failure" in told["test_number[lee]"] and "error" in told["test_machine[silent]"]
    assert not {"failure", "error"} & told["test_machine[lee]"]


def test_a_time_out_is_confirmed_right_after_it(run: Pytest, hand_in: Callable[..., Path], tmp_path: Path) -> None:
    """Not at the class's end, when nothing is to be seen any more of what may have been the machine's fault."""
    done = run("labs/ch9/tiny", f"--submissions={hand_in(adam='late', kim='3')}")
    assert rows(done.stdout) == {("adam", "ch9/tiny"): "0/4", ("kim", "ch9/tiny"): "4/4"}, done.stdout
    graders = [int(line.split()[0]) for line in (tmp_path / "log").read_text().splitlines()]
    ours, solution = graders[0], graders[2]
    assert solution != ours and graders == [ours, ours, solution, solution, ours, ours]


@pytest.mark.parametrize("several", [(), SEVERAL], ids=["one process", "several"])
def test_what_was_handed_in_twice_and_differs_is_no_zero(
    run: Pytest, hand_in: Callable[..., Path], several: tuple[str, ...]
) -> None:
    folder = hand_in(kim="3", lee="5")
    shutil.copytree(folder / "from lee", folder / "lee again")
    (folder / "lee again/ch9/tiny/answer.txt").write_text("3")
    done = run("labs", f"--submissions={folder}", *several)
    expected = {("kim", "ch9/tiny"): "4/4", ("kim", "ch9/other"): "0/4 (not submitted)",
                ("lee", "ch9/tiny"): "ungraded", ("lee", "ch9/other"): "0/4 (not submitted)"}  # fmt: skip
    assert rows(done.stdout) == expected, done.stdout


def test_a_class_in_several_processes_one_of_which_is_lost(
    run: Pytest, hand_in: Callable[..., Path], tmp_path: Path
) -> None:
    folder = hand_in(kim="3", lee="5", ben="deadly", silent="silent", 김하나="3\n")
    hidden = tmp_path / "hidden/ch9/tiny"
    hidden.mkdir(parents=True)
    (hidden / "overlay.toml").write_text(CHECK % ("bare", "bare", "bare") + "[checks.number]\npoints = 5\n")
    (hidden / "checks.py").write_text("def test_bare(submission):\n    assert submission.text('answer.txt') == '3'\n")
    file = "labs/ch9/tiny/checks.py"
    done = run(file, f"--submissions={folder}", f"--overlay={tmp_path / 'hidden'}", *SEVERAL)
    points = {learner: points for (learner, lab), points in rows(done.stdout).items() if lab == "ch9/tiny"}
    expected = {"ben": "ungraded", "kim": "9/9", "lee": "2/9", "silent": "ungraded", "김하나": "7/9"}
    assert points == expected, done.stdout
    assert f"{file}::test_bare[kim]" in done.stdout
    # an answer's checks ran in one process
    seen = [tuple(line.split()) for line in (tmp_path / "log").read_text().splitlines()]
    numbers = [(process, answer) for process, answer, name in seen if name == "number" and answer != "deadly"]
    assert len(numbers) == 4 and all((*pair, "machine") in seen for pair in numbers)


def test_a_result_comes_out_of_several_processes_too(run: Pytest, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/answer.txt").write_text("3")
    file = tmp_path / "result.json"
    done = run("labs/ch9/tiny", f"--submission={tmp_path / 'one'}", f"--result={file}", *SEVERAL)
    assert done.returncode == 0 and "ch9/tiny: 4 of 4 points" in done.stdout, done.stdout
    result = Result.from_json(file.read_text())
    assert (result.earned, [check.id for check in result.checks]) == (4, ["number", "machine"])
    assert result.files["answer.txt"].startswith("sha256:")


def test_a_check_that_was_never_heard_of_again_is_ours(labs: Path, small: Lab) -> None:
    grading = Grading(None)
    ids = [
        f"labs/ch1/small/checks.py::test_{check}[{name}]" for name in ("kim", "lee") for check in ("first", "second")
    ]
    grading.expect_ids([*ids, "tests/unit/test_x.py::test_y[kim]"], ("kim", "lee"))
    grading.gather({small.id: small}, ("kim", "lee"))
    assert [each.learner for each in grading.outcomes] == ["kim", "lee"]
    for each in grading.outcomes:
        assert [check.verdict for check in each.result.checks] == ["errored"] * 2
        assert not each.result.graded and each.result.to_dict()["earned"] is None


def test_every_learner_has_a_name_of_its_own() -> None:
    names = Class(("a b", "a_b", "a/b", "김하나", "k@x.org", "a-b"), {}).names
    assert names == ("a_b", "a_b_2", "a_b_3", "김하나", "k@x.org", "a-b")
    assert place_of("labs/ch1/x/checks.py::test_a[a-b]", names) == ("ch1/x", 5, "a")
    assert place_of("labs/ch1/x/checks.py::test_a[a-b:-3-k@x.org]", names) == ("ch1/x", 5, "a")
    assert place_of("labs/ch1/x/checks.py::test_a[3]", names) is None
    assert place_of("labs/ch1/x/checks.py::test_a[3]", ()) == ("ch1/x", 0, "a")


def configured(tmp_path: Path, **options: object) -> None:
    """The plugin with these options, as pytest would call it."""
    given = {"--submission": None, "--as-submitted": False, "--result": None, "--submissions": str(tmp_path)}
    given |= {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    plugin.pytest_configure(SimpleNamespace(getoption=given.get, stash=pytest.Stash()))  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["submission", "as_submitted", "result"])
def test_options_that_dont_fit(home: Path, tmp_path: Path, option: str) -> None:
    with pytest.raises(pytest.UsageError, match="can't be combined"):
        configured(tmp_path, **{option: "x"})


def test_a_class_needs_somebody_in_it(labs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        with pytest.raises(pytest.UsageError, match=folder):
            configured(tmp_path, submissions=str(tmp_path / folder))


def test_a_class_needs_labs() -> None:
    config = SimpleNamespace(stash=pytest.Stash())
    config.stash[CLASS], config.stash[GRADING] = Class(("kim",), {}), Grading(None)
    with pytest.raises(pytest.UsageError, match="pytest labs --submissions=DIR"):
        plugin.pytest_collection_modifyitems(config)  # type: ignore[arg-type]
