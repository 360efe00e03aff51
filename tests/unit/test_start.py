"""`start` grades every solution once for a cluster and an engine, and again when one of them is another."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from hello_k8s import authoring, paths
from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.engine import Engine
from hello_k8s.progress import SILENT
from hello_k8s.start import self_check


class Machine:
    """An engine of `version` with a cluster whose control plane is the container `id`, as docker shows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "docker"
        program.write_text(f'#!/bin/sh\ncase "$1" in\nps) cat {folder}/ps;;\nversion) cat {folder}/version;;\nesac\n')
        program.chmod(0o755)
        self.cluster = Cluster("some", engine=Engine((str(program),)))
        self.is_now(version="28.2.2", id="first")

    def is_now(self, *, version: str = "", id: str = "") -> None:
        if version:
            (self.folder / "version").write_text(version)
        if id:
            nodes = ((f"worker-of-{id}", "n1", "worker"), (id, "n0", "control-plane"))
            rows = (f"{identity}\t{name}\trunning\thello-k8s\t{role}\n" for identity, name, role in nodes)
            (self.folder / "ps").write_text("".join(rows))


@pytest.fixture
def machine(small: Lab, tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def graded(small: Lab, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labs whose solutions were graded, each with all its points."""
    done: list[str] = []

    def grade(lab: Lab) -> SimpleNamespace:
        done.append(lab.id)
        return SimpleNamespace(graded=True, earned=lab.points, possible=lab.points)

    monkeypatch.setattr(authoring, "grade_solution", grade)
    return done


def test_what_has_passed_is_not_graded_again(machine: Machine, graded: list[str]) -> None:
    for _ in range(2):
        self_check(SILENT, machine.cluster)
    assert graded == ["ch1/small"]


@pytest.mark.parametrize("change", [{"id": "second"}, {"version": "29.0.0"}])
def test_on_another_cluster_or_engine_it_is(machine: Machine, graded: list[str], change: dict[str, str]) -> None:
    self_check(SILENT, machine.cluster)
    machine.is_now(**change)
    self_check(SILENT, machine.cluster)
    assert graded == ["ch1/small", "ch1/small"]


def test_after_a_change_of_a_lab_it_is(machine: Machine, graded: list[str]) -> None:
    self_check(SILENT, machine.cluster)
    (paths.LABS / "ch1" / "small" / "checks.py").write_text("def test_first(): ...\ndef test_second(): ...\n")
    self_check(SILENT, machine.cluster)
    assert graded == ["ch1/small", "ch1/small"]


def test_what_has_not_passed_is_graded_again(
    machine: Machine, graded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = SimpleNamespace(graded=True, earned=0, possible=5)
    with monkeypatch.context() as broken:
        broken.setattr(authoring, "grade_solution", lambda lab: failing)
        with pytest.raises(HelloError, match="0 of 5"):
            self_check(SILENT, machine.cluster)
    self_check(SILENT, machine.cluster)
    assert graded == ["ch1/small"]
