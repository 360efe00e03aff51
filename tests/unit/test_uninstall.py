"""What `uninstall` lists and removes: ours, all of it, and nothing else. With a docker command that only remembers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hello_k8s import cli, paths
from hello_k8s.machine import daemon, install, uninstall
from hello_k8s.machine.engine import Engine
from hello_k8s.process import Completed
from hello_k8s.progress import SILENT

DOCKER = r"""#!/bin/sh
echo "$@" >> {folder}/asked
case "$*" in
  version*) echo 28.0;;
  "ps"*network=hello-k8s) printf 'hello-k8s-control-plane\nprobe-of-mine\n';;
  "ps"*label=io.x-k8s.kind.cluster) printf 'hello-k8s-control-plane\nkind-control-plane\n';;
  "ps"*label=org.hello-k8s.part) echo hello-k8s-engine;;
  "network ls"*) echo hello-k8s;;
  "volume ls"*) echo hello-k8s-engine;;
  "image ls"*reference=*) printf 'hello-k8s/golang:1.26\nhello-k8s/node:1.37\n';;
  "image ls"*label=*) printf 'hello-k8s/node:1.37\ngolang:1.26\nlearner/own:1\n<none>:<none>\n';;
  "image inspect gone"*) exit 1;;
  "image inspect"*) echo '[{{}}]';;
esac
"""


@pytest.fixture
def docker(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = home / "docker"
    program.write_text(DOCKER.format(folder=home))
    program.chmod(0o755)
    monkeypatch.setattr(uninstall, "user_engine", lambda: Engine((str(program),)))
    monkeypatch.setattr(install, "RECORD", home / "var" / "installed.toml")
    monkeypatch.setenv("HELLO_K8S_VENV", str(home / "no-venv"))
    return home


def listed() -> list[str]:
    return [thing.where for thing in uninstall.inventory()]


def test_everything_of_ours_on_the_engine_and_only_that(docker: Path) -> None:
    (paths.cache() / "pulled").write_text("kindest/node@sha256:12\ngone@sha256:34\n")
    found = listed()
    for name in (
        "hello-k8s-control-plane", "hello-k8s-engine", "hello-k8s", "hello-k8s/golang:1.26", "hello-k8s/node:1.37",
        "golang:1.26", "kindest/node@sha256:12",
    ):  # fmt: skip
        assert name in found, name
    for name in ("probe-of-mine", "kind-control-plane", "learner/own:1", "<none>:<none>", "gone@sha256:34"):
        assert name not in found, name
    uninstall.remove(uninstall.inventory(), SILENT)
    asked = (docker / "asked").read_text()
    for command in (
        "rm --force --volumes hello-k8s-control-plane", "network rm hello-k8s", "volume rm --force hello-k8s-engine",
        "image rm --force kindest/node@sha256:12",
    ):  # fmt: skip
        assert command in asked, command


def test_folders_lose_what_is_ours_and_nothing_else(docker: Path) -> None:
    for file in ("build/node-1/a", "images/node.tar", "own-photos/1.jpg"):
        (paths.cache() / file).parent.mkdir(parents=True, exist_ok=True)
        (paths.cache() / file).touch()
    (paths.state() / "bin").mkdir()
    (paths.state() / "kubeconfig").touch()
    things = uninstall._folders()
    uninstall.remove(list(things), SILENT)
    assert [path.name for path in (docker / "cache").iterdir()] == ["own-photos"]
    assert not (docker / "state").exists()


def test_the_list_of_what_is_ours_is_whole() -> None:
    """Every folder or file that the package makes in state and cache is one that `uninstall` knows."""
    sources = "\n".join(file.read_text("utf-8") for file in (paths.ROOT / "hello_k8s").rglob("*.py"))
    for known, pattern in ((paths.IN_STATE, "state"), (paths.IN_CACHE, "cache")):
        names = set(re.findall(rf'paths\.{pattern}\(\)\)? / f?"([\w.-]+)', sources))
        assert names, pattern
        for name in names:
            assert any(Path(name).match(one) or one.startswith(name) for one in known), name


def test_the_python_environment_goes_last_and_packages_before_it(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv = docker / "no-venv"
    venv.mkdir()
    (venv / "pyvenv.cfg").touch()
    install.record_others(["chromium"])
    install._record(["docker.io"])
    found = listed()
    assert found[-1] == str(venv) and found.index("chromium") < found.index("docker.io") < len(found) - 1
    assert install.installed_packages() == ["docker.io"], "Chromium doesn't make an engine ours"


def test_a_folder_that_is_no_environment_is_no_environment(docker: Path) -> None:
    (docker / "no-venv").mkdir()
    (docker / "no-venv" / "thesis.tex").touch()
    assert str(docker / "no-venv") not in listed()


def test_a_silent_engine_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HELLO_K8S_DOCKER", "/bin/false")
    monkeypatch.setenv("HELLO_K8S_VENV", str(home / "no-venv"))
    monkeypatch.setattr(install, "RECORD", home / "var" / "installed.toml")
    assert cli.run(["uninstall", "--dry-run"]) == 0
    assert "neither listed nor removed" in capsys.readouterr().out


def test_a_package_that_others_need_by_now_stays(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def apt(argv: list[str], **_: object) -> Completed:
        asked.append(argv)
        names = argv[3:]
        lines = [f"Purg {name} [1]" for name in names] + ["Purg ufw [0.36]"] * ("iptables" in names)
        return Completed(tuple(argv), 0, "\n".join(lines) if "--simulate" in argv else "", "")

    monkeypatch.setattr(uninstall, "run", apt)
    monkeypatch.setattr(daemon, "stop_ours", lambda: None)
    for name in ("LOG", "PID"):
        monkeypatch.setattr(daemon, name, docker / name)
    install._record(["docker.io", "iptables"])
    (engine,) = [thing for thing in uninstall.inventory() if "iptables" in thing.where]
    engine.remove(SILENT)
    assert asked[-1] == ["apt-get", "purge", "--yes", "docker.io"]
    assert not install.RECORD.exists()


def test_what_the_launcher_installed_is_listed(docker: Path) -> None:
    install.record_others(["chromium"])
    install.launchers_record().write_text("python3-venv\npython3.11-venv\n")
    assert "chromium, python3-venv, python3.11-venv" in listed()
