"""The engine of a class is one class's at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hello_k8s import catalog
from hello_k8s.classroom.machine import ClassMachine
from hello_k8s.classroom.run import grade_class
from hello_k8s.errors import MachineError, UsageError
from tests.classroom.generate import write_class


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened to the engine; every ClassMachine has the same one, and no cluster."""
    monkeypatch.setenv("HELLO_K8S_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HELLO_K8S_STATE", str(tmp_path / "state"))
    happened: list[str] = []
    engine: Any = SimpleNamespace(
        name="an-engine-class", up=lambda images: happened.append("up"), down=lambda: happened.append("down")
    )
    monkeypatch.setattr(ClassMachine, "engine", engine)
    monkeypatch.setattr(ClassMachine, "cluster", None)
    return happened


def machine(tmp_path: Path, name: str) -> ClassMachine:
    return ClassMachine(tmp_path / name, (), lambda text: None)


def test_a_second_class_is_refused_and_leaves_the_engine_alone(tmp_path: Path, engines: list[str]) -> None:
    first, second = machine(tmp_path, "first"), machine(tmp_path, "second")
    first.up()
    with pytest.raises(UsageError) as busy:
        second.up()
    assert "an-engine-class" in busy.value.what and busy.value.next
    second.down()
    assert engines == ["up"]
    first.down()
    second.up()
    assert engines == ["up", "down", "up"]
    second.down()


def test_what_a_killed_worker_left_goes_and_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its namespaces and containers would run on beside the others."""
    worker = subprocess.Popen([sys.executable, "-c", ""])
    worker.wait()
    dead, alive = str(worker.pid), str(os.getpid())
    labels = {"dead": {"hello-k8s.org/worker": dead}, "alive": {"hello-k8s.org/worker": alive}, "older": {}}
    removed: list[str] = []
    api: Any = SimpleNamespace(
        list=lambda kind, labels: [{"metadata": {"name": name, "labels": each}} for name, each in found.items()],
        delete=lambda kind, name: removed.append(name),
    )
    found = labels
    inner: Any = SimpleNamespace(
        run=lambda *words: SimpleNamespace(stdout=f"c1 {dead}\nc2 {alive}\n"),
        remove=lambda *names: removed.extend(names),
    )
    monkeypatch.setattr(ClassMachine, "cluster", SimpleNamespace(api=lambda: api, up=lambda: None))
    monkeypatch.setattr(ClassMachine, "engine", SimpleNamespace(name="x", engine=inner, up=lambda images: None))
    machine(tmp_path, "class").heal()
    assert removed == ["dead", "c1"]


def test_what_came_up_goes_where_the_rest_does_not(
    tmp_path: Path, engines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine of a class has 2 GiB, and nobody else would end it."""
    (tmp_path / "class").mkdir()
    lab = catalog.lab("ch1/multi-stage")
    room = write_class(tmp_path / "class", [lab], 1)

    def lost(_: object) -> None:
        engines.append("up")
        raise MachineError("no image")

    monkeypatch.setattr(ClassMachine.engine, "up", lost)
    with pytest.raises(MachineError, match="no image"):
        grade_class(room.folder, labs=[lab], output=tmp_path / "results")
    assert engines == ["up", "down"]
