"""answers.toml: read as data, kind by kind; what says the same is the same, what is wrong is said where it is."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import authoring, catalog, workspace
from hello_k8s.authoring import answers as proving
from hello_k8s.authoring import lint
from hello_k8s.catalog import Lab
from hello_k8s.grading import Unmet, grade, own
from hello_k8s.grading.answers import Answers, read, written
from hello_k8s.grading.own import PROOF_SEED, Dice, seed_of
from hello_k8s.workspace.identity import learner

from .conftest import FILES, LAB_TOML, write


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_K8S_LANG", "en")


def answers(text: str) -> Answers:
    return Answers(read(text))


@pytest.mark.parametrize(
    ("text", "reader", "expected"),
    [
        ('a = "x"', "string", "x"),
        ("a = 10001", "string", "10001"),
        ("a = 5", "integer", 5),
        ('a = "5"', "integer", 5),
        ('a = ["x", "y"]', "count", 2),
        ("a = 2", "count", 2),
        ('a = ["/app", "serve"]', "strings", ["/app", "serve"]),
        ('a = "/app serve"', "strings", ["/app", "serve"]),
        ("""a = '["/app","serve"]'""", "strings", ["/app", "serve"]),
        ("""a = "/app 'two words'" """, "strings", ["/app", "two words"]),
        ("a = []", "strings", []),
        ("a = 8080", "port", "8080/tcp"),
        ('a = "8080"', "port", "8080/tcp"),
        ('a = "8080/TCP"', "port", "8080/tcp"),
        ('a = ["8080/udp"]', "port", "8080/udp"),
        ('[a]\n"8080/tcp" = {}', "port", "8080/tcp"),
        ('[a]\nX = "1"\nY = 2', "variables", {"X": "1", "Y": "2"}),
        ('a = ["X=1", "Y=2=3"]', "variables", {"X": "1", "Y": "2=3"}),
        ('a = "X=1 Y=2"', "variables", {"X": "1", "Y": "2"}),
        ("""a = '["X=1","Y=a b"]'""", "variables", {"X": "1", "Y": "a b"}),
    ],
)
def test_what_says_the_same_is_the_same(text: str, reader: str, expected: object) -> None:
    assert getattr(answers(text), reader)("a") == expected


@pytest.mark.parametrize(
    ("text", "reader", "said"),
    [
        ("", "string", "has no answer `a`"),
        ("aa = 1", "string", "Is `aa` meant"),
        ('[env]\na = "x"', "string", "below the header `[env]`"),
        ('a = "____"', "string", "still blank"),
        ('a = ["____"]', "strings", "still blank"),
        ('[a]\n"____" = "____"', "variables", "still blank"),
        ('a = ""', "string", "still blank"),
        ("a = true", "string", "expected a text"),
        ("a = 2026-11-24", "string", "expected a text"),
        ('a = "five"', "integer", "expected a whole number"),
        ("a = 1.5", "integer", "expected a whole number"),
        ("a = [1, 2]", "strings", "expected a list"),
        ('a = "http"', "port", "expected a port"),
        ('a = ["80", "81"]', "port", "expected a port"),
        ('a = ["X"]', "variables", "expected a table"),
        ("a = {X = true}", "variables", "expected a table"),
    ],
)
def test_what_cannot_be_used_is_said(text: str, reader: str, said: str) -> None:
    with pytest.raises(Unmet, match=r"answers\.toml") as unmet:
        getattr(answers(text), reader)("a")
    assert said in str(unmet.value)
    assert unmet.value.texts["ko"] != unmet.value.texts["en"]


def test_a_choice_is_one_of_those_given() -> None:
    assert answers('a = "Builder"').choice("a", ("builder", "store")) == "builder"
    with pytest.raises(Unmet, match=r"Did you mean: builder\?"):
        answers('a = "bulider"').choice("a", ("builder", "store"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a = "x"\nb = root\n', "line 2, column 5"),
        ("a = ", "not valid TOML"),
        ("a = 1\na = 2", "not valid TOML"),
        ('a = "x', "not valid TOML"),
        ("a = " + "9" * 5000, "not valid TOML"),
        ("a = " + "[" * 3000 + "]" * 3000, "not valid TOML"),
    ],
)
def test_a_mistake_in_the_toml_is_placed(text: str, said: str) -> None:
    with pytest.raises(Unmet, match="not valid TOML") as unmet:
        read(text)
    assert said in str(unmet.value)


def test_what_is_written_is_read_again() -> None:
    values = {"a": 'x \\ "y" 가', "b": 3, "c": ["1", "2"], "d e": "", "t": {"X": "1", "Y Z": "2"}}
    assert tomllib.loads(written(values)) == values


def test_chance_is_the_same_everywhere() -> None:
    dice = Dice(7, "x")
    assert [dice.number(1, 6) for _ in range(8)] == [5, 5, 2, 3, 6, 5, 3, 6]
    assert len({tuple(Dice(seed, "x").number(0, 999) for _ in range(3)) for seed in range(100)}) > 90


# -- own.py

OWN = """
from hello_k8s.grading.own import Dice

def files(seed):
    return {"given.txt": f"{answers(seed)['first']}".encode()}

def answers(seed):
    dice = Dice(seed, "small")
    return {"first": dice.number(1, 10**9), "second": dice.pick(["a", "b", "c"])}

def wrong(seed):
    return {"other": {"first": answers(seed)["first"] + 5}, "wrong": {"second": "z"}}
