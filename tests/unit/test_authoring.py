"""A section is one folder; a scaffold says what is to be written; a lab is proved by what it must refuse."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from hello_k8s import authoring, catalog, notebooks, paths
from hello_k8s.authoring import lint
from hello_k8s.catalog import Lab
from hello_k8s.cli.results import show_verification
from hello_k8s.errors import UsageError
from hello_k8s.grading.verdict import CheckResult, Result

from .conftest import write

REPOSITORY = Path(__file__).resolve().parents[2]


def code_cell(source: str, **more: object) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(source, id=f"c{abs(hash(source)) % 10**6}", execution_count=1, **more)


@pytest.fixture
def whole(small: Lab) -> Lab:
    """ch1/small with its pages and notebooks: nothing is wrong with it."""
    for tongue, title in (("ko", "# 작은 실습"), ("en", "# A small lab")):
        write(paths.BOOK / tongue / "ch1", {"small.md": f"{title}\n"})
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_markdown_cell(title, id="t"), code_cell("%load_ext hello_k8s.jupyter")],
            metadata={"language_info": {"name": "python"}},
        )
        file = notebooks.file_of(small, tongue)
        file.parent.mkdir(parents=True)
        nbformat.write(notebook, file)
    return small


def told(lab: Lab) -> list[str]:
    return [problem.text for problem in lint.problems(lab)]


def again(lab: Lab) -> Lab:
    return catalog.read_lab(lab.folder, paths.LABS)


def test_a_whole_section_has_nothing_to_do(whole: Lab) -> None:
    assert told(whole) == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("README.ko.md", None, "README.ko.md is missing"),
        ("README.en.md", " \n", "README.en.md is empty"),
        ("README.en.md", "# A small lab\n\n```bash\ndocker build -t x .\n```\n", "code blocks"),
        ("README.en.md", "# A small lab\n\n## More\n\n```bash\ndocker build .\n```\n", "headings"),
        ("README.en.md", "# ✎ Write me\n\n```bash\ndocker build .\n```\n", "README.en.md:1: Write me"),
        ("checks.py", None, "checks.py is missing"),
        ("checks.py", "def test_first(:\n", "checks.py: line 1"),
        ("checks.py", "def test_first():\n    pass\n", "no test_second"),
        ("checks.py", "def test_first(): ...\ndef test_second(): ...\ndef test_third(): ...\n", "test_third isn't in"),
        ("checks.py", "import docker\ndef test_first(): ...\ndef test_second(): ...\n", "`docker`"),
        ("solution/Dockerfile", None, "solution/Dockerfile is missing"),
        ("mutants/wrong/Dockerfile", "FROM scratch\nUSER 65534\n", "doesn't differ"),
        ("mutants/wrong/Dockerfile", "FROM x\n" + "#\n" * 9 + "USER root\n", None),
        ("mutants/extra/Dockerfile", "FROM x\n", "mutants/extra isn't in lab.toml"),
        ("mutants/wrong/sub/notes.txt", "also wrong\n", "2 places"),
    ],
)
def test_what_is_missing_or_wrong_is_named(whole: Lab, name: str, text: str | None, expected: str | None) -> None:
    if text is None:
        (whole.folder / name).unlink()
    else:
        write(whole.folder, {name: text})
    if expected:
        assert any(expected in problem for problem in told(whole)), told(whole)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('hints.en = ["Where to look", "What to change"]', 'hints.en = ["Where"]', "two levels of hints"),
        ('needs = ["docker"]', 'needs = ["docker", "image:nowhere"]', "images/nowhere"),
        ('needs = ["docker"]', 'needs = ["docker", "addon:nowhere"]', "addons/nowhere"),
        ('check = "replay"', 'check = "replay"\ninclude = { a = "no/such" }', "no/such"),
        ('check = "replay"', 'check = "replay"\nreplay = { apply = ["no.yaml"] }', "no.yaml"),
        ('fails = ["second"]', 'fails = ["first"]', "No mutant fails `second`"),
        ('fails = ["second"]', "fails = []", "mutants.other fails nothing"),
        ("[mutants.other]", "[mutants.third]", "mutants/third is missing"),
    ],
)
def test_lab_toml_is_held_against_the_folder(whole: Lab, old: str, new: str, expected: str) -> None:
    text = (whole.folder / "lab.toml").read_text("utf-8")
    assert old in text
    changed = text.replace(old, new, 1).replace('hints.ko = ["어디를 볼지", "무엇을 바꿀지"]', 'hints.ko = ["어디"]') \
        if "hints" in old else text.replace(old, new, 1)  # fmt: skip
    write(whole.folder, {"lab.toml": changed})
    assert any(expected in problem for problem in told(again(whole))), told(again(whole))


def test_a_missing_page_and_notebook_are_named_and_do_not_hinder_grading(whole: Lab) -> None:
    (paths.BOOK / "en" / "ch1" / "small.md").unlink()
    notebooks.file_of(whole, "ko").unlink()
    found = list(lint.problems(whole))
    assert ["book/en/ch1/small.md is missing" in p.text or "notebooks/ko/ch1" in p.text for p in found] == [True, True]
    assert not any(problem.of_lab for problem in found)


def test_places_are_counted_as_a_reader_of_the_diff_would(whole: Lab) -> None:
    base = [f"line {number}" for number in range(40)]
    write(whole.folder, {"solution/Dockerfile": "\n".join(base)})
    (wrong, _) = whole.mutants
    for changed, places in (((3,), 1), ((3, 5), 1), ((3, 30), 2)):
        lines = [f"{line} changed" if number in changed else line for number, line in enumerate(base)]
        write(whole.folder, {"mutants/wrong/Dockerfile": "\n".join(lines)})
        assert lint.places_of(whole, wrong) == places


# -- verify


def graded(lab: Lab, folder: Path, **verdicts: str) -> Result:
    checks = tuple(
        CheckResult(check.id, check.question, check.points, verdicts.get(check.id, "passed"))  # type: ignore[arg-type]
        for check in lab.checks
    )
    return Result(lab.id, "solution", "replay", "2026-01-01T00:00:00Z", checks)


def honest(lab: Lab, folder: Path, *, mode: str, kind: str, progress: object = None) -> Result:
    """A grader that reads the files: what each submission holds decides."""
    assert mode == "replay" and (folder / "given.txt").exists()
    docker, notes = (folder / "Dockerfile").read_text(), (folder / "sub" / "notes.txt").read_text()
    verdicts = {}
    if "USER 65534" not in docker:
        verdicts["first"] = "failed"
    if notes != "solved\n":
        verdicts["second"] = "failed"
    return graded(lab, folder, **verdicts)


@pytest.mark.usefixtures("verified_here")
def test_verify_proves_a_lab(whole: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hello_k8s.grading.grade", honest)
    report = authoring.verify(whole)
    assert report.ok, str(report)
    assert [run.name for run in report.runs] == ["start", "solution", "wrong", "other"]
    assert authoring.grade_solution(whole).passed


def test_a_grading_whose_process_is_lost_proves_nothing(whole: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        authoring.side_by_side, "graded", lambda _, submissions, __: ["exit code -9"] * len(submissions)
    )
    report = authoring.verify(whole)
    assert not report.ok and not any(run.ok for run in report.runs) and "exit code -9" in str(report)


@pytest.mark.usefixtures("verified_here")
@pytest.mark.parametrize(
    ("kind", "verdicts", "fails"),
    [
        ("start", {}, "start"),
        ("start", {"first": "errored"}, "start"),
        ("solution", {"first": "failed"}, "solution"),
        ("solution", {"first": "errored"}, "solution"),
        ("mutant", {}, "wrong"),
        ("mutant", {"first": "failed", "second": "failed"}, "wrong"),
        ("mutant", {"first": "errored"}, "wrong"),
    ],
)
def test_verify_refuses_a_lab_that_does_not_grade_what_it_says(
    whole: Lab, monkeypatch: pytest.MonkeyPatch, kind: str, verdicts: dict[str, str], fails: str
) -> None:
    def grade(lab: Lab, folder: Path, *, mode: str, kind: str, lie: str = kind) -> Result:
        return graded(lab, folder, **verdicts) if kind == lie else honest(lab, folder, mode=mode, kind=kind)

    monkeypatch.setattr("hello_k8s.grading.grade", grade)
    report = authoring.verify(whole)
    assert not report.ok and fails in [run.name for run in report.runs if not run.ok]
    assert fails in str(report)


@pytest.mark.usefixtures("verified_here")
def test_nothing_is_graded_while_the_labs_own_files_have_problems(whole: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> Result:
        raise AssertionError("graded")

    monkeypatch.setattr("hello_k8s.grading.grade", never)
    assert authoring.verify(whole, static=True).ok
    (whole.folder / "README.en.md").unlink()
    # nor is the machine asked for: the to-do list needs neither Docker nor images
    report = authoring.verify(whole, prepare=never)
    assert not report.ok and not report.runs


def test_what_was_only_read_is_not_called_proved(whole: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    show_verification(authoring.verify(whole, static=True))
    said = capsys.readouterr().out
    assert "nothing was graded" in said and "proved" not in said


# -- new


@pytest.mark.parametrize("name", ["squash", "ch1/Squash", "ch1/", "../ch1/x", "ch1/a/b", "chx/a"])
def test_an_id_that_cannot_be_one_writes_nothing(labs: Path, name: str) -> None:
    before = tree(labs.parent)
    with pytest.raises(UsageError):
        authoring.new(name)
    assert tree(labs.parent) == before


def test_an_existing_section_is_left_alone(whole: Lab) -> None:
    before = tree(paths.ROOT)
    with pytest.raises(UsageError):
        authoring.new("ch1/small")
    write(paths.BOOK / "en" / "ch1", {"page-only.md": "mine\n"})
    with pytest.raises(UsageError):
        authoring.new("ch1/page-only")
    assert not (paths.LABS / "ch1" / "page-only").exists()
    (paths.BOOK / "en" / "ch1" / "page-only.md").unlink()
    assert tree(paths.ROOT) == before


def tree(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and ".state" not in file.parts
    }


def test_a_section_is_one_folder(tmp_path: Path) -> None:
    """A scaffold appears in list, book and verify, and no file that was there has changed."""
    checkout = tmp_path / "checkout"
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("hello_k8s", "labs", "book", "notebooks", "images", "addons", "go-app"):
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, checkout / name, ignore=ignore)
    for name in ("_config.yml", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, checkout / name)
    before = tree(checkout)

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ, "PYTHONPATH": str(checkout), "HELLO_K8S_LANG": "en",
            **{f"HELLO_K8S_{name}": str(tmp_path / name) for name in ("STATE", "WORKSPACE", "CACHE")},
        }  # fmt: skip
        command = [sys.executable, *argv]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=checkout, timeout=120)

    assert run("-m", "hello_k8s", "lab", "new", "ch1/zz-new").returncode == 0
    assert "ch1/zz-new" in run("-m", "hello_k8s", "lab", "list").stdout
    verified = run("-m", "hello_k8s", "lab", "verify", "ch1/zz-new", "--static")
    assert verified.returncode == 1
    for file in ("lab.toml", "README.ko.md", "checks.py", "solution/Dockerfile", "book/en/ch1", "notebooks/ko/ch1"):
        assert file in verified.stdout, f"the to-do list doesn't name {file}"
    contents = run("-c", "from hello_k8s import book; print(book.toc('ko'), book.toc('en'))")
    assert contents.stdout.count("ch1/zz-new") >= 2, contents.stderr
    after = tree(checkout)
    assert {name: after[name] for name in before} == before
    assert all("zz-new" in name for name in after.keys() - before.keys())
