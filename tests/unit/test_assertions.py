"""The mutation tester for checks.py, on a lab whose needless assertions are known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hello_k8s import authoring, catalog, paths
from hello_k8s.authoring.assertions import due, instrumented, unnoticed

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
points = 1
question = { ko = "?", en = "?" }
"""
MUTANT = """
[mutants.%s]
fails = %s
misconception = { ko = "-", en = "-" }
"""
Make = Callable[..., catalog.Lab]


@pytest.fixture
def make(labs: Path) -> Make:
    def lab(checks: str, mutants: dict[str, str]) -> catalog.Lab:
        shutil.copy(Path(authoring.__file__).parents[2] / "pyproject.toml", paths.ROOT)
        folder = labs / "ch9/tiny"
        texts = {"start": "0", "solution": "3"} | {f"mutants/{name}": text for name, text in mutants.items()}
        for name, text in texts.items():
            (folder / name).mkdir(parents=True)
            (folder / name / "answer.txt").write_text(text)
        names = [line.split("test_")[1].split("(")[0] for line in checks.splitlines() if line.startswith("def test_")]
        table = LAB + "".join(CHECK % name for name in names) + "".join(MUTANT % (m, names[:1]) for m in mutants)
        (folder / "lab.toml").write_text(table)
        (folder / "checks.py").write_text(checks)
        return catalog.read_lab(folder)

    return lab


def left(lab: catalog.Lab) -> list[tuple[int, str]]:
    return [(each.site.line, each.how) for each in unnoticed(lab)]


NUMBER = """from __future__ import annotations
import contextlib, pytest
from hello_k8s.grading import Unmet

@pytest.fixture(scope="module")
def number(tmp_path_factory):
    return []

"""


@pytest.mark.parametrize(
    ("body", "mutants", "expected"),
    [
        ("assert text == '3'", {"five": "5"}, []),
        ("assert text == '3'", {}, []),  # start is a wrong answer, too
        # nobody's answer is too long
        ("assert text != '0'\n    assert len(text) < 3", {}, [(2, "removed")]),
        ("assert text != '0'\n    assert len(text) < 3", {"long": "333"}, []),
        # what the second says the first has said
        ("assert text\n    assert text == '3'", {"none": ""}, [(1, "removed")]),
        # never reached
        ("assert text == '3'\n    if text == '4':\n        raise Unmet('x')", {}, [(3, "removed")]),
        ("if text != '3':\n        raise Unmet('x')", {}, []),
        ("if text != '3':\n        pytest.fail('x')", {}, []),
        # swallowed: neither way
        (
            "assert text == '3'\n    with contextlib.suppress(AssertionError):\n        assert text == '3'",
            {},
            [(3, "negated"), (3, "removed")],
        ),
        # retried
        ("def look():\n        assert text == '3'\n    eventually(look, within=0.2)", {}, []),
        # in a loop, and with a name bound in passing
        ("for one in text:\n        assert (n := int(one)) == 3\n    assert n == 3", {"five": "53"}, [(3, "removed")]),
    ],
)
def test_what_nobody_notices(make: Make, body: str, mutants: dict[str, str], expected: list[tuple[int, str]]) -> None:
    head = NUMBER + "def test_a(submission, eventually):\n    text = submission.text('answer.txt')\n"
    lines = len(head.splitlines())
    found = left(make(f"{head}    {body}\n", mutants))
    assert sorted(found) == [(lines + line, how) for line, how in expected]


def test_fixtures_and_helpers_count_and_are_made_anew(make: Make) -> None:
    checks = (
        "import pytest\n@pytest.fixture(scope='module')\ndef asked():\n    return []\n"
        "@pytest.fixture\ndef text(asked, submission):\n"
        "    asked.append(1)\n    assert len(asked) < 3, 'made anew'\n"
        "    said = submission.text('answer.txt')\n    assert said\n    return said\n"
        "def is_three(text):\n    assert text == '3'\n"
        "def test_a(text):\n    is_three(text)\n"
        "def test_b(text):\n    is_three(text)\n"
    )
    assert left(make(checks, {"none": ""})) == [(8, "removed"), (10, "removed")]


def test_a_checks_file_keeps_its_meaning() -> None:
    source = "from __future__ import annotations\nassert 1, 'one'\ndef f():\n    if x:\n        raise E\n    return 1\n"
    text, sites = instrumented(source)
    assert text.startswith("from __future__") and compile(text, "checks.py", "exec")
    assert [(site.line, site.negatable) for site in sites] == [(2, True), (5, True)]


def test_each_lab_has_its_turn() -> None:
    labs = ("a", "b", "c")
    assert [due(labs, day) for day in range(7, 11)] == [("b",), ("c",), ("a",), ("b",)]  # type: ignore[arg-type]
    assert due(()) == ()
