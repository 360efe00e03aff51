"""When a cluster that was made, started or thawed is really ready: what kubelets say since, not what was stored."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hello_k8s.errors import ClusterError
from hello_k8s.language import t
from hello_k8s.machine.kubeapi import ApiError, KubeApi, NotYet
from hello_k8s.progress import SILENT, Progress

_API_SECONDS = 90
_NODES_SECONDS = 120
_PODS_SECONDS = 180
_LEASES = "kube-node-lease"


def wait(
    api: KubeApi, nodes: int, progress: Progress = SILENT, *, since: float | None = None, quick: bool = False
) -> None:
    """Until the API answers, `nodes` Nodes are Ready and cluster DNS serves.

    With `since` (seconds since the epoch) only what a kubelet has said after it counts: a stopped cluster's
    objects still say Ready. `quick` looks once first. Raises ClusterError with what is still missing.
    """
    wait_for_api(api)
    if quick and all(is_ready(node) for node in api.list("Node")) and _dns_ready(api, None):
        return
    progress.line(t("cluster.waiting_nodes"))
    _until(
        api, "Node", None, {},
        lambda found: len(found) >= nodes and all(is_ready(node) for node in found.values()), _NODES_SECONDS,
    )  # fmt: skip
    if since is not None:
        _until(api, "Lease", _LEASES, {}, lambda found: all(_renewed(x, since) for x in found.values()), _NODES_SECONDS)
    progress.line(t("cluster.waiting_dns"))
    _until(
        api, "Pod", "kube-system", {"k8s-app": "kube-dns"},
        lambda found: bool(found) and all(is_ready(pod) and _started(pod, since) for pod in found.values()),
        _PODS_SECONDS,
    )  # fmt: skip


def wait_for_api(api: KubeApi, seconds: float = _API_SECONDS) -> None:
    """Until /readyz says ok. Raises ClusterError after `seconds`."""
    deadline = time.monotonic() + seconds
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            answer = api.request("GET", "/readyz", accept="*/*", timeout=2)
            if answer.status_code == 200:
                return
            last = ApiError(answer.status_code, "", answer.text)
        except ClusterError as silent:
            last = silent
        # Nothing can be watched where nothing answers yet.
        time.sleep(0.05)
    raise ClusterError(t("cluster.api_silent"), why=str(last or ""), next=t("cluster.not_created_next"))


def _until(
    api: KubeApi,
    kind: str,
    namespace: str | None,
    labels: Mapping[str, str],
    done: Callable[[Mapping[str, dict[str, Any]]], bool],
    seconds: float,
) -> None:
    """Keep `name → object` on a watch until `done` of it."""
    found = {obj["metadata"]["name"]: obj for obj in api.list(kind, namespace, labels)}
    if done(found):
        return
    with api.watch(kind, namespace, labels, timeout=seconds) as events:
        for event, obj in events:
            if event == "DELETED":
                found.pop(obj["metadata"]["name"], None)
            else:
                found[obj["metadata"]["name"]] = obj
            if done(found):
                return
    missing = ", ".join(name for name, obj in found.items() if "status" in obj and not is_ready(obj)) or "-"
    raise ClusterError(
        t("cluster.not_ready", kind=kind, names=missing), why=_why(found), next=t("cluster.not_created_next")
    )


def _why(found: Mapping[str, dict[str, Any]]) -> str:
    lines = []
    for name, obj in found.items():
        for condition in obj.get("status", {}).get("conditions", []):
            if condition["type"] == "Ready" and condition["status"] != "True":
                lines.append(f"{name}: {condition.get('reason', '')} {condition.get('message', '')}")
    return "\n".join(lines)


def is_ready(obj: Mapping[str, Any]) -> bool:
    """Whether a Node's or a Pod's Ready condition is True."""
    conditions = obj.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _dns_ready(api: KubeApi, since: float | None) -> bool:
    pods = api.list("Pod", "kube-system", {"k8s-app": "kube-dns"})
    return bool(pods) and all(is_ready(pod) and _started(pod, since) for pod in pods)


def _started(pod: Mapping[str, Any], since: float | None) -> bool:
    if since is None:
        return True
    running = [status.get("state", {}).get("running") for status in pod["status"].get("containerStatuses", [])]
    # startedAt has whole seconds
    return bool(running) and all(one and seconds_of(one["startedAt"]) >= since - 1 for one in running)


def _renewed(lease: Mapping[str, Any], since: float) -> bool:
    return seconds_of(lease["spec"].get("renewTime", "")) >= since


def seconds_of(moment: str) -> float:
    """A time of the API (RFC 3339) in seconds since the epoch; 0 for an empty one."""
    return datetime.datetime.fromisoformat(moment).timestamp() if moment else 0.0


def wait_for_pod(api: KubeApi, namespace: str, name: str, seconds: float = 60) -> None:
    """Until this Pod is Ready. Raises ClusterError with its own reasons."""
    try:
        api.wait("Pod", name, namespace, is_ready, seconds)
    except NotYet as late:
        events = api.events(namespace, name)
        why = "\n".join(str(event.get("message", "")) for event in events[-5:]) or _why({name: late.last or {}})
        raise ClusterError(
            t("cluster.not_ready", kind="Pod", names=f"{namespace}/{name}"), why=why, next=t("cluster.not_created_next")
        ) from late


def after_pause(api: KubeApi, nodes: Iterable[str], since: float) -> None:
    """After thawing."""
    wait_for_api(api)
