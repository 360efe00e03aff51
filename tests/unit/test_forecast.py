"""The night before: what few gradings took becomes what many will take; what doesn't fit is named, with a way out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import catalog
from hello_k8s.catalog import Lab
from hello_k8s.classroom import forecast
from hello_k8s.classroom.forecast import Line, Machine, Trial, judge
from hello_k8s.classroom.pool import Outcome, Task
from hello_k8s.cli.machine import doctor
from hello_k8s.errors import ClusterError, UsageError
from hello_k8s.grading.verdict import CheckResult, Result, everywhere
from hello_k8s.machine.doctor import Finding

GB = 10**9
ROOMY = Machine(memory=16 * GB, disk=100 * GB, folder=Path("/docker"), workers=2, process=40_000_000)


@pytest.fixture
def two(small: Lab) -> tuple[Lab, Lab]:
    return replace(small, memory="512Mi"), replace(small, id="ch2/big", memory="2Gi", needs=("cluster", "workers:2"))


def by_what(lines: Iterator[Line] | list[Line]) -> dict[str, Line]:
    return {line.what: line for line in lines}


def test_a_class_that_fits(two: tuple[Lab, Lab]) -> None:
    lines = by_what(judge(100, [Trial(two[0], 20.0, 0.6, 10**6), Trial(two[1], 10.0, 1.2)], ROOMY))
    assert {line.level for line in lines.values()} == {"ok"} and not any(line.next for line in lines.values())
    assert "0.6 s a submission; 100 take about 1.3 min" in lines["ch1/small"].found
    assert "3.5 min" in lines["time"].found and "57 submissions a minute" in lines["time"].found
    # four of the hungriest at a time, and eight processes of the grader's
    assert "8.9 GB for 4" in lines["memory"].found and "16.0 GB" in lines["memory"].found
    # what the answers leave behind, and the results
    assert "0.1 GB more; 100.0 GB" in lines["disk"].found and "/docker" in lines["disk"].found


@pytest.mark.parametrize(
    ("changed", "what", "level", "said", "following"),
    [
        ({"memory": 5 * GB}, "memory", "problem", "8.9 GB", "is the hungriest: `./hello-k8s grade DIR --places 2`"),
        ({"memory": 2 * GB}, "memory", "problem", "8.9 GB", "ch2/big doesn't fit even alone"),
        ({"disk": 3 * GB}, "disk", "problem", "3.0 GB", "docker system"),
        ({"workers": 1}, "ch2/big", "problem", "needs 2 worker nodes; the cluster has 1", "start --nodes 3"),
        ({"workers": None}, "ch2/big", "problem", "the cluster has 0", "start --nodes 3"),
    ],
)  # fmt: skip
def test_what_doesnt_fit_says_what_to_do(
    two: tuple[Lab, Lab], changed: dict[str, Any], what: str, level: str, said: str, following: str
) -> None:
    lines = by_what(judge(100, [Trial(two[0], 20, 0.6), Trial(two[1], 10, 1.2)], replace(ROOMY, **changed)))
    assert lines[what].level == level and said in lines[what].found and following in lines[what].next
    assert [line.what for line in lines.values() if line.level != "ok"] == [what]


def test_longer_than_a_night_is_a_warning(two: tuple[Lab, Lab]) -> None:
    line = by_what(judge(10_000, [Trial(two[0], 5, 4.0)], ROOMY))["time"]
    assert line.level == "warning" and "667 min" in line.found and "--lab" in line.next


def test_a_lab_whose_solution_doesnt_pass_counts_for_nothing(two: tuple[Lab, Lab]) -> None:
    lines = by_what(judge(100, [Trial(two[0], failed="first: no image"), Trial(two[1], 10, 1.2)], ROOMY))
    assert lines["ch1/small"].level == "problem" and "first: no image" in lines["ch1/small"].found
    assert "lab verify ch1/small" in lines["ch1/small"].next and "2.2 min" in lines["time"].found
    assert len(list(judge(100, [Trial(two[0], failed="x")], ROOMY))) == 1


def test_memory_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  100 kB\nMemAvailable:   50 kB\n")
    assert forecast._free_memory(tmp_path / "meminfo") == 51200


class FakePool:
    """Grades at once: solutions pass, mutants fail; or what `bad` says of the task's number."""

    seen: list[Task]
    bad: dict[int, Any]
    ups: list[str]

    def __init__(self, *_: object) -> None:
        self._tasks: list[Task] = []

    def __enter__(self) -> FakePool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add(self, task: Task) -> None:
        self._tasks.append(task)
        FakePool.seen.append(task)

    def outcomes(self) -> Iterator[Outcome]:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            verdict = FakePool.bad.get(len(FakePool.seen) if len(tasks) == 1 else -1, "passed")
            verdict = "failed" if task.kind == "mutant" and verdict == "passed" else verdict
            checks = tuple(CheckResult(c.id, c.question, c.points, verdict, everywhere("why")) for c in task.lab.checks)
            lost = verdict == "lost"
            yield Outcome(task, None if lost else Result(task.lab.id, task.kind, "replay", "", checks), "exit code 9")


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch, small: Lab) -> type[FakePool]:
    FakePool.seen, FakePool.bad, FakePool.ups = [], {}, []
    monkeypatch.setattr(forecast, "Pool", FakePool)
    monkeypatch.setattr(forecast, "images_of", lambda lab, engine: Line("ok", f"images of {lab.id}", "here"))
    monkeypatch.setattr(forecast, "_free", lambda: 50 * GB)
    monkeypatch.setattr(forecast, "_disk", lambda: Path("/docker"))
    monkeypatch.setattr(forecast, "_found", lambda machine: ROOMY)
    monkeypatch.setattr(forecast, "user_engine", lambda: None)
    monkeypatch.setattr(forecast.ClassMachine, "environment", {})  # which asks the engine
    for name in ("up", "down"):
        monkeypatch.setattr(forecast.ClassMachine, name, lambda self, name=name: FakePool.ups.append(name))
    return FakePool


