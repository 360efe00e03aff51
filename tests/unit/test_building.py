"""Whose doing it is that a build failed: believed at once, believed once it ran alone, or ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from hello_k8s import catalog
from hello_k8s.errors import EngineError
from hello_k8s.grading import building
from hello_k8s.grading.attempt import Attempt
from hello_k8s.grading.ground import Ground
from hello_k8s.grading.verdict import Unmet
from hello_k8s.machine.engine import Engine
from hello_k8s.machine.nested import Nested

PLENTY = 10 << 30
NESTED = Nested("nested", engine=Engine(("false",)))
KILLED = "ERROR: failed to solve: process did not complete successfully: exit code: 137"
FORK = "runtime: failed to create new OS thread (have 12 already; errno=11)"
FULL = "write /x: no space left on device"
LEFT = "#5 0.1 confine: the build that began this step has ended"
#: A step that two builds wait for, run for the one that has written too much elsewhere.
SHARED = "#9 1.0 confine: the build writes too much\nERROR: failed to build: failed to solve: exit code: 1"
BROKEN = [
    "ERROR: failed to solve: failed to get edge: inconsistent graph state",
    "ERROR: failed to build: failed to solve: failed to compute cache key: failed to get state for index 0 on v2",
    "ERROR: failed to build: failed to solve: rpc error: code = Canceled desc = context canceled",
    "ERROR: failed to build: failed to solve: no active session for x1: context deadline exceeded",
]


def ended(output: str = "", **changed: Any) -> building._Ended:
    values: dict[str, Any] = {
        "output": output, "code": 1, "ended": "", "alone": False, "memory": False, "processes": False, "full": False,
        "stranded": False, "free": PLENTY,
    }  # fmt: skip
    return building._Ended(**{**values, **changed})


GOOD = ended(code=0)


@pytest.fixture(autouse=True)
def own_state(home: Path) -> None:
    """What is remembered of the engine, in a folder of the test's own."""


def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *runs: building._Ended) -> list[tuple[str, ...]]:
    """The options of each run of a build whose runs end like `runs`; raises what the build raises."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    left, asked = list(runs), []

    def run(*arguments: Any, **_: object) -> building._Ended:
        if "-clear" in arguments:
            assert arguments[0].cleared, "whoever stands between two builds isn't told"
        asked.append(cast("tuple[str, ...]", arguments[5:]))
        return left.pop(0)

    monkeypatch.setattr(building, "_run", run)
    building.build(NESTED, tmp_path, "tag", "Dockerfile", seconds=60, owner="o")
    assert not left
    return asked


@pytest.mark.parametrize(
    "first",
    [
        ended(KILLED, memory=True),
        ended(KILLED),  # by another build's end, or for memory that others have
        ended(FORK),
        ended(LEFT, stranded=True, alone=True),
        ended(SHARED, stranded=True),
        *map(ended, BROKEN),
        ended(BROKEN[0], alone=True),
    ],
)
def test_what_others_may_have_caused_is_run_again_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: building._Ended
) -> None:
    assert built(tmp_path, monkeypatch, first, GOOD) == [(), ("-alone",)]


def test_who_kills_itself_beside_its_own_other_steps_is_believed_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps that its first run left behind are forgotten by then."""
    runs = (ended(KILLED), ended(KILLED, stranded=True, alone=True), ended(KILLED, alone=True))
    with pytest.raises(Unmet):
        built(tmp_path, monkeypatch, *runs)
    runs = (*runs[:2], GOOD)
    assert built(tmp_path, monkeypatch, *runs) == [(), ("-alone",), ("-alone", "-calm")]


def test_a_full_disk_is_cleared_and_the_build_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ended(FULL, full=True, alone=True)
    assert built(tmp_path, monkeypatch, first, GOOD) == [(), ("-alone", "-clear")]
    # whatever it says of itself: for want of room a compiler may not find what is there
    said_otherwise = ended("main.go:3:2: package fmt is not in std", full=True)
    assert built(tmp_path, monkeypatch, said_otherwise, GOOD) == [(), ("-alone", "-clear")]
    told = NESTED.cleared
    assert built(tmp_path, monkeypatch, first, GOOD) and NESTED.cleared not in ("", told)
    assert built(tmp_path, monkeypatch, GOOD) and NESTED.cleared != told


def test_a_second_build_after_a_clearing_says_nothing_about_the_answer(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steps are run again because of somebody else: "cached" would fail, whatever the Dockerfile."""
    lab = catalog.lab("ch1/build")
    attempt = Attempt(lab, lab.solution, mode="replay", kind="solution", ground=Ground(NESTED))
    monkeypatch.setattr("hello_k8s.grading.attempt.build", lambda *_, **__: None)
    monkeypatch.setattr(Nested, "up", lambda *_: NESTED.engine)
    try:
        attempt.images()
        assert attempt.rebuild("main.go")[1]
        with NESTED.clearing():
            pass
        attempt._once.pop("rebuilt main.go")
        with pytest.raises(EngineError, match="cache"):
            attempt.rebuild("main.go")
    finally:
        attempt.close()


@pytest.mark.parametrize(
    ("only", "said"),
    [
        (ended(ended="disk"), "writes more"),
        (ended(ended="processes"), "more processes"),
        (ended(KILLED, memory=True, alone=True), "more memory"),
        (ended("main.go:1: syntax error"), "doesn't build"),
        (ended(KILLED, alone=True), "doesn't build"),
        (ended(LEFT), "doesn't build"),  # printed by the build itself
        (ended(SHARED), "doesn't build"),
        (ended(f"#5 0.1 {BROKEN[0]}\nERROR: failed to solve: exit code: 1"), "doesn't build"),
        (ended(f"{BROKEN[0]}\nERROR: failed to solve: exit code: 1"), "doesn't build"),
        (ended('ERROR: failed to solve: failed to compute cache key: "/x": not found'), "doesn't build"),
    ],
)
def test_what_is_its_own_doing_is_believed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: building._Ended, said: str
) -> None:
    with pytest.raises(Unmet) as found:
        built(tmp_path, monkeypatch, only)
    assert said in found.value.texts["en"]


@pytest.mark.parametrize(
    "runs",
    [
        (ended(FULL, full=True), ended(FULL, full=True, alone=True, free=1 << 30)),
        (ended(KILLED), ended(LEFT, stranded=True, alone=True), ended(LEFT, stranded=True, alone=True)),
        (ended(BROKEN[0]), ended(BROKEN[1], alone=True)),
        (ended("not in std", full=True), ended("not in std", full=True, alone=True, free=1 << 30)),
    ],
    ids=["no-room", "left", "broken", "no-room-unsaid"],
)
def test_what_it_lacks_even_alone_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: tuple[building._Ended, ...]
) -> None:
    with pytest.raises(EngineError):
        built(tmp_path, monkeypatch, *runs)


def test_with_room_for_it_a_full_disk_is_the_builds_own_doing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unmet) as found:
        built(tmp_path, monkeypatch, ended(FULL, full=True), ended(FULL, full=True, alone=True))
    assert "writes more" in found.value.texts["en"]
