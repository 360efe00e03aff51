"""Whom a used namespace fails is believed once somebody passes in it, and graded again where nobody can."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hello_k8s import catalog
from hello_k8s.classroom.doubts import MOST, Grader
from hello_k8s.classroom.pool import Task
from hello_k8s.grading.verdict import CheckResult, Result, Verdict, everywhere

LAB = catalog.lab("ch2/service")


class Ground:
    """Namespaces that are handed on: `broken` ones fail everybody, and `dirty` answers can't be removed from them."""

    def __init__(self) -> None:
        self.current: Any = None
        self.made = 0
        self.closed = False

    def slot(self, lab: Any) -> Any:
        return self.current

    def discard(self, slot: Any) -> None:
        assert slot is self.current
        self.current = None

    def close(self) -> None:
        self.closed = True


class Class:
    """Answers by name: "right", "wrong", "poison" (passes, and breaks the namespace), "dirty" (fails, and stays)."""

    def __init__(self) -> None:
        self.grounds: list[Ground] = []
        self.runs: list[str] = []
        self.grader = Grader(self.new_ground, self.grade)  # type: ignore[arg-type]
        self.count = 0

    def new_ground(self) -> Ground:
        self.grounds.append(Ground())
        return self.grounds[-1]

    def grade(self, task: Task, ground: Ground) -> Result:
        name = "solution" if task.kind == "solution" else task.folder.name
        self.runs.append(name)
        slot = ground.current or SimpleNamespace(lab=LAB, broken=False)
        verdict: Verdict = "failed" if slot.broken or name in ("wrong", "dirty") else "passed"
        if name == "ours":
            verdict = "errored"
        slot.broken |= name == "poison"
        ground.current = None if name == "dirty" else slot
        check = CheckResult("name", everywhere("?"), 1, verdict, everywhere(""))
        return Result(LAB.id, "submission", "replay", "", (check,))

    def hand_in(self, name: str) -> list[tuple[str, str]]:
        self.count += 1
        return self.said(self.grader.grade(Task(self.count, LAB, Path(name))))

    def said(self, answers: Any) -> list[tuple[str, str]]:
        return [(task.folder.name, result.checks[0].verdict) for task, result in answers]


@pytest.fixture
def room() -> Class:
    return Class()


def test_the_first_in_a_fresh_namespace_is_believed(room: Class) -> None:
    assert room.hand_in("wrong") == [("wrong", "failed")]


def test_the_next_who_passes_is_the_witness(room: Class) -> None:
    room.hand_in("right")
    assert room.hand_in("wrong") == []
    assert room.hand_in("right") == [("right", "passed"), ("wrong", "failed")]
    assert room.runs == ["right", "wrong", "right"]


def test_where_nobody_comes_the_solution_is_the_witness(room: Class) -> None:
    room.hand_in("right")
    assert room.hand_in("wrong") == []
    assert room.said(room.grader.settle()) == [("wrong", "failed")]
    assert room.runs == ["right", "wrong", "solution"]
    assert room.grader.settle() == []


def test_not_many_wait_for_a_witness(room: Class) -> None:
    room.hand_in("right")
    answers = [room.hand_in("wrong") for _ in range(MOST)]
    assert answers[:-1] == [[]] * (MOST - 1) and answers[-1] == [("wrong", "failed")] * MOST
    assert room.runs.count("solution") == 1


def test_nobody_fails_for_a_namespace_that_somebody_else_broke(room: Class) -> None:
    room.hand_in("poison")
    assert room.hand_in("right") == [] and room.hand_in("wrong") == []
    assert sorted(room.said(room.grader.settle())) == [("right", "passed"), ("wrong", "failed")]
    assert room.runs[-3:] == ["solution", "right", "wrong"]


def test_a_namespace_that_is_given_up_keeps_nobody_back(room: Class) -> None:
    room.hand_in("right")
    assert room.hand_in("wrong") == []
    assert sorted(room.hand_in("dirty")) == [("dirty", "failed"), ("wrong", "failed")]
    assert room.runs == ["right", "wrong", "dirty", "wrong", "dirty"]
    assert room.grader.settle() == []


def test_after_a_failure_of_ours_everything_is_new(room: Class) -> None:
    room.hand_in("right")
    assert room.hand_in("wrong") == []
    assert room.hand_in("ours") == [("ours", "errored"), ("wrong", "failed")]
    assert [ground.closed for ground in room.grounds] == [True, False]
