"""The command line: its help in both languages, its errors in one place, its exit codes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import cli, language, paths
from hello_k8s.catalog import Lab
from hello_k8s.cli import app, log, split_language
from hello_k8s.errors import EngineError, HelloError, UsageError
from hello_k8s.grading.verdict import CheckResult, Result
from hello_k8s.machine.cluster import Cluster

COMMANDS = [
    "start", "test", "pause", "stop", "delete", "grade", "status", "doctor", "shell", "uninstall",
    "lab", "lab/list", "lab/start", "lab/check", "lab/hint", "lab/reset", "lab/solution", "lab/pack", "lab/new",
    "lab/verify", "notebooks", "notebooks/refresh", "notebooks/check", "book", "book/build", "book/serve",
    "images", "images/list", "images/bundle", "images/load",
]  # fmt: skip


@pytest.fixture(autouse=True)
def own_log(home: Path) -> Iterator[None]:
    log.close()
    yield
    log.close()


def walk(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, f"{path}/{name}" if path else name)


def test_every_promised_command_is_there() -> None:
    assert {path for path, _ in walk(app.build())} == {"", *COMMANDS}


@pytest.mark.parametrize("tongue", language.LANGUAGES)
def test_every_command_and_option_is_explained(tongue: str) -> None:
    language.use(tongue)
    for path, command in walk(app.build()):
        assert command.help and command.short_help, path
        for parameter in command.params:
            assert parameter.help, f"{path} {parameter.name}"


@pytest.mark.parametrize("tongue", language.LANGUAGES)
@pytest.mark.parametrize("path", ["", *COMMANDS])
def test_each_help_page_is_in_one_language(tongue: str, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*path.split("/"), "--help", "--lang", tongue] if path else ["--help", "--lang", tongue]) == 0
    page = capsys.readouterr().out
    words = ("사용법:", "옵션") if tongue == "ko" else ("Usage:", "Options")
    assert all(word in page for word in words)
    if tongue == "ko":
        for english in ("Usage:", "Options", "Arguments", "Show this message", "[default", "[required"):
            assert english not in page
    if "/" in path or path in ("start", "test", "pause", "stop", "delete", "status", "doctor", "shell", "uninstall"):
        assert ("종료 코드" if tongue == "ko" else "Exit codes") in page
    assert path == "" or f"./hello-k8s {path.replace('/', ' ')}" in page.split("\n", 3)[3], "an example"


@pytest.mark.parametrize(
    ("argv", "words", "chosen"),
    [
        (["--lang", "ko", "lab", "list"], ["lab", "list"], "ko"),
        (["lab", "--lang=en", "list"], ["lab", "list"], "en"),
        (["lab", "list", "--lang", "ko"], ["lab", "list"], "ko"),
        (["shell", "--lang", "ko"], ["shell"], "ko"),
        (["shell", "kubectl", "--lang", "x"], ["shell", "kubectl", "--lang", "x"], None),
        (["shell", "--", "x", "--lang", "y"], ["shell", "--", "x", "--lang", "y"], None),
        ([], [], None),
    ],
)
def test_the_language_may_stand_anywhere(argv: list[str], words: list[str], chosen: str | None) -> None:
    assert split_language(argv) == (words, chosen)


@pytest.mark.parametrize("argv", [["--lang", "fr"], ["--lang"], ["lab", "--lang=", "list"]])
def test_another_language_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(argv) == 2
    assert "--lang ko" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hello-k8s ")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["strat"], ["`strat`", "start", "./hello-k8s --help"]),
        (["lab", "chek"], ["`chek`", "check", "./hello-k8s lab --help"]),
        (["lab", "list", "--fast"], ["--fast", "./hello-k8s lab list --help"]),
        (["start", "--nodes", "many"], ["--nodes", "from 1 to 9"]),
        (["start", "--nodes", "0"], ["--nodes", "from 1 to 9"]),
        (["lab", "new"], ["SECTION", "lab new --help"]),
        (["images", "list", "surplus"], ["images list --help"]),
        (["test", "--quick", "--full"], ["--quick", "--full"]),
    ],
)
def test_wrong_usage_is_said_with_the_way_out(
    argv: list[str], said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(argv) == 2
    err = capsys.readouterr().err
    assert all(word in err for word in said), err


def test_a_wrong_lab_id_offers_the_nearest(small: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("start", "check", "hint", "reset", "solution", "verify"):
        assert cli.run(["lab", command, "ch1/smal"]) == 2
        assert "ch1/small" in capsys.readouterr().err


def raising(error: BaseException) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


def test_an_error_is_what_why_next(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(app, "run", raising(HelloError("It happened.", why="because", next="do this")))
    assert cli.run(["x"]) == 1
    err = capsys.readouterr().err
    assert err.index("It happened.") < err.index("because") < err.index("→ do this")
    monkeypatch.setattr(app, "run", raising(UsageError("No.")))
    assert cli.run(["x"]) == 2
    monkeypatch.setattr(app, "run", raising(EngineError(["docker", "ps"], "it said this", 1)))
    assert cli.run(["x"]) == 1
    err = capsys.readouterr().err
    assert "docker ps" in err and "it said this" in err


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(app, "run", raising(KeyboardInterrupt()))
    assert cli.run(["x"]) == 130
    assert "Interrupted" in capsys.readouterr().err


def test_a_bug_goes_into_a_log_that_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    monkeypatch.setattr(app, "run", raising(ZeroDivisionError("oops")))
    assert cli.run(["x"]) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError: oops" in err and "Traceback" not in err
    (file,) = (home / "state" / "logs").glob("crash-*.log")
    assert file.name in err and "Traceback" in file.read_text()
    monkeypatch.setenv("HELLO_K8S_DEBUG", "1")
    cli.run(["x"])
    assert "Traceback" in capsys.readouterr().err


def result(lab: Lab, **verdicts: str) -> Result:
    checks = tuple(
        CheckResult(
            check.id, check.question, check.points, verdicts.get(check.id, "passed"),  # type: ignore[arg-type]
            message={"ko": "왜", "en": "why it failed"}, evidence=("a fact",),
        )
        for check in lab.checks
    )  # fmt: skip
    return Result(lab.id, "workspace", "replay", "2026-01-01T00:00:00Z", checks, seconds=1.2)


@pytest.mark.parametrize(
    ("verdicts", "code", "said"),
    [
        ({}, 0, ["5 of 5 points", "✓ Is it the first?"]),
        ({"second": "failed"}, 1, ["2 of 5 points", "✗ Is it the second?", "why it failed", "│ a fact", "lab hint"]),
        ({"second": "timed_out"}, 1, ["2 of 5 points", "longer than the check allows"]),
        ({"first": "errored"}, 3, ["Not graded", "doesn't count against you", "doctor"]),
    ],
)
def test_lab_check_shows_the_result_and_its_exit_code(
    small: Lab,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verdicts: dict[str, str],
    code: int,
    said: list[str],
) -> None:
    monkeypatch.setattr("hello_k8s.grading.grade", lambda lab, *_, **__: result(lab, **verdicts), raising=False)
    assert cli.run(["lab", "start", "ch1/small", "--files-only"]) == 0
    capsys.readouterr()
    assert cli.run(["lab", "check"]) == code
    out = capsys.readouterr().out
    assert out.startswith("Checking ch1/small …\n"), "the first line comes at once"
    assert all(word in out for word in said), out


def test_lab_check_json_is_the_result(
    small: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hello_k8s.grading.grade", lambda lab, *_, **__: result(lab), raising=False)
    cli.run(["lab", "start", "ch1/small", "--files-only"])
    capsys.readouterr()
    assert cli.run(["lab", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["earned"] == 5


def test_the_learners_way(small: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (
        ["lab", "list"], ["lab", "start", "ch1/small", "--files-only"], ["lab", "hint"], ["lab", "hint", "second"],
        ["lab", "reset", "--files-only"], ["lab", "solution"], ["lab", "solution", "--copy"], ["lab", "pack"],
    ):  # fmt: skip
        assert cli.run(argv) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    for said in ("A small lab", "Hint 1 of 2: Where to look", "Hint 1 of 2: Second: where", "USER 65534", "hand in"):
        assert said in out


def test_a_missing_file_is_named(small: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["lab", "check", "ch1/small"]) == 1
    err = capsys.readouterr().err
    assert "Dockerfile" in err and "lab start ch1/small" in err


# -- as a process of its own


def process(*argv: str, home: Path, code: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT), **variables}
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "hello_k8s", *argv]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, timeout=120)


def test_the_path_of_lab_check_imports_neither_big_client(home: Path) -> None:
    code = """if True:
        import sys
        import hello_k8s.cli.app, hello_k8s.cli.results, hello_k8s.workspace.readiness, hello_k8s.workspace.report
        import hello_k8s.machine.cluster, hello_k8s.machine.nested, hello_k8s.machine.kubeapi
        import hello_k8s.grading.plugin, hello_k8s.grading.fixtures
        from hello_k8s.grading import grade
        heavy = {"kubernetes", "docker", "nbformat", "nbclient", "sphinx", "jsonschema", "IPython"} & set(sys.modules)
        assert not heavy, heavy
    """
    done = process(home=home, code=code)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_goes_away_is_no_error(home: Path) -> None:
    command = [sys.executable, "-m", "hello_k8s", "lab", "list"]
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as running:
        assert running.stdout and running.stderr
        running.stdout.close()
        assert running.stderr.read() == b""


def test_the_shell_has_the_clusters_environment(home: Path) -> None:
    alone = {"HELLO_K8S_DOCKER": str(home / "no-docker")}
    done = process("shell", "sh", "-c", "echo $KUBECONFIG; echo $PATH", home=home, **alone)
    assert done.returncode == 0, done.stderr
    kubeconfig, path = done.stdout.splitlines()
    assert Path(kubeconfig).is_relative_to(home / "state") and path.startswith(str(home / "state"))
    missing = process("shell", "no-such-program", home=home, **alone)
    assert missing.returncode == 2 and "no-such-program" in missing.stderr


def test_without_docker_every_command_says_what_to_do(home: Path) -> None:
    for argv in (["pause"], ["stop"], ["delete", "--yes"], ["images", "list"], ["images", "bundle", "x.tar"]):
        done = process(*argv, home=home, HELLO_K8S_DOCKER=str(home / "no-docker"))
        assert done.returncode == 1, argv
        assert "doesn't answer" in done.stderr and "no-docker" in done.stderr and "→" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    for argv in (["status"], ["doctor"], ["uninstall", "--dry-run"]):
        done = process(*argv, home=home, HELLO_K8S_DOCKER=str(home / "no-docker"))
        assert done.returncode == (1 if argv == ["doctor"] else 0) and not done.stderr, done.stderr


def test_a_shell_without_a_cluster_says_so(home: Path) -> None:
    done = process("shell", home=home, HELLO_K8S_DOCKER=str(home / "no-docker"), SHELL=str(home / "no-shell"))
    assert done.returncode == 0 and "./hello-k8s start" in done.stdout, done.stderr


def test_the_book_says_once_where_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("hello_k8s.book._build", lambda language, source, output, *_: page(output / language))
    assert cli.run(["book", "build"]) == 0
    assert capsys.readouterr().out.count("The book is in") == 1


def page(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "index.html").touch()


def test_start_names_its_log_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    monkeypatch.setattr("hello_k8s.start.start", lambda *_, **__: None)
    assert cli.run(["start", "--no-serve"]) == 0
    (file,) = (home / "state" / "logs").glob("start-*.log")
    assert file.name in capsys.readouterr().out


def test_ctrl_c_in_the_middle_of_a_check_grades_nothing(
    small: Lab, labs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["lab", "start", "ch1/small", "--files-only"]) == 0
    shutil.copy(Path(__file__).parents[2] / "pyproject.toml", paths.ROOT)
    (labs / "ch1/small/checks.py").write_text(
        "def test_first():\n    raise KeyboardInterrupt\n\n\ndef test_second():\n    pass\n"
    )
    assert cli.run(["lab", "check"]) == 130
    said = capsys.readouterr()
    assert "Interrupted" in said.err and "points" not in said.out


def test_where_nothing_is_there_nothing_is_claimed(home: Path) -> None:
    docker = home / "docker"
    docker.write_text('#!/bin/sh\n[ "$1" = container ] && exit 1\n[ "$1" = version ] && echo 28.5\nexit 0\n')
    docker.chmod(0o755)
    for argv in (["pause"], ["stop"], ["delete"]):
        done = process(*argv, home=home, HELLO_K8S_DOCKER=str(docker))
        assert done.returncode == 0 and "There is no cluster" in done.stdout, done.stderr
    done = process("status", home=home, HELLO_K8S_DOCKER=str(docker))
    assert done.returncode == 0 and "not there" in done.stdout and "./hello-k8s start" in done.stdout


@pytest.mark.parametrize(
    ("running", "paused", "word", "said"),
    [
        ("true", "false", "running", "Memory is kept"),
        ("true", "true", "paused", "Memory is kept"),
        ("false", "false", "stopped", "Nothing is running"),
    ],
)
def test_a_grading_engine_that_is_there_is_shown_as_it_is(
    home: Path, running: str, paused: str, word: str, said: str
) -> None:
    docker = home / "docker"
    state = f'{{"Running": {running}, "Paused": {paused}, "StartedAt": "then"}}'
    found = f'[{{"Id": "0123456789abcdef", "State": {state}, "Config": {{"Labels": {{}}}}}}]'
    docker.write_text(f'#!/bin/sh\n[ "$1" = container ] && echo \'{found}\'\n[ "$1" = version ] && echo 28.5\nexit 0\n')
    docker.chmod(0o755)
    page = process("status", home=home, HELLO_K8S_DOCKER=str(docker)).stdout
    (line,) = [line for line in page.splitlines() if "Grading engine" in line]
    assert line.split()[2] == word and ("starts it again" in line) is (word != "running")
    done = process("pause", home=home, HELLO_K8S_DOCKER=str(docker))
    assert done.returncode == 0 and said in done.stdout, done.stderr
    assert ("Memory is kept" in done.stdout) is (said == "Memory is kept")


def test_what_status_cant_see_leaves_the_other_rows(home: Path) -> None:
    """A docker that can't list, a learner.toml with a typo: the page is there all the same."""
    docker = home / "docker"
    docker.write_text(
        '#!/bin/sh\n[ "$1" = version ] && echo 28.5 && exit 0\necho "broken pipe to nowhere" >&2\nexit 1\n'
    )
    docker.chmod(0o755)
    (home / "workspace").mkdir()
    (home / "workspace/learner.toml").write_text('id = "jo"\nseed = x\n')
    done = process("status", home=home, HELLO_K8S_DOCKER=str(docker))
    assert done.returncode == 0 and not done.stderr, done.stderr
    rows = [line.strip().split("  ")[0] for line in done.stdout.splitlines()]
    for what in ("Docker engine", f"Cluster {Cluster().name}", "Grading engine", "Learner", "Labs", "Book"):
        assert what in rows, done.stdout
    # the folder's name decides where a line of the column is broken
    (header,) = [line for line in done.stdout.splitlines() if "State" in line and "Next" in line]
    column = slice(header.index("State"), header.index("Next"))
    states = "".join("".join(line[column].split()) for line in done.stdout.splitlines())
    assert "learner.toml" in states and "brokenpipetonowhere" in states and "finished" in states, done.stdout


