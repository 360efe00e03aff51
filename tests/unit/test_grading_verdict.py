"""What counts against a submission and what never does; results as JSON."""

import json
import re
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hello_k8s import language
from hello_k8s.errors import ClusterError, CommandFailed, EngineError
from hello_k8s.grading.containers import Container
from hello_k8s.grading.verdict import (
    SCHEMA_FILE,
    CheckResult,
    NotSubmitted,
    Result,
    TimedOut,
    Unmet,
    everywhere,
    verdict_of,
    worst,
)
from hello_k8s.machine import engine as engine_module
from hello_k8s.machine.engine import Engine

SCHEMA = json.loads(SCHEMA_FILE.read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, "passed"),
        (AssertionError("1 == 2"), "failed"),
        (Unmet("no"), "failed"),
        (NotSubmitted("nothing"), "not_submitted"),
        (TimedOut(60), "timed_out"),
        (CommandFailed(("docker", "build"), "", None), "timed_out"),
        (CommandFailed(("docker", "build"), "no", 1), "errored"),
        (EngineError(("docker", "ps"), "gone", 1), "errored"),
        (EngineError(("docker", "ps"), "gone", None), "errored"),
        (ClusterError("gone"), "errored"),
        (KeyError("bug"), "errored"),
        (RuntimeError("bug"), "errored"),
    ],
)
def test_only_what_the_submission_caused_counts(error, verdict):
    assert verdict_of(error) == verdict


def test_a_check_of_several_items_is_as_good_as_its_worst():
    assert worst(["passed", "failed", "passed"]) == "failed"
    assert worst(["failed", "errored"]) == "errored"
    assert worst(["passed"]) == "passed"


def test_unmet_speaks_the_language_in_use():
    error = Unmet({"ko": "없음", "en": "none"})
    assert error.texts == {"ko": "없음", "en": "none"}
    language.use("ko")
    try:
        assert str(Unmet({"ko": "없음", "en": "none"})) == "없음"
    finally:
        language.use(None)


def check(verdict="passed", points=2, **more):
    return CheckResult("a", {"ko": "가?", "en": "a?"}, points, verdict, **more)


def result(*checks, **more):
    return Result("ch1/multi-stage", "submission", "replay", "2026-11-24T08:30:00+00:00", checks, **more)


def test_an_errored_check_is_never_a_zero():
    mixed = result(check("passed"), check("errored"))
    assert not mixed.graded and not mixed.passed
    assert mixed.to_dict()["earned"] is None and mixed.to_dict()["checks"][1]["earned"] is None
    VALIDATOR.validate(mixed.to_dict())


def test_points():
    mixed = result(check("passed", 3), check("failed", 2), check("timed_out", 1))
    assert (mixed.earned, mixed.possible, mixed.graded, mixed.passed) == (3, 6, True, False)
    assert result().graded is False


texts = st.builds(everywhere, st.text(max_size=20))
checks = st.builds(
    CheckResult,
    id=st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
    question=texts,
    points=st.integers(0, 100),
    verdict=st.sampled_from(["passed", "failed", "timed_out", "errored", "not_submitted"]),
    message=texts,
    diagnosis=st.lists(texts, max_size=2).map(tuple),
    evidence=st.lists(st.text(max_size=10), max_size=2).map(tuple),
    hints=st.lists(texts, max_size=2).map(tuple),
    output=st.text(max_size=20),
    seconds=st.integers(0, 10**6).map(lambda n: n / 1000),
)
results = st.builds(
    Result,
    lab=st.from_regex(r"ch[1-9]/[a-z]{1,8}(-[a-z]{1,4})?", fullmatch=True),
    kind=st.sampled_from(["workspace", "submission", "solution", "mutant", "start"]),
    mode=st.sampled_from(["look", "replay"]),
    started=st.just("2026-11-24T08:30:00+00:00"),
    checks=st.lists(checks, max_size=4).map(tuple),
    seconds=st.integers(0, 10**6).map(lambda n: n / 1000),
    version=st.just("0.1.0"),
    files=st.dictionaries(st.sampled_from(["Dockerfile", "a.yaml"]), st.just("sha256:" + "0" * 64)),
    drift=st.lists(texts, max_size=2).map(tuple),
    rewrites=st.lists(st.text(max_size=10), max_size=2).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(results)
def test_every_result_fits_the_schema_and_comes_back_from_json(made):
    VALIDATOR.validate(json.loads(made.to_json()))
    assert Result.from_json(made.to_json()) == made


def test_the_schema_is_one_and_refuses_others():
    Draft202012Validator.check_schema(SCHEMA)
    with pytest.raises(ValueError, match="schema 2"):
        Result.from_dict({**result().to_dict(), "schema": 2})
    wrong = result(check("errored")).to_dict()
    wrong["earned"] = 0
    assert not VALIDATOR.is_valid(wrong)


QUOTED = 'exec: "no space left on device": executable file not found in $PATH'
FULL = "mkdir /var/lib/docker/overlay2/x: no space left on device"


@pytest.mark.parametrize(
    ("said", "control", "kind"),
    [
        ('exec: "/app": stat /app: no such file or directory', False, Unmet),
        ("unable to find user nobody: no matching entries in passwd file", False, Unmet),
        (FULL, False, EngineError),
        ("failed to set up container networking: no available IPv4 addresses", False, EngineError),
        # an engine that can start another one isn't in need, whatever a submission's names say
        (QUOTED, True, Unmet),
        ("unable to find user cannot allocate memory: no matching entries in passwd file", True, Unmet),
    ],
)
def test_an_engine_in_need_is_never_the_submissions_fault(said, control, kind):
    removed = []

    def run(*words, check=True, **_):
        if words[-1] == "control" and control:
            return SimpleNamespace(code=0)
        if not check:
            return SimpleNamespace(code=125)
        raise CommandFailed(("docker", *words), f"docker: Error response from daemon: {said}\n", 125)

    engine = SimpleNamespace(run=run, remove=removed.append)
    with pytest.raises(kind, match=re.escape(said.split(":")[-1].strip())):
        Container.start(engine, "image", "name", control="control")
    # where the control starts, the image is given a second try
    assert removed == (["name-control"] if kind is EngineError else ["name-control", "name"] if control else [])


def test_what_the_engine_had_no_room_for_is_tried_again():
    """The neighbours that took the room may be gone by the time the control is started."""
    tries, removed = [], []

    def run(*words, check=True, **_):
        if words[-1] == "image":
            tries.append(words)
            if len(tries) == 1:
                raise CommandFailed(("docker", *words), f"docker: Error response from daemon: {FULL}\n", 125)
        return SimpleNamespace(code=0)

    engine = SimpleNamespace(run=run, remove=removed.append)
    assert Container.start(engine, "image", "name", control="control").name == "name"
    assert len(tries) == 2 and removed == ["name-control", "name"]


@pytest.mark.parametrize(
    ("said", "silent"),
    [
        ("Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?", True),
        ("docker: error during connect: Post http://x", True),
        ("failed to connect to the docker API at unix:///x.sock", True),
        ('docker: Error response from daemon: exec: "Cannot connect to the Docker daemon": not found', False),
    ],
)
def test_only_docker_itself_says_that_nothing_answers(monkeypatch, said, silent):
    def run(argv, **_):
        raise CommandFailed(argv, f"{said}\n", 125)

    monkeypatch.setattr(engine_module, "run", run)
    monkeypatch.setattr(Engine, "answers", lambda self, timeout=10: True)
    with pytest.raises(CommandFailed) as raised:
        Engine().run("run", "image")
    assert isinstance(raised.value, EngineError) is silent
