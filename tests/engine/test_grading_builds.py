"""A Docker lab graded in a nested engine: built, measured, run; errors, hangs and a dead engine told apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hello_k8s.catalog import Lab, read_lab
from hello_k8s.grading import Result, attempt, grade
from hello_k8s.grading.ground import Ground
from hello_k8s.machine.engine import Engine, user_engine
from hello_k8s.machine.nested import Nested, learner_engine

pytestmark = pytest.mark.docker

NAME = "hello-k8s-test-grading"
TOML = """
order = 1
needs = ["docker", "image:debian", "image:probe"]
minutes = 1
deliverables = ["Dockerfile"]
check = "replay"
title = { ko = "빌드", en = "build" }
[replay]
build = { "built:lab" = "Dockerfile" }
stamp = { "answer.txt" = "^version (.*)$" }
"""
CHECK = '[checks.{id}]\npoints = 1\nquestion = {{ ko = "{id}?", en = "{id}?" }}\n'
CHECKS = """
from hello_k8s.grading import MB

def test_small(image):
    assert image.size < 20 * MB, f"{image.size / MB:.1f} MB"

def test_answers(container, http):
    assert http(container, "/healthz")[0].status == 200

def test_fresh(image, submission):
    assert image.find("answer.txt") == ["answer.txt"]
    assert submission.nonce in submission.text("answer.txt")
"""
SOLUTION = "FROM hello-k8s/probe:1\nCOPY answer.txt /answer.txt\n"


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nested]:
    if not user_engine().answers():
        from tests.conftest import cannot_run

        cannot_run("no Docker engine answers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELLO_K8S_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setenv("HELLO_K8S_ENGINE", NAME)
        patch.setenv("HELLO_K8S_LANG", "en")
        made = learner_engine()
        made.down()
        yield made
        made.down()


@pytest.fixture(scope="module")
def lab(nested: Nested, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    root = tmp_path_factory.mktemp("labs")
    folder = root / "ch9" / "build"
    for name in ("start", "solution"):
        (folder / name).mkdir(parents=True)
    (folder / "start/answer.txt").write_text("the\nversion 1\n")
    (folder / "start/Dockerfile").write_text("FROM ___\n")
    (folder / "solution/Dockerfile").write_text(SOLUTION)
    (folder / "checks.py").write_text(CHECKS)
    (folder / "lab.toml").write_text(TOML + "".join(CHECK.format(id=id) for id in ("small", "answers", "fresh")))
    return read_lab(folder, root)


def graded(lab: Lab, tmp_path: Path, dockerfile: str) -> Result:
    (tmp_path / "Dockerfile").write_text(dockerfile)
    return grade(lab, tmp_path, kind="submission")


def verdicts(result: Result) -> dict[str, str]:
    return {check.id: check.verdict for check in result.checks}


def test_the_solution_gets_every_point_and_leaves_nothing(lab: Lab, nested: Nested) -> None:
    result = grade(lab, lab.solution, kind="solution")
    assert result.passed, result.to_json()
    assert any(line.startswith("built:lab → built:lab-") for line in result.rewrites)
    assert "built" not in nested.engine.run("image", "ls", "--format", "{{.Repository}}").stdout.split()
    assert nested.engine.run("ps", "--all", "--quiet").stdout == ""


@pytest.mark.parametrize(
    ("dockerfile", "said"),
    [
        ("FROM debian:trixie-slim\nRUN no-such-program\n", "line 2 (`RUN no-such-program`) doesn't build: "),
        ("FROM debian:trixie-slim\nCOPY nothing /\n", "line 2 (`COPY nothing /`)"),
        ("FROM golang:1.2\n", "`golang:1.2`, which can't be used in this lab. These can: scratch, debian"),
        ("", "the Dockerfile cannot be empty"),
        (
            "FROM debian:trixie-slim\nADD http://127.0.0.1:1/x /\n",
            "fetches `http://127.0.0.1:1/x`, but a build has no network",
        ),
    ],
)
def test_a_build_that_fails_is_the_submissions(lab: Lab, tmp_path: Path, dockerfile: str, said: str) -> None:
    result = graded(lab, tmp_path, dockerfile)
    assert set(verdicts(result).values()) == {"failed"} and result.graded
    assert said in result.checks[0].message["en"], result.checks[0].message


def test_the_start_is_no_pass(lab: Lab) -> None:
    result = grade(lab, lab.start, kind="start")
    assert result.graded and result.earned == 0


def test_too_large_and_ended(lab: Lab, tmp_path: Path) -> None:
    dockerfile = 'FROM debian:trixie-slim\nCOPY answer.txt /answer.txt\nCMD ["sh", "-c", "echo bye; exit 3"]\n'
    result = graded(lab, tmp_path, dockerfile)
    assert verdicts(result) == {"small": "failed", "answers": "failed", "fresh": "passed"}
    assert "MB" in result.checks[0].message["en"]
    assert "exit code 3" in result.checks[1].message["en"] and "bye" in result.checks[1].message["en"]


def test_a_program_that_isnt_there(lab: Lab, tmp_path: Path) -> None:
    result = graded(lab, tmp_path, 'FROM scratch\nCOPY answer.txt /answer.txt\nENTRYPOINT ["/app"]\n')
    assert verdicts(result) == {"small": "passed", "answers": "failed", "fresh": "passed"}
    assert "/app" in result.checks[1].message["en"]


def test_the_official_frontend_line_is_fine(lab: Lab, tmp_path: Path) -> None:
    result = graded(lab, tmp_path, "# syntax=docker/dockerfile:1\n" + SOLUTION)
    assert result.passed, result.to_json()
    assert "Dockerfile: # syntax=docker/dockerfile:1 → #" in result.rewrites


def test_a_build_that_hangs_is_timed_out_and_ended(
    lab: Lab, tmp_path: Path, nested: Nested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "BUILD_SECONDS", 8.0)
    result = graded(lab, tmp_path, "FROM debian:trixie-slim\nRUN sleep 3600\n")
    # kept as timed_out: the solution was built and passed in time, right after, on the same engine
    assert set(verdicts(result).values()) == {"timed_out"} and result.graded and result.earned == 0
    assert "sleep 3600" not in user_engine().run("top", NAME).stdout


def test_an_engine_that_is_gone_never_counts(lab: Lab, tmp_path: Path) -> None:
    gone = Nested(NAME, engine=Engine(("docker", "--host=tcp://127.0.0.1:1")))
    (tmp_path / "Dockerfile").write_text(SOLUTION)
    result = grade(lab, tmp_path, kind="submission", ground=Ground(gone))
    assert set(verdicts(result).values()) == {"errored"} and not result.graded
    assert result.to_dict()["earned"] is None and "doctor" in result.checks[0].message["en"]
