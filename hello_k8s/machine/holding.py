"""The controller manager held still around a pause, so that it never sees what a pause looks like.

Its node lifecycle controller looks at the kubelets' leases every 5 s. Thawed together with them it would look first,
find every Node silent, and take the Ready from all their Pods (pkg/controller/nodelifecycle of Kubernetes).
"""

from __future__ import annotations

from hello_k8s.machine.engine import Engine

# /proc/PID/comm holds 15 characters of a program's name. Neither pkill nor pidof is in every node image.
_SIGNAL = (
    "for process in /proc/[0-9]*; do"
    ' read -r name < "$process/comm" || continue;'
    ' [ "$name" = kube-controller ] && kill "-$1" "${process#/proc/}";'
    " done 2>/dev/null; true"
)


def hold(engine: Engine, control_plane: str) -> None:
    """Stop the controller manager on the node `control_plane` where it stands. Just before a pause."""
    _signal(engine, control_plane, "STOP")


def let_go(engine: Engine, control_plane: str) -> None:
    """Let it go on; nothing where it wasn't held."""
    _signal(engine, control_plane, "CONT")


def _signal(engine: Engine, control_plane: str, name: str) -> None:
    engine.run("exec", control_plane, "sh", "-c", _SIGNAL, "sh", name, check=False, timeout=30)
