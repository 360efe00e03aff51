"""An engine that answers: the one that is there, the one that only has to be started, or one that we install."""

from __future__ import annotations

import datetime
import functools
import os
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from hello_k8s import files, paths
from hello_k8s.errors import CommandFailed, EngineError, MachineError
from hello_k8s.language import t
from hello_k8s.machine import daemon
from hello_k8s.machine.debian import SUITE, Apt, at_least, system
from hello_k8s.machine.engine import Engine, user_engine
from hello_k8s.process import run
from hello_k8s.progress import Progress

#: What we put on a machine, written before it is done. The engine is the machine's, so this is not in .state/.
RECORD = Path("/var/lib/hello-k8s/installed.toml")
#: Package → the least version that this book was tried with. Testing moves on; newer is fine.
PACKAGES = {
    "docker.io": "27",
    "docker-cli": "27",
    "docker-buildx": "0.17",
    "containerd": "2.0",
    "tini-static": "0.19",
}
#: Bytes that images, their build and a cluster of three nodes need.
NEEDED_BYTES = 12 * 10**9

Ask = Callable[[str], bool]


def ensure_engine(progress: Progress, ask: Ask | None = None) -> Engine:
    """The user's engine, answering. It is never reconfigured or restarted when it does.

    Where none answers: one that is installed here is started, or on Debian as root one is installed. `ask` gets
    the question that comes before (a terminal); without it the same is done and said. Raises MachineError with
    the commands of this system where we can't.
    """
    engine = user_engine()
    if engine.answers(timeout=30):
        return engine
    _refuse_other_place(engine)
    here = system()
    if here in ("macos", "windows", "wsl") or not sys.platform.startswith("linux"):
        raise _advice(here)
    if os.geteuid() != 0:
        raise _advice_without_root(engine, here)
    if daemon.program() is None or shutil.which("docker") is None:
        if here != "debian":
            raise _advice(here)
        _install(progress, ask)
    daemon.start(progress)
    if not engine.answers(timeout=30):
        raise EngineError(
            ("docker", "version"), "", 1, what=t("engine.silent"), next=t("engine.see_log", log=daemon.LOG)
        )
    return engine


def _refuse_other_place(engine: Engine) -> None:
    """A context or DOCKER_HOST that points elsewhere: starting something here would not make it answer."""
    host = os.environ.get("DOCKER_HOST", "")
    if host and not host.startswith("unix://"):
        raise MachineError(t("engine.host_silent", host=host), next=t("engine.host_silent_next"))
    if shutil.which(engine.prefix[0]) is None:
        return
    shown = run([*engine.prefix, "context", "show"], check=False, timeout=30).stdout.strip()
    if shown not in ("", "default"):
        raise MachineError(t("engine.context_silent", context=shown), next=t("engine.context_silent_next"))


def _advice(here: str) -> MachineError:
    return MachineError(t("engine.none"), why=t(f"engine.install.{here}.why"), next=t(f"engine.install.{here}.next"))


def _advice_without_root(engine: Engine, here: str) -> MachineError:
    socket = Path("/var/run/docker.sock")
    if daemon.program() is None:
        return _advice(here if here != "debian" else "debian_user")
    if socket.exists() and not os.access(socket, os.W_OK):
        return MachineError(t("engine.not_allowed"), why=t("engine.not_allowed_why"), next=t("engine.not_allowed_next"))
    return MachineError(t("engine.stopped"), next=t("engine.stopped_next"))


