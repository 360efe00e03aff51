"""Which system this is, where Debian comes from, and what a machine without an engine is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hello_k8s import language, start
from hello_k8s.errors import MachineError
from hello_k8s.machine import daemon, debian, install
from hello_k8s.machine.engine import Engine
from hello_k8s.progress import SILENT, Progress

BOOKWORM = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
"""


class Notes(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.parametrize(
    ("release", "kernel", "expected"),
    [
        ({"ID": "debian"}, "Linux", "debian"),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "Linux", "ubuntu"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "Linux", "ubuntu"),
        ({"ID": "raspbian", "ID_LIKE": "debian"}, "Linux", "linux"),
        ({"ID": "fedora"}, "Linux", "fedora"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "Linux", "fedora"),
        ({"ID": "arch"}, "Linux", "linux"),
        ({}, "Darwin", "macos"),
        ({}, "Windows", "windows"),
    ],
)
def test_system(release: dict[str, str], kernel: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian.platform, "release", lambda: "6.1.0")
    assert debian.system(release, kernel) == expected


def test_wsl_without_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian.platform, "release", lambda: "5.15.0-microsoft-standard-WSL2")
    monkeypatch.setattr(debian.shutil, "which", lambda name: None)
    assert debian.system({"ID": "ubuntu"}, "Linux") == "wsl"


def test_os_release(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nNAME="Debian GNU/Linux"\n')
    assert debian.os_release(file) == {
        "ID": "debian", "VERSION_ID": "12", "VERSION_CODENAME": "bookworm", "NAME": "Debian GNU/Linux",
    }  # fmt: skip
    assert debian.os_release(tmp_path / "none") == {}


def test_mirror_from_deb822(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "aaa.sources").write_text("Types: deb\nURIs: http://other.example\nSuites: stable\nComponents: main\n")
    (folder / "debian.sources").write_text(BOOKWORM)
    source = debian.own_source(tmp_path, "bookworm")
    assert source.uris == "http://mirror.example/debian"
    assert dict(source.options) == {"signed-by": "/usr/share/keyrings/debian-archive-keyring.gpg"}


def test_mirror_from_one_line(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib\n"
    )
    source = debian.own_source(tmp_path, "bookworm")
    assert source.uris == "http://mirror.example/debian"
    assert dict(source.options) == {"signed-by": "/k.gpg"}


def test_no_mirror(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="bookworm"):
        debian.own_source(tmp_path, "bookworm")


def silent_engine(tmp_path: Path, context: str = "default") -> Engine:
    """A docker command behind which no daemon answers."""
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\n[ "$1" = context ] && {{ echo {context}; exit 0; }}\nexit 1\n')
    program.chmod(0o755)
    return Engine((str(program),))


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "user_engine", lambda: silent_engine(tmp_path))
    monkeypatch.setattr(install.shutil, "which", lambda name, **_: None if name == "dockerd" else f"/usr/bin/{name}")
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize(
    ("here", "user", "command"),
    [
        ("ubuntu", 0, "apt-get install -y docker.io"),
        ("fedora", 0, "dnf install"),
        ("macos", 501, "brew install"),
        ("windows", 1000, "wsl --install"),
        ("wsl", 1000, "Docker Desktop"),
        ("debian", 1000, "sudo ./hello-k8s start"),
        ("linux", 0, "docs.docker.com"),
    ],
)
def test_advice(here: str, user: int, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "system", lambda: here)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    for chosen in language.LANGUAGES:
        language.use(chosen)
        try:
            with pytest.raises(MachineError) as raised:
                install.ensure_engine(SILENT)
        finally:
            language.use(None)
        assert command in raised.value.next
        assert raised.value.what


@pytest.mark.usefixtures("no_engine")
def test_nothing_is_installed_when_the_answer_is_no(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "system", lambda: "debian")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(install, "RECORD", tmp_path / "installed.toml")
    asked: list[str] = []
    with pytest.raises(MachineError):
        install.ensure_engine(SILENT, lambda question: bool(asked.append(question)))
    assert len(asked) == 1 and "docker.io" in asked[0]
    assert not install.installed_by_us()


def test_a_silent_context_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(install, "user_engine", lambda: silent_engine(tmp_path, "desktop-linux"))
    with pytest.raises(MachineError, match="desktop-linux"):
        install.ensure_engine(SILENT)


