"""The containers that are a kind cluster's nodes: which there are, their state, whether all are."""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from hello_k8s.errors import CommandFailed
from hello_k8s.machine.engine import Engine
from hello_k8s.machine.ready import seconds_of

Status = Literal["absent", "partial", "stopped", "paused", "running"]

#: kind's own labels on its nodes (pkg/cluster/internal/providers/docker/constants.go of kind).
CLUSTER_LABEL = "io.x-k8s.kind.cluster"
ROLE_LABEL = "io.x-k8s.kind.role"
#: Written into the control plane when everything is up; a cluster without it was killed while it was made.
_COMPLETE = "/kind/hello-k8s.json"
#: How the engine says that a container doesn't have a file (containerFileNotFound in moby's daemon/errors.go).
_NO_SUCH_FILE = "Could not find the file"
#: What a node is in that runs again after `docker start`, or by itself.
_DOWN = {"exited", "created", "restarting"}


@dataclass(frozen=True)
class Node:
    """One node's container. `state` is docker's: running, paused, exited, created, restarting, removing, dead."""

    id: str
    name: str
    role: str
    state: str
    networks: tuple[str, ...]


def find_nodes(engine: Engine, cluster: str) -> list[Node]:
    """The nodes of `cluster`, the control plane first. Raises EngineError where no engine answers."""
    fields = ("ID", "Names", "State", "Networks", f'Label "{ROLE_LABEL}"')
    template = "\t".join("{{." + field + "}}" for field in fields)
    printed = engine.run(
        "ps", "--all", "--no-trunc", "--filter", f"label={CLUSTER_LABEL}={cluster}", "--format", template
    ).stdout
    nodes = []
    for line in printed.splitlines():
        identity, name, state, networks, role = line.split("\t")
        nodes.append(Node(identity, name, role, state, tuple(networks.split(","))))
    return sorted(nodes, key=lambda node: (node.role != "control-plane", node.name))


def status_of(nodes: Sequence[Node], expected: int | None) -> Status:
    """What a cluster of these nodes is; `expected` is how many it was completed with (None: never completed).

    One that was stopped or paused halfway counts as stopped or paused: bringing it up mends both.
    """
    if not nodes:
        return "absent"
    if expected is None or len(nodes) != expected or nodes[0].role != "control-plane":
        return "partial"
    states = {node.state for node in nodes}
    if states == {"running"}:
        return "running"
    if states <= {"running", "paused"}:
        return "paused"
    return "stopped" if states <= {"running", "paused", *_DOWN} else "partial"


def were_up(engine: Engine, cluster: str, begun: float, ended: float, settled: float = 0.0) -> bool:
    """Whether every node ran from `begun` to `ended` (seconds since 1970), and for `settled` seconds before if it was
    started again. Raises EngineError where no engine answers.
    """
    names = [node.name for node in find_nodes(engine, cluster)]
    if not names:
        return True
    printed = engine.run("container", "inspect", "--format", "{{json .State}}", *names).stdout
    for state in map(json.loads, printed.splitlines()):
        # what never stopped did so in the year 1
        stopped, started = (seconds_of(state[name]) for name in ("FinishedAt", "StartedAt"))
        up_again = started + settled if state["Status"] == "running" else math.inf
        if (stopped > 0 or state["Status"] != "running") and stopped <= ended and up_again >= begun:
            return False
    return True


def mark_complete(engine: Engine, control_plane: Node, count: int) -> None:
    """Write down inside the cluster itself that it has been made with `count` nodes: any checkout can read it."""
    data = json.dumps({"nodes": count}).encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo(_COMPLETE.rsplit("/", 1)[1])
        info.size = len(data)
        info.mode = 0o644
        tar.addfile(info, io.BytesIO(data))
    engine.run("cp", "-", f"{control_plane.name}:{_COMPLETE.rsplit('/', 1)[0]}", input=archive.getvalue())


def completed_with(engine: Engine, nodes: Iterable[Node]) -> int | None:
    """How many nodes this cluster was completed with; None where it never was. Works on stopped and paused ones.

    Raises CommandFailed where docker can't say, EngineError where no engine answers: what never was may be deleted.
    """
    control_plane = next((node for node in nodes if node.role == "control-plane"), None)
    if control_plane is None:
        return None
    try:
        copied = engine.run("cp", f"{control_plane.name}:{_COMPLETE}", "-").stdout
    except CommandFailed as failed:
        if _NO_SUCH_FILE in failed.output:
            return None
        raise
    start, end = copied.find("{"), copied.find("}")
    return int(json.loads(copied[start : end + 1])["nodes"])
