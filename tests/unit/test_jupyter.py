"""The extension: `%%bash` stops at the first failure, `%lab` shows what the terminal shows."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from hello_k8s import jupyter, language, workspace
from hello_k8s.catalog import Lab
from hello_k8s.cli import results
from hello_k8s.grading.verdict import CheckResult, Result


@pytest.fixture
def shell(home: object) -> Iterator[Any]:
    before = dict(os.environ)
    shell = InteractiveShell()
    assert shell.run_cell("%load_ext hello_k8s.jupyter").success
    yield shell
    shell.run_cell("%reset -f")
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize(
    ("script", "good"),
    [("false | true", False), ("false\ntrue", False), ("echo $nowhere_to_be_found", False), ("true | cat", True)],
)
def test_bash_is_strict(shell: Any, script: str, good: bool, capfd: pytest.CaptureFixture[str]) -> None:
    assert shell.run_cell(f"%%bash\n{script}").success is good


def test_bash_keeps_its_own_options(shell: Any) -> None:
    assert shell.run_cell("%%bash --no-raise-error\nfalse").success
    assert shell.run_cell("%%bash --out caught\necho hi").success
    assert shell.user_ns["caught"] == "hi\n"


def test_kubectl_means_our_cluster(shell: Any, home: Any) -> None:
    assert os.environ["KUBECONFIG"].startswith(str(home / "state"))


def result(lab: Lab, verdict: str = "failed") -> Result:
    one, two = lab.checks
    return Result(
        lab.id, "workspace", "replay", "2026-01-01T00:00:00Z",
        (
            CheckResult(one.id, one.question, one.points, "passed"),
            CheckResult(
                two.id, two.question, two.points, verdict,  # type: ignore[arg-type]
                message={"ko": "왜 <b>", "en": "why <b>"}, diagnosis=({"ko": "까닭", "en": "the cause & more"},),
                evidence=("fact <1>", "fact 2"),
            ),
        ),
        seconds=1.5, drift=({"ko": "다름", "en": "differs"},), rewrites=("a → b",),
    )  # fmt: skip


def text_of(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", markup))


@pytest.mark.parametrize("tongue", language.LANGUAGES)
@pytest.mark.parametrize("verdict", ["passed", "failed", "timed_out", "errored", "not_submitted"])
def test_notebook_and_terminal_say_the_same(
    small: Lab, tongue: str, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    language.use(tongue)
    graded = result(small, verdict)
    results.show(small, graded)
    terminal = capsys.readouterr().out
    shown = jupyter.show(small, graded)
    words = re.sub(r"\s+", "", text_of(shown._repr_html_()).replace("·", ""))
    for line in filter(None, map(str.strip, terminal.splitlines())):
        for part in re.split(r"\s{2,}| · |│ ", line):
            assert re.sub(r"\s+", "", part).replace("·", "") in words, part
        assert line in re.sub(r" +", " ", repr(shown)) or line in repr(shown), line
    assert f"lang='{tongue}'" in shown._repr_html_() and "<b>" not in shown._repr_html_()


def test_the_learners_way(small: Lab, monkeypatch: pytest.MonkeyPatch, shell: Any) -> None:
    monkeypatch.setattr("hello_k8s.workspace.readiness.prepare", lambda lab, progress: None)
    monkeypatch.setattr("hello_k8s.grading.grade", lambda lab, *_, **__: result(lab))
    assert "A small lab" in repr(jupyter.lab("list"))
    assert "Dockerfile" in repr(jupyter.lab("start ch1/small"))
    assert "2 of 5 points" in repr(jupyter.lab("check"))
    assert "Second: where" in repr(jupyter.lab("hint"))
    assert "Where to look" in repr(jupyter.lab("hint first"))
    assert "lab reset" not in repr(jupyter.lab("reset ch1/small --empty"))
    assert (workspace.folder_of(small) / "Dockerfile").read_text() == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [("", "%lab list"), ("bogus", "`bogus`"), ("start ch1/smal", "ch1/small"), ("check --fast", "--fast"),
     ("check a/b c/d", "%lab list"), ("check ch1/small", "lab start ch1/small")],
)  # fmt: skip
def test_an_error_is_shown_as_what_why_next(small: Lab, line: str, said: str) -> None:
    shown = jupyter.lab(line)
    assert said in repr(shown) and repr(shown).startswith("✗")
    assert said in text_of(shown._repr_html_())