def test_a_silent_remote_host_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    monkeypatch.setattr(install, "user_engine", lambda: silent_engine(tmp_path))
    with pytest.raises(MachineError, match=r"192\.0\.2\.1"):
        install.ensure_engine(SILENT)


def test_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "RECORD", tmp_path / "a" / "installed.toml")
    assert install.installed_packages() == []
    install._record(["docker.io", "tini-static"])
    install._record(["containerd"])
    assert install.installed_packages() == ["containerd", "docker.io", "tini-static"]


def test_too_little_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "free_bytes", lambda folder: 11 * 10**9)
    with pytest.raises(MachineError) as raised:
        install.require_space(tmp_path)
    assert "11.0" in raised.value.what and "12" in raised.value.what and "docker system" in raised.value.next


def test_stale_pid_files(tmp_path: Path) -> None:
    gone, other, ours = tmp_path / "gone.pid", tmp_path / "other.pid", tmp_path / "ours.pid"
    gone.write_text("4194999\n")
    other.write_text(f"{os.getpid()}\n")
    ours.write_text(f"{os.getpid()}")
    own_name = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    said = Notes()
    daemon.clear_stale_pids(said, {gone: "dockerd", other: "dockerd", ours: own_name, tmp_path / "none": "dockerd"})
    assert not gone.exists() and not other.exists() and ours.exists()
    assert len(said.notes) == 2


def test_inotify_is_raised_never_lowered(tmp_path: Path) -> None:
    (tmp_path / "max_user_instances").write_text("128\n")
    (tmp_path / "max_user_watches").write_text("1048576\n")
    said = Notes()
    daemon.raise_inotify(said, tmp_path)
    assert (tmp_path / "max_user_instances").read_text() == "1024"
    assert (tmp_path / "max_user_watches").read_text() == "1048576\n"
    assert len(said.notes) == 1 and "128" in said.notes[0]


def test_a_dockerd_outside_a_users_path_is_installed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's PATH for users has no /usr/sbin, where its docker.io puts dockerd."""
    asked: list[str] = []
    monkeypatch.setattr(daemon.shutil, "which", lambda name, path: asked.append(path) or f"/usr/sbin/{name}")
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
    assert daemon.program() == "/usr/sbin/dockerd" and "/usr/sbin" in asked[0].split(":")


def test_a_user_outside_the_group_is_told_how_to_join(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(install, "user_engine", lambda: silent_engine(tmp_path))
    monkeypatch.setattr(install, "system", lambda: "debian")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(daemon, "program", lambda: "/usr/sbin/dockerd")
    monkeypatch.setattr(install.Path, "exists", lambda self: True)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(MachineError) as raised:
        install.ensure_engine(SILENT)
    assert "usermod -aG docker" in raised.value.next and raised.value.why


def test_less_than_12_gb_stops_a_first_start(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Empty(Engine):
        def image(self, ref: str) -> None:
            return None

    monkeypatch.setattr(install, "ensure_engine", lambda *_: Empty((str(silent_engine(tmp_path).prefix[0]),)))
    monkeypatch.setattr(install, "engine_folder", lambda engine: None)
    monkeypatch.setattr(install, "free_bytes", lambda folder: 11 * 10**9)
    with pytest.raises(MachineError, match=r"11\.0") as raised:
        start.prepare(SILENT)
    assert raised.value.next


@pytest.mark.parametrize(
    ("recorded", "dpkg", "ours"),
    [
        (True, "printf installed", True),
        (True, "printf unpacked", False),  # cut off in the middle
        (True, "printf config-files", False),  # removed since, and another engine put in its place
        (True, "exit 1", False),
        (False, "printf installed", False),
    ],
)
def test_an_engine_is_ours_while_its_package_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: bool, dpkg: str, ours: bool
) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "dpkg-query"
    program.write_text(f'#!/bin/sh\necho "$@" >>{asked}\n{dpkg}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(install, "RECORD", tmp_path / "record" / "installed.toml")
    monkeypatch.setattr(daemon, "program", lambda: "/usr/sbin/dockerd")
    install._is_installed.cache_clear()
    if recorded:
        install._record(["docker.io", "containerd"])
    assert [install.installed_by_us() for _ in range(3)] == [ours] * 3
    install._is_installed.cache_clear()
    assert (len(asked.read_text().splitlines()) if asked.exists() else 0) == int(recorded)


def test_without_dpkg_no_engine_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    install._is_installed.cache_clear()
    assert not install._is_installed("docker.io")
    install._is_installed.cache_clear()