"""
CHECKS = """
def test_first(answers, own):
    assert answers.integer("first") == own["first"], answers.said("first")

def test_second(answers, own):
    assert answers.string("second") == own["second"], answers.said("second")
"""


@pytest.fixture
def asking(home: Path) -> Lab:
    """A lab that asks everybody something else."""
    folder = home / "labs" / "ch1" / "small"
    text = LAB_TOML.replace('["Dockerfile", "sub/notes.txt"]', '["answers.toml"]')
    text = text.replace('[mutants.wrong]\nfails = ["first"]', '[mutants.wrong]\nfails = ["second"]')
    text = text.replace('[mutants.other]\nfails = ["second"]', '[mutants.other]\nfails = ["first"]')
    write(folder, {name: text for name, text in FILES.items() if name.startswith("README")})
    write(folder, {"lab.toml": text, "own.py": OWN, "checks.py": CHECKS, "start/answers.toml": 'first = "____"\n'})
    lab = catalog.read_lab(folder, home / "labs")
    right = own.answers(lab, PROOF_SEED, "solution")
    texts = {
        "solution/answers.toml": written(right),
        "mutants/wrong/answers.toml": written({**right, "second": "z"}),
        "mutants/other/answers.toml": written({**right, "first": right["first"] + 5}),
    }
    write(folder, texts)
    return lab


def handed_in(folder: Path, seed: int, values: dict[str, Any], **files: str) -> Path:
    write(folder, {"learner.toml": f'id = "a"\nseed = {seed}\n', "ch1/small/answers.toml": written(values), **files})
    return folder / "ch1" / "small"


def test_a_question_follows_from_the_seed_alone(asking: Lab, tmp_path: Path) -> None:
    mine, yours = (own.answers(asking, seed, "submission") for seed in (11, 12))
    assert mine["first"] != yours["first"]
    folder = handed_in(tmp_path, 11, dict(mine))
    assert grade(asking, folder, kind="submission").passed
    assert grade(asking, folder, kind="submission", seed=11).passed
    passed_on = grade(asking, folder, kind="submission", seed=12)
    assert not passed_on.passed and passed_on.graded
    assert str(mine["first"]) in passed_on.checks[0].message["en"]
    assert str(yours["first"]) not in passed_on.to_json()  # a message never tells the right answer


STRANGE = ["", "seed = 0", "seed = -1", "seed = true", "seed = [", "a = " + "[" * 5000, "x = '" + "y" * 70_000 + "'"]


@pytest.mark.parametrize("told", STRANGE, ids=range(len(STRANGE)))
def test_whose_answers_they_are_must_be_known(asking: Lab, tmp_path: Path, told: str) -> None:
    folder = handed_in(tmp_path, 1, dict(own.answers(asking, PROOF_SEED, "solution")))
    (tmp_path / "learner.toml").write_text(told, "utf-8")
    result = grade(asking, folder, kind="submission")
    assert {check.verdict for check in result.checks} == {"failed"}
    assert "learner.toml" in result.checks[0].message["en"]
    assert seed_of(asking.solution, "solution") == PROOF_SEED


def test_start_and_broken_are_made_for_the_learner(asking: Lab) -> None:
    seed = learner().seed
    assert seed > 0
    folder = workspace.start(asking, broken=True).folder
    right = own.answers(asking, seed, "workspace")
    assert (folder / "given.txt").read_text() == str(right["first"])
    planted = tomllib.loads((folder / "answers.toml").read_text("utf-8"))
    assert {key for key in right if planted[key] != right[key]} <= {"first", "second"}
    (folder / "answers.toml").write_text(written(right), "utf-8")
    assert grade(asking, folder, kind="workspace").passed


@pytest.mark.usefixtures("verified_here")
def test_verify_makes_a_wrong_answer_for_each_key(asking: Lab) -> None:
    made = dict(proving.wrong_ones(asking))
    right = read((asking.solution / "answers.toml").read_text("utf-8"))
    assert list(made) == ["first", "second"]
    for key, text in made.items():
        assert {name for name, value in read(text).items() if value != right[name]} == {key}
    report = authoring.verify(asking)
    names = [run.name for run in report.runs if run.name.startswith("wrong: ")]
    assert names == ["wrong: first", "wrong: second"] and all(run.ok for run in report.runs if run.name in names)


@pytest.mark.usefixtures("verified_here")
def test_verify_finds_an_answer_that_nobody_looks_at(asking: Lab) -> None:
    write(asking.folder, {"checks.py": CHECKS.replace('answers.string("second") == own["second"]', "True")})
    (bad,) = (run for run in authoring.verify(asking).runs if run.name == "wrong: second")
    assert not bad.ok


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("solution/answers.toml", "second", "third", "second, third"),
        ("mutants/other/answers.toml", "second", "third", "mutants/other"),
        ("own.py", '"other"', '"another"', "mutants/other"),
        ("own.py", "{answers(seed)['first']}", "{id(object())}{__import__('time').monotonic_ns()}", "given.txt"),
        ("own.py", "dice.number", "dice.nmuber", "AttributeError"),
        ("own.py", "def wrong", "def wrnog", "AttributeError"),
    ],
)
def test_own_py_is_held_to_the_files(asking: Lab, name: str, old: str, new: str, said: str) -> None:
    assert not list(proving.problems(asking))
    text = (asking.folder / name).read_text("utf-8")
    write(asking.folder, {name: text.replace(old, new)})
    assert any(said in problem.text for problem in lint.problems(asking))
