"""The extension: `%%bash` stops at the first failure, `%lab` shows what the terminal shows."""

from __future__ import annotations

import errno
import html
import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from hello_k8s import cli, jupyter, language, paths, workspace
from hello_k8s.catalog import Lab
from hello_k8s.cli import results
from hello_k8s.errors import MachineError
from hello_k8s.grading.verdict import CheckResult, Result
from hello_k8s.workspace import identity


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


def test_the_learners_way(
    small: Lab, monkeypatch: pytest.MonkeyPatch, shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hello_k8s.workspace.readiness.prepare", lambda lab, progress: None)
    monkeypatch.setattr("hello_k8s.grading.grade", lambda lab, *_, **__: result(lab))
    assert "A small lab" in repr(jupyter.lab("list"))
    assert jupyter.lab("start ch1/small") is None
    began = capsys.readouterr().out
    assert began.startswith("Starting ch1/small …\n") and "Then: ./hello-k8s lab check ch1/small" in began
    assert "Dockerfile" in began and f"`{identity.learner().id}`" in began and "learner.toml" in began
    assert "2 of 5 points" in repr(jupyter.lab("check"))
    assert capsys.readouterr().out.startswith("Checking ch1/small …\n")
    assert "Second: where" in repr(jupyter.lab("hint"))
    assert "Where to look" in repr(jupyter.lab("hint first"))
    assert jupyter.lab("reset ch1/small --empty") is None
    assert (workspace.folder_of(small) / "Dockerfile").read_text() == ""
    assert jupyter.lab("start ch1/small --files-only") is None


def test_where_the_machine_fails_the_files_are_told_all_the_same(
    small: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The id is said only once ever, and nothing else says where the replaced files are."""

    def fail(*_: Any) -> None:
        raise MachineError("no engine answers", next="start it")

    monkeypatch.setattr("hello_k8s.workspace.readiness.prepare", fail)
    monkeypatch.setattr("hello_k8s.workspace.readiness.refresh", fail)
    monkeypatch.setattr(Lab, "on_cluster", True)
    assert repr(jupyter.lab("start ch1/small")) == "✗ no engine answers\n→ start it"
    told = capsys.readouterr().out
    assert "Dockerfile" in told and f"`{identity.learner().id}`" in told and "Then:" not in told
    (workspace.folder_of(small) / "Dockerfile").write_text("mine\n")
    assert "no engine answers" in repr(jupyter.lab("reset ch1/small"))
    told = capsys.readouterr().out
    (kept,) = (paths.workspace() / ".kept").iterdir()
    assert str(kept) in told


@pytest.mark.parametrize("words", ["start ch1/small", "start ch1/small --empty", "hint", "hint second", "reset"])
def test_notebook_and_terminal_begin_alike(
    small: Lab, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hello_k8s.workspace.readiness.prepare", lambda lab, progress: None)
    identity.introduce("jo")
    said = []
    for run in (lambda: cli.run(["lab", *words.split()]), lambda: print(jupyter.lab(words) or "", end="")):
        for each in (paths.workspace() / "ch1", paths.state() / "labs"):
            shutil.rmtree(each, ignore_errors=True)
        if not words.startswith("start"):
            workspace.start(small)
        run()
        said.append(capsys.readouterr().out.rstrip("\n"))
    assert said[0] == said[1] and said[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [("", "%lab list"), ("bogus", "`bogus`"), ("start ch1/smal", "ch1/small"), ("check --fast", "--fast"),
     ("check a/b c/d", "%lab list"), ("check ch1/small", "lab start ch1/small"), ('hint "small', '"small'),
     ("check don't", "%lab list")],
)  # fmt: skip
def test_an_error_is_shown_as_what_why_next(small: Lab, line: str, said: str) -> None:
    shown = jupyter.lab(line)
    assert said in repr(shown) and repr(shown).startswith("✗")
    assert said in text_of(shown._repr_html_())


@pytest.mark.parametrize(
    ("error", "said"),
    [(OSError(errno.ENOSPC, "No space left on device"), "full"), (PermissionError(errno.EACCES, "No", "/x"), "/x")],
)
def test_what_the_system_refuses_is_shown_so_too(
    small: Lab, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(workspace, "start", fail)
    shown = jupyter.lab("start ch1/small")
    assert said in repr(shown) and repr(shown).startswith("✗")


def test_an_error_that_may_be_ours_is_not_hidden(small: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ProcessLookupError(errno.ESRCH, "No such process")

    monkeypatch.setattr(workspace, "start", fail)
    with pytest.raises(ProcessLookupError):
        jupyter.lab("start ch1/small")
