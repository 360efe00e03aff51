"""kind and kubectl of exactly the versions this book was written with, in `.state/bin`: nobody else's are touched."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

from hello_k8s import paths
from hello_k8s.errors import CommandFailed, MachineError
from hello_k8s.language import t
from hello_k8s.machine.debian import Apt, system
from hello_k8s.machine.engine import Engine
from hello_k8s.process import run
from hello_k8s.progress import SILENT, Progress

#: The release whose node image is kindest/node:v1.37.0 (https://github.com/kubernetes-sigs/kind/releases).
KIND_VERSION = "v0.33.0"
KUBERNETES_VERSION = "v1.37.0"
#: The newest Go that kind's go.mod asks for is fetched by any Go from 1.21 on.
_GO_MINIMUM = (1, 21)


def folder() -> Path:
    """Where our programs are: first in the PATH of `shell`, JupyterLab and notebooks."""
    made = paths.state() / "bin"
    made.mkdir(exist_ok=True)
    return made


def ensure_kind(progress: Progress = SILENT) -> Path:
    """kind: the one here, on PATH, in the cache, in Debian's package, or built from its Go module, in this order.

    Raises MachineError with the command that installs it where none of these works.
    """
    target = folder() / "kind"
    cached = paths.cache() / "tools" / f"kind-{KIND_VERSION}"
    for candidate in (target, _elsewhere("kind"), cached):
        if candidate is not None and candidate.exists() and kind_version(candidate) == KIND_VERSION:
            if candidate != target:
                _link(candidate, target)
            return target
    cached.parent.mkdir(parents=True, exist_ok=True)
    _fetch_kind(cached, progress)
    _link(cached, target)
    return target


def kind_version(program: Path) -> str:
    """`v0.33.0` of what `kind version` prints; "" where it doesn't run."""
    try:
        printed = run([str(program), "version"], check=False, timeout=20).stdout
    except (MachineError, OSError):
        return ""
    found = re.search(r"kind (v\d+\.\d+\.\d+)", printed)
    return found[1] if found else ""


def _fetch_kind(target: Path, progress: Progress) -> None:
    failures = []
    if system() == "debian":
        with progress.step(t("engine.fetching_kind", version=KIND_VERSION, way=t("engine.kind_way_package")), 8):
            try:
                if _kind_of_debian(target, progress):
                    return
            except MachineError as failed:
                failures.append(str(failed))
    if _go_version() >= _GO_MINIMUM:
        with progress.step(t("engine.fetching_kind", version=KIND_VERSION, way=t("engine.kind_way_go")), 40):
            try:
                _kind_of_go(target, progress)
                return
            except MachineError as failed:
                failures.append(str(failed))
    raise MachineError(
        t("engine.no_kind", version=KIND_VERSION),
        why="\n".join(failures),
        next=t("engine.no_kind_next", command=_kind_command()),
    )


def _kind_of_debian(target: Path, progress: Progress) -> bool:
    unpacked = target.with_name(f"kind-{os.getpid()}")
    try:
        Apt().extract(["kind"], unpacked, progress)
        program = unpacked / "usr" / "bin" / "kind"
        if kind_version(program) != KIND_VERSION:
            return False
        program.replace(target)
        return True
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _kind_of_go(target: Path, progress: Progress) -> None:
    work = target.with_name(f"go-{os.getpid()}")
    try:
        env = {"GOBIN": str(work), "GOFLAGS": "-trimpath", "CGO_ENABLED": "0"}
        run(["go", "install", f"sigs.k8s.io/kind@{KIND_VERSION}"], env=env, timeout=900, on_line=progress.line)
        (work / "kind").replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _go_version() -> tuple[int, ...]:
    if shutil.which("go") is None:
        return (0,)
    printed = run(["go", "env", "GOVERSION"], check=False, timeout=30, env={"GOTOOLCHAIN": "local"}).stdout
    found = re.match(r"go(\d+)\.(\d+)", printed)
    return (int(found[1]), int(found[2])) if found else (0,)


def _kind_command() -> str:
    if sys.platform == "darwin":
        return "brew install kind"
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    url = f"https://kind.sigs.k8s.io/dl/{KIND_VERSION}/kind-linux-{machine}"
    return f"curl -Lo {folder() / 'kind'} {url} && chmod +x {folder() / 'kind'}"


def ensure_kubectl(engine: Engine, node_image: str, progress: Progress = SILENT) -> Path:
    """kubectl out of the node image, so that it fits the cluster; elsewhere than on Linux the one on PATH.

    Raises MachineError with the command that installs it where there is none of this minor version or its
    neighbours (https://kubernetes.io/releases/version-skew-policy/#kubectl).
    """
    target = folder() / "kubectl"
    if kubectl_version(target) == KUBERNETES_VERSION:
        return target
    if sys.platform.startswith("linux"):
        _copy_kubectl(engine, node_image, target)
        return target
    own = _elsewhere("kubectl")
    if own is None or abs(_minor(kubectl_version(own)) - _minor(KUBERNETES_VERSION)) > 1:
        raise MachineError(
            t("engine.no_kubectl", version=KUBERNETES_VERSION),
            next=t("engine.no_kind_next", command="brew install kubectl"),
        )
    _link(own, target)
    return target


def _copy_kubectl(engine: Engine, node_image: str, target: Path) -> None:
    container = engine.run("create", "--entrypoint=/bin/true", node_image).stdout.strip()
    part = target.with_name(f"kubectl.{os.getpid()}")
    try:
        engine.run("cp", "--follow-link", f"{container}:/usr/bin/kubectl", str(part))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
        engine.remove(container)


def kubectl_version(program: Path) -> str:
    """`v1.37.0` of what kubectl says of itself; "" where it isn't there or doesn't run."""
    if not program.exists():
        return ""
    try:
        printed = run([str(program), "version", "--client", "--output=json"], timeout=20).stdout
        return str(json.loads(printed)["clientVersion"]["gitVersion"])
    except (CommandFailed, MachineError, OSError, ValueError, KeyError):
        return ""


def _minor(version: str) -> int:
    found = re.match(r"v\d+\.(\d+)", version)
    return int(found[1]) if found else -10


def _elsewhere(program: str) -> Path | None:
    """`program` on PATH, our own folder left out."""
    others = [part for part in os.environ.get("PATH", "").split(os.pathsep) if part and Path(part) != folder()]
    found = shutil.which(program, path=os.pathsep.join(others))
    return Path(found) if found else None


def _link(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    part.symlink_to(source.resolve())
    part.replace(target)


def link_as(name: str, program: str) -> None:
    """Make `program` (found on PATH) callable as `name` in our folder. Nothing where it isn't there."""
    found = shutil.which(program)
    if found and (folder() / name).resolve() != Path(found).resolve():
        _link(Path(found), folder() / name)
