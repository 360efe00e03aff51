"""`test`: what it runs, what it leaves out, and that it stays away from a learner's things."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hello_k8s import notebooks, paths, selftest
from hello_k8s.errors import CommandFailed, MachineError
from hello_k8s.machine import install
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.nested import learner_engine
from hello_k8s.process import Completed
from hello_k8s.progress import SILENT


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)


@pytest.mark.usefixtures("no_programs")
def test_without_git_every_section_counts_as_changed() -> None:
    assert selftest._changed_since_tag("ch1/multi-stage")


def test_the_share_moves_on_and_changed_sections_always_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "_changed_since_tag", lambda name: name == "ch1/a")
    sections = ["ch1/a", *(f"ch2/{n}" for n in range(40))]
    due = selftest._due(sections)
    assert "ch1/a" in due and len(due) == 3


def test_the_learners_things_are_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = selftest.environment()
    for name in ours:
        monkeypatch.delenv(name, raising=False)
    for name, of_learner in {
        "HELLO_K8S_STATE": str(paths.state()),
        "HELLO_K8S_WORKSPACE": str(paths.workspace()),
        "HELLO_K8S_CLUSTER": Cluster().name,
        "HELLO_K8S_ENGINE": learner_engine().name,
    }.items():
        assert ours[name] != of_learner


@pytest.mark.usefixtures("no_programs")
def test_without_chromium_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "_debian_root", lambda: False)
    with pytest.raises(MachineError) as raised:
        selftest.ensure_chromium(SILENT)
    assert "brew" in raised.value.next and "--quick" in raised.value.next


@pytest.mark.usefixtures("no_programs")
def test_what_it_installs_is_written_down_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(selftest, "_debian_root", lambda: True)
    monkeypatch.setattr(install, "RECORD", tmp_path / "var" / "installed.toml")

    def apt(argv: list[str], **_: object) -> Completed:
        if "--simulate" in argv:
            return Completed(tuple(argv), 0, "Inst chromium (140 Debian:12 [amd64])\nInst libc6 [2.36] (2.37 x)\n", "")
        if "install" in argv:
            raise CommandFailed(argv, "E: no space left", 100)
        return Completed(tuple(argv), 0, "", "")

    monkeypatch.setattr(selftest, "run_command", apt)
    with pytest.raises(MachineError) as raised:
        selftest.ensure_chromium(SILENT)
    assert "no space left" in raised.value.why and raised.value.next
    assert install.other_packages() == ["chromium"], "libc6 was here before"


def test_pytest_has_the_last_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(selftest, "ensure_chromium", lambda progress: Path("chromium"))
    monkeypatch.setattr(selftest.start, "prepare", lambda progress, ask=None: None)
    monkeypatch.setattr(selftest.os, "environ", dict(selftest.os.environ))
    monkeypatch.setattr(selftest, "_pytest", lambda arguments: print("== 5 passed ==", flush=True) or 0)
    monkeypatch.setattr("hello_k8s.machine.cluster.Cluster.delete", lambda self: None)
    monkeypatch.setattr("hello_k8s.machine.nested.Nested.down", lambda self: None)
    assert selftest.run(SILENT) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "== 5 passed =="


def test_engine_and_cluster_are_there_before_pytest_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found on a machine without an engine: tests of the engine ran before the one that would have installed it."""
    done: list[str] = []
    monkeypatch.setattr(selftest.os, "environ", dict(selftest.os.environ))
    monkeypatch.setattr(selftest, "ensure_chromium", lambda progress: done.append("chromium"))
    monkeypatch.setattr(selftest.start, "prepare", lambda progress, ask=None: done.append("machine"))
    monkeypatch.setattr(selftest, "_pytest", lambda arguments: done.append("pytest") or 0)
    monkeypatch.setattr(selftest, "_remove", lambda: done.append("removed"))
    assert selftest.run(SILENT) == 0
    assert done == ["chromium", "machine", "pytest", "removed"]


def test_notebooks_find_no_profile_of_the_users(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, str] = {}

    def pytest_run(argv: list[str], *, env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        given.update(env)
        return subprocess.CompletedProcess(argv, 0)

    monkeypatch.setattr(selftest.subprocess, "run", pytest_run)
    selftest._pytest(["notebooks/ko/ch1/build.ipynb"])
    assert {name: given.get(name) for name in notebooks.own_folders()} == notebooks.own_folders()
    assert given["HELLO_K8S_STATE"] == str(home / "state"), "and everything else is as it was"
