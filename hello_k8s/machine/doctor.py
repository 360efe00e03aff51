"""What there is on this machine and what is wrong with it, as data. It only looks."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from hello_k8s import catalog, paths
from hello_k8s.errors import HelloError
from hello_k8s.language import pick, t
from hello_k8s.machine import daemon, install, ready, tools
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.engine import Engine, user_engine
from hello_k8s.machine.nested import learner_engine

Level = Literal["ok", "warning", "problem"]

#: The first release whose `docker build` is BuildKit by itself (https://docs.docker.com/engine/release-notes/23.0/).
MINIMUM_ENGINE = (23, 0)
_MEMORY_BYTES = {3: 6 * 10**9, 1: 3 * 10**9}
_DISK_LOW_BYTES = 3 * 10**9
_DRIVERS = ("overlay2", "overlayfs", "btrfs", "zfs", "fuse-overlayfs")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `what` it is, what was `found`, and what to do `next` where it isn't ok."""

    id: str
    level: Level
    what: str
    found: str
    next: str = ""


def examine() -> list[Finding]:
    """Everything, in the order in which it is needed. A silent engine ends it early: the rest can't be known."""
    engine = user_engine()
    findings = list(_host())
    if not engine.answers():
        return [_of("engine", "problem", t("doctor.silent"), t("doctor.silent_next")), *findings]
    parts = (_engine, _space, _tools, _images, _cluster, _nested)
    for part in parts:
        try:
            findings += part(engine)
        except HelloError as error:
            findings.append(_of(part.__name__.strip("_"), "problem", error.what, error.next))
    return findings


def _of(what: str, level: Level, found: str, next: str = "") -> Finding:
    return Finding(what, level, t(f"doctor.what.{what}"), found, next if level != "ok" else "")


def _host() -> Iterator[Finding]:
    for name, wanted in daemon.INOTIFY.items():
        file = Path("/proc/sys/fs/inotify") / name
        if file.exists():
            have = int(file.read_text())
            fine = have >= wanted
            command = f"sudo sysctl fs.inotify.{name}={wanted}"
            yield _of("inotify", "ok" if fine else "warning", f"fs.inotify.{name} = {have}", command)


def _engine(engine: Engine) -> Iterator[Finding]:
    info: dict[str, Any] = engine.json("info", "--format", "{{json .}}")
    version = str(info["ServerVersion"])
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    ours = t("doctor.installed_by_us") if install.installed_by_us() else t("doctor.yours")
    level: Level = "ok" if numbers >= MINIMUM_ENGINE else "problem"
    yield _of("engine", level, f"Docker {version} ({ours})", t("doctor.old_engine_next", minimum=MINIMUM_ENGINE[0]))
    buildx = engine.run("buildx", "version", check=False)
    found = buildx.stdout.split()[1] if buildx.code == 0 else t("doctor.missing")
    yield _of("buildx", "ok" if buildx.code == 0 else "problem", found, t("doctor.buildx_next"))
    driver = str(info["Driver"])
    yield _of("storage", "ok" if driver in _DRIVERS else "warning", driver, t("doctor.storage_next"))
    yield _of("cgroup", "ok", f"v{info.get('CgroupVersion', '?')} ({info.get('CgroupDriver', '?')})")
    memory, cpus = int(info["MemTotal"]), int(info["NCPU"])
    level = "ok" if memory >= _MEMORY_BYTES[3] else "warning" if memory >= _MEMORY_BYTES[1] else "problem"
    yield _of("memory", level, f"{memory / 1e9:.1f} GB", t("doctor.memory_next"))
    yield _of("cpus", "ok" if cpus >= 2 else "warning", str(cpus), t("doctor.cpus_next"))


def _space(engine: Engine) -> Iterator[Finding]:
    made = engine.image(catalog.image("node").name) is not None
    needed = _DISK_LOW_BYTES if made else install.NEEDED_BYTES
    for folder in dict.fromkeys((install.engine_folder(engine), paths.cache())):
        if folder is not None:
            free = install.free_bytes(folder)
            found = t("doctor.free", free=f"{free / 1e9:.1f}", folder=folder)
            low: Level = "warning" if made else "problem"
            yield _of("disk", "ok" if free >= needed else low, found, t("engine.no_space_next"))


def _tools(engine: Engine) -> Iterator[Finding]:
    kind = tools.kind_version(tools.folder() / "kind")
    yield _tool("kind", kind, tools.KIND_VERSION)
    yield _tool("kubectl", tools.kubectl_version(tools.folder() / "kubectl"), tools.KUBERNETES_VERSION)


def _tool(name: str, version: str, wanted: str) -> Finding:
    found = version or t("doctor.not_yet")
    return _of(name, "ok" if version == wanted else "warning", found, t("doctor.tool_next", version=wanted))


def _images(engine: Engine) -> Iterator[Finding]:
    from hello_k8s.machine import images

    for plan in images.plan(catalog.images(), engine):
        level: Level = "problem" if plan.way == "impossible" else "ok"
        found = f"{t(f'doctor.way.{plan.way}')}: {plan.reason}"
        what = t("doctor.what.image", name=plan.image.id, title=pick(plan.image.title))
        yield Finding(f"image:{plan.image.id}", level, what, found, t("doctor.image_next") if level != "ok" else "")


def _cluster(engine: Engine) -> Iterator[Finding]:
    cluster = Cluster(engine=engine)
    status = cluster.status()
    start = t("doctor.start_next")
    if status == "running" and not cluster.kubeconfig.exists():
        yield _of("cluster", "warning", t("doctor.cluster.unknown", name=cluster.name), start)
        return
    if status == "running":
        yield _running(cluster)
        return
    level: Level = "problem" if status == "partial" else "warning"
    next = t("doctor.partial_next") if status == "partial" else start
    yield _of("cluster", level, t(f"doctor.cluster.{status}", name=cluster.name), next)
    port = _port_of(cluster) if status == "stopped" else None
    if port is not None and not _is_free(port):
        yield _of("port", "problem", t("doctor.port_taken", port=port), t("cluster.port_taken_next"))


def _running(cluster: Cluster) -> Finding:
    nodes = cluster.api().list("Node")
    sick = [node["metadata"]["name"] for node in nodes if not ready.is_ready(node)]
    if sick:
        found = t("doctor.nodes_not_ready", nodes=", ".join(sick))
        return _of("cluster", "problem", found, t("doctor.start_next"))
    version = nodes[0]["status"]["nodeInfo"]["kubeletVersion"] if nodes else "?"
    return _of("cluster", "ok", t("doctor.cluster.running", name=cluster.name, nodes=len(nodes), version=version))


def _port_of(cluster: Cluster) -> int | None:
    import yaml

    if not cluster.kubeconfig.exists():
        return None
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    return urlsplit(config["clusters"][0]["cluster"]["server"]).port


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        # as Docker itself does it: a port in TIME_WAIT is free
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _nested(engine: Engine) -> Iterator[Finding]:
    nested = learner_engine()
    found = engine.container(nested.name)
    if found is None:
        yield _of("nested", "ok", t("doctor.not_yet"))
    elif found["State"]["Running"] and not found["State"]["Paused"] and not nested.engine.answers():
        yield _of("nested", "problem", t("doctor.nested_silent"), t("engine.nested_failed_next", name=nested.name))
    else:
        yield _of("nested", "ok", f"{nested.name}: {found['State']['Status']}")
    if engine.name == "own" and os.environ.get("DOCKER_HOST"):
        yield _of("host", "warning", f"DOCKER_HOST={os.environ['DOCKER_HOST']}", t("doctor.host_next"))
