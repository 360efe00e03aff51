"""`doctor` says of each thing what it is and what to do, and never breaks on a machine that is ill."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from hello_k8s.machine import doctor, install
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.engine import Engine

INFO = {
    "ServerVersion": "28.5.2", "Driver": "overlay2", "CgroupVersion": "2", "CgroupDriver": "systemd",
    "MemTotal": 16 * 10**9, "NCPU": 4,
}  # fmt: skip


@pytest.fixture
def engine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Engine]:
    """Makes a docker command that answers with `INFO`, changed as asked."""

    def make(images: bool = True, buildx: bool = True, **changed: object) -> Engine:
        program = home / "docker"
        program.write_text(
            '#!/bin/sh\ncase "$*" in\n*DockerRootDir*) echo /;;\n'
            f"*'json .'*) cat <<'X'\n{json.dumps(INFO | changed)}\nX\n;;\n"
            f"buildx*) {'echo github.com/docker/buildx 0.29' if buildx else 'exit 1'};;\n"
            f"'image inspect'*) {'echo' if images else 'exit 1;'} '[{{\"Config\": {{}}}}]';;\n"
            "'container inspect'*) exit 1;;\nversion*) echo 28.5.2;;\nesac\n"
        )
        program.chmod(0o755)
        found = Engine((str(program),))
        monkeypatch.setattr(doctor, "user_engine", lambda: found)
        monkeypatch.setattr("hello_k8s.machine.nested.user_engine", lambda: found)
        return found

    monkeypatch.setattr(install, "free_bytes", lambda folder: 100 * 10**9)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return make


def found() -> dict[str, doctor.Finding]:
    return {finding.id: finding for finding in doctor.examine()}


def test_a_machine_that_is_well(engine: Callable[..., Engine]) -> None:
    engine()
    findings = found()
    assert {"engine", "buildx", "storage", "memory", "cpus", "disk", "kind", "kubectl", "image:node", "cluster"} <= set(
        findings
    )
    assert not [finding for finding in findings.values() if finding.level == "problem"]
    assert findings["cluster"].next == "./hello-k8s start"


@pytest.mark.parametrize(
    ("changed", "ill", "level"),
    [
        ({"ServerVersion": "20.10.5"}, "engine", "problem"),
        ({"MemTotal": 2 * 10**9}, "memory", "problem"),
        ({"MemTotal": 4 * 10**9}, "memory", "warning"),
        ({"NCPU": 1}, "cpus", "warning"),
        ({"Driver": "vfs"}, "storage", "warning"),
        ({"buildx": False}, "buildx", "problem"),
    ],
)
def test_each_illness_has_its_next_step(
    engine: Callable[..., Engine], changed: dict[str, object], ill: str, level: str
) -> None:
    engine(**changed)
    finding = found()[ill]
    assert finding.level == level and finding.next


@pytest.mark.parametrize(("images", "level"), [(False, "problem"), (True, "warning")])
def test_a_full_disk(engine: Callable[..., Engine], images: bool, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(images=images)
    monkeypatch.setattr(install, "free_bytes", lambda folder: 2 * 10**9)
    disk = found()["disk"]
    assert disk.level == level and "2.0 GB" in disk.found and "docker system" in disk.next


def test_a_silent_engine_ends_it_early(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "user_engine", lambda: Engine(("/bin/false",)))
    findings = doctor.examine()
    assert findings[0].level == "problem" and "./hello-k8s start" in findings[0].next


def test_a_port_that_another_program_took(
    engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    engine()
    monkeypatch.setattr(Cluster, "status", lambda self: "stopped")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (home / "state").mkdir(exist_ok=True)
        Cluster().kubeconfig.write_text(f"clusters: [{{cluster: {{server: 'https://127.0.0.1:{port}'}}}}]")
        finding = found()["port"]
    assert finding.level == "problem" and str(port) in finding.found and finding.next


def test_a_running_cluster_of_which_nothing_is_known_here(
    engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine()
    monkeypatch.setattr(Cluster, "status", lambda self: "running")
    finding = found()["cluster"]
    assert finding.level == "warning" and finding.next == "./hello-k8s start"
