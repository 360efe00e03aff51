"""A container's end, of which dockerd is told piece by piece: first the kernel knows, then that it ended, then why."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from hello_k8s.errors import EngineError
from hello_k8s.grading import cgroup, containers
from hello_k8s.grading.cgroup import look_inside
from hello_k8s.grading.containers import Container
from hello_k8s.grading.verdict import Unmet
from hello_k8s.machine.engine import Engine
from hello_k8s.process import Completed

RUNS: dict[str, Any] = {"Running": True, "Pid": 7, "ExitCode": 0, "OOMKilled": False}
KILLED: dict[str, Any] = {"Running": False, "Pid": 0, "ExitCode": 137, "OOMKilled": False}
OUT_OF_MEMORY = {**KILLED, "OOMKilled": True}
ENDED = {**KILLED, "ExitCode": 3}


class Told(Container):
    """What dockerd says of it: each of `states` once, the last for ever."""

    def __init__(self, *states: dict[str, Any], memory: int = 1 << 28) -> None:
        super().__init__(Engine(("false",)), "told")
        self.states = list(states)
        self.memory = memory
        self.asked = 0

    def inspect(self) -> dict[str, Any]:
        self.asked += 1
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"State": copy.copy(state), "HostConfig": {"Memory": self.memory}}

    def logs(self, tail: int = 200) -> str:
        return "bye"


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_K8S_LANG", "en")
    # what is told ends these waits; those that nothing ends are shortened below
    monkeypatch.setattr(containers, "_OOM_SECONDS", 10)
    monkeypatch.setattr(cgroup, "ENDED_SECONDS", 10)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_memory_that_ran_out_is_said_although_dockerd_hears_it_later(before: int) -> None:
    assert "more memory" in Told(*[KILLED] * before, OUT_OF_MEMORY).ended().texts["en"]


def test_another_kill_is_none_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "_OOM_SECONDS", 0.3)
    assert "exit code 137" in Told(KILLED).ended().texts["en"]


@pytest.mark.parametrize("told", [lambda: Told(ENDED), lambda: Told(KILLED, memory=0)], ids=["exit 3", "no limit"])
def test_nobody_waits_for_what_cannot_come(told: Callable[[], Told]) -> None:
    container = told()
    container.ended()
    assert container.asked == 2


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of that number any more."""
    monkeypatch.setattr(cgroup, "run", lambda argv, **_: Completed(tuple(argv), 2, "", ""))


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("before", [1, 2, 3])
def test_a_container_that_has_just_ended_is_not_our_error(before: int) -> None:
    with pytest.raises(Unmet, match="exit code 3"):
        look_inside(Told(*[RUNS] * before, ENDED))


@pytest.mark.usefixtures("gone")
def test_one_that_goes_on_and_cannot_be_seen_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "ENDED_SECONDS", 0.3)
    with pytest.raises(EngineError):
        look_inside(Told(RUNS))