def test_delete_without_anybody_to_ask_deletes_nothing(home: Path) -> None:
    """In a notebook's cell, in cron, with `</dev/null`: as `uninstall`."""
    docker = home / "docker"
    found = '[{"Id": "0123456789abcdef", "State": {"Running": true, "StartedAt": "then"}, "Config": {"Labels": {}}}]'
    docker.write_text(
        f'#!/bin/sh\necho "$@" >> {home}/asked\n'
        f'[ "$1" = container ] && echo \'{found}\'\n[ "$1" = version ] && echo 28.5\nexit 0\n'
    )
    docker.chmod(0o755)
    done = process("delete", home=home, HELLO_K8S_DOCKER=str(docker))
    assert done.returncode == 2 and "Nothing was deleted" in done.stdout and "delete --yes" in done.stdout, done.stderr
    assert not [line for line in (home / "asked").read_text().splitlines() if line.startswith("rm ")]
    done = process("delete", "--yes", home=home, HELLO_K8S_DOCKER=str(docker))
    assert done.returncode == 0 and "Deleted" in done.stdout, done.stderr
    assert [line for line in (home / "asked").read_text().splitlines() if line.startswith("rm ")]


def test_a_second_start_says_who_is_at_work(home: Path) -> None:
    (home / "state").mkdir()
    with (home / "state" / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        done = process("start", "--no-serve", home=home)
    assert done.returncode == 1 and "4711" in done.stderr and "kill 4711" in done.stderr