def test_the_trial_is_a_small_class(faked: type[FakePool], small: Lab) -> None:
    lines = forecast.forecast(30, [small])
    assert [line.what for line in lines] == ["images of ch1/small", "ch1/small", "time", "memory", "disk"]
    assert [task.kind for task in faked.seen] == ["solution", *["mutant"] * 3, *["solution"] * 7]
    assert faked.ups == ["up", "down"]


@pytest.mark.parametrize(("verdict", "said"), [("failed", "first: why"), ("errored", "why"), ("lost", "exit code 9")])
def test_a_trial_that_fails_is_said_and_everything_removed(
    faked: type[FakePool], small: Lab, verdict: str, said: str
) -> None:
    faked.bad = {1: verdict}
    (_, line) = forecast.forecast(30, [small])
    assert line.level == "problem" and said in line.found and faked.ups == ["up", "down"]


def test_a_machine_that_cant_be_brought_up(faked: type[FakePool], small: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> None:
        raise ClusterError("the cluster is silent", next="start it")

    monkeypatch.setattr(forecast.ClassMachine, "up", broken)
    line = forecast.forecast(30, [small])[-1]
    assert (line.level, line.found, line.next) == ("problem", "the cluster is silent", "start it")
    monkeypatch.setattr(forecast, "images_of", lambda lab, engine: Line("problem", "images", "none", "bundle"))
    assert [line.what for line in forecast.forecast(30, [small])] == ["images"] and not faked.seen


def test_the_command(
    faked: type[FakePool], small: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hello_k8s.machine.doctor.examine", lambda: [Finding("x", "ok", "engine", "Docker 28")])
    assert doctor(30, ["ch1"]) == 0
    assert "A class of 30 fits" in capsys.readouterr().out
    faked.seen, faked.bad = [], {1: "failed"}
    assert doctor(30, None) == 1
    assert "A class of 30 doesn't fit" in capsys.readouterr().out
    with pytest.raises(UsageError, match="--class"):
        doctor(None, ["ch1"])
    with pytest.raises(UsageError, match="ch9"):
        doctor(3, ["ch9"])


def test_a_chapter_is_all_of_its_labs(small: Lab) -> None:
    assert catalog.labs_of(["ch1", "ch1/small"]) == (small,) and catalog.labs_of([]) == catalog.labs()