def _install(progress: Progress, ask: Ask | None) -> None:
    question = t("engine.may_install", packages=", ".join(PACKAGES), suite=SUITE)
    if ask is None:
        progress.note(t("engine.installing_unasked", packages=", ".join(PACKAGES), suite=SUITE))
    elif not ask(question):
        raise MachineError(t("engine.declined"), next=t("engine.install.debian.next"))
    require_space(Path("/var"))
    apt = Apt()
    with progress.step(t("engine.updating"), 6):
        apt.update(progress)
    for package, minimum in PACKAGES.items():
        version = apt.version(package)
        if not version or not at_least(version, minimum):
            raise MachineError(
                t("engine.too_old_package", package=package, version=version or "-", minimum=minimum),
                next=t("engine.install.debian.next"),
            )
    wanted = [f"{name}/{SUITE}" for name in PACKAGES]
    new = apt.new_packages(*wanted)
    _record(new)
    try:
        with progress.step(t("engine.installing"), 15):
            apt.run("install", "--yes", "--no-install-recommends", *wanted, progress=progress)
        _is_installed.cache_clear()
    except CommandFailed as failed:
        raise MachineError(t("engine.install_failed"), why=failed.why, next=t("engine.install_failed_next")) from failed


def _record(packages: list[str]) -> None:
    _write_record(RECORD, sorted({*installed_packages(), *packages}))


def _write_record(file: Path, packages: list[str]) -> None:
    names = ", ".join(f'"{name}"' for name in packages)
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    files.write(file, f'when = "{when}"\nsuite = "{SUITE}"\npackages = [{names}]\n')


def _packages_in(file: Path) -> list[str]:
    return list(tomllib.loads(file.read_text()).get("packages", [])) if file.exists() else []


def installed_packages() -> list[str]:
    """The Debian packages that came with an engine of ours; empty where we installed none."""
    return _packages_in(RECORD)


def others_record() -> Path:
    """Where packages that aren't the engine's are written down: Chromium, which `test` opens the book with."""
    return RECORD.with_name("others.toml")


def record_others(packages: list[str]) -> None:
    """Write down, before they are installed, Debian packages that `uninstall` removes. Root only."""
    _write_record(others_record(), sorted({*_packages_in(others_record()), *packages}))


def other_packages() -> list[str]:
    """Debian packages that we installed besides the engine."""
    launcher = launchers_record()
    return [*_packages_in(others_record()), *(launcher.read_text().split() if launcher.exists() else ())]


def launchers_record() -> Path:
    """Where the launcher writes down, a name a line, what it installed to make the environment (python3-venv)."""
    return RECORD.with_name("launcher")


def installed_by_us() -> bool:
    """Whether the engine that answers here is one that we installed, so that it may carry upstream names.

    The record is written before the installation and outlives it: somebody may have put another engine in its place.
    """
    recorded = bool(installed_packages()) and daemon.program() is not None and not os.environ.get("DOCKER_HOST")
    return recorded and _is_installed("docker.io")


@functools.cache
def _is_installed(package: str) -> bool:
    """Whether dpkg has it installed and configured; asked once in a process, and again after we installed something."""
    try:
        said = run(["dpkg-query", "--show", "--showformat=${db:Status-Status}", package], check=False, timeout=30)
    except MachineError:  # no dpkg, or one that hangs
        return False
    return said.code == 0 and said.stdout.strip() == "installed"


def free_bytes(folder: Path) -> int:
    """Free bytes where `folder` is or would be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def engine_folder(engine: Engine) -> Path | None:
    """Where this engine keeps images, if that is a folder of this machine (not so with Docker Desktop)."""
    root = engine.run("info", "--format", "{{.DockerRootDir}}").stdout.strip()
    # not Path.is_dir: it raises for a folder that only root may look at
    return Path(root) if root and os.path.isdir(root) else None  # noqa: PTH112


def require_space_for_all(engine: Engine) -> None:
    """Raise MachineError where images and a cluster of three nodes would not fit beside what is there already."""
    for folder in dict.fromkeys((engine_folder(engine), paths.cache())):
        if folder is not None:
            require_space(folder)


def require_space(folder: Path, needed: int = NEEDED_BYTES) -> None:
    """Raise MachineError where less than `needed` bytes are free for `folder`."""
    free = free_bytes(folder)
    if free < needed:
        raise MachineError(
            t("engine.no_space", free=f"{free / 1e9:.1f}", needed=f"{needed / 1e9:.0f}", folder=folder),
            next=t("engine.no_space_next"),
        )
